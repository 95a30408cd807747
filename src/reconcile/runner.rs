//! One run, from claim to outcome: the code path that timer, signal, command and console share.
//!
//! A run takes no input but the clock. It claims its slot (or finds that it need not), surveys the world, lets the
//! guard judge the plan as a whole, acts on what is left, and records. Beside the work a heartbeat keeps the lease;
//! losing it, running out of time and a drain all stop the run between two items, never within one.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::executor::{Executor, Halt};
use super::guard::hold::HoldLimits;
use super::guard::{Guard, GuardedRun, InFlight};
use super::history::RetryPolicy;
use super::plan::{Context, WritePolicy};
use super::recorder::{Candidate, Recorder, remembered_findings};
use super::survey::{PlanSink, Survey, SurveyError, Tally};
use crate::clock::SharedClock;
use crate::config::{Job, Safety};
use crate::domain::ids::{JobName, Org, ReplicaId, RunId};
use crate::domain::{Decision, Observation, RunOutcome, SkipReason, Status, Trigger, Verdict};
use crate::store::attempts::IntentLimits;
use crate::store::runs::{NewRun, RunLease, RunSummary, Started};
use crate::store::{Actor, Store, StoreError};
use crate::telemetry::record;
use crate::tesamanager::{ListFilter, ReadError, Tesamanager};

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
    /// The upstream.
    pub api: Arc<dyn Tesamanager>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: SharedClock,
    /// This process.
    pub replica: ReplicaId,
    /// Attempts being sent, shared with the verifier's sweep.
    pub in_flight: InFlight,
    /// Restraint.
    pub safety: Safety,
    /// Reads at once.
    pub max_in_flight: usize,
}

