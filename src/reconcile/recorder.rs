//! Writes a run's plan down as it is made: decisions that changed, findings that differ, and the intents to act on.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::events;
use super::findings::Comparison;
use super::plan::{Intent, Item};
use super::survey::{CHUNK, LARGEST_BATCH, PlanSink};
use crate::domain::finding::FindingState;
use crate::domain::ids::{JobName, Org, ReferenceId, RunId};
use crate::domain::{Decision, FindingKind, Observation, SkipReason, Verdict};
use crate::store::findings::{FindingChanges, FindingKey, LiveFinding, Sighting};
use crate::store::{Store, StoreError};
use crate::telemetry::record;

/// A decision to act, waiting for the guard.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
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
    store: &'a dyn Store,
    org: &'a Org,
    job: &'a JobName,
    run: RunId,
    now: DateTime<Utc>,
    comparison: Comparison,
    /// Decisions to act, in the order they were made.
    pub candidates: Vec<Candidate>,
    /// Verdicts by label, without those still to be acted on.
    pub verdicts: BTreeMap<&'static str, u64>,
}

/// The findings of a job and org that aren't resolved, as its decisions ask for them.
#[derive(Debug, Default)]
pub struct Remembered {
    /// A person has acknowledged these.
    pub acknowledged: HashSet<FindingKey>,
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
    let live = store.live_findings(org, job).await?;
    let mut remembered = Remembered::default();
    for LiveFinding { key, state, .. } in &live {
        if *state == FindingState::Acknowledged {
            remembered.acknowledged.insert(key.clone());
        }
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

/// The one finding about an order's duplicates that a request can have.
fn duplicate_key(id: &ReferenceId) -> FindingKey {
    FindingKey {
        reference_id: id.clone(),
        kind: FindingKind::DuplicateReference,
        detail: String::new(),
    }
}

impl<'a> Recorder<'a> {
    /// Records for one run.
    pub fn new(
        store: &'a dyn Store,
        org: &'a Org,
        job: &'a JobName,
        run: RunId,
        now: DateTime<Utc>,
        comparison: Comparison,
    ) -> Self {
        Self {
            store,
            org,
            job,
            run,
            now,
            comparison,
            candidates: Vec::new(),
            verdicts: BTreeMap::new(),
        }
    }

    /// Writes final decisions down and counts them.
    pub async fn decisions(&mut self, decisions: &[Decision]) -> Result<(), StoreError> {
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for decision in decisions {
            *counts.entry(decision.verdict.label()).or_default() += 1;
        }
        for (label, count) in counts {
            record::decision(self.job, label, count);
            *self.verdicts.entry(label).or_default() += count;
        }
        for chunk in decisions.chunks(LARGEST_BATCH) {
            self.store
                .remember_decisions(self.org, self.job, self.run, self.now, chunk)
                .await?;
        }
        Ok(())
    }

    /// Compares sightings with what is remembered and writes the difference down.
    pub async fn sightings(&mut self, sightings: Vec<Sighting>) -> Result<(), StoreError> {
        let changes = self.comparison.compare(sightings);
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

    /// Everything was looked at: what was not seen is over.
    pub async fn resolve_unseen(self) -> Result<u64, StoreError> {
        let resolved = self.comparison.resolved();
        let count = resolved.len() as u64;
        for chunk in resolved.chunks(CHUNK) {
            let changes = FindingChanges {
                resolved: chunk.to_vec(),
                ..FindingChanges::default()
            };
            self.store
                .apply_findings(self.org, self.job, &changes, self.now)
                .await?;
        }
        Ok(count)
    }

    /// Verdicts with this label.
    pub fn count(&self, label: &str) -> u64 {
        self.verdicts.get(label).copied().unwrap_or_default()
    }

    async fn apply(&self, changes: &FindingChanges) -> Result<(), StoreError> {
        if *changes == FindingChanges::default() {
            return Ok(());
        }
        let opened = self
            .store
            .apply_findings(self.org, self.job, changes, self.now)
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
        let mut decisions = Vec::with_capacity(items.len());
        let mut sightings = Vec::new();
        for item in items {
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

    fn unchanged(&mut self, ids: &[ReferenceId]) {
        for id in ids {
            self.comparison.leave(id);
        }
    }
}
