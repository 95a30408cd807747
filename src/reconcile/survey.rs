//! Select and observe: from a job's question to a decision for every request it is about. Sends no write.
//!
//! A survey is a pipeline of three stages (`pipeline.rs`). A job's *listing* asks which requests it is about, decides
//! at once on those that are proven unchanged, and passes on the ids that must be read; *reading* takes these in
//! batches, several at a time, and decides; the *sink* takes the plan: the run's recorder, or the `plan` command's
//! printer. So the same path decides in both, and memory holds a few batches of requests plus the ids listed.

mod beside;
mod orders;
mod pipeline;
mod reading;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::issues;
use super::lasting::Lasting;
use super::plan::{self, Context, Item};
use crate::clock::Clock;
use crate::config::{Job, JobKind};
use crate::domain::id_list::IdBatch;
use crate::domain::ids::{JobName, ReferenceId};
use crate::domain::{FindingKind, Observation, SkipReason};
use crate::store::findings::{FindingKey, Sighting};
use crate::store::looks::Look as StoredLook;
use crate::store::runs::RunLease;
use crate::store::{Store, StoreError};
use crate::tesamanager::{ListFilter, ReadError, Tesamanager};

/// How many listed requests are told apart together: enough to make one statement do the work of many.
pub const CHUNK: usize = 500;

/// How many requests are read, decided on and recorded together at most. With fewer, a sweep costs more, and on SQLite
/// another process finds its turn to write less often; with more, that turn comes later.
pub const LARGEST_BATCH: usize = 2_000;

/// How many requests are read and recorded together at this many reads a second: what five seconds bring. Fewer,
/// larger transactions cost less; but a process that dies loses what it had read of its batches.
pub fn batch_at(reads_per_second: u32) -> usize {
    let five_seconds = usize::try_from(reads_per_second).map_or(LARGEST_BATCH, |reads| 5 * reads);
    five_seconds.clamp(50, LARGEST_BATCH)
}

/// Takes decisions as they are made.
#[async_trait]
pub trait PlanSink: Send {
    /// A chunk of the plan.
    async fn accept(&mut self, items: Vec<Item>) -> Result<(), StoreError>;

    /// These did not change since the last look, so nothing new is decided about them.
    fn unchanged(&mut self, _kept: &[Kept]) {}

    /// The decisions of the last run at these places stand.
    fn standing(&mut self, _places: &[u32]) {}
}

/// A request that did not change since the last look, so that what was found then still holds.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The request.
    pub id: ReferenceId,
    /// When it was looked at.
    pub looked_at: DateTime<Utc>,
    /// Nothing is to be decided about it either until it is looked at again.
    pub lasts: bool,
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
    pub api: &'a Arc<dyn Tesamanager>,
    /// What is remembered.
    pub store: &'a Arc<dyn Store>,
    /// When observations are made.
    pub clock: &'a dyn Clock,
    /// Whose rules.
    pub job: &'a Job,
    /// What the decisions have in common.
    pub context: Context<'a>,
    /// The findings of requests with an inconsistent event.
    pub marked: &'a HashMap<ReferenceId, Vec<FindingKey>>,
    /// What the run before decided, if it may be taken over.
    pub lasting: Option<&'a Lasting>,
    /// Reads at once.
    pub max_in_flight: usize,
    /// Requests that a run is about at most, whatever the number of its lists.
    pub max_list_ids: u64,
    /// Requests read together, see [`batch_at`].
    pub batch: usize,
    /// Every configured job.
    pub job_names: &'a [JobName],
    /// What is read is remembered under this; `plan` has none, because it changes nothing.
    pub lease: Option<&'a RunLease>,
    /// Checked between batches.
    pub stop: &'a CancellationToken,
}

use reading::Reader;

pub(super) use pipeline::Feed;
pub(super) use reading::{Reading, Rest};

/// A part of the plan, on its way to the sink.
#[derive(Debug, Default)]
pub(super) struct Portion {
    /// Decided.
    pub items: Vec<Item>,
    /// Did not change, and nothing new is decided about them.
    pub kept: Vec<Kept>,
    /// Places of the last run's decisions that stand.
    pub standing: Vec<u32>,
    /// What jobs that follow change saw.
    pub looks: Vec<StoredLook>,
    /// What they could not see, and must read again.
    pub not_looked_at: Vec<ReferenceId>,
    /// Told to stop before all of it was read.
    pub cut_short: bool,
    /// What it adds to the survey's tally.
    pub tally: Tally,
}

