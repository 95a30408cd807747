//! Writes a run's plan down as it is made: decisions that changed, findings that differ, and the intents to act on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::events;
use super::findings::Comparison;
use super::lasting::{Lasting, Stand};
use super::notes::Notes;
use super::plan::{Intent, Item};
use super::survey::{CHUNK, Kept, LARGEST_BATCH, PlanSink};
use crate::config::{Job, JobKind};
use crate::domain::ids::{JobName, Org, ReferenceId};
use crate::domain::{Decision, FindingKind, Observation, SkipReason, Verdict};
use crate::rules;
use crate::store::findings::{FindingChanges, FindingKey, Live, LiveFinding, Sighting};
use crate::store::runs::RunLease;
use crate::store::{Store, StoreError};
use crate::telemetry::record;

/// A decision to act, waiting for the guard.
#[derive(Debug)]
pub struct Candidate {
    /// The request as decided on.
    pub request: Observation,
    /// The write.
    pub intent: Intent,
}

/// Oldest first, so that under a cap nobody waits for ever.
pub fn oldest_first(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| {
        let age = |candidate: &Candidate| candidate.request.last_updated;
        age(a)
            .cmp(&age(b))
            .then_with(|| a.request.reference_id.cmp(&b.request.reference_id))
    });
}

/// Takes a run's plan.
pub struct Recorder<'a> {
    /// Where it is written down.
    pub store: &'a dyn Store,
    /// Whose.
    pub org: &'a Org,
    /// Decided by.
    pub job: &'a Job,
    /// The jobs that come before it in the configuration.
    pub elders: Vec<JobName>,
    /// Everything is written down under this.
    pub lease: &'a RunLease,
    /// Its instant.
    pub now: DateTime<Utc>,
    /// The findings that are remembered of what is looked at.
    pub comparison: Comparison,
    /// What the run before left, and what the next one gets.
    pub(super) notes: Notes<'a>,
    /// Decisions to act, in the order they were made.
    pub candidates: Vec<Candidate>,
    /// Verdicts by label, without those still to be acted on.
    pub verdicts: BTreeMap<&'static str, u64>,
}

/// The findings of a job and org that aren't resolved, as its decisions ask for them.
#[derive(Debug, Default)]
pub struct Remembered {
    /// All findings of the requests that have an event which the upstream itself calls inconsistent: what a job may
    /// act on without reading the events again.
    pub marked: HashMap<ReferenceId, Vec<FindingKey>>,
}

/// What is remembered of a job's findings, for deciding and for comparing.
pub async fn remembered_findings(
    store: &dyn Store,
    org: &Org,
    job: &JobName,
    now: DateTime<Utc>,
) -> Result<(Remembered, Comparison), StoreError> {
    let live = store.live_findings(org, job, Live::All).await?;
    let mut remembered = Remembered::default();
    for LiveFinding { key, .. } in &live {
        if events::is_mark(key) {
            let id = key.reference_id.clone();
            remembered.marked.entry(id).or_default();
        }
    }
    for LiveFinding { key, .. } in &live {
        if let Some(keys) = remembered.marked.get_mut(&key.reference_id) {
            keys.push(key.clone());
        }
    }
    Ok((remembered, Comparison::new(live, now)))
}

/// The same, as far as deciding needs it; what is looked at is to be compared with what is looked up for it then.
pub async fn few_findings(
    store: &dyn Store,
    org: &Org,
    job: &Job,
) -> Result<Remembered, StoreError> {
    let name = &job.name;
    let mut remembered = Remembered::default();
    // The only kind of job that asks for them.
    if job.kind == JobKind::FlagEvents {
        let marks = Live::OfKind(FindingKind::InconsistentEvent);
        let marks = store.live_findings(org, name, marks).await?;
        let marked: BTreeSet<ReferenceId> = marks
            .into_iter()
            .filter(|mark| events::is_mark(&mark.key))
            .map(|mark| mark.key.reference_id)
            .collect();
        let marked: Vec<ReferenceId> = marked.into_iter().collect();
        for ids in marked.chunks(CHUNK) {
            for live in store.live_findings(org, name, Live::About(ids)).await? {
                let id = live.key.reference_id.clone();
                remembered.marked.entry(id).or_default().push(live.key);
            }
        }
    }
    Ok(remembered)
}

/// The one finding about an order's duplicates that a request can have.
fn duplicate_key(id: &ReferenceId) -> FindingKey {
    FindingKey {
        reference_id: id.clone(),
        kind: FindingKind::DuplicateReference,
        detail: String::new(),
    }
}

impl<'a> Recorder<'a> {
    /// Writes final decisions down and counts them.
    pub async fn decisions(&mut self, decisions: &[Decision]) -> Result<(), StoreError> {
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for decision in decisions {
            *counts.entry(decision.verdict.label()).or_default() += 1;
        }
        self.count_all(counts);
        for chunk in decisions.chunks(LARGEST_BATCH) {
            self.store
                .remember_decisions(self.lease, self.org, &self.job.name, self.now, chunk)
                .await?;
        }
        Ok(())
    }

    /// Compares sightings with what is remembered and writes the difference down.
    pub async fn sightings(&mut self, sightings: Vec<Sighting>) -> Result<(), StoreError> {
        let changes = FindingChanges {
            elders: self.elders.clone(),
            ..self.comparison.compare(sightings)
        };
        self.apply(&changes).await
    }

