//! The orders: stuck ones of each kind that a rule repairs, and those from which a person keeps the daemon away.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tesa_reconciler::clock::{Clock as _, SystemClock};

use crate::process::world::World;

/// Three orders of each life, one of each kind in turn: unsafe, conditional and unsafe again, conditional.
pub fn add(world: &World, org: &str, name: &str, kind: u64) {
    let (status, age) = match kind % 5 {
        0 | 1 => ("NOT_SENT", "3h"),
        2 => ("INCIDENCE_OPERATOR", "3h"),
        3 => ("PROCESSED", "3h"),
        _ => ("VALIDATING", "3d"),
    };
    let mut order = json!({"org": org, "external_reference": name, "status": status, "age": age});
    if status == "INCIDENCE_OPERATOR" {
        order["issues"] = json!([{"issue_code": "CLI-012"}]);
    }
    world.patch(order);
}

/// The jobs that repair them, every second.
pub const JOBS: &str = r#"
[[job]]
name = "retry-stuck"
kind = "retry_stuck"
every = "1s"

[[job.rule]]
name = "resend-unsent"
statuses = ["NOT_SENT"]
not_updated_for = "30m"
action = "resend"

[[job.rule]]
name = "send-a-technician"
statuses = ["PROCESSED"]
not_updated_for = "30m"
action = "create_access"
technician_code = "T-1"

[[job.rule]]
name = "give-up"
statuses = ["VALIDATING"]
not_updated_for = "24h"
action = "cancel_request"

[[job]]
name = "resolve-issues"
kind = "resolve_issues"
every = "1s"

[[job.rule]]
name = "customer-was-absent"
statuses = ["INCIDENCE_OPERATOR"]
issue_codes = ["CLI-*"]
action = "resolve_incident"
observations = "Cita confirmada"

[[job]]
name = "housekeeping"
kind = "housekeeping"
every = "5s"
"#;

/// A person's word about an order.
#[derive(Debug, Clone)]
pub struct HandsOff {
    pub org: String,
    pub order: String,
    /// It holds from here on.
    pub since: DateTime<Utc>,
}

/// Acknowledges up to `count` orders to which nothing was written yet, by the command.
pub async fn acknowledge(world: &World, count: usize, known: &mut Vec<HandsOff>) {
    let findings = world
        .rows(&["findings", "--limit", "10000", "--state", "open"])
        .await;
    let written = world.writes();
    let text = |row: &Value, key: &str| row[key].as_str().map(str::to_owned);
    let mut left = count;
    for finding in findings {
        let about_it = ["stuck_request", "unresolved_issue"];
        let kind = text(&finding, "kind").is_some_and(|kind| about_it.contains(&kind.as_str()));
        let (Some(org), Some(order), true) = (
            text(&finding, "org"),
            text(&finding, "external_reference"),
            kind && left > 0,
        ) else {
            continue;
        };
        let is_it =
            |entry_org: &str, entry: Option<&str>| entry_org == org && entry == Some(&*order);
        if written
            .iter()
            .any(|entry| is_it(&entry.org, entry.external_reference.as_deref()))
            || known.iter().any(|word| is_it(&word.org, Some(&word.order)))
        {
            continue;
        }
        let id = finding["id"].to_string();
        let words = [
            "findings",
            "ack",
            &id,
            "--reason",
            "we look after it ourselves",
        ];
        let ended = world.run(&words).await;
        // It may be over since it was listed, or the store busy: then nothing was promised.
        if ended.code == Some(0) {
            left -= 1;
            let since = SystemClock.now();
            known.push(HandsOff { org, order, since });
        }
    }
}
