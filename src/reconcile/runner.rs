//! One run, from claim to outcome: the code path that timer, signal, command and console share.
//!
//! A run takes no input but the clock. It claims its slot (or finds that it need not), surveys the world, lets the
//! guard judge the plan as a whole, acts on what is left, and records. Beside the work a heartbeat keeps the lease;
//! losing it, running out of time and a drain all stop the run between two items, never within one.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::answers::Answers;
use super::guard::{InFlight, InForce};
use super::looks::Looks;
use super::plan::{Context, WritePolicy};
use super::retry_verdict::RetryPolicy;
use super::survey::{PlanSink, Survey, SurveyError, Tally, batch_at};
use crate::clock::SharedClock;
use crate::config::{Job, JobKind, Safety};
use crate::domain::ids::{JobName, Org, ReplicaId, RunId};
use crate::domain::run::Mode;
use crate::domain::{Filter, RunOutcome, Trigger};
use crate::store::runs::{NewRun, RunLease, RunSummary, Started};
use crate::store::{Actor, Store, StoreError};
use crate::telemetry::{record, traces};
use crate::tesamanager::Tesamanager;
use tracing::Instrument;

/// How often a run says that it is alive.
pub const BEAT_EVERY: Duration = Duration::from_secs(5);

/// What to run, and for whom.
#[derive(Debug, Clone)]
pub struct RunOrder {
    /// The job.
    pub job: Arc<Job>,
    /// The tenant.
    pub org: Org,
    /// Why now.
    pub trigger: Trigger,
    /// The scheduled instant, if the schedule asked.
    pub slot: Option<DateTime<Utc>>,
    /// For whom.
    pub actor: Actor,
}

/// What became of an order to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunResult {
    /// It ran.
    Done {
        /// The run.
        run_id: RunId,
        /// How it ended.
        outcome: RunOutcome,
        /// Its numbers.
        summary: RunSummary,
    },
    /// The slot was already accounted for.
    SlotTaken,
    /// A run of the same job and org is going on.
    AlreadyRunning(RunId),
}

/// Runs jobs. One for the process's life; a reload makes a new one around the same upstream and store.
pub struct Reconciler {
    /// The upstream, for scheduled runs.
    pub api: Arc<dyn Tesamanager>,
    /// The same, for those for whom somebody waits: its calls overtake the others at the org's rate.
    pub prompt_api: Arc<dyn Tesamanager>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: SharedClock,
    /// This process.
    pub replica: ReplicaId,
    /// Attempts being sent, shared with the verifier's sweep.
    pub in_flight: InFlight,
    /// Runs act as long as this configuration is in force.
    pub in_force: InForce,
    /// Restraint.
    pub safety: Safety,
    /// When what is sent is looked at.
    pub looks: Looks,
    /// Records what came of it.
    pub answers: Answers,
    /// Reads at once.
    pub max_in_flight: usize,
    /// Requests that a run is about at most.
    pub max_list_ids: u64,
    /// How long closed rows are kept, for housekeeping.
    pub retention: Duration,
    /// How long what was seen of requests is kept.
    pub history_retention: Duration,
    /// Reads per second and org, all replicas together.
    pub reads_per_second: u32,
    /// Every configured job, in the configuration's order.
    pub job_names: Vec<JobName>,
    /// Until what the upstream stamped can be seen in its lists.
    pub settle_time: Duration,
    /// Filters that this upstream's lists don't support.
    pub unsupported_filters: Vec<Filter>,
}

impl Reconciler {
    /// Claims the slot (if there is one) and the right to run this job for this org.
    ///
    /// Nothing is enforced from a store in doubt: one that is emptied under a running process takes the run that goes on
    /// with it, and the next one ends here.
    pub async fn claim(&self, order: &RunOrder) -> Result<Started, StoreError> {
        if self.safety.mode == Mode::Enforce
            && let Some(doubt) = self.store.doubt().await?
        {
            return Err(StoreError::Refused {
                operation: "start",
                detail: doubt.to_string(),
            });
        }
        let new = NewRun {
            job_name: order.job.name.clone(),
            org: order.org.clone(),
            trigger: order.trigger,
            slot: order.slot,
            replica: self.replica.clone(),
            mode: self.safety.mode,
            actor: order.actor.clone(),
        };
        self.store.start(&new, self.clock.now()).await
    }

