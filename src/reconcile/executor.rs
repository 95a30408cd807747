//! Act: carries out what was decided, one request at a time, and records what came of it.
//!
//! For each: have a token and a place in the write rate, read the request again, skip if it changed, look a create's
//! order up, let the guard commit the attempt, send at once and once, record the answer. A failure is that item's own; only a refused token or a
//! lost lease ends the rest.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::answers::{Answer, Answers};
use super::compose;
use super::guard::{Authorised, Guard, GuardedRun, InForce, Proposal, RELOADED, Refused};
use super::looks::Looks;
use super::plan::{Intent, sighting};
use super::reread;
use crate::clock::SharedClock;
use crate::config::Job;
use crate::domain::ids::{ExternalReference, ReferenceId};
use crate::domain::{
    AttemptId, AttemptState, FindingKind, Issue, Observation, Operation, Request, SkipReason,
    Verdict,
};
use crate::rules::{Action, Subject};
use crate::store::attempts::Step;
use crate::store::findings::Sighting;
use crate::store::{Store, StoreError};
use crate::telemetry::{record, traces};
use crate::tesamanager::{Accepted, ListFilter, ReadError, Ready, Tesamanager, WriteError};
use tracing::Instrument;

/// What was read longer ago than this is read again before anything is sent.
const FRESH_FOR: Duration = Duration::from_secs(2);

/// What became of one decision to act.
#[derive(Debug)]
pub struct Done {
    /// The final verdict: `act` if a write was sent (or tried), else why not.
    pub verdict: Verdict,
    /// In words.
    pub explanation: String,
    /// A write left, or may have.
    pub sent: bool,
    /// Something failed that should not have.
    pub failed: bool,
    /// The run ends here, and has failed.
    pub halt: Option<ReadError>,
    /// The order was looked up, so what is known of its duplicates is fresh.
    pub looked_up: bool,
    /// What people shall see.
    pub sightings: Vec<Sighting>,
}

/// Why the executor stops with everything that is left.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The upstream refuses us altogether.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store is away, or the lease is lost.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Carries out a run's intents.
pub struct Executor<'a> {
    /// The upstream, for the reads before a write: they overtake a sweep's.
    pub api: &'a dyn Tesamanager,
    /// The same as the run has it: its writes are in no greater haste than the run.
    pub paced: &'a dyn Tesamanager,
    /// The ledger.
    pub store: &'a dyn Store,
    /// The time.
    pub clock: &'a SharedClock,
    /// The only way to a permit.
    pub guard: &'a Guard,
    /// Whose rules.
    pub job: &'a Arc<Job>,
    /// Under which lease, mode and caps.
    pub run: &'a GuardedRun,
    /// When what is sent is looked at.
    pub looks: &'a Looks,
    /// Takes what came of it.
    pub answers: &'a Answers,
    /// Checked before each item.
    pub stop: &'a CancellationToken,
    /// The run acts as long as its configuration is in force.
    pub in_force: &'a InForce,
}

