//! Every metric in one table: its name, type, meaning, labels and buckets.
//!
//! The recorder's buckets and descriptions, the zeros at start, `docs/metrics.md` and the tests of `/metrics` are
//! all made from it, so they can't drift apart. No label ever carries an id, a reference or free text: its values
//! are either a closed set of this program's own words or come from the configuration.

use crate::domain::{
    AttemptState, Filter, FindingKind, Operation, ReadOperation, RunOutcome, Status, Trigger,
    Verdict,
    run::{Mode, SlotResult},
};
use crate::store::StoreError;

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// As scraped.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
    /// Its labels.
    pub labels: &'static [Label],
    /// What stands there before anything happened.
    pub start: Start,
}

/// A metric's type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values up to each of these bounds.
    Histogram(&'static [f64]),
}

/// What stands in a metric before anything happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Zero in every label set, so that `increase()` sees the first event.
    Zero,
    /// Nothing, because zero would be a lie (an expiry nobody knows) or the label's values are open.
    Absent,
}

/// A label and the values it may have.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Its key.
    pub key: &'static str,
    /// Its values.
    pub values: Values,
}

/// Where a label's values come from.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// The configured jobs.
    Jobs,
    /// The configured tenants.
    Orgs,
    /// A closed set of this program's words.
    Closed(fn() -> Vec<&'static str>),
    /// Not closed, but few: what it is, in words.
    Open(&'static str),
}

/// `job` is Prometheus' own label.
const JOB: Label = Label {
    key: "job_name",
    values: Values::Jobs,
};
const ORG: Label = Label {
    key: "org",
    values: Values::Orgs,
};

const fn closed(key: &'static str, values: fn() -> Vec<&'static str>) -> Label {
    Label {
        key,
        values: Values::Closed(values),
    }
}

const fn open(key: &'static str, what: &'static str) -> Label {
    Label {
        key,
        values: Values::Open(what),
    }
}

macro_rules! words {
    ($set:ty) => {
        || <$set>::ALL.iter().map(|word| word.as_str()).collect()
    };
}

/// The states of a circuit breaker, in the order closed (good) to open (bad).
pub const CIRCUIT_STATES: [&str; 3] = ["closed", "half_open", "open"];

/// What became of a notification.
pub const DELIVERIES: [&str; 3] = ["delivered", "failed", "given_up"];

/// What became of spans that ended and were sampled.
pub const SPAN_OUTCOMES: [&str; 2] = ["exported", "failed"];

/// The status label of a stuck request whose status nobody documented: the upstream's own text stays out.
pub const UNDOCUMENTED_STATUS: &str = "undocumented";

/// The label of everything outside a closed set.
pub const OTHER: &str = "other";

/// What came of holding a list's claim against a read.
pub const CLAIM_RESULTS: [&str; 5] = [
    "agrees",
    "contradicted",
    "changed",
    "not_found",
    "unreadable",
];

/// The name under which the requests for a bearer token are counted; it is not one of the sixteen operations.
pub const TOKEN_OPERATION: &str = "token";

/// The store's calls that have a series of their own: those on a run's path. The rest (listings, a person's
/// commands, the loops' small reads) is `other`, because a histogram for each of some fifty calls would be a third
/// of all series.
pub const STORE_OPERATIONS: &[&str] = &[
    "probe",
    "start",
    "beat",
    "finish",
    "remember_observations",
    "observations",
    "remember_decisions",
    "live_findings",
    "apply_findings",
    "intend",
    "advance",
    "attempts_for",
    "due_for_verification",
];

/// The sixteen operations.
fn operations() -> Vec<&'static str> {
    let reads = ReadOperation::ALL.iter().map(|read| read.as_str());
    let writes = Operation::ALL.iter().map(|write| write.as_str());
    reads.chain(writes).collect()
}

/// The sixteen operations and the request for a token.
fn upstream_operations() -> Vec<&'static str> {
    let mut all = operations();
    all.push(TOKEN_OPERATION);
    all
}

