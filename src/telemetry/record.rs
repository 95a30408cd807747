//! What the rest of the program says about itself, as functions: nobody else spells a metric's name.

use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{counter, gauge, histogram};

use crate::domain::ids::JobName;
use crate::domain::run::SlotResult;

/// `n` slots of a job got their fate.
pub fn slot(job: &JobName, result: SlotResult, n: u64) {
    counter!("tesa_reconciler_slots_total", "job_name" => job.to_string(), "result" => result.as_str()).increment(n);
}

/// A slot's run began so much later than meant.
pub fn slot_delay(job: &JobName, delay: Duration) {
    histogram!("tesa_reconciler_slot_delay_seconds", "job_name" => job.to_string()).record(delay);
}

/// When a job runs next.
pub fn job_next_run(job: &JobName, at: DateTime<Utc>) {
    gauge!("tesa_reconciler_job_next_run_timestamp_seconds", "job_name" => job.to_string())
        .set(seconds(at));
}

/// A loop has come around.
pub fn beat(loop_name: &'static str, at: DateTime<Utc>) {
    gauge!("tesa_reconciler_loop_last_beat_timestamp_seconds", "loop" => loop_name)
        .set(seconds(at));
}

/// Something panicked and was caught.
pub fn panicked() {
    counter!("tesa_reconciler_panics_total").increment(1);
}

fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_micros() as f64 / 1e6
}
