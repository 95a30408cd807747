//! `housekeeping`: keeps the store small. Asks the upstream nothing and decides about no request.
//!
//! What is closed and older than the retention goes in batches, each its own short transaction a table, so that an
//! intent never waits long for the writer; between two batches the run may be told to stop, and the next one goes on
//! where it stopped. What is open or still needed is the store's to know (see [`crate::store::Housekeeping`]).

use tokio_util::sync::CancellationToken;

use crate::domain::RunOutcome;
use crate::reconcile::runner::Reconciler;
use crate::reconcile::survey::SurveyError;
use crate::store::runs::{RunLease, RunSummary};

/// Rows of a table that go in one transaction: few, because another writer waits for it. A test holds that its median
/// wait stays under 100 ms with 100,000 old rows of every kind. Every statement goes by an index, so the size of the
/// tables hardly matters.
pub const BATCH: u32 = 200;

/// Rows of history that are looked at in one transaction. Most of what is old stays, because it is the last that was seen
/// of its request; so more are looked at than go.
const HISTORY_STEP: u32 = 1_000;

impl Reconciler {
    /// Prunes until nothing is left to prune, then lets the database tidy up. `selected` tells how many rows went.
    pub(in crate::reconcile) async fn keep_house(
        &self,
        lease: &RunLease,
        stop: &CancellationToken,
        summary: &mut RunSummary,
    ) -> Result<RunOutcome, SurveyError> {
        let older_than = self.clock.now() - self.retention;
        loop {
            if stop.is_cancelled() {
                return Err(SurveyError::Stopped);
            }
            let pruned = self.store.prune(lease, older_than, BATCH).await?;
            if pruned.total() == 0 {
                break;
            }
            tracing::debug!(?pruned, "pruned a batch");
            summary.selected += pruned.total();
        }
        let older_than = self.clock.now() - self.history_retention;
        let mut after = Some(0);
        while let Some(from) = after {
            if stop.is_cancelled() {
                return Err(SurveyError::Stopped);
            }
            let history = &self.store;
            let step = history
                .prune_history(lease, older_than, from, HISTORY_STEP)
                .await?;
            summary.selected += step.removed;
            after = step.next;
        }
        self.store.optimize().await?;
        Ok(RunOutcome::Succeeded)
    }
}