    /// Carries a claimed run out. Whatever goes wrong within is its outcome; an `Err` means that its end could not
    /// be recorded, and then it will be found `lost` once its heartbeat is old.
    pub async fn execute(
        &self,
        order: &RunOrder,
        lease: &RunLease,
        stop: &CancellationToken,
    ) -> Result<(RunOutcome, RunSummary), StoreError> {
        let (run_id, began) = (lease.run_id, self.clock.now());
        let (job, org) = (&order.job.name, &order.org);
        let span = tracing::info_span!("run", run_id = run_id.0, job_name = %job, %org);
        async {
            record::run_started(job, org);
            // However this future ends (dropped, panicked), the gauge must not stay up.
            let running = Running {
                job,
                org,
                done: false,
            };
            let (outcome, summary) = self.work(order, lease, stop).await;
            running.finish(order.trigger, outcome, self.clock.now() - began);
            report(order.trigger, outcome, &summary);
            traces::run_ended(order.trigger, outcome, &summary);
            match self
                .store
                .finish(lease, outcome, &summary, self.clock.now())
                .await
            {
                Ok(()) => Ok((outcome, summary)),
                Err(StoreError::Fenced { .. }) => {
                    tracing::error!("the run was declared lost while it ran");
                    Ok((RunOutcome::Lost, summary))
                }
                Err(error) => Err(error),
            }
        }
        .instrument(span)
        .await
    }

    /// Claims and carries out, for those who have nothing to do in between.
    pub async fn run(
        &self,
        order: &RunOrder,
        stop: &CancellationToken,
    ) -> Result<RunResult, StoreError> {
        Ok(match self.claim(order).await? {
            Started::Yes(lease) => {
                let (outcome, summary) = self.execute(order, &lease, stop).await?;
                RunResult::Done {
                    run_id: lease.run_id,
                    outcome,
                    summary,
                }
            }
            Started::SlotTaken => RunResult::SlotTaken,
            Started::AlreadyRunning(run) => RunResult::AlreadyRunning(run),
        })
    }

