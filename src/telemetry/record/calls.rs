//! The two metrics of a call to the upstream, found once for each operation and code.
//!
//! The recorder looks a metric up by its labels, and making and hashing those costs several times the counting itself.
//! Where a hundred thousand calls are made in a row, that shows. What was found belongs to one recorder, so nothing is
//! kept before the process's own one is installed, which is never replaced; tests with a recorder of their own never
//! get here.

use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Histogram};

/// There are sixteen operations that answer one code nearly always. What comes beyond is looked up each time.
const MOST: usize = 64;

struct Call {
    operation: &'static str,
    code: String,
    requests: Counter,
    duration: Histogram,
}

static CALLS: OnceLock<RwLock<Vec<Call>>> = OnceLock::new();

/// The process's recorder is installed.
pub fn is_final() {
    CALLS.get_or_init(RwLock::default);
}

/// Counts a call whose metrics are known.
pub fn counted(operation: &str, code: &str, took: Duration) -> bool {
    let Some(calls) = CALLS.get() else {
        return false;
    };
    let calls = calls.read().unwrap_or_else(PoisonError::into_inner);
    let known = calls
        .iter()
        .find(|call| call.operation == operation && call.code == code);
    if let Some(call) = known {
        call.requests.increment(1);
        call.duration.record(took);
    }
    known.is_some()
}

/// These are the metrics of `operation` and `code`.
pub fn keep(operation: &'static str, code: &str, requests: Counter, duration: Histogram) {
    let Some(calls) = CALLS.get() else {
        return;
    };
    let mut calls = calls.write().unwrap_or_else(PoisonError::into_inner);
    if calls.len() < MOST {
        calls.push(Call {
            operation,
            code: code.to_owned(),
            requests,
            duration,
        });
    }
}
