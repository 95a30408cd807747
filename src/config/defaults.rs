//! The jobs that exist where the file names none, and the rules of a `retry_stuck` job without rules.
//!
//! As TOML, so that `config example` prints what the program reads: one source. The ages are proposals, not service
//! levels: what counts as stuck is a matter of each operator's contract.

use super::tree::{self, Entry, Table, Value};

/// The rules are printed after this one.
pub(super) const RETRY_STUCK: &str = r#"[[job]]
name = "retry-stuck"
kind = "retry_stuck"
schedule = "0 */5 * * * *"
timezone = "Europe/Madrid"
"#;

pub(super) const STUCK_RULES: &str = r#"[[job.rule]]
name = "resend-unsent"
statuses = ["NOT_SENT"]
not_updated_for = "30m"
action = "resend"

[[job.rule]]
name = "watch-validating"
statuses = ["VALIDATING"]
not_updated_for = "48h"
action = "flag"

[[job.rule]]
name = "watch-processing"
statuses = ["PROCESSING"]
not_updated_for = "5d"
action = "flag"

[[job.rule]]
name = "watch-processed"
statuses = ["PROCESSED"]
not_updated_for = "3d"
action = "flag"

[[job.rule]]
name = "watch-incidence-operator"
statuses = ["INCIDENCE_OPERATOR"]
not_updated_for = "2d"
action = "flag"

[[job.rule]]
name = "watch-incidence-tesa"
statuses = ["INCIDENCE_TESA"]
not_updated_for = "7d"
action = "flag"

[[job.rule]]
name = "watch-installing"
statuses = ["INSTALLING"]
not_updated_for = "12d"
action = "flag"

[[job.rule]]
name = "watch-incidence-installing"
statuses = ["INCIDENCE_INSTALLING"]
not_updated_for = "5d"
action = "flag"

[[job.rule]]
name = "watch-installed"
statuses = ["INSTALLED"]
not_updated_for = "24h"
action = "flag"

[[job.rule]]
name = "watch-cancelling"
cancelling = true
not_updated_for = "48h"
action = "flag"
"#;

pub(super) const OTHERS: &str = r#"[[job]]
name = "resolve-issues"
kind = "resolve_issues"
every = "10m"

[[job]]
name = "flag-events"
kind = "flag_events"
every = "15m"

[[job]]
name = "housekeeping"
kind = "housekeeping"
schedule = "0 17 3 * * *"
timezone = "Europe/Madrid"
"#;

/// The default jobs, as the file's `job` entry.
pub(super) fn jobs() -> Option<(String, Entry)> {
    tree::builtin(&format!("{RETRY_STUCK}\n{OTHERS}")).remove_entry("job")
}

/// The default rules, as a job's `rule` entry.
pub(super) fn stuck_rules() -> Option<(String, Entry)> {
    let mut document = tree::builtin(&format!("{RETRY_STUCK}\n{STUCK_RULES}"));
    let Value::List(mut jobs) = document.remove("job")?.node.value else {
        return None;
    };
    let Value::Table(mut job) = jobs.pop()?.value else {
        return None;
    };
    Table::remove_entry(&mut job, "rule")
}
