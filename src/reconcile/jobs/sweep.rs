//! Which requests changed since the last sweep: two list calls instead of a read for each request.
//!
//! *All* minus *not updated since the last sweep* is exactly what changed. The invariant is that every look in the
//! store was still true when the last sweep began. A sweep keeps it by forgetting the looks of all that changed
//! *before* it reads anything, and only then calling itself the last sweep: so it may break off anywhere (a
//! time-out, a drain, a crash), and the next one reads just what this one did not get to. A first sweep of a large
//! backlog that takes longer than a run may last gets through it in several runs.

use std::collections::HashMap;

use futures::StreamExt;

use crate::domain::id_list::{self, IdBatch, IdList, IdSet};
use crate::domain::ids::ReferenceId;
use crate::reconcile::plan::Item;
use crate::reconcile::selection::SKEW_MARGIN;
use crate::reconcile::survey::{CHUNK, Survey, SurveyError};
use crate::store::looks::Look;
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
        let mut unchanged = IdSet::default();
        if let Some(last) = last {
            let since = ListFilter {
                not_updated_since: Some(last - SKEW_MARGIN),
                ..filter.clone()
            };
            self.list(&since, |batch| {
                for id in batch.iter() {
                    unchanged.insert(id);
                }
            })
            .await?;
        }
        let mut all = IdList::default();
        self.list(&filter, |batch| all.push(batch)).await?;
        let sweep = Sweep { all, unchanged };
        if self.remember {
            self.forget_changed(&sweep).await?;
        }
        Ok(sweep)
    }

    /// See the module: what changed is forgotten first, then this sweep is the last one. What changes between the
    /// two list calls may pass for unchanged here, but not in the next sweep, which asks from an instant before
    /// this one began.
    async fn forget_changed(&self, sweep: &Sweep) -> Result<(), SurveyError> {
        let (org, job) = (self.context.org, &self.job.name);
        let is_changed = |id: &&str| !sweep.unchanged.contains(id);
        for ids in id_list::chunks(sweep.all.iter().filter(is_changed), CHUNK) {
            self.store.forget_looks(org, job, &ids).await?;
        }
        Ok(self.store.begin_sweep(org, job, self.context.now).await?)
    }

    async fn list(
        &self,
        filter: &ListFilter,
        mut take: impl FnMut(IdBatch) + Send,
    ) -> Result<(), SurveyError> {
        let org = self.context.org;
        let mut ids = self.api.list_reference_ids(org, filter).await?;
        while let Some(batch) = ids.next().await {
            take(batch?);
        }
        Ok(())
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
                fresh_enough && sweep.unchanged.contains(look.reference_id.as_str())
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

    /// Remembers the looks that were made, and that those of `items` which could not be read are to be made again.
    pub(super) async fn remember_looks(
        &self,
        looks: Vec<Look>,
        items: &[Item],
    ) -> Result<(), SurveyError> {
        if !self.remember {
            return Ok(());
        }
        let (org, job) = (self.context.org, &self.job.name);
        self.store.remember_looks(org, job, &looks).await?;
        let failed: Vec<ReferenceId> = items
            .iter()
            .filter(|item| !item.was_looked_at())
            .map(|item| item.decision.reference_id.clone())
            .collect();
        Ok(self.store.forget_looks(org, job, &failed).await?)
    }
}