impl Reconciler {
    /// Runs a job for an org now. An `Err` means that it could not even be started, or its end not be recorded; all
    /// else, failures included, is the run's outcome.
    ///
    /// `started` is told the run's id as soon as there is one.
    pub async fn run(
        &self,
        order: &RunOrder,
        stop: &CancellationToken,
        started: impl FnOnce(RunId) + Send,
    ) -> Result<RunResult, StoreError> {
        let new = NewRun {
            job_name: order.job.name.clone(),
            org: order.org.clone(),
            trigger: order.trigger,
            slot: order.slot,
            replica: self.replica.clone(),
            mode: self.safety.mode,
            actor: order.actor.clone(),
        };
        let began = self.clock.now();
        let lease = match self.store.start(&new, began).await? {
            Started::Yes(lease) => lease,
            Started::SlotTaken => return Ok(RunResult::SlotTaken),
            Started::AlreadyRunning(run) => return Ok(RunResult::AlreadyRunning(run)),
        };
        let run_id = lease.run_id;
        started(run_id);
        record::run_started(&order.job.name, &order.org);
        // However this future ends (dropped, panicked), the gauge must not stay up.
        let running = Running {
            job: &order.job.name,
            org: &order.org,
            done: false,
        };
        let (outcome, summary) = self.work(order, &lease, stop).await;
        running.finish(order.trigger, outcome, self.clock.now() - began);
        tracing::info!(
            run_id = run_id.0,
            job_name = %order.job.name,
            org = %order.org,
            trigger = %order.trigger,
            %outcome,
            selected = summary.selected,
            observed = summary.observed,
            unchanged = summary.unchanged,
            sent = summary.sent,
            flagged = summary.flagged,
            skipped = summary.skipped,
            failed = summary.failed,
            trouble = summary.trouble,
            "a run ended"
        );
        match self
            .store
            .finish(&lease, outcome, &summary, self.clock.now())
            .await
        {
            Ok(()) => Ok(RunResult::Done {
                run_id,
                outcome,
                summary,
            }),
            Err(StoreError::Fenced { .. }) => {
                tracing::error!(run_id = run_id.0, "the run was declared lost while it ran");
                Ok(RunResult::Done {
                    run_id,
                    outcome: RunOutcome::Lost,
                    summary,
                })
            }
            Err(error) => Err(error),
        }
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

    async fn reconcile(
        &self,
        order: &RunOrder,
        lease: &RunLease,
        stop: &CancellationToken,
        summary: &mut RunSummary,
    ) -> Result<RunOutcome, SurveyError> {
        let (job, org, store) = (&order.job, &order.org, &*self.store);
        let now = self.clock.now();
        let writes = self.write_policy(&job.name, org).await?;
        let (acknowledged, comparison) = remembered_findings(store, org, &job.name, now).await?;
        let mut recorder = Recorder::new(store, org, &job.name, lease.run_id, now, comparison);
        let survey = self.survey(order, writes, now, &acknowledged, true, stop);
        let tally = survey.look(&mut recorder).await?;
        self.note(order, tally, summary);

        let mut candidates = std::mem::take(&mut recorder.candidates);
        summary.to_act = candidates.len() as u64;
        // Oldest first, so that under a cap nobody waits for ever.
        candidates.sort_by(|a, b| {
            let age = |candidate: &Candidate| candidate.request.last_updated;
            age(a)
                .cmp(&age(b))
                .then_with(|| a.request.reference_id.cmp(&b.request.reference_id))
        });
        let held = self
            .judge_as_a_whole(job, org, candidates.len() as u64)
            .await?;
        if held {
            let why =
                "too many requests want a write at once: the guard holds until it is released";
            why.clone_into(&mut summary.trouble);
            self.leave_all(job, &mut recorder, candidates, SkipReason::GuardHeld, why)
                .await?;
        } else {
            let run = GuardedRun {
                lease: lease.clone(),
                job_name: job.name.clone(),
                org: org.clone(),
                mode: self.safety.mode,
                limits: IntentLimits {
                    per_run: self.safety.max_writes_per_run,
                    per_hour: self.safety.max_writes_per_hour,
                },
            };
            self.act(job, &run, candidates, &mut recorder, stop, summary)
                .await?;
        }
        summary.flagged = recorder.count("flag");
        summary.skipped = recorder
            .verdicts
            .iter()
            .filter(|(label, _)| {
                SkipReason::ALL
                    .iter()
                    .any(|reason| reason.as_str() == **label)
            })
            .map(|(_, count)| count)
            .sum();
        recorder.resolve_unseen().await?;
        Ok(if held {
            RunOutcome::Held
        } else if stop.is_cancelled() {
            RunOutcome::Aborted
        } else if summary.failed > 0 {
            RunOutcome::Partial
        } else {
            RunOutcome::Succeeded
        })
    }

    /// Acts on the candidates in turn, until a cap is reached or something forbids the rest.
    async fn act(
        &self,
        job: &Arc<Job>,
        run: &GuardedRun,
        candidates: Vec<Candidate>,
        recorder: &mut Recorder<'_>,
        stop: &CancellationToken,
        summary: &mut RunSummary,
    ) -> Result<(), SurveyError> {
        let guard = Guard::new(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            self.replica.clone(),
            self.in_flight.clone(),
        );
        let executor = Executor {
            api: &*self.api,
            store: &*self.store,
            clock: &self.clock,
            guard: &guard,
            job,
            run,
            verify_after: &self.safety.verify_after,
            stop,
        };
        let mut left = candidates.into_iter();
        while let Some(candidate) = left.next() {
            let done = match executor.act(&candidate.request, &candidate.intent).await {
                Ok(done) => done,
                Err(Halt::Read(error)) => return Err(error.into()),
                Err(Halt::Store(error)) => return Err(error.into()),
            };
            summary.sent += u64::from(done.sent);
            summary.failed += u64::from(done.failed);
            let all_the_rest = ends_the_rest(&done.verdict);
            let why = done.explanation.clone();
            if done.looked_up {
                recorder
                    .settle_duplicates(&candidate.request, done.sightings)
                    .await?;
            } else {
                recorder.sightings(done.sightings).await?;
            }
            let decision = decide(job, &candidate, done.verdict, done.explanation);
            recorder.decisions(&[decision]).await?;
            if let Some(reason) = all_the_rest {
                let rest: Vec<Candidate> = left.collect();
                return Ok(self.leave_all(job, recorder, rest, reason, &why).await?);
            }
        }
        Ok(())
    }

    /// Records the same reason for every candidate that is not acted on.
    async fn leave_all(
        &self,
        job: &Job,
        recorder: &mut Recorder<'_>,
        candidates: Vec<Candidate>,
        reason: SkipReason,
        why: &str,
    ) -> Result<(), StoreError> {
        let decisions: Vec<Decision> = candidates
            .iter()
            .map(|candidate| {
                let operation = candidate.intent.operation;
                let verdict = Verdict::Skip {
                    reason,
                    instead_of: Some(operation),
                };
                decide(
                    job,
                    candidate,
                    verdict,
                    format!("would send {operation}, but {why}"),
                )
            })
            .collect();
        recorder.decisions(&decisions).await
    }

    /// What forbids writes just now. An unreadable answer is an error, and an error means no write.
    pub async fn write_policy(&self, job: &JobName, org: &Org) -> Result<WritePolicy, StoreError> {
        let pauses = self.store.pauses(self.clock.now()).await?;
        let latches = self.store.latches().await?;
        let circuits = self.store.circuits().await?;
        Ok(WritePolicy {
            mode: self.safety.mode,
            paused: pauses
                .iter()
                .any(|pause| pause.job_name.as_ref().is_none_or(|name| name == job)),
            held: latches
                .iter()
                .any(|latch| latch.job_name == *job && latch.org == *org),
            circuit_open: circuits
                .iter()
                .any(|circuit| circuit.org == *org && circuit.state != "closed"),
        })
    }

    /// The guard's look at the plan as a whole: latches when too many want a write at once.
    async fn judge_as_a_whole(
        &self,
        job: &Job,
        org: &Org,
        wanted: u64,
    ) -> Result<bool, SurveyError> {
        let limits = HoldLimits {
            count: self.safety.hold_above_count,
            fraction: self.safety.hold_above_fraction,
        };
        if limits.count_is_harmless(wanted) {
            return Ok(false);
        }
        let open = self.count_open(org).await?;
        if !limits.holds(wanted, open) {
            return Ok(false);
        }
        let reason = format!("{wanted} of {open} open requests want a write at once");
        tracing::error!(job_name = %job.name, %org, wanted, open, "the guard holds the job");
        self.store
            .latch_guard(&job.name, org, &Actor::daemon(reason), self.clock.now())
            .await?;
        Ok(true)
    }

    async fn count_open(&self, org: &Org) -> Result<u64, ReadError> {
        let filter = ListFilter {
            statuses: Some(Status::open().collect()),
            ..ListFilter::default()
        };
        let mut ids = self.api.list_reference_ids(org, &filter).await?;
        let mut open = 0;
        while let Some(batch) = ids.next().await {
            open += batch?.len() as u64;
        }
        Ok(open)
    }

    /// The survey of a job: the same for a run and for `plan`.
    pub fn survey<'a>(
        &'a self,
        order: &'a RunOrder,
        writes: WritePolicy,
        now: DateTime<Utc>,
        acknowledged: &'a std::collections::HashSet<crate::store::findings::FindingKey>,
        remember: bool,
        stop: &'a CancellationToken,
    ) -> Survey<'a> {
        Survey {
            api: &*self.api,
            store: &*self.store,
            clock: &*self.clock,
            job: &order.job,
            context: Context {
                org: &order.org,
                rules: &order.job.rules,
                retry: self.retry_policy(),
                writes,
                now,
            },
            acknowledged,
            max_in_flight: self.max_in_flight,
            remember,
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
        let (acknowledged, _) =
            remembered_findings(&*self.store, &order.org, &order.job.name, now).await?;
        self.survey(order, writes, now, &acknowledged, false, stop)
            .look(sink)
            .await
    }

