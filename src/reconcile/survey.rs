//! Select and observe: from a job's question to a decision for every request it is about. Sends no write.
//!
//! A survey streams. Ids come in chunks; for each chunk, what is remembered is compared with what the list call
//! proved, only what may have changed is read, the decisions are made, and the chunk goes to a [`PlanSink`]: the
//! run's recorder, or the `plan` command's printer. So the same path decides in both, and memory holds a chunk of
//! requests plus the set of ids seen, whatever the list's length.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use tokio_util::sync::CancellationToken;

use super::plan::{self, Context, Item, Known, sighting};
use super::selection::{Selection, selections};
use super::stuck;
use crate::clock::Clock;
use crate::config::{Job, JobKind};
use crate::domain::ids::{ExternalReference, ReferenceId};
use crate::domain::{FindingKind, Observation, SkipReason};
use crate::store::attempts::Attempt;
use crate::store::findings::{FindingKey, Sighting};
use crate::store::{Store, StoreError};
use crate::tesamanager::{ReadError, Tesamanager};

/// How many requests are decided on together: few enough to keep memory and transactions small, enough to make
/// one statement do the work of many.
pub const CHUNK: usize = 500;

/// Takes decisions as they are made.
#[async_trait]
pub trait PlanSink: Send {
    /// A chunk of the plan.
    async fn accept(&mut self, items: Vec<Item>) -> Result<(), StoreError>;
}

/// What a survey looked at, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Ids answered by the list calls, each once.
    pub selected: u64,
    /// Requests read.
    pub observed: u64,
    /// Requests that needed no read.
    pub unchanged: u64,
    /// Requests that could not be read.
    pub failed: u64,
}

/// Why a survey ended early. What it had decided by then was handed to the sink, but nothing may be concluded
/// from what is missing.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The list call failed, or the upstream refuses us altogether.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Told to stop.
    #[error("stopped before everything was looked at")]
    Stopped,
}

/// One look at the world by one job for one org.
pub struct Survey<'a> {
    /// The upstream.
    pub api: &'a dyn Tesamanager,
    /// What is remembered.
    pub store: &'a dyn Store,
    /// When observations are made.
    pub clock: &'a dyn Clock,
    /// Whose rules.
    pub job: &'a Job,
    /// What the decisions have in common.
    pub context: Context<'a>,
    /// Findings that a person acknowledged.
    pub acknowledged: &'a HashSet<FindingKey>,
    /// Reads at once.
    pub max_in_flight: usize,
    /// Remember what is read; `plan` does not, because it changes nothing.
    pub remember: bool,
    /// Checked between chunks.
    pub stop: &'a CancellationToken,
}

/// What reading one request came to.
enum Look {
    Seen(Observation),
    Unreadable(Box<Item>),
}

