//! What lists don't tell of flagged requests (the order's number, the exact date), read with what is left of the read rate.
//!
//! Over runs: a few seconds' worth in each, what was not read yet first; whatever was read and has no date comes after it.
//! It changes no finding's evidence, so it reopens nothing that a person has acknowledged. Every such read is held against
//! the list that named the request, at no cost.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::domain::id_list;
use crate::domain::ids::ReferenceId;
use crate::domain::{FindingKind, Observation, Trigger};
use crate::reconcile::claims::gone::By;
use crate::reconcile::executor::references;
use crate::reconcile::findings::{LOOK_UP, Scope};
use crate::reconcile::listed::is_told;
use crate::reconcile::reads::{Reads, is_not_found};
use crate::reconcile::recorder::Recorder;
use crate::reconcile::select::algebra;
use crate::reconcile::select::members::Members;
use crate::reconcile::survey::{CHUNK, PlanSink, Survey, SurveyError};
use crate::rules::classes::Ask;
use crate::store::findings::{FindingChanges, Live, LiveFinding};
use crate::store::runs::RunLease;

/// Seconds of the read rate that a run spends on it: more where nobody waits for the run's end.
const SECONDS: u32 = 30;
const SECONDS_WAITED_FOR: u32 = 3;

/// And so many reads at most.
const MOST: u32 = 10_000;

/// Findings that rest on reads, which a run looks at again beside.
const LOOKED_AT_AGAIN: u32 = 20;

impl Survey<'_> {
    /// Fills in details of requests of which none are known.
    pub async fn fill_details(
        &self,
        lease: &RunLease,
        members: &[Members<'_>],
        jumped: &[Ask],
        trigger: Trigger,
        recorder: &mut Recorder<'_>,
        reads: &mut Reads,
    ) -> Result<(), SurveyError> {
        self.look_again(recorder, reads).await?;
        let seconds = match trigger {
            Trigger::Manual | Trigger::Once => SECONDS_WAITED_FOR,
            Trigger::Schedule | Trigger::CatchUp | Trigger::Signal => SECONDS,
        };
        let budget = self.reads_per_second.saturating_mul(seconds).min(MOST);
        // The rate may be others' too.
        let until = self.clock.uptime() + Duration::from_secs(seconds.into());
        let (org, job) = (self.context.org, &self.job.name);
        let mut unknown = self.store.without_details(org, job, budget).await?;
        if unknown.len() == budget as usize {
            // The oldest are asked after first, and they are what the metrics of age are about.
            unknown.truncate(budget as usize / 2);
            let oldest = self
                .oldest_unread(members, jumped, budget as usize / 2)
                .await?;
            unknown.splice(0..0, oldest);
            let mut known = HashSet::new();
            unknown.retain(|id| known.insert(id.clone()));
        }
        unknown.retain(|id| !reads.was_in_vain(id));
        let per_second = (self.reads_per_second as usize).clamp(1, self.batch);
        for ids in unknown.chunks(per_second) {
            if self.stop.is_cancelled() || self.clock.uptime() > until {
                break;
            }
            let batch = self.read(ids.to_vec()).await?;
            reads.batch(&batch);
            recorder.accept(batch.unread).await?;
            let seen: Vec<Observation> = batch.fresh.into_iter().map(|(seen, _)| seen).collect();
            for one in &seen {
                let class = members
                    .iter()
                    .find(|members| algebra::contains(&members.ids, one.reference_id.as_str()));
                let suspicion = class.and_then(|found| self.suspect(found.class, one));
                reads.suspicions.extend(suspicion);
            }
            self.hear(&seen).await?;
            self.store.fill_details(lease, org, job, &seen).await?;
        }
        Ok(())
    }

    /// The oldest of the largest class that has [jumped](crate::reconcile::claims::Turn), as far as nothing was read of
    /// them: whoever joins a class by and by is not its oldest.
    async fn oldest_unread(
        &self,
        members: &[Members<'_>],
        jumped: &[Ask],
        most: usize,
    ) -> Result<Vec<ReferenceId>, SurveyError> {
        let told = members
            .iter()
            .filter(|one| is_told(one) && jumped.contains(&one.class.within));
        let Some(largest) = told.max_by_key(|one| one.ids.len()) else {
            return Ok(vec![]);
        };
        let oldest = self
            .oldest(largest.class, &largest.ids, most.div_ceil(4), most)
            .await?;
        let mut unread = Vec::new();
        for ids in id_list::chunks(oldest.into_iter(), CHUNK) {
            let known = self.store.observations(self.context.org, &ids).await?;
            let known: HashSet<ReferenceId> =
                known.into_iter().map(|seen| seen.reference_id).collect();
            unread.extend(ids.into_iter().filter(|id| !known.contains(id)));
        }
        Ok(unread)
    }

    /// Looks again at what a read showed once and no list tells: whether its answer is still no answer, whether its order
    /// still has several requests.
    async fn look_again(
        &self,
        recorder: &mut Recorder<'_>,
        reads: &mut Reads,
    ) -> Result<(), SurveyError> {
        let (org, job) = (self.context.org, &self.job.name);
        let ids = self
            .store
            .classless_members(org, job, None, LOOKED_AT_AGAIN)
            .await?;
        let ids = ids.iter().map(ReferenceId::new);
        let ids: Vec<ReferenceId> = ids.filter(|id| !reads.has_failed(id)).collect();
        for ids in id_list::chunks(ids.iter().map(ReferenceId::as_str), self.batch) {
            let live = self
                .store
                .live_findings(org, job, Live::About(&ids))
                .await?;
            let of_order = |id: &ReferenceId| {
                live.iter().any(|one| {
                    let key = &one.key;
                    key.reference_id == *id
                        && (key.kind == FindingKind::DuplicateReference || key.detail == LOOK_UP)
                })
            };
            let batch = self.read(ids).await?;
            reads.batch(&batch);
            let unknown = batch.unread.iter().filter(|item| is_not_found(item));
            let unknown: Vec<ReferenceId> = unknown
                .map(|item| item.decision.reference_id.clone())
                .collect();
            recorder.accept(batch.unread).await?;
            if !unknown.is_empty() {
                let changes = self
                    .settle_gone(&unknown, &By::Everything, false, reads)
                    .await?;
                recorder.apply(changes).await?;
            }
            let known = |one: &&LiveFinding| {
                let id = &one.key.reference_id;
                one.missing_since.is_some()
                    && batch.fresh.iter().any(|(seen, _)| seen.reference_id == *id)
            };
            let back = live.iter().filter(known).map(|one| one.id).collect();
            recorder
                .apply(FindingChanges {
                    back,
                    ..FindingChanges::default()
                })
                .await?;
            let mut looked = HashMap::new();
            for (seen, _) in batch.fresh {
                let id = seen.reference_id.clone();
                let alone =
                    seen.status.is_final() || (of_order(&id) && self.is_alone(&seen).await?);
                let scope = if alone { Scope::ALL } else { Scope::READ };
                looked.insert(id, scope);
            }
            recorder.compare(&looked, vec![]).await?;
        }
        Ok(())
    }

    /// Its order has this one request.
    async fn is_alone(&self, seen: &Observation) -> Result<bool, SurveyError> {
        let Some(order) = &seen.external_reference else {
            return Ok(false);
        };
        let found = references(&**self.api, self.context.org, order).await?;
        Ok(found == [seen.reference_id.clone()])
    }
}
