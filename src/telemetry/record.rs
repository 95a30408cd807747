//! What can be counted and measured, as plain functions: the only code that touches a metric.
//!
//! Callers hand over typed values; here they become labels. Nothing in here fails, blocks or allocates more than
//! a label. Without an installed recorder every function does nothing, so tests need no set-up.

mod calls;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{counter, gauge, histogram};

use super::catalogue as m;
use crate::domain::ids::{JobName, Org};
use crate::domain::run::{Mode, SlotResult};
use crate::domain::{AttemptState, Filter, FindingKind, Operation, RunOutcome, Trigger};
pub(super) use calls::is_final as recorder_is_final;

/// An instant as Prometheus wants it: seconds since 1970, with a fraction.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 fit a float's 53 bits for 285,000 years"
)]
pub(super) fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

/// One call to the upstream ended. `code` is the HTTP status, or a word such as `timeout` where none came.
pub fn upstream_request(operation: &'static str, code: &str, took: Duration) {
    if calls::counted(operation, code, took) {
        return;
    }
    let label = bounded_code(code);
    let bounded = label == code;
    let requests = counter!(m::UPSTREAM_REQUESTS.name, "operation" => operation, "code" => label);
    let duration = histogram!(m::UPSTREAM_DURATION.name, "operation" => operation);
    requests.increment(1);
    duration.record(took);
    if bounded {
        calls::keep(operation, code, requests, duration);
    }
}

/// A code that can't grow the number of series: a status code or a short word of ours, never the upstream's text.
fn bounded_code(code: &str) -> String {
    let status = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let word = (1..=20).contains(&code.len())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if status || word { code } else { m::OTHER }.to_owned()
}

/// An open issue was read that no rule matches. `class` is the upstream's own text, so the number of classes is
/// bounded here.
pub fn issue_unmatched(job: &JobName, class: &str) {
    static CLASSES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let class = bounded_class(class, &CLASSES);
    counter!(m::ISSUES_UNMATCHED.name, "job_name" => job.to_string(), "class" => class)
        .increment(1);
}

/// A class that can't grow the number of series beyond sixteen, and is a short word in capitals.
fn bounded_class(class: &str, known: &Mutex<BTreeSet<String>>) -> String {
    const MOST: usize = 16;
    let word =
        (1..=8).contains(&class.len()) && class.bytes().all(|byte| byte.is_ascii_uppercase());
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if word && (known.contains(class) || known.len() < MOST) {
        known.insert(class.to_owned());
        return class.to_owned();
    }
    m::OTHER.to_owned()
}

/// A call waited for a rate limit.
pub fn upstream_throttled(waited: Duration) {
    static THROTTLED: WholeSeconds = WholeSeconds::new();
    counter!(m::UPSTREAM_THROTTLED.name).increment(THROTTLED.add(waited));
}

/// The exporter's counters hold whole numbers, so parts of a second are kept until they make a whole one.
struct WholeSeconds(AtomicU64);

impl WholeSeconds {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds a duration; answers how many whole seconds became full by it.
    fn add(&self, more: Duration) -> u64 {
        let more = u64::try_from(more.as_micros()).unwrap_or(u64::MAX);
        let before = self.0.fetch_add(more, Ordering::Relaxed);
        before.saturating_add(more) / 1_000_000 - before / 1_000_000
    }
}

/// An answer of the upstream could not be understood.
pub fn contract_violation(operation: &'static str) {
    counter!(m::CONTRACT_VIOLATIONS.name, "operation" => operation).increment(1);
}

/// So many dates of an answer said no zone.
pub fn dates_without_zone(n: u64) {
    if n > 0 {
        counter!(m::DATES_WITHOUT_ZONE.name).increment(n);
    }
}

/// The bearer token now in use expires then.
pub fn token_expiry(at: DateTime<Utc>) {
    gauge!(m::TOKEN_EXPIRY.name).set(seconds(at));
}