impl Survey<'_> {
    /// Looks at everything that the job is about.
    pub async fn look(&self, sink: &mut dyn PlanSink) -> Result<Tally, SurveyError> {
        match self.job.kind {
            JobKind::RetryStuck => self.stuck(sink).await,
            JobKind::ResolveIssues | JobKind::FlagEvents | JobKind::Housekeeping => {
                Ok(Tally::default())
            }
        }
    }

    /// `retry_stuck`: every request that has aged beyond one of the rules.
    pub async fn stuck(&self, sink: &mut dyn PlanSink) -> Result<Tally, SurveyError> {
        let all = selections(self.context.rules, self.context.org);
        let mut tally = Tally::default();
        let mut known = HashSet::new();
        for selection in &all {
            let filter = selection.filter(self.context.now);
            let mut ids = self
                .api
                .list_reference_ids(self.context.org, &filter)
                .await?;
            let mut pending = Vec::with_capacity(CHUNK);
            while let Some(batch) = ids.next().await {
                for id in batch? {
                    if known.insert(id.clone()) {
                        tally.selected += 1;
                        pending.push(id);
                    }
                    if pending.len() == CHUNK {
                        let chunk = std::mem::take(&mut pending);
                        self.decide_stuck(&all, selection, chunk, &mut tally, sink)
                            .await?;
                    }
                }
            }
            self.decide_stuck(&all, selection, pending, &mut tally, sink)
                .await?;
        }
        Ok(tally)
    }

    async fn decide_stuck(
        &self,
        all: &[Selection],
        listed_by: &Selection,
        ids: Vec<ReferenceId>,
        tally: &mut Tally,
        sink: &mut dyn PlanSink,
    ) -> Result<(), SurveyError> {
        if ids.is_empty() {
            return Ok(());
        }
        if self.stop.is_cancelled() {
            return Err(SurveyError::Stopped);
        }
        let remembered = self.store.observations(self.context.org, &ids).await?;
        let mut requests: Vec<Observation> = remembered
            .into_iter()
            .filter(|request| {
                listed_by.proves_unchanged(request, self.job.reobserve_every, self.context.now)
            })
            .collect();
        let still_true: HashSet<ReferenceId> = requests
            .iter()
            .map(|request| request.reference_id.clone())
            .collect();
        tally.unchanged += still_true.len() as u64;
        let to_read = ids
            .into_iter()
            .filter(|id| !still_true.contains(id))
            .collect();
        let mut items = self.observe(to_read, &mut requests, tally).await?;

        let attempts = self.attempts_by_order(&requests).await?;
        for request in &requests {
            let order = request.external_reference.as_ref();
            let known = Known {
                request,
                issue: None,
                attempts: order
                    .and_then(|order| attempts.get(order))
                    .map_or(&[], Vec::as_slice),
                acknowledged: self.is_acknowledged(request),
            };
            items.push(stuck::decide(&self.context, all, known));
        }
        sink.accept(items).await?;
        Ok(())
    }

    /// Reads requests, a bounded number at once; what could not be read becomes an item of its own.
    async fn observe(
        &self,
        ids: Vec<ReferenceId>,
        into: &mut Vec<Observation>,
        tally: &mut Tally,
    ) -> Result<Vec<Item>, SurveyError> {
        let mut looks = stream::iter(ids)
            .map(|id| self.read(id))
            .buffer_unordered(self.max_in_flight.max(1));
        let (mut fresh, mut unreadable) = (Vec::new(), Vec::new());
        while let Some(look) = looks.next().await {
            match look? {
                Look::Seen(request) => fresh.push(request),
                Look::Unreadable(item) => unreadable.push(*item),
            }
        }
        tally.observed += fresh.len() as u64;
        tally.failed += unreadable
            .iter()
            .filter(|item| item.decision.verdict.label() != SkipReason::NotFound.as_str())
            .count() as u64;
        if self.remember && !fresh.is_empty() {
            self.store
                .remember_observations(self.context.org, &fresh)
                .await?;
        }
        into.append(&mut fresh);
        Ok(unreadable)
    }

    async fn read(&self, id: ReferenceId) -> Result<Look, SurveyError> {
        let error = match self.api.get_request(self.context.org, &id).await {
            Ok(request) => return Ok(Look::Seen(request.seen)),
            Err(error) if error.ends_the_run() => return Err(error.into()),
            Err(error) => error,
        };
        Ok(Look::Unreadable(Box::new(match error {
            ReadError::NotFound { .. } => {
                if self.remember {
                    self.store.forget_observation(self.context.org, &id).await?;
                }
                let why = "it was listed, but the upstream does not know it".to_owned();
                plan::unreadable(&id, SkipReason::NotFound, why, vec![])
            }
            ReadError::Contract { .. } => {
                let seen = Sighting {
                    key: FindingKey {
                        reference_id: id.clone(),
                        kind: FindingKind::ContractViolation,
                        detail: "get_request".to_owned(),
                    },
                    external_reference: None,
                    since: None,
                    attention: None,
                    evidence: error.to_string(),
                };
                plan::unreadable(
                    &id,
                    SkipReason::ContractViolation,
                    error.to_string(),
                    vec![seen],
                )
            }
            _ => plan::unreadable(&id, SkipReason::ReadFailed, error.to_string(), vec![]),
        })))
    }

    async fn attempts_by_order(
        &self,
        requests: &[Observation],
    ) -> Result<HashMap<ExternalReference, Vec<Attempt>>, StoreError> {
        let orders: Vec<ExternalReference> = requests
            .iter()
            .filter_map(|request| request.external_reference.clone())
            .collect();
        let mut by_order: HashMap<ExternalReference, Vec<Attempt>> = HashMap::new();
        if orders.is_empty() {
            return Ok(by_order);
        }
        for attempt in self.store.attempts_for(self.context.org, &orders).await? {
            by_order
                .entry(attempt.external_reference.clone())
                .or_default()
                .push(attempt);
        }
        Ok(by_order)
    }

    fn is_acknowledged(&self, request: &Observation) -> bool {
        if self.acknowledged.is_empty() {
            return false;
        }
        let detail = stuck::detail(request);
        let key = sighting(request, FindingKind::StuckRequest, detail, "").key;
        self.acknowledged.contains(&key)
    }
}
