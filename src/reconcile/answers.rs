//! Records what came of a write, and keeps at it while the store is away: a known answer is never thrown away.
//!
//! Each answer is recorded by a task of its own, so that neither the end of a run nor a store that hiccups loses it; the
//! task holds the mark that its attempt is in flight. Whoever sent the write waits for a while and then goes without:
//! its run ends, for no write leaves while the store is away. So there are hardly more answers waiting than runs.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::guard::InFlightMark;
use crate::domain::AttemptId;
use crate::domain::ids::ExternalReference;
use crate::store::attempts::Step;
use crate::store::{Store, StoreError};

/// The sender waits for so many tries; then the answer is kept without it.
const PATIENCE: u32 = 10;

/// Between two tries, as long as the sender waits and after that.
const PAUSE: Duration = Duration::from_millis(500);
const LONG_PAUSE: Duration = Duration::from_secs(2);

/// More answers than this don't wait in memory: who has another one waits for a place, and sends nothing meanwhile.
const PLACES: usize = 1_000;

/// What came of a write.
#[derive(Debug)]
pub struct Answer {
    /// Of which.
    pub attempt: AttemptId,
    /// Of which order, for the log.
    pub external_reference: ExternalReference,
    /// Proves that it comes from the write's sender.
    pub correlation_id: Uuid,
    /// What it says.
    pub step: Step,
    /// When it came.
    pub at: DateTime<Utc>,
    /// Held until the answer is recorded.
    pub mark: InFlightMark,
}

/// The answers that are being recorded: one for the process's life.
#[derive(Clone)]
pub struct Answers {
    store: Arc<dyn Store>,
    tasks: TaskTracker,
    places: Arc<Semaphore>,
}

impl Answers {
    /// None yet.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            tasks: TaskTracker::new(),
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }

    /// Records an answer. An error that is an outage says that it isn't recorded yet, and is still being tried.
    pub async fn record(&self, answer: Answer) -> Result<(), StoreError> {
        // Nobody closes the semaphore.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (tell, told) = oneshot::channel();
        let store = Arc::clone(&self.store);
        self.tasks.spawn(async move {
            let (last, tell) = keep_at_it(&*store, answer, tell).await;
            // Whoever hears of it may be about to open the store anew.
            drop((store, place));
            if let Some(tell) = tell {
                // Whoever asked may be gone.
                let _ = tell.send(last);
            }
        });
        told.await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable {
                operation: "answer",
                detail: "the process ends".to_owned(),
            })
        })
    }

    /// Waits until every answer is recorded, but not longer than this.
    pub async fn all_recorded(&self, within: Duration) {
        self.tasks.close();
        if tokio::time::timeout(within, self.tasks.wait())
            .await
            .is_err()
        {
            let answers = self.tasks.len();
            tracing::error!(
                answers,
                "the answers of writes could not be recorded; they will be verified"
            );
        }
    }
}

/// Whom to tell what came of recording an answer.
type Tell = oneshot::Sender<Result<(), StoreError>>;

/// Tries until the store has taken the answer, or says that it can't be. Answers that, and who still waits to hear it.
async fn keep_at_it(
    store: &dyn Store,
    answer: Answer,
    tell: Tell,
) -> (Result<(), StoreError>, Option<Tell>) {
    let (attempt, step) = (answer.attempt, &answer.step);
    let external_reference = answer.external_reference.as_str();
    let mut tell = Some(tell);
    let mut tries = 0;
    let last = loop {
        let recorded = store
            .answer(attempt, answer.correlation_id, step, answer.at)
            .await;
        tries += 1;
        match recorded {
            // An earlier try was committed although its answer did not come.
            Err(StoreError::IllegalStep { from, to, .. }) if from == to => break Ok(()),
            Ok(()) => break Ok(()),
            Err(error @ (StoreError::IllegalStep { .. } | StoreError::NotFound { .. })) => {
                break Err(error);
            }
            Err(error) if tries >= PATIENCE => {
                if let Some(tell) = tell.take() {
                    tracing::error!(
                        attempt = attempt.0,
                        external_reference,
                        state = %step.to,
                        %error,
                        "a write's answer can't be recorded yet; it is kept and tried again"
                    );
                    // Whoever asked may be gone.
                    let _ = tell.send(Err(error));
                }
                tokio::time::sleep(LONG_PAUSE).await;
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    };
    match (&last, &tell) {
        (_, Some(_)) => {}
        (Ok(()), None) => {
            tracing::info!(attempt = attempt.0, external_reference, state = %step.to, "a write's answer is recorded at last");
        }
        (Err(error), None) => {
            tracing::error!(attempt = attempt.0, external_reference, state = %step.to, %error, "a write's answer came too late to be recorded");
        }
    }
    (last, tell)
}
