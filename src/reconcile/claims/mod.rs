//! Trust, but look: what the upstream's lists claim is held against a few reads in every run.
//!
//! That a filter does what its name says is an assumption. So each run reads at most three requests for nothing but this
//! (more where a class has jumped): two that a list named, one that it left out. A contradiction counts only if the
//! request was settled before the list and a second list still says so. One distrusts its request; two of one filter
//! distrust the filter: the run fails in words that name it, and nothing is concluded or written by that filter until it
//! proves right again.

pub mod gone;
pub mod judge;
mod sample;

use std::collections::BTreeMap;
use std::time::Duration;

use judge::{Asked, Judgement};
pub use sample::{Sample, Turn};

use super::findings;
use super::plan::{self, instant};
use super::reads::Reads;
use super::select::algebra;
use super::survey::{CHUNK, Survey, SurveyError};
use crate::domain::ids::ReferenceId;
use crate::domain::{Filter, FindingKind, Observation};
use crate::rules::classes::{Ask, Class};
use crate::store::claims::Contradiction;
use crate::store::findings::{FindingChanges, Live, Sighting};
use crate::store::runs::RunLease;
use crate::telemetry::record;
use crate::tesamanager::ReadError;

/// So many contradictions of one filter distrust it.
pub const DISTRUSTED_AT: usize = 2;

/// A job's lists, in ascending order.
pub type Answers<'a> = BTreeMap<&'a Ask, Vec<&'a str>>;

/// A read that seems to contradict a list.
#[derive(Debug)]
pub struct Suspicion {
    /// Which list.
    pub ask: Ask,
    /// Which of its filters.
    pub filter: Filter,
    /// The list named the request.
    pub listed: bool,
    /// As it was read.
    pub read: Observation,
}

/// What a look at the claims of one list brought.
#[derive(Debug, Default)]
pub struct Checked {
    /// What people shall see of it.
    pub sightings: Vec<Sighting>,
    /// What was read for it.
    pub reads: Reads,
}

