//! What is counted, as functions: whoever counts needs no metric's name and can't mistype a label.

use std::time::Duration;

/// A store call ended, well or not.
pub fn store_operation(operation: &'static str, took: Duration) {
    metrics::histogram!("tesa_reconciler_store_operation_duration_seconds", "operation" => operation)
        .record(took.as_secs_f64());
}

/// A store call failed; `reason` is one of `StoreError::REASONS`.
pub fn store_error(reason: &'static str) {
    metrics::counter!("tesa_reconciler_store_errors_total", "reason" => reason).increment(1);
}