fn store_operations() -> Vec<&'static str> {
    STORE_OPERATIONS.iter().copied().chain([OTHER]).collect()
}

fn statuses() -> Vec<&'static str> {
    // `Status` holds text of the upstream too, so its words come from a constant that lives for ever.
    const KNOWN: &[Status] = &Status::KNOWN;
    KNOWN
        .iter()
        .map(Status::as_str)
        .chain([UNDOCUMENTED_STATUS])
        .collect()
}

fn attempt_outcomes() -> Vec<&'static str> {
    let after = |state: &&AttemptState| **state != AttemptState::Intended;
    let states = AttemptState::ALL.iter().filter(after);
    states.map(|state| state.as_str()).collect()
}

fn open_attempt_states() -> Vec<&'static str> {
    let open = AttemptState::ALL.iter().filter(|state| state.is_open());
    open.map(|state| state.as_str()).collect()
}

const TRIGGER: Label = closed("trigger", words!(Trigger));
const OUTCOME: Label = closed("outcome", words!(RunOutcome));
const SLOT_RESULT: Label = closed("result", words!(SlotResult));
const STATUS: Label = closed("status", statuses);
const DECISION: Label = closed("decision", || Verdict::labels().collect());
const WRITE: Label = closed("operation", words!(Operation));
const ATTEMPT_OUTCOME: Label = closed("outcome", attempt_outcomes);
const OPEN_STATE: Label = closed("state", open_attempt_states);
const KIND: Label = closed("kind", words!(FindingKind));
const MODE_LABEL: Label = closed("mode", words!(Mode));
const FILTER: Label = closed("filter", words!(Filter));
const CLAIM: Label = closed("result", || CLAIM_RESULTS.to_vec());
const OPERATION: Label = closed("operation", operations);
const UPSTREAM_OPERATION: Label = closed("operation", upstream_operations);
const CODE: Label = open(
    "code",
    "the HTTP status code, or a word for what came instead",
);
const CIRCUIT: Label = closed("state", || CIRCUIT_STATES.to_vec());
const STORE_OPERATION: Label = closed("operation", store_operations);
const REASON: Label = closed("reason", || StoreError::REASONS.to_vec());

const DELIVERY: Label = closed("outcome", || DELIVERIES.to_vec());
const SPAN_OUTCOME: Label = closed("outcome", || SPAN_OUTCOMES.to_vec());