    /// The run's work under its heartbeat and its time-out.
    async fn work(
        &self,
        order: &RunOrder,
        lease: &RunLease,
        stop: &CancellationToken,
    ) -> (RunOutcome, RunSummary) {
        let stop = stop.child_token();
        let mut summary = RunSummary::default();
        let result = {
            let work = self.reconcile(order, lease, &stop, &mut summary);
            let alive = self.keep_alive(lease, order.job.timeout, &stop);
            tokio::pin!(work, alive);
            tokio::select! {
                biased;
                result = &mut work => result,
                // Out of time, or no longer ours: told to stop by now. What is in flight is finished.
                () = &mut alive => work.await,
            }
        };
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(SurveyError::Stopped) => {
                "stopped before everything was looked at".clone_into(&mut summary.trouble);
                RunOutcome::Aborted
            }
            Err(error) => {
                summary.trouble = error.to_string();
                RunOutcome::Failed
            }
        };
        (outcome, summary)
    }

    /// Keeps the lease until there is a reason to stop, then says so. Never returns otherwise.
    async fn keep_alive(&self, lease: &RunLease, timeout: Duration, stop: &CancellationToken) {
        let deadline = tokio::time::sleep(timeout);
        tokio::pin!(deadline);
        let mut beat = tokio::time::interval(BEAT_EVERY);
        loop {
            tokio::select! {
                biased;
                () = &mut deadline => {
                    tracing::warn!(run_id = lease.run_id.0, ?timeout, "the run is out of time and stops");
                    break stop.cancel();
                }
                _ = beat.tick() => {
                    // An outage stops writes by itself (no ledger, no write), and the lease may yet survive it;
                    // only losing the lease ends the run.
                    let beaten = self.store.beat(lease, self.clock.now()).await;
                    if matches!(beaten, Err(StoreError::Fenced { .. })) {
                        break stop.cancel();
                    }
                }
            }
        }
    }

    /// What forbids writes just now. An unreadable answer is an error, and an error means no write.
    pub async fn write_policy(&self, job: &JobName, org: &Org) -> Result<WritePolicy, StoreError> {
        let now = self.clock.now();
        let pauses = self.store.pauses(now).await?;
        let latches = self.store.latches().await?;
        let circuits = self.store.circuits(now).await?;
        Ok(WritePolicy {
            mode: self.safety.mode,
            paused: pauses
                .iter()
                .any(|pause| pause.job_name.as_ref().is_none_or(|name| name == job)),
            held: latches
                .iter()
                .any(|latch| latch.job_name == *job && latch.org == *org),
            // One whose probe is due stands in nobody's way: the first read is the probe.
            circuit_open: circuits
                .iter()
                .any(|circuit| circuit.org == *org && circuit.is_open() && !circuit.due),
        })
    }

    /// The survey of a job: the same for a run, which remembers what it sees under its lease, and for `plan`.
    pub fn survey<'a>(
        &'a self,
        order: &'a RunOrder,
        writes: WritePolicy,
        now: DateTime<Utc>,
        lease: Option<&'a RunLease>,
        stop: &'a CancellationToken,
    ) -> Survey<'a> {
        Survey {
            api: self.api_for(order.trigger),
            store: &self.store,
            clock: &*self.clock,
            job: &order.job,
            context: Context {
                org: &order.org,
                rules: &order.job.rules,
                retry: self.retry_policy(),
                writes,
                now,
            },
            max_in_flight: self.max_in_flight,
            max_list_ids: self.max_list_ids,
            settle_time: self.settle_time,
            unsupported: &self.unsupported_filters,
            reads_per_second: self.reads_per_second,
            batch: batch_at(self.reads_per_second),
            job_names: &self.job_names,
            lease,
            stop,
        }
    }

    /// Every decision that a run would make now, handed to `sink`. Reads only; changes nothing anywhere.
    pub async fn plan(
        &self,
        order: &RunOrder,
        stop: &CancellationToken,
        sink: &mut dyn PlanSink,
    ) -> Result<Tally, SurveyError> {
        let now = self.clock.now();
        let writes = self.write_policy(&order.job.name, &order.org).await?;
        let survey = self.survey(order, writes, now, None, stop);
        match order.job.kind {
            JobKind::RetryStuck => self.plan_stuck(order, &survey, sink).await,
            _ => survey.look(sink).await,
        }
    }

    /// The jobs that come before this one in the configuration.
    pub(super) fn elders(&self, job: &JobName) -> Vec<JobName> {
        let before = self.job_names.iter().take_while(|name| *name != job);
        before.cloned().collect()
    }

    /// A person who triggers a run waits for it.
    pub(super) fn api_for(&self, trigger: Trigger) -> &Arc<dyn Tesamanager> {
        match trigger {
            Trigger::Manual => &self.prompt_api,
            Trigger::Schedule | Trigger::CatchUp | Trigger::Signal | Trigger::Once => &self.api,
        }
    }

    /// Attempts and pauses, from the configuration.
    pub fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.safety.max_attempts,
            initial: self.safety.backoff.initial,
            max: self.safety.backoff.max,
        }
    }
}

fn report(trigger: Trigger, outcome: RunOutcome, summary: &RunSummary) {
    macro_rules! tell {
        ($level:expr) => {
            tracing::event!(
                $level,
                %trigger,
                %outcome,
                selected = summary.selected,
                observed = summary.observed,
                unchanged = summary.unchanged,
                sent = summary.sent,
                flagged = summary.flagged,
                skipped = summary.skipped,
                capped = summary.capped,
                failed = summary.failed,
                trouble = summary.trouble,
                "a run ended"
            )
        };
    }
    match outcome {
        RunOutcome::Failed | RunOutcome::Lost => tell!(tracing::Level::WARN),
        _ => tell!(tracing::Level::INFO),
    }
}

/// Keeps `job_running` true to life.
struct Running<'a> {
    job: &'a JobName,
    org: &'a Org,
    done: bool,
}

impl Running<'_> {
    fn finish(mut self, trigger: Trigger, outcome: RunOutcome, took: chrono::TimeDelta) {
        self.done = true;
        let took = took.to_std().unwrap_or_default();
        record::run_finished(self.job, self.org, trigger, outcome, took);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.done {
            record::run_abandoned(self.job, self.org);
        }
    }
}