impl Executor<'_> {
    /// Acts on one request, or says why not. Once the attempt is committed it is not cancelled from here: the
    /// answer is waited for (the client's time-out bounds that) and recorded.
    pub async fn act(&self, seen: &Observation, intent: &Intent) -> Result<Done, Halt> {
        let span = traces::act(intent.operation, &self.run.org);
        let done = self.carry_out(seen, intent).instrument(span.clone()).await;
        let verdict = done.as_ref().ok().map(|done| &done.verdict);
        traces::acted(
            &span,
            verdict,
            done.as_ref().map_or(true, |done| done.failed),
        );
        done
    }

    async fn carry_out(&self, seen: &Observation, intent: &Intent) -> Result<Done, Halt> {
        let ready = match self.ready(intent).await? {
            Ok(ready) => ready,
            Err(stopped) => return Ok(stopped),
        };
        let read_at = self.clock.uptime();
        let (request, issue) = match self.read_again(seen, intent).await? {
            Ok(again) => again,
            Err(done) => return Ok(done),
        };
        if self.api.writes_are_refused(&self.run.org) {
            return Err(refused_token(intent.operation).into());
        }
        let rule = &self.job.rules[intent.rule];
        let Action::Send(spec) = &rule.action else {
            // An intent is only ever made of a rule that sends.
            return Ok(flag("the rule no longer sends anything"));
        };
        let subject = Subject {
            org: &self.run.org,
            request: &request.seen,
            issue: issue.as_ref(),
        };
        let write = match compose::compose(spec, subject, &request) {
            Ok(write) => write,
            Err(unfillable) => return Ok(flag(format!("{} not sent: {unfillable}", spec.kind))),
        };
        let looked_up = write.operation().is_create_request();
        if looked_up
            && let Some(done) = self
                .look_up(&request.seen, write.external_reference(), intent)
                .await?
        {
            return Ok(done);
        }
        // What came after the read may have been waited for, or the process stood still.
        let (request, issue) = if self.clock.uptime().saturating_sub(read_at) > FRESH_FOR {
            match self.read_again(seen, intent).await? {
                Ok(again) => again,
                Err(done) => return Ok(Done { looked_up, ..done }),
            }
        } else {
            (request, issue)
        };
        let proposal = Proposal {
            reference_id: request.seen.reference_id.clone(),
            before: request.seen.version(),
            rule: rule.name.clone(),
            issue,
            due_since: intent.due_since,
            write,
        };
        let authorised = match self.guard.authorise(self.run, proposal).await {
            Ok(authorised) => authorised,
            Err(Refused::Check {
                reason,
                explanation,
            }) => {
                return Ok(Done {
                    looked_up,
                    ..skip(intent, reason, explanation)
                });
            }
            Err(Refused::Store(error)) => return Err(error.into()),
        };
        let done = self.send(authorised, ready, seen, intent).await?;
        Ok(Done { looked_up, ..done })
    }

    /// Waits for a token and the write rate, unless the run is to act no longer.
    async fn ready(&self, intent: &Intent) -> Result<Result<Ready, Done>, ReadError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(Err(stopping(intent))),
            () = self.in_force.ended() => {
                Ok(Err(skip(intent, SkipReason::ConfigurationChanged, RELOADED)))
            }
            ready = self.paced.prepare_write(&self.run.org) => ready.map(Ok),
        }
    }

    /// All that the decision rests on as it is now, if nothing happened to it since.
    async fn read_again(
        &self,
        seen: &Observation,
        intent: &Intent,
    ) -> Result<Result<(Request, Option<Issue>), Done>, Halt> {
        let org = &self.run.org;
        let read = reread::read(self.api, org, self.job, seen, intent);
        let ground = match self.stop.run_until_cancelled(read).await {
            Some(Ok(ground)) => ground,
            Some(Err(error)) => return Ok(Err(unreadable(error, intent)?)),
            None => return Ok(Err(stopping(intent))),
        };
        let (request, beside) = (ground.request, ground.beside);
        let now = std::slice::from_ref(&request.seen);
        let lease = &self.run.lease;
        let older = self.store.remember_observations(lease, org, now).await?;
        if !older.is_empty() {
            let (why, found) = reread::contradiction(&request.seen);
            return Ok(Err(Done {
                failed: true,
                sightings: vec![found],
                ..skip(intent, SkipReason::ContractViolation, why)
            }));
        }
        let decided_on = intent.issue.as_ref();
        match reread::still_holds(self.job, seen, decided_on, &request.seen, &beside) {
            Ok(issue) => Ok(Ok((request, issue))),
            Err(changed) => {
                let why = format!("it changed between decision and write: {changed}");
                Ok(Err(skip(intent, SkipReason::ChangedMeanwhile, why)))
            }
        }
    }

    /// Makes sure that the order has this one request and no other; otherwise says what to do instead.
    async fn look_up(
        &self,
        request: &Observation,
        order: &ExternalReference,
        intent: &Intent,
    ) -> Result<Option<Done>, Halt> {
        let look_up = references(self.api, &self.run.org, order);
        let found = match self.stop.run_until_cancelled(look_up).await {
            Some(Ok(found)) => found,
            Some(Err(error)) => return Ok(Some(unreadable(error, intent)?)),
            None => return Ok(Some(stopping(intent))),
        };
        let others = self.not_let_go(request, order, &found).await?;
        if others > 0 {
            let why = format!("{} requests answer to the order", others + 1);
            let mut seen = sighting(request, FindingKind::DuplicateReference, "", &*why);
            seen.evidence.push_str(": ");
            let names: Vec<&str> = found.iter().map(ReferenceId::as_str).collect();
            seen.evidence.push_str(&names.join(", "));
            return Ok(Some(Done {
                looked_up: true,
                sightings: vec![seen],
                ..skip(intent, SkipReason::DuplicateReference, why)
            }));
        }
        if !found.contains(&request.reference_id) {
            // The request reads, but the look-up does not know it: what a create would do is anybody's guess.
            let why = "the upstream's look-up by external reference does not find the request";
            let seen = sighting(
                request,
                FindingKind::ContractViolation,
                super::findings::LOOK_UP,
                why,
            );
            return Ok(Some(Done {
                looked_up: true,
                failed: true,
                sightings: vec![seen],
                ..skip(intent, SkipReason::ContractViolation, why)
            }));
        }
        Ok(None)
    }

    /// How many other requests answer to the order, without those that a person has let go. What a list named once is
    /// remembered: it may leave it out the next time.
    async fn not_let_go(
        &self,
        request: &Observation,
        order: &ExternalReference,
        found: &[ReferenceId],
    ) -> Result<usize, StoreError> {
        let others: Vec<&ReferenceId> = found
            .iter()
            .filter(|id| **id != request.reference_id)
            .collect();
        if others.is_empty() {
            return Ok(0);
        }
        let (org, now) = (&self.run.org, self.clock.now());
        self.store.note_duplicates(org, order, found, now).await?;
        let marks = self
            .store
            .order_marks(org, std::slice::from_ref(order))
            .await?;
        let known = marks.iter().flat_map(|(_, marks)| &marks.requests);
        let let_go: Vec<&ReferenceId> = known
            .filter(|known| known.let_go)
            .map(|known| &known.reference_id)
            .collect();
        Ok(others.iter().filter(|id| !let_go.contains(id)).count())
    }

    async fn send(
        &self,
        authorised: Authorised,
        ready: Ready,
        seen: &Observation,
        intent: &Intent,
    ) -> Result<Done, Halt> {
        let Authorised {
            permit,
            mark,
            intended_at,
        } = authorised;
        let (attempt, operation) = (permit.attempt(), permit.operation());
        let correlation_id = permit.correlation_id();
        let order = permit.write().external_reference().clone();
        // With these a store that was lost can be told what was sent.
        tracing::info!(
            attempt = attempt.0,
            %operation,
            reference_id = seen.reference_id.as_str(),
            external_reference = order.as_str(),
            %correlation_id,
            "sending a write"
        );
        let outcome = self.api.write(permit, ready).await;
        let now = self.clock.now();
        let unanswered = intended_at + self.looks.first_after_intent();
        let accepted = self.looks.first_after_acceptance(now);
        let step = step_for(&outcome, accepted, unanswered);
        record::attempt(operation, step.to);
        traces::attempt(attempt, step.to);
        let answer = Answer {
            attempt,
            external_reference: order.clone(),
            correlation_id,
            step: step.clone(),
            at: now,
            mark,
        };
        self.answers.record(answer).await?;
        tell_answer(attempt, &order, &step);
        if let Ok(Accepted {
            reference_id: Some(made),
            ..
        }) = &outcome
            && operation.is_create_request()
            && *made != seen.reference_id
        {
            // It says itself that it made another one.
            let both = [seen.reference_id.clone(), made.clone()];
            let (org, now) = (&self.run.org, self.clock.now());
            self.store.note_duplicates(org, &order, &both, now).await?;
        }
        Ok(Done {
            verdict: Verdict::Act {
                operation: intent.operation,
            },
            explanation: format!("attempt {attempt}: {} ({})", step.to, step.detail),
            sent: step.to != AttemptState::NotSent,
            failed: !matches!(step.to, AttemptState::Accepted),
            halt: (step.http_status == Some(401)).then(|| refused_token(operation)),
            looked_up: false,
            sightings: vec![],
        })
    }
}

