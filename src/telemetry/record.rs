//! What the upstream client reports of itself, as plain functions, so that it needs no metric names.

use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{counter, gauge, histogram};

/// One HTTP exchange with the upstream ended: `code` is its status, or `timeout`, `connect`, `reset`, `other`.
pub fn upstream_request(operation: &'static str, code: &str, took: Duration) {
    counter!("tesa_reconciler_upstream_requests_total", "operation" => operation, "code" => code.to_owned())
        .increment(1);
    histogram!("tesa_reconciler_upstream_request_duration_seconds", "operation" => operation)
        .record(took.as_secs_f64());
}

/// A call waited so long for its rate limit.
pub fn upstream_throttled(waited: Duration) {
    gauge!("tesa_reconciler_upstream_throttled_seconds_total").increment(waited.as_secs_f64());
}

/// An answer could not be understood.
pub fn contract_violation(operation: &'static str) {
    counter!("tesa_reconciler_contract_violations_total", "operation" => operation).increment(1);
}

/// The bearer token in use ends then.
pub fn token_expiry(at: DateTime<Utc>) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "an instant fits into 52 bits for ages to come"
    )]
    gauge!("tesa_reconciler_token_expiry_timestamp_seconds").set(at.timestamp() as f64);
}
