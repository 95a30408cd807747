//! One run's look at the world: what it asks of the upstream and of the store, and how it decides. Sends no write.
//!
//! Jobs that follow change (`resolve_issues`, `flag_events`) look through a pipeline of three stages (`pipeline.rs`): a
//! *listing* asks which requests the job is about and passes on the ids that must be read; *reading* takes these in
//! batches, several at a time, and decides; the *sink* takes the plan: the run's recorder, or the `plan` command's
//! printer. So the same path decides in both, and memory holds a few batches of requests plus the ids listed. What
//! `retry_stuck` asks is decided by lists alone (`select/`, `listed.rs`); it reads only what it acts on.

mod beside;
mod orders;
mod pipeline;
mod reading;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::plan::{self, Context, Item};
use super::{issues, stuck};
use crate::clock::Clock;
use crate::config::{Job, JobKind};
use crate::domain::id_list::IdBatch;
use crate::domain::ids::{JobName, ReferenceId};
use crate::domain::{Filter, FindingKind, Observation, SkipReason};
use crate::store::findings::{FindingKey, Sighting};
use crate::store::looks::Look as StoredLook;
use crate::store::runs::RunLease;
use crate::store::{Store, StoreError};
use crate::tesamanager::{ListFilter, ReadError, Tesamanager};

/// How many listed requests are told apart together: enough to make one statement do the work of many.
pub const CHUNK: usize = 500;

/// Ids of a page of what is remembered.
const PAGE: u32 = 10_000;

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

    /// Nothing is wrong with these, as far as was read; nor was anything before.
    async fn healthy(&mut self, ids: Vec<ReferenceId>) -> Result<(), StoreError> {
        let why = "nothing is wrong with what was read of it";
        let items = ids
            .iter()
            .map(|id| plan::unreadable(id, SkipReason::NothingWrong, why.to_owned(), vec![]));
        self.accept(items.collect()).await
    }

    /// A read contradicts the lists that these are about.
    async fn contradicted(&mut self, _sightings: Vec<Sighting>) -> Result<(), StoreError> {
        Ok(())
    }
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
    /// Requests that the upstream listed and did not know.
    pub not_found: u64,
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
    /// Reads contradict a filter of the list call.
    #[error(
        "the list call's filter {filter} is not trusted: {why}. Nothing is concluded or written by it until reads bear it out \
         again; if this upstream does not support it, say `unsupported_filters = [\"{filter}\"]` (see `tesa-reconciler doctor`)"
    )]
    Distrusted {
        /// Which.
        filter: Filter,
        /// What contradicted it.
        why: String,
    },
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
    /// Reads at once.
    pub max_in_flight: usize,
    /// Requests that a run is about at most, whatever the number of its lists.
    pub max_list_ids: u64,
    /// Until what the upstream stamped can be seen in its lists.
    pub settle_time: Duration,
    /// Filters that this upstream's lists don't support.
    pub unsupported: &'a [Filter],
    /// Reads per second and org, all replicas together.
    pub reads_per_second: u32,
    /// Requests read together, see [`batch_at`].
    pub batch: usize,
    /// Every configured job.
    pub job_names: &'a [JobName],
    /// What is read is remembered under this; `plan` has none, because it changes nothing.
    pub lease: Option<&'a RunLease>,
    /// Checked between batches.
    pub stop: &'a CancellationToken,
}

use reading::{Reader, ToRead};

pub(super) use pipeline::Feed;
pub(super) use reading::{Reading, Rest};

/// When decisions about requests that did not change are to be made anew.
pub(super) type Again = Vec<(ReferenceId, Option<DateTime<Utc>>)>;

/// A part of the plan, on its way to the sink.
#[derive(Debug, Default)]
pub(super) struct Portion {
    /// Decided.
    pub items: Vec<Item>,
    /// Nothing is wrong with these, and it was not needed to read the requests themselves.
    pub healthy: Vec<ReferenceId>,
    /// What people shall see of lists that a read contradicts.
    pub contradicted: Vec<Sighting>,
    /// When these, which did not change, are to be decided on anew.
    pub again: Again,
    /// What jobs that follow change saw.
    pub looks: Vec<StoredLook>,
    /// What they could not see, and must read again.
    pub not_looked_at: Vec<ReferenceId>,
    /// Told to stop before all of it was read.
    pub cut_short: bool,
    /// What it adds to the survey's tally.
    pub tally: Tally,
}

/// Some requests, read and remembered.
pub(super) struct Batch {
    /// As they stand now, with what was read beside them.
    pub fresh: Vec<(Observation, Rest)>,
    /// Decisions about those that could not be read.
    pub unread: Vec<Item>,
}