    /// What a job would decide about one request now; none for a job that is not about requests. Reads only.
    pub async fn consider(
        &self,
        order: &RunOrder,
        request: &Observation,
    ) -> Result<Option<Decision>, SurveyError> {
        let (now, stop) = (self.clock.now(), CancellationToken::new());
        let writes = self.write_policy(&order.job.name, &order.org).await?;
        let (acknowledged, _) =
            remembered_findings(&*self.store, &order.org, &order.job.name, now).await?;
        let survey = self.survey(order, writes, now, &acknowledged, false, &stop);
        Ok(survey.consider(request).await?.map(|item| item.decision))
    }

    /// Attempts and pauses, from the configuration.
    pub fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.safety.max_attempts,
            initial: self.safety.backoff.initial,
            max: self.safety.backoff.max,
        }
    }

    fn note(&self, order: &RunOrder, tally: Tally, summary: &mut RunSummary) {
        summary.selected = tally.selected;
        summary.observed = tally.observed;
        summary.unchanged = tally.unchanged;
        summary.failed = tally.failed;
        record::requests_observed(&order.job.name, &order.org, tally.observed);
        record::requests_unchanged(&order.job.name, &order.org, tally.unchanged);
    }
}

fn decide(job: &Job, candidate: &Candidate, verdict: Verdict, explanation: String) -> Decision {
    Decision {
        reference_id: candidate.request.reference_id.clone(),
        external_reference: candidate.request.external_reference.clone(),
        status: Some(candidate.request.status.clone()),
        rule: Some(job.rules[candidate.intent.rule].name.clone()),
        verdict,
        explanation,
    }
}

/// A reason that holds for every other candidate of the run too.
fn ends_the_rest(verdict: &Verdict) -> Option<SkipReason> {
    match verdict {
        Verdict::Skip { reason, .. } => match reason {
            SkipReason::CapReached
            | SkipReason::Paused
            | SkipReason::GuardHeld
            | SkipReason::CircuitOpen
            | SkipReason::ObserveMode
            | SkipReason::Draining => Some(*reason),
            _ => None,
        },
        _ => None,
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