const SECONDS_OF_A_RUN: Kind = Kind::Histogram(&[
    0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0,
]);
const SECONDS_OF_DELAY: Kind = Kind::Histogram(&[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0]);
const SECONDS_OF_A_CALL: Kind = Kind::Histogram(&[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);
const SECONDS_OF_A_STORE_CALL: Kind = Kind::Histogram(&[0.005, 0.05, 0.5, 5.0]);
const SECONDS_TO_REPAIR: Kind = Kind::Histogram(&[
    60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0, 259_200.0,
]);

macro_rules! catalogue {
    ($( $ident:ident = $start:ident $kind:expr, $name:literal [ $($label:expr),* ] $help:literal; )+) => {
        $(
            #[doc = $help]
            pub const $ident: Metric = Metric {
                name: concat!("tesa_reconciler_", $name),
                kind: $kind,
                help: $help,
                labels: &[ $($label),* ],
                start: Start::$start,
            };
        )+

        /// Every metric of this program's own, in the order in which they are documented.
        pub const ALL: &[Metric] = &[ $($ident),+ ];
    };
}

use Kind::{Counter, Gauge};

catalogue! {
    BUILD_INFO = Absent Gauge, "build_info" [open("version", "this program's version"), open("revision", "the commit it was built from")]
        "Always 1; the labels say what is running.";
    MODE = Zero Gauge, "mode" [MODE_LABEL]
        "1 for the mode in force: observe sends no write, enforce does.";

    JOB_RUNS = Zero Counter, "job_runs_total" [JOB, ORG, TRIGGER, OUTCOME]
        "Runs ended, by why they began and how they ended.";
    JOB_RUN_DURATION = Zero SECONDS_OF_A_RUN, "job_run_duration_seconds" [JOB]
        "How long runs took.";
    JOB_RUNNING = Zero Gauge, "job_running" [JOB, ORG]
        "1 while this process runs the job for the org.";
    JOB_LAST_SUCCESS = Zero Gauge, "job_last_success_timestamp_seconds" [JOB, ORG]
        "When the job last did its duty on any replica: all of it, or all but some items; 0 if never. Kept over restarts.";
    JOB_LAST_RUN = Zero Gauge, "job_last_run_timestamp_seconds" [JOB, ORG]
        "When the job last began on any replica; 0 if never. Kept over restarts.";
    JOB_NEXT_RUN = Zero Gauge, "job_next_run_timestamp_seconds" [JOB]
        "When the job is due next; 0 until known.";
    JOB_INTERVAL = Zero Gauge, "job_interval_seconds" [JOB]
        "The longest pause between two slots of the job's schedule; 0 until known.";
    JOB_PAUSED = Zero Gauge, "job_paused" [JOB]
        "1 while the job, or everything, is paused.";
    SLOTS = Zero Counter, "slots_total" [JOB, SLOT_RESULT]
        "Scheduled instants, by what became of them: each is accounted for.";
    SET_BACK = Zero Counter, "schedule_set_back_total" [JOB]
        "Times that a job's slots were accounted for into the future and were set back: a clock was ahead.";
    SLOT_DELAY = Zero SECONDS_OF_DELAY, "slot_delay_seconds" [JOB]
        "How long after its scheduled instant a run began.";
    RUNS_LOST = Zero Counter, "runs_lost_total" []
        "Runs whose replica died, as found by this process.";

    REQUESTS_OBSERVED = Zero Counter, "requests_observed_total" [JOB, ORG]
        "Requests read from the upstream.";
    REQUESTS_UNCHANGED = Zero Counter, "requests_unchanged_total" [JOB, ORG]
        "Requests known to be unchanged without a read.";
    DECISIONS = Zero Counter, "decisions_total" [JOB, DECISION]
        "Decisions about requests: act, flag, ignore, or the reason why nothing is sent; `cap_reached` are writes that a cap withheld, counted anew by each run.";
    REQUESTS_STUCK = Zero Gauge, "requests_stuck" [ORG, STATUS]
        "Requests stuck now, by status.";
    OLDEST_STUCK = Zero Gauge, "oldest_stuck_timestamp_seconds" [ORG]
        "Since when the oldest stuck request is so; 0 while none is.";

    ATTEMPTS = Zero Counter, "attempts_total" [WRITE, ATTEMPT_OUTCOME]
        "Steps of writes into each state after the intent; one write takes one step or two.";
    ATTEMPTS_OPEN = Zero Gauge, "attempts_open" [OPEN_STATE]
        "Writes whose outcome isn't settled now.";
    ATTEMPTS_OLDEST_OPEN = Zero Gauge, "attempts_oldest_open_timestamp_seconds" [OPEN_STATE]
        "Since when the write that has stood longest in that state does; 0 while none does.";
    TIME_TO_REPAIR = Zero SECONDS_TO_REPAIR, "time_to_repair_seconds" []
        "From the moment a request was due for repair, or its job might write if that came later, to the proof that it is repaired.";
    FINDINGS_OPEN = Zero Gauge, "findings_open" [ORG, KIND]
        "Findings not resolved now, acknowledged ones included.";
    FINDINGS = Zero Counter, "findings_total" [KIND]
        "Findings opened or opened again.";
    GUARD_HELD = Zero Gauge, "guard_held" [JOB, ORG]
        "1 while the guard holds the job until a person releases it.";

    UPSTREAM_REQUESTS = Absent Counter, "upstream_requests_total" [UPSTREAM_OPERATION, CODE]
        "Calls to the upstream, each repetition counted. The code of success starts at zero.";
    UPSTREAM_DURATION = Zero SECONDS_OF_A_CALL, "upstream_request_duration_seconds" [UPSTREAM_OPERATION]
        "How long calls to the upstream took, without the wait for their turn.";
    UPSTREAM_THROTTLED = Zero Counter, "upstream_throttled_seconds_total" []
        "Time spent waiting for the upstream's rate limits, ours and its own.";
    CIRCUIT_STATE = Zero Gauge, "circuit_state" [ORG, CIRCUIT]
        "1 for the state that the org's circuit breaker is in.";
    ISSUES_UNMATCHED = Absent Counter, "issues_unmatched_total" [JOB, open("class", "the letters before an issue code's number; `other` beyond sixteen classes")]
        "Open issues that were read and matched by no rule, by the class of their code.";
    CONTRACT_VIOLATIONS = Zero Counter, "contract_violations_total" [OPERATION]
        "Answers of the upstream that could not be understood.";
    CLAIMS_CHECKED = Zero Counter, "claims_checked_total" [FILTER, CLAIM]
        "Claims of the upstream's lists that were held against a read, by the filter that made them: agrees, contradicted (a second list said so too), changed (meanwhile, so nothing is told), not_found, unreadable.";
    DATES_WITHOUT_ZONE = Zero Counter, "upstream_dates_without_zone_total" []
        "Dates in the upstream's answers that said no zone, and were read in the configured one.";
    TOKEN_EXPIRY = Absent Gauge, "token_expiry_timestamp_seconds" []
        "When the bearer token in use expires; absent while that isn't known.";

    STORE_DURATION = Zero SECONDS_OF_A_STORE_CALL, "store_operation_duration_seconds" [STORE_OPERATION]
        "How long calls to the store took. Calls outside a run's path are other.";
    STORE_ERRORS = Zero Counter, "store_errors_total" [REASON]
        "Calls to the store that failed.";
    REPLICAS_LIVE = Zero Gauge, "replicas_live" []
        "Processes that share the store and beat.";

    NOTIFICATIONS = Zero Counter, "notifications_total" [DELIVERY]
        "Posts to the receiver of notifications, renewals for Alertmanager included; given up: no further try is made.";
    TRACE_SPANS = Zero Counter, "trace_spans_total" [SPAN_OUTCOME]
        "Spans handed to the trace collector; failed: given up, because it did not take them.";

    LOOP_LAST_BEAT = Absent Gauge, "loop_last_beat_timestamp_seconds" [open("loop", "a loop of this process")]
        "When each loop of this process last made progress.";
    CONFIG_RELOAD_OK = Absent Gauge, "config_last_reload_successful" []
        "1 if the configuration was good when last read, 0 if an older one is still in force.";
    CONFIG_RELOAD_AT = Absent Gauge, "config_last_reload_timestamp_seconds" []
        "When the configuration was last read.";
    PANICS = Zero Counter, "panics_total" []
        "Panics caught; each is a fault of this program.";
}

/// The metric that is scraped under `name`: this program's own, the process's, or of those that `run --once` leaves.
pub fn find(name: &str) -> Option<&'static Metric> {
    let all = ALL.iter().chain(super::process::METRICS);
    let all = all.chain(super::textfile::METRICS);
    all.into_iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} stands twice", metric.name);
            let counter = metric.kind == Kind::Counter;
            assert_eq!(metric.name.ends_with("_total"), counter, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn buckets_ascend() {
        for metric in ALL {
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted_by(|a, b| a < b), "{}", metric.name);
            }
        }
    }

    #[test]
    fn what_starts_at_zero_has_no_open_label() {
        for metric in ALL.iter().filter(|metric| metric.start == Start::Zero) {
            for label in metric.labels {
                let open = matches!(label.values, Values::Open(_));
                assert!(!open, "{}{{{}}}", metric.name, label.key);
            }
        }
    }

    #[test]
    fn a_job_is_never_labelled_job_because_that_is_prometheus_own() {
        let mut labels = ALL.iter().flat_map(|metric| metric.labels);
        assert!(labels.all(|label| !matches!(label.key, "job" | "instance" | "le" | "quantile")));
    }
}