impl Survey<'_> {
    /// When this run's lists were asked, for judging them.
    pub fn asked(&self) -> Asked {
        Asked {
            now: self.context.now,
            margin: self.clock_margin(),
        }
    }

    /// Looks whether the lists tell the truth, as far as a few reads can; answers what people shall see of those that don't.
    /// An error where a filter isn't trusted.
    pub async fn check_claims(
        &self,
        lists: &Answers<'_>,
        turn: &Turn,
        reads: &mut Reads,
    ) -> Result<Vec<Sighting>, SurveyError> {
        let doubted = self.look_at_old_doubts(lists).await?;
        let samples = self.samples(lists, turn, &doubted).await?;
        let mut suspicions = Vec::new();
        for sample in samples {
            self.check_stop()?;
            suspicions.extend(self.look_at(sample, reads).await?);
        }
        let sightings = self.confirm(suspicions).await?;
        self.trusted(lists.keys().copied()).await?;
        Ok(sightings)
    }

    /// The same for the list of what did not change for so long: that it names what did change is what would hide a change;
    /// that it leaves out what did not has everything read again and again. `all` is the list without that question.
    pub async fn check_unchanged(
        &self,
        age: Duration,
        all: &[&str],
        unchanged: &[&str],
    ) -> Result<Checked, SurveyError> {
        let ask = Ask {
            age: Some(age),
            ..Ask::default()
        };
        let lists = Answers::from([(&ask, unchanged.to_vec())]);
        let mut checked = Checked::default();
        self.look_at_old_doubts(&lists).await?;
        let mut suspicions = Vec::new();
        for sample in self.named_samples(&ask, &lists) {
            suspicions.extend(self.look_at(sample, &mut checked.reads).await?);
        }
        if let Some(sample) = self.one_called_changed(&ask, all, unchanged).await?
            && let Some(seen) = self.look_at(sample.clone(), &mut checked.reads).await?
        {
            // It has changed, and a replica upstream that lags behind does not know yet? Then another read does.
            let again = self.look_at(sample, &mut checked.reads).await?;
            suspicions.extend(again.map(|_| seen));
        }
        checked.sightings = self.confirm(suspicions).await?;
        self.trusted(std::iter::once(&ask)).await?;
        Ok(checked)
    }

    /// No filter of these questions is distrusted.
    pub async fn trusted<'q>(
        &self,
        asks: impl Iterator<Item = &'q Ask>,
    ) -> Result<(), SurveyError> {
        let mut used: Vec<Filter> = asks.flat_map(Ask::filters).collect();
        used.sort_unstable();
        used.dedup();
        let contradictions = self.store.contradictions(self.context.org).await?;
        for filter in used {
            let of_it: Vec<&Contradiction> = contradictions
                .iter()
                .filter(|one| one.filter == filter)
                .collect();
            if of_it.len() >= DISTRUSTED_AT {
                let why: Vec<&str> = of_it.iter().take(3).map(|one| one.what.as_str()).collect();
                return Err(SurveyError::Distrusted {
                    filter,
                    why: why.join("; "),
                });
            }
        }
        Ok(())
    }

    async fn look_at(
        &self,
        sample: Sample,
        reads: &mut Reads,
    ) -> Result<Option<Suspicion>, SurveyError> {
        let Sample { ask, id, left_out } = sample;
        let read = match self.api.get_request(self.context.org, &id).await {
            Ok(request) => request.seen,
            Err(error) if error.ends_the_run() => return Err(error.into()),
            Err(error) => {
                let result = match error {
                    ReadError::NotFound { .. } => "not_found",
                    _ => "unreadable",
                };
                note(&ask, left_out, result);
                reads.fail(&id, &error);
                return Ok(None);
            }
        };
        reads.ok(&id);
        let look = match left_out {
            None => judge::listed(&ask, &read, self.asked()),
            Some(filter) => judge::left_out(&ask, filter, &read, self.asked()),
        };
        Ok(match look {
            Judgement::Agrees => {
                note(&ask, left_out, "agrees");
                None
            }
            Judgement::CantTell => {
                note(&ask, left_out, "changed");
                None
            }
            Judgement::Contradicts(filter) => Some(Suspicion {
                ask,
                filter,
                listed: left_out.is_none(),
                read,
            }),
        })
    }

    /// A read of a class's member, made for whatever reason, held against the lists that made it one.
    pub fn suspect(&self, class: &Class, read: &Observation) -> Option<Suspicion> {
        let (ask, filter, listed) = judge::member(class, read, self.asked())?;
        Some(Suspicion {
            ask: ask.clone(),
            filter,
            listed,
            read: read.clone(),
        })
    }

    /// Asks each list once more; where it still says so, the contradiction is remembered, and people shall see it.
    pub async fn confirm(&self, suspicions: Vec<Suspicion>) -> Result<Vec<Sighting>, SurveyError> {
        let mut by_ask: BTreeMap<Ask, Vec<Suspicion>> = BTreeMap::new();
        for suspicion in suspicions {
            by_ask
                .entry(suspicion.ask.clone())
                .or_default()
                .push(suspicion);
        }
        let (mut found, mut sightings) = (Vec::new(), Vec::new());
        for (ask, suspicions) in by_ask {
            let again = self.ask(&ask, self.max_list_ids).await?;
            let again = again.sorted();
            for suspicion in suspicions {
                let id = suspicion.read.reference_id.as_str();
                let stands = algebra::contains(&again, id) == suspicion.listed;
                let result = if stands { "contradicted" } else { "changed" };
                record::claim_checked(suspicion.filter, result, 1);
                if stands {
                    let what = describe(&suspicion);
                    sightings.push(sighting(&suspicion, &what));
                    found.push(Contradiction {
                        filter: suspicion.filter,
                        reference_id: suspicion.read.reference_id,
                        what,
                        seen_at: self.clock.now(),
                    });
                }
            }
        }
        if let Some(lease) = self.lease.filter(|_| !found.is_empty()) {
            for one in &found {
                tracing::error!(org = %self.context.org, filter = %one.filter, what = one.what, "a list contradicts a read");
            }
            let org = self.context.org;
            self.store.note_contradictions(lease, org, &found).await?;
        }
        Ok(sightings)
    }

    /// Looks again at what contradicted one of these lists before: what does so no longer is forgotten, and its finding is
    /// over; so is what a filter said that nobody asks by any more. Answers the filters in doubt, which are sampled more.
    async fn look_at_old_doubts(&self, lists: &Answers<'_>) -> Result<Vec<Filter>, SurveyError> {
        let org = self.context.org;
        let mut doubted = Vec::new();
        let mut right_again: BTreeMap<Filter, Vec<ReferenceId>> = BTreeMap::new();
        let known = self.store.contradictions(org).await?;
        for one in known.clone() {
            if self.unsupported.contains(&one.filter) {
                let forgotten = right_again.entry(one.filter).or_default();
                forgotten.push(one.reference_id);
                continue;
            }
            let using = || {
                lists
                    .iter()
                    .filter(|(ask, _)| ask.filters().any(|it| it == one.filter))
            };
            if using().next().is_none() {
                continue;
            }
            doubted.push(one.filter);
            let id = &one.reference_id;
            let named = |ids: &[&str]| algebra::contains(ids, id.as_str());
            let still = match self.api.get_request(org, id).await {
                Ok(request) => using().any(|(ask, ids)| {
                    let look = match named(ids) {
                        true => judge::listed(ask, &request.seen, self.asked()),
                        false => judge::left_out(ask, one.filter, &request.seen, self.asked()),
                    };
                    matches!(look, Judgement::Contradicts(_))
                }),
                Err(error) if error.ends_the_run() => return Err(error.into()),
                // Gone in all: neither read nor listed.
                Err(ReadError::NotFound { .. }) => using().any(|(_, ids)| named(ids)),
                Err(_) => true,
            };
            if !still {
                right_again
                    .entry(one.filter)
                    .or_default()
                    .push(one.reference_id);
            }
        }
        if let Some(lease) = self.lease.filter(|_| !right_again.is_empty()) {
            self.end_doubts(lease, &known, &right_again).await?;
        }
        doubted.sort_unstable();
        doubted.dedup();
        Ok(doubted)
    }

    /// Forgets contradictions. Whichever job has told of them, the findings are over.
    async fn end_doubts(
        &self,
        lease: &RunLease,
        known: &[Contradiction],
        forgotten: &BTreeMap<Filter, Vec<ReferenceId>>,
    ) -> Result<(), SurveyError> {
        let (org, now) = (self.context.org, self.clock.now());
        let mut over: Vec<ReferenceId> = forgotten.values().flatten().cloned().collect();
        over.sort();
        over.dedup();
        over.retain(|id| !is_doubted_still(id, known, forgotten));
        let mut changes = FindingChanges::default();
        for ids in over.chunks(CHUNK) {
            for job in self.job_names {
                let live = self.store.live_findings(org, job, Live::About(ids)).await?;
                let of_lists = live.iter().filter(|one| {
                    let key = &one.key;
                    key.kind == FindingKind::ContractViolation && key.detail == findings::LIST
                });
                changes.resolved.extend(of_lists.map(|one| one.id));
            }
        }
        if !changes.resolved.is_empty() {
            self.store
                .apply_findings(lease, org, &self.job.name, &changes, now)
                .await?;
        }
        for (filter, ids) in forgotten {
            self.store
                .forget_contradictions(lease, org, *filter, ids)
                .await?;
        }
        Ok(())
    }
}