/// Every request that answers to an order.
pub async fn references(
    api: &dyn Tesamanager,
    org: &crate::domain::Org,
    order: &ExternalReference,
) -> Result<Vec<ReferenceId>, ReadError> {
    let filter = ListFilter::by_external_reference(order);
    let mut ids = api.list_reference_ids(org, &filter).await?;
    let mut found = Vec::new();
    while let Some(batch) = ids.next().await {
        found.extend(batch?.iter().map(ReferenceId::new));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// An answer that says nothing is somebody's to look at, should reading not settle it.
fn tell_answer(attempt: AttemptId, order: &ExternalReference, step: &Step) {
    let (attempt, external_reference, state) = (attempt.0, order.as_str(), step.to);
    if state == AttemptState::Unknown {
        let detail = &step.detail;
        tracing::warn!(attempt, external_reference, %state, detail, "the outcome of a write is unknown");
    } else {
        tracing::info!(attempt, external_reference, %state, "the write's answer is recorded");
    }
}

/// The ledger's step for a write's answer, and when to look first: at one that was `accepted`, and at one that has no
/// answer.
fn step_for(
    outcome: &Result<Accepted, WriteError>,
    accepted: DateTime<Utc>,
    unanswered: DateTime<Utc>,
) -> Step {
    match outcome {
        Ok(answer) => Step {
            to: AttemptState::Accepted,
            detail: match &answer.code {
                Some(code) => format!("{}, code {code}", answer.http_status),
                None => answer.http_status.to_string(),
            },
            http_status: Some(answer.http_status),
            verify_at: Some(accepted),
            confirmed: None,
        },
        Err(error) => {
            let (to, http_status, verify_at) = match error {
                WriteError::NotSent { .. } => (AttemptState::NotSent, None, None),
                WriteError::Rejected { http_status, .. } => {
                    (AttemptState::Rejected, Some(*http_status), None)
                }
                WriteError::Unknown { http_status, .. } => {
                    (AttemptState::Unknown, *http_status, Some(unanswered))
                }
            };
            Step {
                to,
                detail: error.to_string(),
                http_status,
                verify_at,
                confirmed: None,
            }
        }
    }
}

/// The upstream took the token for a read and not for a write: no other write would fare better.
fn refused_token(operation: Operation) -> ReadError {
    ReadError::Auth {
        operation: operation.as_str(),
        detail: "the upstream refused the write with 401: no write of this org is sent until a read has succeeded \
                 under another token; renew it, and see that it may write"
            .to_owned(),
    }
}

fn unreadable(error: ReadError, intent: &Intent) -> Result<Done, Halt> {
    if error.ends_the_run() {
        return Err(error.into());
    }
    let reason = match error {
        ReadError::NotFound { .. } => SkipReason::NotFound,
        ReadError::Contract { .. } => SkipReason::ContractViolation,
        _ => SkipReason::ReadFailed,
    };
    Ok(Done {
        failed: true,
        ..skip(intent, reason, error.to_string())
    })
}

/// Not now, or not by us.
pub fn skip(intent: &Intent, reason: SkipReason, explanation: impl Into<String>) -> Done {
    Done {
        verdict: Verdict::Skip {
            reason,
            instead_of: Some(intent.operation),
        },
        explanation: explanation.into(),
        sent: false,
        failed: false,
        halt: None,
        looked_up: false,
        sightings: vec![],
    }
}

/// What was read so far is dropped: nothing was begun.
fn stopping(intent: &Intent) -> Done {
    skip(intent, SkipReason::Draining, "the run is stopping")
}

fn flag(explanation: impl Into<String>) -> Done {
    Done {
        verdict: Verdict::Flag,
        explanation: explanation.into(),
        sent: false,
        failed: false,
        halt: None,
        looked_up: false,
        sightings: vec![],
    }
}
