//! Carries out what the scheduler asks for, with the configuration that holds when a run begins.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Core, Live};
use crate::clock::SharedClock;
use crate::domain::RunOutcome;
use crate::reconcile::runner::RunOrder;
use crate::schedule::{RunRequest, Runner};
use crate::store::runs::{RunLease, RunSummary, Started};
use crate::store::{Store, StoreError};

/// See the module.
pub struct Runs {
    store: Arc<dyn Store>,
    clock: SharedClock,
    live: watch::Receiver<Arc<Live>>,
    stop: CancellationToken,
}

impl Runs {
    /// Runs stop at `stop`, between two items.
    pub fn new(core: &Core, live: watch::Receiver<Arc<Live>>, stop: CancellationToken) -> Self {
        Self {
            store: Arc::clone(&core.store),
            clock: Arc::clone(&core.clock),
            live,
            stop,
        }
    }

    fn order(live: &Live, request: &RunRequest) -> Option<RunOrder> {
        Some(RunOrder {
            job: Arc::clone(live.jobs.get(&request.job)?),
            org: request.org.clone(),
            trigger: request.trigger,
            slot: request.slot,
            actor: request.actor.clone(),
        })
    }
}

#[async_trait]
impl Runner for Runs {
    async fn claim(&self, request: &RunRequest) -> Result<Started, StoreError> {
        let live = self.live.borrow().clone();
        let order = Self::order(&live, request).ok_or_else(|| StoreError::NotFound {
            operation: "claim",
            what: format!(
                "job {}: it was just removed from the configuration",
                request.job
            ),
        })?;
        live.reconciler.claim(&order).await
    }

    async fn execute(&self, request: RunRequest, lease: RunLease) -> RunOutcome {
        let live = self.live.borrow().clone();
        let Some(order) = Self::order(&live, &request) else {
            // Removed by a reload between the claim and now.
            self.panicked(&lease).await;
            return RunOutcome::Failed;
        };
        match live.reconciler.execute(&order, &lease, &self.stop).await {
            Ok((outcome, _)) => outcome,
            Err(error) => {
                tracing::error!(
                    run_id = lease.run_id.0,
                    %error,
                    "a run's end could not be recorded; it will be found lost"
                );
                RunOutcome::Failed
            }
        }
    }

    async fn panicked(&self, lease: &RunLease) {
        let summary = RunSummary {
            trouble: "the run broke off".to_owned(),
            ..RunSummary::default()
        };
        let now = self.clock.now();
        if let Err(error) = self
            .store
            .finish(lease, RunOutcome::Failed, &summary, now)
            .await
        {
            tracing::error!(run_id = lease.run_id.0, %error, "a broken run could not be ended");
        }
    }
}