impl Survey<'_> {
    /// A job's listing: feeds the pipeline with what the job is about.
    async fn list_all(&self, feed: &mut Feed) -> Result<(), SurveyError> {
        match self.job.kind {
            JobKind::RetryStuck => self.list_stuck(feed).await,
            JobKind::ResolveIssues => self.list_issues(feed).await,
            JobKind::FlagEvents => self.list_events(feed).await,
            // Asks the upstream nothing: a run never comes here, and a plan has nothing to say.
            JobKind::Housekeeping => Ok(()),
        }
    }

    fn reader(&self) -> Reader {
        Reader {
            api: Arc::clone(self.api),
            org: self.context.org.clone(),
            kind: self.job.kind,
            at_once: self.max_in_flight.max(1),
            stop: self.stop.clone(),
        }
    }

    /// Remembers what was read of so many requests, and decides on each.
    async fn decide(&self, asked: usize, read: Vec<Reading>) -> Result<Portion, SurveyError> {
        let mut portion = Portion {
            cut_short: read.len() < asked,
            ..Portion::default()
        };
        let (mut fresh, mut rests) = (Vec::with_capacity(read.len()), Vec::new());
        for Reading { id, request, rest } in read {
            match request {
                Ok(request) => {
                    fresh.push(request);
                    rests.push(rest);
                }
                Err(error) => self.unreadable(&id, &error, &mut portion).await?,
            }
        }
        portion.tally.observed += fresh.len() as u64;
        if let Some(lease) = self.lease.filter(|_| !fresh.is_empty()) {
            let older = self
                .store
                .remember_observations(lease, self.context.org, &fresh)
                .await?;
            if !older.is_empty() {
                self.set_apart(&older, &mut fresh, &mut rests, &mut portion);
            }
            self.leave_nothing_of_departed_jobs(lease, &fresh).await?;
        }
        match self.job.kind {
            JobKind::RetryStuck => self.judge_stuck(fresh, &mut portion).await?,
            JobKind::ResolveIssues => self.judge_issues(fresh, rests, &mut portion).await?,
            JobKind::FlagEvents => self.judge_events(fresh, rests, &mut portion).await?,
            JobKind::Housekeeping => {}
        }
        Ok(portion)
    }

    /// A finished request has no stuck order, so nothing of jobs that nobody runs any more; what is theirs of others is
    /// taken over by whoever sees the same.
    async fn leave_nothing_of_departed_jobs(
        &self,
        lease: &RunLease,
        fresh: &[Observation],
    ) -> Result<(), StoreError> {
        let finished = fresh.iter().filter(|request| request.status.is_final());
        let finished: Vec<ReferenceId> = finished
            .map(|request| request.reference_id.clone())
            .collect();
        if finished.is_empty() {
            return Ok(());
        }
        let (org, jobs, now) = (self.context.org, self.job_names, self.clock.now());
        self.store
            .resolve_left_behind(lease, org, &finished, jobs, now)
            .await
    }

    /// See [`margin`](super::selection::margin): by what the upstream's answers told of its clock so far.
    pub(super) fn clock_margin(&self) -> Duration {
        super::selection::margin(self.api.clocks_apart())
    }

    pub(super) fn check_stop(&self) -> Result<(), SurveyError> {
        if self.stop.is_cancelled() {
            return Err(SurveyError::Stopped);
        }
        Ok(())
    }

    /// Every id that a list call answers, a batch at a time.
    pub(super) async fn list(
        &self,
        filter: &ListFilter,
        mut take: impl FnMut(IdBatch) + Send,
    ) -> Result<(), SurveyError> {
        let listing = async {
            let mut ids = self
                .api
                .list_reference_ids(self.context.org, filter)
                .await?;
            while let Some(batch) = ids.next().await {
                take(batch?);
            }
            Ok(())
        };
        let told = self.stop.run_until_cancelled(listing).await;
        told.unwrap_or(Err(SurveyError::Stopped))
    }

    /// What the job would decide about one request, whether or not it would be listed. None for a job that is not
    /// about requests.
    pub async fn consider(&self, request: &Observation) -> Result<Option<Item>, SurveyError> {
        let (org, id) = (self.context.org, &request.reference_id);
        Ok(match self.job.kind {
            JobKind::RetryStuck => {
                let beside = self.beside([(request, None)]).await?;
                Some(self.decide_one_stuck(beside.known(request)))
            }
            JobKind::ResolveIssues => {
                let issues = self.api.get_request_issues(org, id).await?;
                let beside = self.beside([(request, Some(&*issues))]).await?;
                Some(issues::decide(
                    &self.context,
                    beside.known(request),
                    &issues,
                ))
            }
            JobKind::FlagEvents => {
                let events = self.api.get_request_events(org, id).await?;
                let beside = self.beside([(request, None)]).await?;
                Some(self.judge_stream(beside.known(request), &events))
            }
            JobKind::Housekeeping => None,
        })
    }

    /// What could not be read becomes an item of the portion.
    async fn unreadable(
        &self,
        id: &ReferenceId,
        error: &ReadError,
        into: &mut Portion,
    ) -> Result<(), StoreError> {
        let (reason, why, seen) = match error {
            ReadError::NotFound { .. } => {
                if let Some(lease) = self.lease {
                    let org = self.context.org;
                    self.store.forget_observation(lease, org, id).await?;
                }
                let why = "it was listed, but the upstream does not know it".to_owned();
                (SkipReason::NotFound, why, vec![])
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
                (SkipReason::ContractViolation, error.to_string(), vec![seen])
            }
            _ => (SkipReason::ReadFailed, error.to_string(), vec![]),
        };
        into.tally.failed += u64::from(reason != SkipReason::NotFound);
        into.not_looked_at.push(id.clone());
        into.items.push(plan::unreadable(id, reason, why, seen));
        Ok(())
    }
}