/// A call to the store ended, well or not.
pub fn store_operation(operation: &'static str, took: Duration) {
    let own = m::STORE_OPERATIONS.contains(&operation);
    let operation = if own { operation } else { m::OTHER };
    histogram!(m::STORE_DURATION.name, "operation" => operation).record(took);
}

/// A call to the store failed, for one of [`crate::store::StoreError::REASONS`].
pub fn store_error(reason: &'static str) {
    counter!(m::STORE_ERRORS.name, "reason" => reason).increment(1);
}

/// So many slots of a job ended like this.
pub fn slot(job: &JobName, result: SlotResult, n: u64) {
    counter!(m::SLOTS.name, "job_name" => job.to_string(), "result" => result.as_str())
        .increment(n);
}

/// A job's memory of its slots lay in the future and was set back.
pub fn set_back(job: &JobName) {
    counter!(m::SET_BACK.name, "job_name" => job.to_string()).increment(1);
}

/// A run began so long after its slot.
pub fn slot_delay(job: &JobName, delay: Duration) {
    histogram!(m::SLOT_DELAY.name, "job_name" => job.to_string()).record(delay);
}

/// The job is due next then.
pub fn job_next_run(job: &JobName, at: DateTime<Utc>) {
    gauge!(m::JOB_NEXT_RUN.name, "job_name" => job.to_string()).set(seconds(at));
}

/// The job's slots lie at most so far apart.
pub fn job_interval(job: &JobName, interval: Duration) {
    gauge!(m::JOB_INTERVAL.name, "job_name" => job.to_string()).set(interval.as_secs_f64());
}

/// A loop made progress.
pub fn beat(loop_name: &'static str, at: DateTime<Utc>) {
    gauge!(m::LOOP_LAST_BEAT.name, "loop" => loop_name).set(seconds(at));
}

/// A panic was caught.
pub fn panicked() {
    counter!(m::PANICS.name).increment(1);
}

/// A run began in this process.
pub fn run_started(job: &JobName, org: &Org) {
    running(job, org, 1.0);
}

/// A run of this process ended.
pub fn run_finished(
    job: &JobName,
    org: &Org,
    trigger: Trigger,
    outcome: RunOutcome,
    took: Duration,
) {
    running(job, org, 0.0);
    counter!(m::JOB_RUNS.name, "job_name" => job.to_string(), "org" => org.to_string(),
        "trigger" => trigger.as_str(), "outcome" => outcome.as_str())
    .increment(1);
    histogram!(m::JOB_RUN_DURATION.name, "job_name" => job.to_string()).record(took);
}

/// A run of this process ended without an outcome of its own: it panicked, or was dropped.
pub fn run_abandoned(job: &JobName, org: &Org) {
    running(job, org, 0.0);
}

// A job and org run once at a time, so setting is right, and heals itself where adding and taking would drift.
fn running(job: &JobName, org: &Org, value: f64) {
    gauge!(m::JOB_RUNNING.name, "job_name" => job.to_string(), "org" => org.to_string()).set(value);
}

/// So many runs of dead replicas were found.
pub fn runs_lost(n: u64) {
    counter!(m::RUNS_LOST.name).increment(n);
}

/// So many requests were read.
pub fn requests_observed(job: &JobName, org: &Org, n: u64) {
    counter!(m::REQUESTS_OBSERVED.name, "job_name" => job.to_string(), "org" => org.to_string())
        .increment(n);
}

/// So many requests needed no read.
pub fn requests_unchanged(job: &JobName, org: &Org, n: u64) {
    counter!(m::REQUESTS_UNCHANGED.name, "job_name" => job.to_string(), "org" => org.to_string())
        .increment(n);
}

/// So many decisions with this label of [`crate::domain::Verdict::label`].
pub fn decision(job: &JobName, label: &'static str, n: u64) {
    counter!(m::DECISIONS.name, "job_name" => job.to_string(), "decision" => label).increment(n);
}