/// Whether any filter but the forgotten ones is still contradicted by the request.
fn is_doubted_still(
    id: &ReferenceId,
    known: &[Contradiction],
    forgotten: &BTreeMap<Filter, Vec<ReferenceId>>,
) -> bool {
    let of_it = known.iter().filter(|one| one.reference_id == *id);
    of_it
        .map(|one| forgotten.get(&one.filter))
        .any(|ids| !ids.is_some_and(|ids| ids.contains(id)))
}

/// Counts a look for each filter that it was a look at.
fn note(ask: &Ask, left_out: Option<Filter>, result: &'static str) {
    match left_out {
        Some(filter) => record::claim_checked(filter, result, 1),
        None => ask
            .filters()
            .for_each(|filter| record::claim_checked(filter, result, 1)),
    }
}

fn describe(suspicion: &Suspicion) -> String {
    let Suspicion {
        ask,
        filter,
        listed,
        read,
    } = suspicion;
    let date = read
        .last_updated
        .map_or_else(|| "without a date".to_owned(), instant);
    let cancelling = if read.cancelling {
        ", being cancelled"
    } else {
        ""
    };
    let reads = format!(
        "{} reads as {}{cancelling}, last updated {date}",
        read.reference_id, read.status
    );
    let names = if *listed {
        "names it all the same"
    } else {
        "leaves it out"
    };
    format!(
        "{reads}; the list of {} {names} (filter {filter})",
        words(ask)
    )
}

/// A question in words.
pub fn words(ask: &Ask) -> String {
    let mut said: Vec<String> = Vec::new();
    said.extend(ask.status.as_ref().map(ToString::to_string));
    said.extend(ask.persistence_type.map(|kind| kind.to_string()));
    said.extend(ask.cancelling.then(|| "being cancelled".to_owned()));
    said.extend(
        ask.auto_installation
            .then(|| "auto-installation".to_owned()),
    );
    said.extend(
        ask.age
            .map(|age| format!("not updated for {}", crate::rules::classes::age_words(age))),
    );
    if said.is_empty() {
        return "everything".to_owned();
    }
    said.join(", ")
}

fn sighting(suspicion: &Suspicion, what: &str) -> Sighting {
    plan::sighting(
        &suspicion.read,
        FindingKind::ContractViolation,
        findings::LIST,
        what,
    )
}
