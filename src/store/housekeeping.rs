//! Keeping the store small: what is closed and old goes, what is open or still needed stays.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use super::runs::RunLease;

/// How many rows one [`Housekeeping::prune`] removed, a table each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    /// Closed attempts, each with its history.
    pub attempts: u64,
    /// Finished runs.
    pub runs: u64,
    /// Slots, run or not.
    pub slots: u64,
    /// Resolved findings.
    pub findings: u64,
    /// Classes that no finding belongs to and that were not listed since.
    pub classes: u64,
    /// Contradictions not seen since.
    pub contradictions: u64,
    /// Acknowledgements that have ended.
    pub acknowledgements: u64,
    /// What was marked about orders: retries, and requests seen beside another one.
    pub orders: u64,
    /// Finished requests not seen since.
    pub observations: u64,
    /// Decisions about those, and about requests that could never be read.
    pub decisions: u64,
    /// Looks at requests that are no longer remembered, and sweeps of jobs that no longer make any.
    pub looks: u64,
    /// Answered triggers.
    pub triggers: u64,
    /// Audit rows.
    pub audit: u64,
    /// Processes that never said goodbye.
    pub replicas: u64,
}

impl Pruned {
    /// All of them: zero means that nothing is left to prune.
    pub const fn total(&self) -> u64 {
        self.attempts
            + self.runs
            + self.slots
            + self.findings
            + self.classes
            + self.contradictions
            + self.acknowledgements
            + self.orders
            + self.observations
            + self.decisions
            + self.looks
            + self.triggers
            + self.audit
            + self.replicas
    }
}

/// See the module.
#[async_trait]
pub trait Housekeeping {
    /// Removes at most `batch` rows of each table that are closed since before `older_than`. Call it until
    /// [`Pruned::total`] is zero; each call is short, so that other writers get their turn.
    ///
    /// Never removed: an open attempt and its run, a closed attempt whose request still has a finding that isn't
    /// resolved (the backoff counts it, and "given up" must not be forgotten), a run that goes on, a live finding,
    /// an observation of a request that isn't finished, has an open attempt or a live finding, a look at a request
    /// that is remembered, an unanswered trigger, an acknowledgement that holds and the finding it was said of. The last slot, start, outcome and success of a job and org are kept beside the history.
    async fn prune(
        &self,
        lease: &RunLease,
        older_than: DateTime<Utc>,
        batch: u32,
    ) -> Result<Pruned, StoreError>;

    /// Lets the database refresh its statistics and give disk space back, as far as that is cheap.
    async fn optimize(&self) -> Result<(), StoreError>;
}