impl Survey<'_> {
    /// A job's listing: feeds the pipeline with what the job is about.
    async fn list_all(&self, feed: &mut Feed) -> Result<(), SurveyError> {
        match self.job.kind {
            JobKind::ResolveIssues => self.list_issues(feed).await,
            JobKind::FlagEvents => self.list_events(feed).await,
            // One is decided by lists, the other asks the upstream nothing.
            JobKind::RetryStuck | JobKind::Housekeeping => Ok(()),
        }
    }

    fn reader(&self) -> Reader {
        Reader {
            api: Arc::clone(self.api),
            org: self.context.org.clone(),
            kind: self.job.kind,
            event_checks: self.job.event_checks.clone(),
            at_once: self.max_in_flight.max(1),
            stop: self.stop.clone(),
        }
    }

    /// Remembers what was read of so many requests, and decides on each.
    async fn decide(&self, asked: usize, read: Vec<Reading>) -> Result<Portion, SurveyError> {
        let (fresh, rests, mut portion) = self.take_in(asked, read).await?;
        match self.job.kind {
            JobKind::ResolveIssues => self.judge_issues(fresh, rests, &mut portion).await?,
            JobKind::FlagEvents => self.judge_events(fresh, rests, &mut portion).await?,
            JobKind::RetryStuck | JobKind::Housekeeping => {}
        }
        Ok(portion)
    }

    /// Remembers what was read of so many requests; what could not be read becomes items of the portion.
    async fn take_in(
        &self,
        asked: usize,
        read: Vec<Reading>,
    ) -> Result<(Vec<Observation>, Vec<Rest>, Portion), SurveyError> {
        let mut portion = Portion {
            cut_short: read.len() < asked,
            ..Portion::default()
        };
        let (mut fresh, mut rests) = (Vec::with_capacity(read.len()), Vec::new());
        let mut beside = Vec::new();
        for Reading { id, request, rest } in read {
            let seen = request.as_ref().and_then(|read| read.as_ref().ok());
            let at = seen.map_or_else(|| self.clock.now(), |seen| seen.observed_at);
            beside.extend(rest.sight(&id, at));
            match (request, rest) {
                (Some(Ok(request)), rest) => {
                    fresh.push(request);
                    rests.push(rest);
                }
                (Some(Err(error)), _) => self.unreadable(&id, &error, &mut portion),
                (None, rest) => self.well(id, rest, &mut portion),
            }
        }
        portion.tally.observed += (fresh.len() + portion.healthy.len()) as u64;
        let is_news = !fresh.is_empty() || !beside.is_empty();
        if let Some(lease) = self.lease.filter(|_| is_news) {
            let older = self
                .store
                .remember_seen(lease, self.context.org, &fresh, &beside)
                .await?;
            if !older.is_empty() {
                self.set_apart(&older, &mut fresh, &mut rests, &mut portion);
            }
            self.leave_nothing_of_departed_jobs(lease, &fresh).await?;
        }
        Ok((fresh, rests, portion))
    }

    /// What was read beside a request showed that nothing is wrong.
    fn well(&self, id: ReferenceId, rest: Rest, into: &mut Portion) {
        into.looks.push(StoredLook {
            reference_id: id.clone(),
            looked_at: self.clock.now(),
            issues: match rest {
                Rest::Issues(Ok(issues)) => issues,
                _ => vec![],
            },
            again_at: None,
        });
        into.healthy.push(id);
    }

    /// Those of `ids` of which more must be read than what is beside the request: people have said something of it, or
    /// something was wrong with it before.
    pub(super) async fn to_read(
        &self,
        ids: Vec<ReferenceId>,
        whole: impl Fn(&ReferenceId) -> bool,
    ) -> Result<Vec<ToRead>, SurveyError> {
        let (org, job) = (self.context.org, &self.job.name);
        let mut known: BTreeSet<ReferenceId> = BTreeSet::new();
        let said = self.store.acknowledgements(Some(org)).await?;
        known.extend(said.into_iter().map(|said| said.key.reference_id));
        let mut after: Option<String> = None;
        loop {
            let page = self
                .store
                .classless_members(org, job, after.as_deref(), PAGE)
                .await?;
            known.extend(page.iter().map(ReferenceId::new));
            after = page.iter().last().map(str::to_owned);
            if page.len() < PAGE as usize {
                break;
            }
        }
        let to_read = ids.into_iter().map(|id| ToRead {
            whole: known.contains(&id) || whole(&id),
            id,
        });
        Ok(to_read.collect())
    }

    /// Reads these, and remembers them.
    pub(super) async fn read(&self, ids: Vec<ReferenceId>) -> Result<Batch, SurveyError> {
        let asked = ids.len();
        let ids = ids.into_iter().map(|id| ToRead { id, whole: true });
        let read = self
            .reader()
            .batch(ids.collect(), self.max_in_flight.max(1))
            .await?;
        let (fresh, rests, portion) = self.take_in(asked, read).await?;
        if portion.cut_short {
            return Err(SurveyError::Stopped);
        }
        Ok(Batch {
            fresh: fresh.into_iter().zip(rests).collect(),
            unread: portion.items,
        })
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

    /// See [`margin`](super::clocks::margin): by what the upstream's answers told of its clock so far.
    pub(super) fn clock_margin(&self) -> Duration {
        super::clocks::margin(self.api.clocks_apart(), self.settle_time)
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
                Some(stuck::decide(&self.context, beside.known(request)))
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
    fn unreadable(&self, id: &ReferenceId, error: &ReadError, into: &mut Portion) {
        let (reason, why, seen) = match error {
            // By itself that says nothing: see `claims/gone.rs`.
            ReadError::NotFound { .. } => {
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
        match reason {
            SkipReason::NotFound => into.tally.not_found += 1,
            _ => into.tally.failed += 1,
        }
        into.not_looked_at.push(id.clone());
        into.items.push(plan::unreadable(id, reason, why, seen));
    }
}
