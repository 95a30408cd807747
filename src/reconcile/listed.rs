//! Records what lists told: one finding a request, from its class alone.
//!
//! What stands is remembered once, as findings, class by class. So recording is a merge of two ascending streams, the ids
//! that the list named and the requests of the class's live findings: who is new gets a finding, who stands is left
//! untouched, and who is gone is a claim that is looked into. "Last seen" is the class's own: it is written once a run, not
//! once a request.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::gone::By;
use super::reads::Reads;
use super::select::members::Members;
use super::select::merge::Merge;
use super::survey::{Survey, SurveyError};
use crate::domain::FindingKind;
use crate::domain::ids::{ClassId, JobName, ReferenceId};
use crate::rules::Action;
use crate::rules::classes::{Ask, ClassKey};
use crate::store::classes::{ClassSize, StoredClass};
use crate::store::findings::FindingChanges;
use crate::store::runs::RunLease;
use crate::telemetry::record;

/// Ids of a page of what is remembered.
const PAGE: u32 = 10_000;

/// Findings that one call opens.
const OPENED_AT_ONCE: usize = 2_000;

impl Survey<'_> {
    /// Records the members of every class, and what became of those that are in none any more; answers what was read for it.
    pub async fn record_members(
        &self,
        lease: &RunLease,
        elders: &[JobName],
        all: &[Members<'_>],
        remembered: &[StoredClass],
    ) -> Result<Reads, SurveyError> {
        let (org, job, now) = (self.context.org, &self.job.name, self.context.now);
        let by_key = by_key(all);
        let keys: Vec<ClassKey> = by_key.keys().map(|key| (*key).clone()).collect();
        let ids = self
            .store
            .ensure_classes(lease, org, job, &keys, now)
            .await?;
        let mut gone: Vec<(Vec<ReferenceId>, Vec<&Ask>)> = Vec::new();
        let mut sizes = Vec::new();
        for (id, (_, members)) in ids.iter().zip(&by_key) {
            let listed = listed(members);
            sizes.push(ClassSize {
                id: *id,
                size: listed.len() as u64,
            });
            let merge = self.merge(*id, listed).await?;
            for chunk in merge.new.chunks(OPENED_AT_ONCE) {
                let opened = self
                    .store
                    .open_members(lease, org, job, *id, chunk, elders, now)
                    .await?;
                record::findings_opened(FindingKind::StuckRequest, opened);
            }
            let asks = members.iter().map(|one| &one.class.within).collect();
            gone.push((merge.gone, asks));
        }
        // Of rules that are no longer there, or say something else.
        let mut left: Vec<ReferenceId> = Vec::new();
        for class in remembered.iter().filter(|class| !ids.contains(&class.id)) {
            left.extend(self.merge(class.id, vec![]).await?.gone);
        }
        let reads = self.let_go(lease, all, gone, left).await?;
        self.store.note_listed(lease, &sizes, now).await?;
        Ok(reads)
    }

    async fn merge<'i>(
        &self,
        class: ClassId,
        listed: Vec<&'i str>,
    ) -> Result<Merge<'i>, SurveyError> {
        let mut merge = Merge::new(listed);
        let mut after: Option<String> = None;
        loop {
            self.check_stop()?;
            let page = self
                .store
                .class_members(class, after.as_deref(), PAGE)
                .await?;
            merge.page(&page);
            after = page.iter().last().map(str::to_owned);
            if after.is_none() || page.len() < PAGE as usize {
                break;
            }
        }
        merge.finish();
        Ok(merge)
    }

    /// What becomes of those that are gone from their class. Who is in another class now has moved there already.
    async fn let_go(
        &self,
        lease: &RunLease,
        all: &[Members<'_>],
        gone: Vec<(Vec<ReferenceId>, Vec<&Ask>)>,
        left: Vec<ReferenceId>,
    ) -> Result<Reads, SurveyError> {
        let listed: BTreeSet<&str> =
            match gone.iter().all(|(gone, _)| gone.is_empty()) && left.is_empty() {
                true => BTreeSet::new(),
                false => all
                    .iter()
                    .filter(|one| is_told(one))
                    .flat_map(|one| one.ids.iter().copied())
                    .collect(),
            };
        let is_gone = |id: &ReferenceId| !listed.contains(id.as_str());
        let mut reads = Reads::default();
        let mut missing = Vec::new();
        for (gone, asks) in gone {
            let gone: Vec<ReferenceId> = gone.into_iter().filter(is_gone).collect();
            if !gone.is_empty() {
                let settled = self
                    .settle_gone(&gone, &By::Classes(asks), false, &mut reads)
                    .await?;
                self.apply(lease, settled).await?;
                missing.extend(gone);
            }
        }
        let left: Vec<ReferenceId> = left.into_iter().filter(is_gone).collect();
        if !left.is_empty() {
            let settled = self
                .settle_gone(&left, &By::Classes(vec![]), true, &mut reads)
                .await?;
            self.apply(lease, settled).await?;
        }
        let changes = FindingChanges {
            back: self.back(&missing).await?,
            ..FindingChanges::default()
        };
        if !changes.back.is_empty() {
            self.apply(lease, changes).await?;
        }
        Ok(reads)
    }

    async fn apply(&self, lease: &RunLease, changes: FindingChanges) -> Result<(), SurveyError> {
        let (org, job, now) = (self.context.org, &self.job.name, self.context.now);
        self.store
            .apply_findings(lease, org, job, &changes, now)
            .await?;
        Ok(())
    }
}

/// People are told of it.
pub fn is_told(members: &Members<'_>) -> bool {
    members.rule.action != Action::Ignore
}

/// Classes with the same words are one where they are remembered: a rule that is being cancelled from several statuses, say.
fn by_key<'m, 'a>(all: &'m [Members<'a>]) -> BTreeMap<&'m ClassKey, Vec<&'m Members<'a>>> {
    let mut by_key: BTreeMap<&ClassKey, Vec<&Members<'_>>> = BTreeMap::new();
    for members in all.iter().filter(|one| is_told(one)) {
        by_key.entry(&members.key).or_default().push(members);
    }
    by_key
}

fn listed<'a>(members: &[&Members<'a>]) -> Vec<&'a str> {
    let all = members.iter().map(|one| one.ids.as_slice());
    all.fold(Vec::new(), super::select::algebra::union)
}
