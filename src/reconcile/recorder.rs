//! Writes down what reading showed, as a run goes: decisions that changed, findings that differ, and the intents to act on.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::findings::{self, Scope};
use super::plan::{Intent, Item};
use super::survey::{CHUNK, LARGEST_BATCH, PlanSink};
use super::wanting::Gathers;
use crate::config::Job;
use crate::domain::ids::{JobName, Org, ReferenceId};
use crate::domain::{Decision, Observation, SkipReason};
use crate::store::findings::{FindingChanges, Live, Sighting};
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
    candidates.sort_by(|a, b| by_age(&a.request, &b.request));
}

/// The order in which requests are acted on.
pub fn by_age(one: &Observation, other: &Observation) -> Ordering {
    one.last_updated
        .cmp(&other.last_updated)
        .then_with(|| one.reference_id.cmp(&other.reference_id))
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
    /// Decisions to act, in the order they were made.
    pub candidates: Vec<Candidate>,
    /// Who must look at what lists told, kept until their findings are there.
    pub attention: FindingChanges,
    /// Verdicts by label, without those still to be acted on.
    pub verdicts: BTreeMap<&'static str, u64>,
}

impl Recorder<'_> {
    /// Writes final decisions down and counts them.
    pub async fn decisions(&mut self, decisions: &[Decision]) -> Result<(), StoreError> {
        for decision in decisions {
            self.count_verdict(decision.verdict.label(), 1);
        }
        for chunk in decisions.chunks(LARGEST_BATCH) {
            self.store
                .remember_decisions(self.lease, self.org, &self.job.name, self.now, chunk)
                .await?;
        }
        Ok(())
    }

    /// So many more requests have this verdict, by what lists told.
    pub fn count_verdict(&mut self, label: &'static str, count: u64) {
        record::decision(&self.job.name, label, count);
        *self.verdicts.entry(label).or_default() += count;
    }

    /// Verdicts with this label.
    pub fn count(&self, label: &str) -> u64 {
        self.verdicts.get(label).copied().unwrap_or_default()
    }

    /// Compares what was seen of these with what is remembered of them, and writes the difference down.
    pub async fn compare(
        &self,
        looked: &HashMap<ReferenceId, Scope>,
        mut sightings: Vec<Sighting>,
    ) -> Result<(), StoreError> {
        let mut ids: Vec<ReferenceId> = looked.keys().cloned().collect();
        ids.sort();
        for ids in ids.chunks(CHUNK) {
            let (org, job) = (self.org, &self.job.name);
            let live = self.store.live_findings(org, job, Live::About(ids)).await?;
            let (mine, others): (Vec<_>, Vec<_>) = sightings
                .into_iter()
                .partition(|seen| ids.binary_search(&seen.key.reference_id).is_ok());
            sightings = others;
            let here: HashMap<ReferenceId, Scope> = ids
                .iter()
                .filter_map(|id| Some((id.clone(), *looked.get(id)?)))
                .collect();
            self.apply(findings::compare(live, &here, mine, self.now))
                .await?;
        }
        // About requests that were not looked at.
        self.apply(FindingChanges {
            seen: sightings,
            ..FindingChanges::default()
        })
        .await
    }

    /// Who must look at what lists told: to be written down when their findings are there.
    pub async fn write_attention(&mut self) -> Result<(), StoreError> {
        let changes = std::mem::take(&mut self.attention);
        if changes.attention.is_empty() {
            return Ok(());
        }
        let (lease, org, job) = (self.lease, self.org, &self.job.name);
        self.store
            .apply_findings(lease, org, job, &changes, self.now)
            .await?;
        Ok(())
    }

    /// Writes down what becomes of findings.
    pub async fn apply(&self, changes: FindingChanges) -> Result<(), StoreError> {
        if changes == FindingChanges::default() {
            return Ok(());
        }
        let changes = FindingChanges {
            elders: self.elders.clone(),
            ..changes
        };
        let opened = self
            .store
            .apply_findings(self.lease, self.org, &self.job.name, &changes, self.now)
            .await?;
        for kind in opened {
            record::findings_opened(kind, 1);
        }
        Ok(())
    }
}

impl Gathers for Recorder<'_> {
    fn gathered(&self) -> usize {
        self.candidates.len()
    }
}

#[async_trait]
impl PlanSink for Recorder<'_> {
    async fn accept(&mut self, items: Vec<Item>) -> Result<(), StoreError> {
        let (mut decisions, mut sightings) = (Vec::with_capacity(items.len()), Vec::new());
        let mut looked = HashMap::with_capacity(items.len());
        for item in items {
            looked.insert(item.decision.reference_id.clone(), item.scope);
            sightings.extend(item.sightings);
            self.attention.attention.extend(item.attention);
            match (item.request, item.intent) {
                (Some(request), Some(intent)) => {
                    self.candidates.push(Candidate { request, intent })
                }
                _ => decisions.push(item.decision),
            }
        }
        self.compare(&looked, sightings).await?;
        self.decisions(&decisions).await
    }

    async fn contradicted(&mut self, sightings: Vec<Sighting>) -> Result<(), StoreError> {
        self.compare(&HashMap::new(), sightings).await
    }

    /// There is nothing to compare, and nothing to remember but that they were looked at.
    async fn healthy(&mut self, ids: Vec<ReferenceId>) -> Result<(), StoreError> {
        self.count_verdict(SkipReason::NothingWrong.as_str(), ids.len() as u64);
        Ok(())
    }
}
