//! What a run may take over from the one before it, and what it leaves for the next.
//!
//! [`Lasting`] decisions are kept in memory, so they may be used only by who can tell that nothing else had a hand in
//! it: the last run of the job and org was this process's, came to its end, and decided under the same rules, the same
//! policy of writes, the same acknowledgements and, where it watched only, on the same ledger. Otherwise, and once an
//! hour in any case, everything is looked up in the store and compared anew. Nothing depends on the memory but time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::findings::{Comparison, TOUCH_EVERY};
use super::lasting::Lasting;
use super::plan::WritePolicy;
use super::recorder::{Remembered, few_findings, remembered_findings};
use super::runner::{Reconciler, RunOrder};
use crate::config::Job;
use crate::domain::ids::{AcknowledgementId, AttemptId, JobName, Org, RunId};
use crate::domain::run::Mode;
use crate::store::runs::{RunFilter, RunLease};
use crate::store::{Page, StoreError};

/// How long decisions are taken over from run to run before all are compared with the store again. It is also when an
/// unchanged finding's "last seen" is due to be written down.
const COMPARE_EVERY: Duration = TOUCH_EVERY;

/// What the decisions of a run rested on, beside the requests.
#[derive(Debug, Clone)]
struct Basis {
    /// With its rules; a reload makes another one.
    job: Arc<Job>,
    writes: WritePolicy,
    /// What people said that holds.
    acknowledged: Vec<AcknowledgementId>,
    /// The newest attempt, where none is made: what only watches decides on the ledger as it is.
    newest: Option<AttemptId>,
}

impl PartialEq for Basis {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.job, &other.job)
            && self.writes == other.writes
            && self.newest == other.newest
            && self.acknowledged == other.acknowledged
    }
}

#[derive(Debug)]
struct Kept {
    run: RunId,
    basis: Basis,
    /// When everything was last compared with the store.
    compared_at: DateTime<Utc>,
    lasting: Lasting,
}

/// What the last run of each job and org left in this process.
#[derive(Debug, Default)]
pub struct Recall(Mutex<HashMap<(JobName, Org), Kept>>);

impl Recall {
    /// Takes it out: a run that does not come to its end leaves nothing.
    fn take(&self, order: &RunOrder) -> Option<Kept> {
        let key = (order.job.name.clone(), order.org.clone());
        self.lock().remove(&key)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(JobName, Org), Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a run begins with.
pub(super) struct Start {
    /// Findings that decisions ask for.
    pub findings: Remembered,
    /// What is seen is compared with this.
    pub comparison: Comparison,
    /// Decisions of the run before, if they may be used.
    pub lasting: Option<Lasting>,
    /// On which the next run may go on.
    pub ground: Ground,
}

/// On what a run's decisions rest, and since when.
pub(super) struct Ground {
    basis: Basis,
    compared_at: DateTime<Utc>,
}

impl Reconciler {
    /// Looks what may be taken over from the run before.
    pub(super) async fn recall(
        &self,
        order: &RunOrder,
        lease: &RunLease,
        writes: WritePolicy,
        now: DateTime<Utc>,
    ) -> Result<Start, StoreError> {
        let (store, org, job) = (&*self.store, &order.org, &order.job);
        let kept = self.recall.take(order);
        let newest = match writes.mode {
            Mode::Observe => {
                let newest = store.attempts(&Default::default(), Page::first(1)).await?;
                newest.first().map(|attempt| attempt.id)
            }
            Mode::Enforce => None,
        };
        let said = store.acknowledgements(Some(org)).await?;
        let basis = Basis {
            job: Arc::clone(job),
            writes,
            acknowledged: said.iter().map(|said| said.id).collect(),
            newest,
        };
        if let Some(kept) = kept
            && is_recent(kept.compared_at, now)
            && self.run_before(order, lease).await? == Some(kept.run)
            && basis == kept.basis
        {
            let findings = few_findings(store, org, job).await?;
            return Ok(Start {
                findings,
                comparison: Comparison::new(vec![], now),
                lasting: Some(kept.lasting),
                ground: Ground {
                    basis,
                    compared_at: kept.compared_at,
                },
            });
        }
        let (findings, comparison) = remembered_findings(store, org, &job.name, now).await?;
        let ground = Ground {
            basis,
            compared_at: now,
        };
        Ok(Start {
            findings,
            comparison,
            lasting: None,
            ground,
        })
    }

    /// Leaves decisions to the next run. Only a run that looked at everything may.
    pub(super) fn leave(
        &self,
        order: &RunOrder,
        lease: &RunLease,
        ground: Ground,
        lasting: Lasting,
    ) {
        let key = (order.job.name.clone(), order.org.clone());
        let kept = Kept {
            run: lease.run_id,
            basis: ground.basis,
            compared_at: ground.compared_at,
            lasting,
        };
        self.recall.lock().insert(key, kept);
    }

    /// The run of the same job and org before this one, whoever's.
    async fn run_before(
        &self,
        order: &RunOrder,
        lease: &RunLease,
    ) -> Result<Option<RunId>, StoreError> {
        let filter = RunFilter {
            job_name: Some(order.job.name.clone()),
            org: Some(order.org.clone()),
            ..RunFilter::default()
        };
        let last = self.store.runs(&filter, Page::first(2)).await?;
        Ok(last.iter().map(|run| run.id).find(|&id| id < lease.run_id))
    }
}

/// Compared not long ago; nor, by a clock that was set back, later than now.
fn is_recent(compared_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - compared_at)
        .to_std()
        .is_ok_and(|age| age < COMPARE_EVERY)
}