/// A write took a step into `state`. The intent itself is no outcome, and isn't counted.
pub fn attempt(operation: Operation, state: AttemptState) {
    if state != AttemptState::Intended {
        counter!(m::ATTEMPTS.name, "operation" => operation.as_str(), "outcome" => state.as_str())
            .increment(1);
    }
}

/// A repair is proven, so long after it was due.
pub fn time_to_repair(took: Duration) {
    histogram!(m::TIME_TO_REPAIR.name).record(took);
}

/// So many findings were opened, or opened again.
pub fn findings_opened(kind: FindingKind, n: u64) {
    counter!(m::FINDINGS.name, "kind" => kind.as_str()).increment(n);
}

/// A notification came to one of [`m::DELIVERIES`].
pub fn notification(outcome: &'static str) {
    counter!(m::NOTIFICATIONS.name, "outcome" => outcome).increment(1);
}

/// So many spans came to one of [`m::SPAN_OUTCOMES`].
pub fn trace_spans(outcome: &'static str, n: u64) {
    counter!(m::TRACE_SPANS.name, "outcome" => outcome).increment(n);
}

/// The configuration was read (at start too), and is in force or not.
pub fn reload(ok: bool, at: DateTime<Utc>) {
    gauge!(m::CONFIG_RELOAD_OK.name).set(f64::from(u8::from(ok)));
    gauge!(m::CONFIG_RELOAD_AT.name).set(seconds(at));
}

/// This mode is in force.
pub fn mode(mode: Mode) {
    for other in Mode::ALL {
        let value = f64::from(u8::from(*other == mode));
        gauge!(m::MODE.name, "mode" => other.as_str()).set(value);
    }
}

/// Which source it was built from: what the build put into `TESA_RECONCILER_REVISION`.
pub const REVISION: Option<&str> = option_env!("TESA_RECONCILER_REVISION");

/// Says which version runs.
pub fn build_info() {
    let revision = REVISION.unwrap_or("unknown");
    gauge!(m::BUILD_INFO.name, "version" => env!("CARGO_PKG_VERSION"), "revision" => revision)
        .set(1.0);
}

/// What a list claimed of so many requests was held against reads.
pub fn claim_checked(filter: Filter, result: &'static str, count: u64) {
    counter!(m::CLAIMS_CHECKED.name, "filter" => filter.as_str(), "result" => result)
        .increment(count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_that_invents_codes_can_not_grow_the_page() {
        let known = Mutex::new(BTreeSet::new());
        assert_eq!(bounded_class("CLI", &known), "CLI");
        for strange in ["", "cli", "CLI 1", "A_VERY_LONG_WORD", "Ñ"] {
            assert_eq!(bounded_class(strange, &known), m::OTHER, "{strange}");
        }
        let classes: BTreeSet<String> = (b'A'..=b'Z')
            .map(|letter| bounded_class(&char::from(letter).to_string(), &known))
            .collect();
        assert_eq!(classes.len(), 15 + 1);
        assert_eq!(bounded_class("CLI", &known), "CLI");
    }

    #[test]
    fn parts_of_a_second_add_up_to_whole_ones() {
        let throttled = WholeSeconds::new();
        let full: Vec<u64> = [300, 300, 300, 300, 2900, 0]
            .map(|millis| throttled.add(Duration::from_millis(millis)))
            .to_vec();
        assert_eq!(full, [0, 0, 0, 1, 3, 0]);
    }

    #[test]
    fn a_code_is_a_status_or_a_short_word_and_nothing_else() {
        for (code, label) in [
            ("200", "200"),
            ("timeout", "timeout"),
            ("connect_error", "connect_error"),
            ("", "other"),
            ("20", "other"),
            ("2000", "other"),
            ("ORDER-1", "other"),
            ("the customer was not at home", "other"),
        ] {
            assert_eq!(bounded_code(code), label, "{code:?}");
        }
    }
}
