//! One pass of a run: survey, the guard's look at the plan as a whole, acting on what is left, and its record.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::executor::{Done, Executor, Halt};
use super::guard::hold::{self, HoldLimits};
use super::guard::{Guard, GuardedRun, RELOADED};
use super::notes::Notes;
use super::plan::instant;
use super::recall::Start;
use super::recorder::{Candidate, Recorder, oldest_first};
use super::runner::{Reconciler, RunOrder};
use super::survey::{Survey, SurveyError, Tally};
use crate::config::{Job, JobKind};
use crate::domain::ids::{JobName, Org};
use crate::domain::{Decision, RunOutcome, SkipReason, Status, Verdict};
use crate::store::attempts::IntentLimits;
use crate::store::runs::{RunLease, RunSummary};
use crate::store::{Actor, StoreError};
use crate::telemetry::record;
use crate::tesamanager::{ListFilter, ReadError};

impl Reconciler {
    /// Does it all once.
    pub(super) async fn reconcile(
        &self,
        order: &RunOrder,
        lease: &RunLease,
        stop: &CancellationToken,
        summary: &mut RunSummary,
    ) -> Result<RunOutcome, SurveyError> {
        if order.job.kind == JobKind::Housekeeping {
            return self.keep_house(lease, stop, summary).await;
        }
        let (job, org, store) = (&order.job, &order.org, &*self.store);
        let now = self.clock.now();
        let writes = self.write_policy(&job.name, org).await?;
        let Start {
            findings,
            comparison,
            lasting,
            ground,
        } = self.recall(order, lease, writes, now).await?;
        let mut recorder = Recorder {
            store,
            org,
            job,
            elders: self.elders(&job.name),
            lease,
            now,
            notes: Notes::new(lasting.as_ref()),
            comparison,
            candidates: Vec::new(),
            verdicts: BTreeMap::new(),
        };
        let survey = Survey {
            lasting: lasting.as_ref(),
            ..self.survey(order, writes, now, &findings, Some(lease), stop)
        };
        let tally = survey.look(&mut recorder).await?;
        self.note(order, tally, summary);

        let mut candidates = std::mem::take(&mut recorder.candidates);
        summary.to_act = candidates.len() as u64;
        oldest_first(&mut candidates);
        // What is over latches nothing.
        if !self.in_force.has_ended() && self.judge_as_a_whole(job, org, lease, &candidates).await?
        {
            let why =
                "too many requests want a write at once: the guard holds until it is released";
            why.clone_into(&mut summary.trouble);
            self.leave_all(job, &mut recorder, candidates, SkipReason::GuardHeld, why)
                .await?;
        } else {
            let run = self.guarded(&job.name, org, lease);
            self.act(order, &run, candidates, &mut recorder, stop, summary)
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
        // By this run's own judgement, or by a latch that was there before it (or came while it ran).
        let held = recorder.count(SkipReason::GuardHeld.as_str());
        if held > 0 && summary.trouble.is_empty() {
            summary.trouble = format!("the guard holds {held} writes until it is released");
        }
        let reloaded = recorder.count(SkipReason::ConfigurationChanged.as_str());
        if reloaded > 0 && summary.trouble.is_empty() {
            RELOADED.clone_into(&mut summary.trouble);
        }
        let paused = recorder.count(SkipReason::Paused.as_str());
        if paused > 0 && summary.trouble.is_empty() {
            summary.trouble = format!("{paused} writes are withheld: paused");
        }
        let lasting = recorder.resolve_unseen().await?;
        if !stop.is_cancelled() {
            self.leave(order, lease, ground, lasting);
        }
        Ok(if held > 0 {
            RunOutcome::Held
        } else if stop.is_cancelled() || reloaded > 0 {
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
        order: &RunOrder,
        run: &GuardedRun,
        candidates: Vec<Candidate>,
        recorder: &mut Recorder<'_>,
        stop: &CancellationToken,
        summary: &mut RunSummary,
    ) -> Result<(), SurveyError> {
        let (guard, job) = (self.guard(), &order.job);
        let executor = Executor {
            api: &*self.prompt_api,
            paced: &**self.api_for(order.trigger),
            store: &*self.store,
            clock: &self.clock,
            guard: &guard,
            job,
            run,
            looks: &self.looks,
            answers: &self.answers,
            stop,
            in_force: &self.in_force,
        };
        let mut left = candidates.into_iter();
        while let Some(candidate) = left.next() {
            let mut done = match executor.act(&candidate.request, &candidate.intent).await {
                Ok(done) => done,
                Err(Halt::Read(error)) => return Err(error.into()),
                Err(Halt::Store(error)) => return Err(error.into()),
            };
            let halt = done.halt.take();
            let ends = self
                .settled(job, &candidate, done, recorder, summary)
                .await?;
            if let Some(error) = halt {
                return Err(error.into());
            }
            if let Some((reason, why)) = ends {
                let rest: Vec<Candidate> = left.collect();
                return Ok(self.leave_all(job, recorder, rest, reason, &why).await?);
            }
        }
        Ok(())
    }

    /// Records what became of a candidate; answers a reason that holds for all the others too, in words as well.
    async fn settled(
        &self,
        job: &Job,
        candidate: &Candidate,
        done: Done,
        recorder: &mut Recorder<'_>,
        summary: &mut RunSummary,
    ) -> Result<Option<(SkipReason, String)>, StoreError> {
        summary.sent += u64::from(done.sent);
        summary.failed += u64::from(done.failed);
        let ends = ends_the_rest(&done.verdict).map(|reason| (reason, done.explanation.clone()));
        if done.looked_up {
            recorder
                .settle_duplicates(&candidate.request, done.sightings)
                .await?;
        } else {
            recorder.sightings(done.sightings).await?;
        }
        let decision = decide(job, candidate, done.verdict, done.explanation);
        recorder.decisions(&[decision]).await?;
        Ok(ends)
    }

    /// What a run may write, as configured here.
    fn guarded(&self, job: &JobName, org: &Org, lease: &RunLease) -> GuardedRun {
        GuardedRun {
            lease: lease.clone(),
            job_name: job.clone(),
            org: org.clone(),
            mode: self.safety.mode,
            limits: IntentLimits {
                per_run: self.safety.max_writes_per_run,
                per_hour: self.safety.max_writes_per_hour,
            },
            retry: self.retry_policy(),
        }
    }

    /// This process's guard.
    fn guard(&self) -> Guard {
        Guard::new(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            self.replica.clone(),
            self.in_flight.clone(),
            self.in_force.clone(),
        )
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

    /// The guard's look at the plan as a whole: latches when too many want a write at once.
    async fn judge_as_a_whole(
        &self,
        job: &Job,
        org: &Org,
        lease: &RunLease,
        candidates: &[Candidate],
    ) -> Result<bool, SurveyError> {
        let limits = HoldLimits {
            count: self.safety.hold_above_count,
            fraction: self.safety.hold_above_fraction,
        };
        if limits.count_is_harmless(candidates.len() as u64) {
            return Ok(false);
        }
        let released = self.store.last_release(&job.name, org).await?;
        let wanted = candidates
            .iter()
            .filter(|candidate| hold::counts(due_since(job, candidate), released))
            .count() as u64;
        if limits.count_is_harmless(wanted) {
            return Ok(false);
        }
        let open = self.count_open(org).await?;
        if !limits.holds(wanted, open) {
            return Ok(false);
        }
        let since = released.map_or_else(String::new, |at| {
            format!(", due since the release of {}", instant(at))
        });
        let reason = format!("{wanted} of {open} open requests want a write at once{since}");
        tracing::error!(job_name = %job.name, %org, wanted, open, "the guard holds the job");
        self.store
            .latch_guard(
                lease,
                &job.name,
                org,
                &Actor::daemon(reason),
                self.clock.now(),
            )
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

    fn note(&self, order: &RunOrder, tally: Tally, summary: &mut RunSummary) {
        summary.selected = tally.selected;
        summary.observed = tally.observed;
        summary.unchanged = tally.unchanged;
        summary.failed = tally.failed;
        record::requests_observed(&order.job.name, &order.org, tally.observed);
        record::requests_unchanged(&order.job.name, &order.org, tally.unchanged);
    }
}

/// Since when a request has wanted its write: its rule's age after the upstream last changed what it is about. That is
/// the issue, where there is one: a request whose first issue was just solved has not wanted the second any shorter.
fn due_since(job: &Job, candidate: &Candidate) -> Option<DateTime<Utc>> {
    let intent = &candidate.intent;
    let age = job.rules[intent.rule].matcher.not_updated_for;
    intent
        .issue
        .as_ref()
        .and_then(|issue| issue.last_updated)
        .or(candidate.request.last_updated)
        .map(|changed| changed + age.unwrap_or_default())
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
            | SkipReason::Draining
            | SkipReason::ConfigurationChanged => Some(*reason),
            _ => None,
        },
        _ => None,
    }
}
