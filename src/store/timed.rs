//! The edge of every store call: its time-out, its duration, its errors' class and count.
//!
//! One database call that hangs must never hang a loop, so no back end awaits its driver but inside
//! [`Timed::call`]. When the limit strikes, the call's future is dropped, and with it its transaction, which the
//! driver then rolls back; the one thing that can't be taken back is a commit already on its way. Calls for
//! which that matters are safe to repeat (see [`super::Attempts::intend`]).

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::StoreError;
use super::fault::{Classify, Fault};
use crate::telemetry::record;

/// How long a call may take, and how its errors are read.
#[derive(Debug, Clone)]
pub(super) struct Timed {
    limit: Duration,
    classify: Classify,
    /// Where the database is, for whoever reads that it is away; empty where the error says so itself.
    place: Arc<str>,
}

impl Timed {
    /// Calls end within `limit`; `classify` reads the database's own error codes.
    pub(super) fn new(limit: Duration, classify: Classify) -> Self {
        let place = Arc::from("");
        Self {
            limit,
            classify,
            place,
        }
    }

    /// The same, with errors that name this place.
    pub(super) fn at(self, place: &str) -> Self {
        Self {
            place: place.into(),
            ..self
        }
    }

    /// The same with another limit, for the few calls that may take long (a migration).
    pub(super) fn with_limit(&self, limit: Duration) -> Self {
        Self {
            limit,
            ..self.clone()
        }
    }

    /// Runs `work` as the call `operation`.
    pub(super) async fn call<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let result = match tokio::time::timeout(self.limit, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault)) => {
                let error = fault.into_store_error(operation, self.limit, self.classify);
                Err(error.at(&self.place))
            }
            Err(_elapsed) => Err(StoreError::Timeout {
                operation,
                limit: self.limit,
                place: self.place.to_string(),
            }),
        };
        record::store_operation(operation, begun.elapsed());
        if let Err(error) = &result {
            record::store_error(error.reason());
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fault::Meaning;

    fn timed() -> Timed {
        Timed::new(Duration::from_millis(5), |_| Meaning::Internal)
    }

    #[tokio::test]
    async fn a_call_that_hangs_ends_at_its_limit() {
        let hangs = std::future::pending::<Result<(), Fault>>();
        let error = timed().call("ping", hangs).await.unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Timeout {
                    operation: "ping",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_row_that_contradicts_itself_names_the_call() {
        let work = async { Err::<(), _>(Fault::Row("runs.mode is \"sleep\"".to_owned())) };
        let error = timed().call("runs", work).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "runs: a row contradicts itself: runs.mode is \"sleep\""
        );
    }
}
