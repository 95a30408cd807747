//! Which requests changed since the last sweep: two list calls instead of a read for each request.
//!
//! *All* minus *not updated since the last sweep* is exactly what changed. The invariant is that every look in the
//! store was still true when the last sweep began. A sweep keeps it by forgetting the looks of all that changed
//! *before* it reads anything, and only then calling itself the last sweep: so it may break off anywhere (a
//! time-out, a drain, a crash), and the next one reads just what this one did not get to. A first sweep of a large
//! backlog that takes longer than a run may last gets through it in several runs.

use std::collections::HashMap;

use crate::domain::id_list::{self, IdList, IdSet};
use crate::domain::ids::ReferenceId;
use crate::reconcile::lasting::Stand;
use crate::reconcile::selection;
use crate::reconcile::survey::{CHUNK, Feed, Survey, SurveyError};
use crate::store::looks::Look;
use crate::store::runs::RunLease;
use crate::tesamanager::ListFilter;

/// What two list calls told.
pub(super) struct Sweep {
    /// Every id that the job is about.
    pub all: IdList,
    /// Those that the upstream has not updated since the last sweep began; empty at the first.
    unchanged: IdSet,
}

/// A chunk of ids, told apart.
pub(super) struct Chunk {
    /// Known from their last look.
    pub known: HashMap<ReferenceId, Look>,
    /// To be read.
    pub to_read: Vec<ReferenceId>,
}

impl Survey<'_> {
    /// Lists everything that `filter` selects, and what of it did not change.
    pub(super) async fn sweep(&self, filter: ListFilter) -> Result<Sweep, SurveyError> {
        let last = self
            .store
            .last_sweep(self.context.org, &self.job.name)
            .await?;
        // First, because its answer tells how far the clocks are apart, which the second question must allow for.
        let mut all = IdList::default();
        self.list(&filter, |batch| all.push(batch)).await?;
        let mut unchanged = IdSet::default();
        if let Some(last) = last {
            let since = ListFilter {
                not_updated_since: Some(last.began - self.clock_margin()),
                ..filter.clone()
            };
            self.list(&since, |batch| {
                for id in batch.iter() {
                    unchanged.insert(id);
                }
            })
            .await?;
        }
        let sweep = Sweep { all, unchanged };
        if let Some(lease) = self.lease {
            self.forget_changed(lease, &sweep).await?;
        }
        Ok(sweep)
    }

    /// See the module: what changed is forgotten first, then this sweep is the last one. What changes between the
    /// two list calls counts as changed, and once more in the next sweep, which asks from an instant before this one
    /// began.
    async fn forget_changed(&self, lease: &RunLease, sweep: &Sweep) -> Result<(), SurveyError> {
        let (org, job) = (self.context.org, &self.job.name);
        let is_changed = |id: &&str| !sweep.unchanged.contains(id);
        for ids in id_list::chunks(sweep.all.iter().filter(is_changed), CHUNK) {
            self.store.forget_looks(lease, org, job, &ids).await?;
        }
        // What changes from now on is stamped by the upstream's clock, and may be asked for when that has been set
        // right: so its distance now is part of what is remembered.
        let began = self.context.now - selection::apart(self.api.clocks_apart());
        Ok(self.store.begin_sweep(lease, org, job, began, "").await?)
    }

    /// Hands on at once what the last run decided and what still stands; answers the rest, in ascending order.
    pub(super) async fn leave_standing<'s>(
        &self,
        sweep: &'s Sweep,
        feed: &mut Feed,
    ) -> Result<Vec<&'s str>, SurveyError> {
        let all = sweep.all.sorted();
        feed.selected(all.len())?;
        let Some(lasting) = self.lasting else {
            return Ok(all);
        };
        let unchanged =
            |id: &str, stand: Stand| stand.holds(self.context.now) && sweep.unchanged.contains(id);
        let (standing, rest) = lasting.split(all.into_iter(), unchanged);
        feed.standing(standing).await?;
        Ok(rest)
    }

    /// Tells a chunk's ids apart.
    pub(super) async fn apart(
        &self,
        sweep: &Sweep,
        ids: &[ReferenceId],
    ) -> Result<Chunk, SurveyError> {
        let looks = self
            .store
            .looks(self.context.org, &self.job.name, ids)
            .await?;
        let known: HashMap<ReferenceId, Look> = looks
            .into_iter()
            .filter(|look| {
                let fresh_enough = (self.context.now - look.looked_at)
                    .to_std()
                    .is_ok_and(|age| age < self.job.reobserve_every);
                // What was hashed matches no rule any more.
                let issues = &look.issues;
                let matchable = issues.iter().all(|issue| issue.issue_code.is_plain());
                fresh_enough && matchable && sweep.unchanged.contains(look.reference_id.as_str())
            })
            .map(|look| (look.reference_id.clone(), look))
            .collect();
        let to_read = ids
            .iter()
            .filter(|id| !known.contains_key(*id))
            .cloned()
            .collect();
        Ok(Chunk { known, to_read })
    }

    /// Remembers the looks that were made, and that `failed` are to be looked at again.
    pub(in crate::reconcile) async fn remember_looks(
        &self,
        looks: &[Look],
        failed: &[ReferenceId],
    ) -> Result<(), SurveyError> {
        let Some(lease) = self.lease else {
            return Ok(());
        };
        let (org, job) = (self.context.org, &self.job.name);
        if !looks.is_empty() {
            self.store.remember_looks(lease, org, job, looks).await?;
        }
        if !failed.is_empty() {
            self.store.forget_looks(lease, org, job, failed).await?;
        }
        Ok(())
    }
}
