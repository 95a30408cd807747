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

static CALLS: OnceLock<Calls> = OnceLock::new();

/// The process's recorder is installed.
pub fn is_final() {
    CALLS.get_or_init(Calls::default);
}

/// Counts a call whose metrics are known.
pub fn counted(operation: &str, code: &str, took: Duration) -> bool {
    CALLS
        .get()
        .is_some_and(|calls| calls.counted(operation, code, took))
}

/// These are the metrics of `operation` and `code`.
pub fn keep(operation: &'static str, code: &str, requests: Counter, duration: Histogram) {
    if let Some(calls) = CALLS.get() {
        calls.keep(operation, code, requests, duration);
    }
}

#[derive(Default)]
struct Calls(RwLock<Vec<Call>>);

impl Calls {
    fn counted(&self, operation: &str, code: &str, took: Duration) -> bool {
        let calls = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = calls
            .iter()
            .find(|call| call.operation == operation && call.code == code);
        if let Some(call) = known {
            call.requests.increment(1);
            call.duration.record(took);
        }
        known.is_some()
    }

    fn keep(&self, operation: &'static str, code: &str, requests: Counter, duration: Histogram) {
        let mut calls = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if calls.len() < MOST {
            calls.push(Call {
                operation,
                code: code.to_owned(),
                requests,
                duration,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{counter, histogram};

    #[test]
    fn what_is_kept_counts_the_call_it_was_kept_for_and_no_other() {
        let recorder = crate::telemetry::metrics::recorder().unwrap();
        let handle = recorder.handle();
        let calls = Calls::default();
        metrics::with_local_recorder(&recorder, || {
            for code in ["200", "503"] {
                let (requests, duration) = (counter!("calls", "code" => code), histogram!("took"));
                calls.keep("get_request", code, requests, duration);
            }
        });
        let took = Duration::from_millis(5);
        for (operation, code, known) in [
            ("get_request", "200", true),
            ("get_request", "503", true),
            ("get_request", "200", true),
            ("get_request", "404", false),
            ("get_request_events", "200", false),
        ] {
            assert_eq!(
                calls.counted(operation, code, took),
                known,
                "{operation} {code}"
            );
        }
        let page = handle.render();
        for line in [
            "calls_total{code=\"200\"} 2",
            "calls_total{code=\"503\"} 1",
            "took_count 3",
        ] {
            assert!(page.contains(line), "{page}");
        }
    }

    #[test]
    fn codes_without_end_are_not_all_kept() {
        let calls = Calls::default();
        for n in 0..1000 {
            let (requests, duration) = (Counter::noop(), Histogram::noop());
            calls.keep("get_request", &n.to_string(), requests, duration);
        }
        let kept = calls.0.read().unwrap_or_else(PoisonError::into_inner).len();
        assert_eq!(kept, MOST);
    }
}
