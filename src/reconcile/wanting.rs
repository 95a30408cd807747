//! Who of the classes wants a write: by the lists, without those that the ledger or a person speaks for.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};

use super::acting::due_since;
use super::causes::Chosen;
use super::findings::Scope;
use super::guard::hold;
use super::plan::Item;
use super::reads::Reads;
use super::recorder::Candidate;
use super::select::algebra;
use super::select::members::Members;
use super::stuck;
use super::survey::{PlanSink, Survey, SurveyError};
use crate::config::Job;
use crate::domain::Observation;
use crate::domain::id_list;
use crate::domain::ids::{Org, ReferenceId};
use crate::rules::Action;
use crate::rules::classes::{self, Ask, Class};

/// Takes a plan and keeps those decisions to act that were made by now.
pub trait Gathers: PlanSink {
    /// How many.
    fn gathered(&self) -> usize;
}

/// Those of each class who want a write and were not read yet.
#[derive(Debug, Default)]
pub struct Wanting<'a>(Vec<(&'a Class, Vec<&'a str>)>);

impl<'a> Wanting<'a> {
    /// How many.
    pub fn number(&self) -> u64 {
        self.0.iter().map(|(_, ids)| ids.len() as u64).sum()
    }

    /// Each as one of a selection.
    pub fn chosen(&self, org: &Org) -> impl Iterator<Item = Chosen> {
        self.by_class().flat_map(move |(class, ids)| {
            let status = classes::detail(class.cancelling, &class.status);
            ids.iter().map(move |id| Chosen {
                org: org.clone(),
                reference_id: ReferenceId::new(id),
                listed: Some(status.to_owned()),
                began: None,
            })
        })
    }

    /// Class by class.
    pub fn by_class(&self) -> impl Iterator<Item = (&'a Class, &[&'a str])> {
        self.0.iter().map(|(class, ids)| (*class, ids.as_slice()))
    }
}

/// Reads this many times as many as are wanted, at most: some will turn out to have changed.
const RESERVE: usize = 4;

/// Bands that are read in one run at most, until enough of them can be acted on.
const BANDS: usize = 4;

