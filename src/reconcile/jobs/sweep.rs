//! Which requests changed since the last complete sweep: two list calls instead of a read for each request.
//!
//! *All* minus *not updated since the last sweep* is exactly what changed. What did not change, and was looked at
//! before, is known; a request never looked at, or whose last look failed or is too old, is read.

use std::collections::{HashMap, HashSet};

use futures::StreamExt;

use crate::domain::ids::ReferenceId;
use crate::reconcile::plan::Item;
use crate::reconcile::selection::SKEW_MARGIN;
use crate::reconcile::survey::{Survey, SurveyError};
use crate::store::looks::Look;
use crate::tesamanager::ListFilter;

/// What two list calls told.
pub(super) struct Sweep {
    /// Every id that the job is about.
    pub all: Vec<ReferenceId>,
    /// Those that the upstream has not updated since the last complete sweep; empty at the first.
    unchanged: HashSet<ReferenceId>,
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
        // What changes between the two calls may pass for unchanged here, but not in the next sweep: that one asks
        // from an instant before this one began.
        let unchanged = match last {
            Some(last) => {
                let since = ListFilter {
                    not_updated_since: Some(last - SKEW_MARGIN),
                    ..filter.clone()
                };
                self.list(&since).await?.into_iter().collect()
            }
            None => HashSet::new(),
        };
        Ok(Sweep {
            all: self.list(&filter).await?,
            unchanged,
        })
    }

    async fn list(&self, filter: &ListFilter) -> Result<Vec<ReferenceId>, SurveyError> {
        let mut ids = self
            .api
            .list_reference_ids(self.context.org, filter)
            .await?;
        let mut all = Vec::new();
        while let Some(batch) = ids.next().await {
            all.extend(batch?);
        }
        Ok(all)
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
                fresh_enough && sweep.unchanged.contains(&look.reference_id)
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

    /// Everything was looked at: the next sweep may begin from here.
    pub(super) async fn sweep_is_complete(&self) -> Result<(), SurveyError> {
        if self.remember {
            self.store
                .complete_sweep(self.context.org, &self.job.name, self.context.now)
                .await?;
        }
        Ok(())
    }
}
