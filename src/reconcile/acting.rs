//! Acts on what was decided, in turn, until a cap is reached or something forbids the rest; and the guard's look at all that
//! want a write, before the first one.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::causes::{self, Chosen};
use super::executor::{Done, Executor, Halt};
use super::findings::Scope;
use super::guard::hold::{self, HoldLimits};
use super::guard::{Guard, GuardedRun};
use super::plan::instant;
use super::recorder::{Candidate, Recorder};
use super::runner::{Reconciler, RunOrder};
use super::survey::SurveyError;
use crate::config::Job;
use crate::domain::ids::{JobName, Org};
use crate::domain::{Decision, SkipReason, Status, Verdict};
use crate::history::causes::{Beginnings, Cause};
use crate::store::attempts::IntentLimits;
use crate::store::runs::{RunLease, RunSummary};
use crate::store::{Actor, StoreError};
use crate::tesamanager::{ListFilter, ReadError};

impl Reconciler {
    /// Acts on the candidates in turn; answers the reason that held for all that was left, if one did. Until a cap is reached or something forbids the rest.
    pub(super) async fn act(
        &self,
        order: &RunOrder,
        run: &GuardedRun,
        candidates: Vec<Candidate>,
        recorder: &mut Recorder<'_>,
        stop: &CancellationToken,
        summary: &mut RunSummary,
    ) -> Result<Option<SkipReason>, SurveyError> {
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
                self.leave_all(job, recorder, rest, reason, &why).await?;
                return Ok(Some(reason));
            }
        }
        Ok(None)
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
        let scope = match done.looked_up {
            true => Scope::ORDER,
            false => Scope::FAILED,
        };
        let looked = HashMap::from([(candidate.request.reference_id.clone(), scope)]);
        recorder.compare(&looked, done.sightings).await?;
        let decision = decide(job, candidate, done.verdict, done.explanation);
        recorder.decisions(&[decision]).await?;
        Ok(ends)
    }

    /// What a run may write, as configured here.
    pub(super) fn guarded(&self, job: &JobName, org: &Org, lease: &RunLease) -> GuardedRun {
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
    pub(super) async fn leave_all(
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

    /// The guard's look at all that want a write: latches when too many do at once.
    pub(super) async fn judge_as_a_whole(
        &self,
        job: &Job,
        org: &Org,
        lease: &RunLease,
        candidates: &[Candidate],
    ) -> Result<bool, SurveyError> {
        if self
            .hold_limits()
            .count_is_harmless(candidates.len() as u64)
        {
            return Ok(false);
        }
        let released = self.store.last_release(&job.name, org).await?;
        let wanted = candidates
            .iter()
            .filter(|candidate| hold::counts(due_since(job, candidate), released))
            .count() as u64;
        let who = || candidates.iter().map(|one| chosen(org, one)).collect();
        self.judge_number(job, org, Some(lease), wanted, released, who)
            .await
    }

    /// The same for so many of whom only their number is known. Latches under the lease, if there is one; then `who` they
    /// are is asked, to name what they have in common.
    pub(super) async fn judge_number(
        &self,
        job: &Job,
        org: &Org,
        lease: Option<&RunLease>,
        wanted: u64,
        released: Option<DateTime<Utc>>,
        who: impl FnOnce() -> Vec<Chosen>,
    ) -> Result<bool, SurveyError> {
        let limits = self.hold_limits();
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
        let mut reason = format!("{wanted} of {open} open requests want a write at once{since}");
        if let Some(lease) = lease {
            if let Some(cause) = self.cause(org, who()).await {
                reason.push_str(&format!(": {cause}"));
            }
            tracing::error!(job_name = %job.name, %org, wanted, open, "the guard holds the job");
            let (actor, now) = (Actor::daemon(reason), self.clock.now());
            self.store
                .latch_guard(lease, &job.name, org, &actor, now)
                .await?;
        }
        Ok(true)
    }

    /// What so many have in common, if anything. Not to know it must not keep the guard from holding.
    async fn cause(&self, org: &Org, who: Vec<Chosen>) -> Option<String> {
        let orgs = std::slice::from_ref(org);
        let found = causes::find(&*self.store, orgs, who, &Beginnings::default()).await;
        let found = found.inspect_err(|error| {
            tracing::warn!(%org, %error, "the guard holds, and what they have in common could not be looked up");
        });
        let causes = found.ok()?;
        let news = causes.iter().find(|cause| cause.is_news());
        news.map(Cause::sentence)
    }

    pub(super) fn hold_limits(&self) -> HoldLimits {
        HoldLimits {
            count: self.safety.hold_above_count,
            fraction: self.safety.hold_above_fraction,
        }
    }

    pub(super) async fn count_open(&self, org: &Org) -> Result<u64, ReadError> {
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
}

/// Since when a request has wanted its write: its rule's age after the upstream last changed what it is about. That is
/// the issue, where there is one: a request whose first issue was just solved has not wanted the second any shorter.
pub(super) fn due_since(job: &Job, candidate: &Candidate) -> Option<DateTime<Utc>> {
    let intent = &candidate.intent;
    let age = job.rules[intent.rule].matcher.not_updated_for;
    intent
        .issue
        .as_ref()
        .and_then(|issue| issue.last_updated)
        .or(candidate.request.last_updated)
        .map(|changed| changed + age.unwrap_or_default())
}

/// A candidate as one of a selection.
pub(super) fn chosen(org: &Org, candidate: &Candidate) -> Chosen {
    Chosen {
        org: org.clone(),
        reference_id: candidate.request.reference_id.clone(),
        listed: None,
        began: candidate.request.last_updated,
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
            | SkipReason::Draining
            | SkipReason::ConfigurationChanged => Some(*reason),
            _ => None,
        },
        _ => None,
    }
}
