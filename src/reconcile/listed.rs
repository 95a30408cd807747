//! Records what lists told: one finding a request, from its class alone.
//!
//! What stands is remembered once, as findings, class by class. So recording is a merge of two ascending streams, the ids
//! that the list named and the requests of the class's live findings: who is new gets a finding, who stands is left
//! untouched, and who is gone is a claim that is looked into. "Last seen" is the class's own: it is written once a run, not
//! once a request.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::claims::gone::{By, READ};
use super::reads::Reads;
use super::select::algebra;
use super::select::members::Members;
use super::select::merge::Merge;
use super::survey::{Survey, SurveyError};
use crate::domain::FindingKind;
use crate::domain::ids::{ClassId, JobName, ReferenceId};
use crate::rules::Action;
use crate::rules::classes::{Class, ClassKey};
use crate::store::classes::{ClassSize, StoredClass};
use crate::store::findings::FindingChanges;
use crate::store::runs::RunLease;
use crate::telemetry::record;

/// Ids of a page of what is remembered.
const PAGE: u32 = 10_000;

/// Findings that one call opens.
const OPENED_AT_ONCE: usize = 2_000;

/// A class against what is remembered of it.
struct Changed<'c> {
    id: ClassId,
    detail: &'c str,
    classes: Vec<&'c Class>,
    /// Listed, and not remembered.
    new: Vec<ReferenceId>,
    /// Remembered, and not listed.
    gone: Vec<ReferenceId>,
}

/// A request that a class had which is no longer, and the detail of its finding.
type Left = (ReferenceId, String);

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
        let mut reads = Reads::default();
        let (mut changed, mut sizes) = (Vec::with_capacity(ids.len()), Vec::new());
        for (id, (key, members)) in ids.iter().zip(&by_key) {
            let listed = listed(members);
            sizes.push(ClassSize {
                id: *id,
                size: listed.len() as u64,
            });
            let Merge { new, gone, .. } = self.merge(*id, listed).await?;
            changed.push(Changed {
                id: *id,
                detail: &key.detail,
                classes: members.iter().map(|one| one.class).collect(),
                new,
                gone,
            });
        }
        let doubtful = self.doubtful_moves(&changed, &mut reads).await?;
        for class in &mut changed {
            class.new.retain(|id| !doubtful.contains(id));
            for chunk in class.new.chunks(OPENED_AT_ONCE) {
                let opened = self
                    .store
                    .open_members(lease, org, job, class.id, chunk, elders, now);
                record::findings_opened(FindingKind::StuckRequest, opened.await?);
            }
        }
        // Of rules that are no longer there, or say something else.
        let mut left: Vec<Left> = Vec::new();
        let departed = remembered.iter().filter(|class| !ids.contains(&class.id));
        let departed: Vec<&StoredClass> = departed.collect();
        for class in &departed {
            let gone = self.merge(class.id, vec![]).await?.gone;
            left.extend(gone.into_iter().map(|id| (id, class.key.detail.clone())));
        }
        let departed: Vec<ClassId> = departed.iter().map(|class| class.id).collect();
        self.let_go(lease, all, changed, (left, departed), &mut reads)
            .await?;
        self.store.note_listed(lease, &sizes, now).await?;
        Ok(reads)
    }

    /// Requests that one class has lost and another one, of another detail, has got. That a request moved is a claim of two
    /// lists: a few are read, and those that the reads do not bear out are left where they are.
    async fn doubtful_moves(
        &self,
        changed: &[Changed<'_>],
        reads: &mut Reads,
    ) -> Result<HashSet<ReferenceId>, SurveyError> {
        let gone: HashMap<&ReferenceId, &str> = changed
            .iter()
            .flat_map(|class| class.gone.iter().map(|id| (id, class.detail)))
            .collect();
        let moved: Vec<(&ReferenceId, &Changed<'_>)> = changed
            .iter()
            .flat_map(|class| class.new.iter().map(move |id| (id, class)))
            .filter(|(id, class)| gone.get(*id).is_some_and(|detail| *detail != class.detail))
            .collect();
        let step = moved.len().div_ceil(READ).max(1);
        let mut doubtful = HashSet::new();
        for (id, class) in moved.iter().step_by(step) {
            self.check_stop()?;
            let batch = self.read(vec![(*id).clone()]).await?;
            reads.batch(&batch);
            let seen = batch.fresh.first().map(|(seen, _)| seen);
            let wrong = seen.and_then(|seen| {
                class
                    .classes
                    .iter()
                    .find_map(|class| self.suspect(class, seen))
            });
            if seen.is_none() || wrong.is_some() {
                doubtful.insert((*id).clone());
            }
            reads.suspicions.extend(wrong);
        }
        if step > 1 && !doubtful.is_empty() {
            doubtful.extend(moved.into_iter().map(|(id, _)| id.clone()));
        }
        Ok(doubtful)
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

    /// What becomes of those that are gone from their class. Who is in another class of the same detail now has moved there
    /// already.
    async fn let_go(
        &self,
        lease: &RunLease,
        all: &[Members<'_>],
        changed: Vec<Changed<'_>>,
        (mut left, departed): (Vec<Left>, Vec<ClassId>),
        reads: &mut Reads,
    ) -> Result<(), SurveyError> {
        let is_gone = |id: &ReferenceId, detail: &str| {
            let mut others = all
                .iter()
                .filter(|one| is_told(one) && one.key.detail == detail);
            !others.any(|one| algebra::contains(&one.ids, id.as_str()))
        };
        let mut missing = Vec::new();
        for class in changed {
            let gone: Vec<ReferenceId> = class
                .gone
                .into_iter()
                .filter(|id| is_gone(id, class.detail))
                .collect();
            if !gone.is_empty() {
                let of = [class.id];
                // One that belongs to another class of the detail was left out by two lists, and is not over.
                let same = all
                    .iter()
                    .filter(|one| is_told(one) && one.key.detail == class.detail);
                let by = By::Classes(&of, same.map(|one| one.class).collect());
                let changes = self.settle_gone(&gone, &by, false, reads).await?;
                self.apply(lease, changes).await?;
                missing.extend(gone);
            }
        }
        left.retain(|(id, detail)| is_gone(id, detail));
        if !left.is_empty() {
            let left: Vec<ReferenceId> = left.into_iter().map(|(id, _)| id).collect();
            let changes = self
                .settle_gone(&left, &By::Classes(&departed, vec![]), true, reads)
                .await?;
            self.apply(lease, changes).await?;
        }
        let changes = FindingChanges {
            back: self.back(&missing, true).await?,
            ..FindingChanges::default()
        };
        if !changes.back.is_empty() {
            self.apply(lease, changes).await?;
        }
        Ok(())
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
    all.fold(Vec::new(), algebra::union)
}