    /// The order was looked up, so what isn't known of its duplicates by now is over.
    pub async fn settle_duplicates(
        &mut self,
        request: &Observation,
        sightings: Vec<Sighting>,
    ) -> Result<(), StoreError> {
        self.comparison
            .restore(&duplicate_key(&request.reference_id));
        self.sightings(sightings).await
    }

    /// Everything was looked at: what was not seen is over. Answers what the next run may take over.
    pub async fn resolve_unseen(mut self) -> Result<Lasting, StoreError> {
        for ids in self.notes.gone().chunks(CHUNK) {
            let live = self.live_about(ids).await?;
            self.comparison.add(live);
        }
        let (store, org, job) = (self.store, self.org, &self.job.name);
        for chunk in self.comparison.resolved().chunks(CHUNK) {
            let changes = FindingChanges {
                resolved: chunk.to_vec(),
                ..FindingChanges::default()
            };
            let lease = self.lease;
            store
                .apply_findings(lease, org, job, &changes, self.now)
                .await?;
        }
        Ok(self.notes.finish())
    }

    async fn live_about(&self, ids: &[ReferenceId]) -> Result<Vec<LiveFinding>, StoreError> {
        let (org, job) = (self.org, &self.job.name);
        self.store.live_findings(org, job, Live::About(ids)).await
    }

    /// What the next run is to know of an item: at least that there may be findings about it, which are over when it is
    /// not met again.
    fn stand(&self, item: &Item) -> Option<Stand> {
        let Some(request) = item.request.as_ref().filter(|_| item.lasts) else {
            return Stand::decided_anew(self.now);
        };
        let trusted = rules::later(request.observed_at, self.job.reobserve_every);
        let aged = rules::next_age(&self.job.rules, request, self.now);
        let until = aged.map_or(trusted, |aged| aged.min(trusted));
        let verdict = &item.decision.verdict;
        // A stream that did not change is not judged, so its verdict is not counted again.
        Some(if self.job.kind == JobKind::FlagEvents {
            let in_order = verdict.label() == SkipReason::NothingWrong.as_str();
            Stand::new(request.observed_at, until, !in_order)?
        } else {
            let flagged = !item.sightings.is_empty();
            Stand::new(request.observed_at, until, flagged)?.about(&request.status, verdict)
        })
    }

    fn count_all(&mut self, counts: BTreeMap<&'static str, u64>) {
        for (label, count) in counts {
            record::decision(&self.job.name, label, count);
            *self.verdicts.entry(label).or_default() += count;
        }
    }

    /// Verdicts with this label.
    pub fn count(&self, label: &str) -> u64 {
        self.verdicts.get(label).copied().unwrap_or_default()
    }

    async fn apply(&self, changes: &FindingChanges) -> Result<(), StoreError> {
        if changes.seen.is_empty() && changes.touched.is_empty() {
            return Ok(());
        }
        let opened = self
            .store
            .apply_findings(self.lease, self.org, &self.job.name, changes, self.now)
            .await?;
        for kind in opened {
            record::findings_opened(kind, 1);
        }
        Ok(())
    }
}

#[async_trait]
impl PlanSink for Recorder<'_> {
    async fn accept(&mut self, items: Vec<Item>) -> Result<(), StoreError> {
        if !self.notes.compares_all() {
            let ids: Vec<ReferenceId> = items
                .iter()
                .map(|item| item.decision.reference_id.clone())
                .collect();
            for ids in ids.chunks(CHUNK) {
                let live = self.live_about(ids).await?;
                self.comparison.add(live);
            }
        }
        let mut decisions = Vec::with_capacity(items.len());
        let mut sightings = Vec::new();
        for item in items {
            self.notes.met(&item.decision.reference_id);
            if let Some(stand) = self.stand(&item) {
                self.notes.keep(&item.decision.reference_id, stand);
            }
            // Nothing may be concluded from what could not be looked at; and whether an order has duplicates is
            // only known again once it is looked up.
            let id = &item.decision.reference_id;
            match &item.decision.verdict {
                Verdict::Skip {
                    reason: SkipReason::ReadFailed | SkipReason::ContractViolation,
                    ..
                } => self.comparison.leave(id),
                _ => self.comparison.set_aside(&duplicate_key(id)),
            }
            sightings.extend(item.sightings);
            match (item.request, item.intent) {
                (Some(request), Some(intent)) => {
                    self.candidates.push(Candidate { request, intent })
                }
                _ => decisions.push(item.decision),
            }
        }
        self.sightings(sightings).await?;
        self.decisions(&decisions).await
    }

    fn unchanged(&mut self, kept: &[Kept]) {
        for Kept {
            id,
            looked_at,
            lasts,
        } in kept
        {
            self.comparison.leave(id);
            self.notes.met(id);
            let until = rules::later(*looked_at, self.job.reobserve_every);
            // Whether there are findings about it was not looked up, so there may be.
            let stand = match lasts {
                true => Stand::new(*looked_at, until, true),
                false => Stand::decided_anew(self.now),
            };
            if let Some(stand) = stand {
                self.notes.keep(id, stand);
            }
        }
    }

    fn standing(&mut self, places: &[u32]) {
        let verdicts = self.notes.standing(places);
        self.count_all(verdicts);
    }
}