impl Survey<'_> {
    /// Tells apart those that the store knows more of than their class (an attempt, a person's word, a person who must
    /// look): these are decided on by that. The others want what their rule says.
    pub async fn wanting<'a>(
        &self,
        members: &'a [Members<'a>],
        sink: &mut dyn Gathers,
        reads: &mut Reads,
    ) -> Result<Wanting<'a>, SurveyError> {
        let sending = || {
            members
                .iter()
                .filter(|one| matches!(one.rule.action, Action::Send(_)))
        };
        if sending().all(|one| one.ids.is_empty()) {
            return Ok(Wanting::default());
        }
        let known = self.spoken_for().await?;
        let known: Vec<&str> = known.iter().map(ReferenceId::as_str).collect();
        let mut wanting = Wanting::default();
        for one in sending() {
            let spoken_for = algebra::both(&one.ids, &known);
            for ids in id_list::chunks(spoken_for.iter().copied(), super::survey::CHUNK) {
                self.decide_known(one.class, ids, sink, reads).await?;
            }
            wanting
                .0
                .push((one.class, algebra::minus(&one.ids, &known)));
        }
        Ok(wanting)
    }

    /// Requests of which the store knows more than that they are listed, in ascending order.
    async fn spoken_for(&self) -> Result<BTreeSet<ReferenceId>, SurveyError> {
        let (org, job) = (self.context.org, &self.job.name);
        let since = self.context.now - self.context.retry.max;
        let attempts = self.store.attempts_since(org, since).await?;
        let mut known: BTreeSet<ReferenceId> =
            attempts.into_iter().map(|one| one.reference_id).collect();
        known.extend(self.store.attention_ids(org, job).await?);
        let said = self.store.acknowledgements(Some(org)).await?;
        known.extend(said.into_iter().map(|one| one.key.reference_id));
        Ok(known)
    }

    /// Decides on them by what was last read of them, where the list says that it stands; the others are read.
    async fn decide_known(
        &self,
        class: &Class,
        ids: Vec<ReferenceId>,
        sink: &mut dyn Gathers,
        reads: &mut Reads,
    ) -> Result<(), SurveyError> {
        let mut known = self.store.observations(self.context.org, &ids).await?;
        known.retain(|seen| self.stands(class, seen));
        let have: HashSet<&ReferenceId> = known.iter().map(|seen| &seen.reference_id).collect();
        let unread: Vec<ReferenceId> = ids
            .iter()
            .filter(|id| !have.contains(id))
            .cloned()
            .collect();
        self.decide_on_stuck(&known, Some(Scope::FAILED), sink)
            .await?;
        if !unread.is_empty() {
            self.read_and_decide(class, unread, sink, reads).await?;
        }
        Ok(())
    }

    /// `scope` where they were not read for it.
    async fn decide_on_stuck(
        &self,
        requests: &[Observation],
        scope: Option<Scope>,
        sink: &mut dyn PlanSink,
    ) -> Result<(), SurveyError> {
        let beside = self
            .beside(requests.iter().map(|request| (request, None)))
            .await?;
        let items: Vec<Item> = requests
            .iter()
            .map(|request| stuck::decide(&self.context, beside.known(request)))
            .map(|item| Item {
                scope: scope.unwrap_or(item.scope),
                ..item
            })
            .collect();
        Ok(sink.accept(items).await?)
    }

    async fn read_and_decide(
        &self,
        class: &Class,
        ids: Vec<ReferenceId>,
        sink: &mut dyn Gathers,
        reads: &mut Reads,
    ) -> Result<(), SurveyError> {
        let batch = self.read(ids).await?;
        reads.batch(&batch);
        sink.accept(batch.unread).await?;
        let fresh: Vec<Observation> = batch.fresh.into_iter().map(|(seen, _)| seen).collect();
        reads
            .suspicions
            .extend(fresh.iter().filter_map(|seen| self.suspect(class, seen)));
        self.decide_on_stuck(&fresh, None, sink).await
    }

    /// Reads the oldest of those who want a write until as many can be acted on as there is room for. Whoever was read wants
    /// nothing more by the lists alone.
    pub async fn read_oldest(
        &self,
        wanting: &mut Wanting<'_>,
        room: usize,
        sink: &mut dyn Gathers,
        reads: &mut Reads,
    ) -> Result<(), SurveyError> {
        for _ in 0..BANDS {
            let least = room.saturating_sub(sink.gathered());
            if least == 0 {
                break;
            }
            let most = (least * RESERVE).max(self.batch.min(100));
            for (class, ids) in &mut wanting.0 {
                let band = self.oldest(class, ids, least, most).await?;
                for chunk in id_list::chunks(band.iter().copied(), self.batch) {
                    self.read_and_decide(class, chunk, sink, reads).await?;
                }
                *ids = algebra::minus(ids, &band);
            }
            if wanting.number() == 0 {
                break;
            }
        }
        Ok(())
    }

    /// How many of those who want a write were not due yet when a person last let them go.
    pub async fn due_after(
        &self,
        wanting: &Wanting<'_>,
        released: Option<DateTime<Utc>>,
    ) -> Result<u64, SurveyError> {
        let Some(since) = released.and_then(|at| (self.context.now - at).to_std().ok()) else {
            return Ok(wanting.number());
        };
        let mut new = 0;
        for (class, ids) in &wanting.0 {
            let Some(age) = class.within.age else {
                new += ids.len() as u64;
                continue;
            };
            let due_then = Ask {
                age: Some(age.saturating_add(since)),
                ..class.within.clone()
            };
            let due_then = self.ask(&due_then, self.max_list_ids).await?;
            new += algebra::minus(ids, &due_then.sorted()).len() as u64;
        }
        Ok(new)
    }
}

/// The same of those that were decided on already.
pub fn due_after(job: &Job, candidates: &[Candidate], released: Option<DateTime<Utc>>) -> u64 {
    let new = candidates
        .iter()
        .filter(|one| hold::counts(due_since(job, one), released));
    new.count() as u64
}
