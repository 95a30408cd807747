//! A part of a run as it travels through the store, and how it is done, by whoever took it.
//!
//! Reading is done again from the start when its doer was lost. A write is not: the intent names the claim, so a doer
//! that lost its claim can't begin one any more, and whoever takes the part next finds in the ledger whether one was
//! begun. So there is one attempt at most for each part, and what became of it is the verifier's to find out.

use std::slice;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::config::Job;
use crate::domain::ids::ReferenceId;
use crate::domain::{AttemptState, SkipReason, Trigger, Verdict};
use crate::reconcile::executor::{Done, Executor, Halt};
use crate::reconcile::plan::WritePolicy;
use crate::reconcile::recorder::{Candidate, Remembered};
use crate::reconcile::runner::{Reconciler, RunOrder};
use crate::reconcile::survey::SurveyError;
use crate::store::findings::FindingKey;
use crate::store::work::{Claimed, WorkKind};
use crate::store::{Actor, StoreError};

/// Requests to be read and decided on, and all that the decisions rest on beside them: so they come out alike whoever
/// makes them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    /// The run's instant.
    pub now: DateTime<Utc>,
    /// What forbade writes when the run began.
    pub writes: WritePolicy,
    /// Findings about these requests that a person acknowledged.
    pub acknowledged: Vec<FindingKey>,
    /// The requests.
    pub ids: Vec<ReferenceId>,
}

/// Why a part is given back.
#[derive(Debug, thiserror::Error)]
pub enum Undone {
    /// Told to stop; nobody's fault.
    #[error("stopped")]
    Stopped,
    /// It did not go: another replica may fare better.
    #[error("{0}")]
    Trouble(String),
}

impl From<SurveyError> for Undone {
    fn from(error: SurveyError) -> Self {
        match error {
            SurveyError::Stopped => Self::Stopped,
            error => Self::Trouble(error.to_string()),
        }
    }
}

impl From<Halt> for Undone {
    fn from(halt: Halt) -> Self {
        Self::Trouble(halt.to_string())
    }
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Trouble(error.to_string())
    }
}

impl From<serde_json::Error> for Undone {
    fn from(error: serde_json::Error) -> Self {
        Self::Trouble(format!(
            "a part of the run is not to be understood: {error}"
        ))
    }
}

impl Reconciler {
    /// Does a part of a run with `job`, which is configured here as it is at the holder's. A read may be dropped at any
    /// moment; a write that was begun is finished even if `stop` is cancelled, and must not be dropped.
    pub async fn do_part(
        &self,
        job: &Arc<Job>,
        claimed: &Claimed,
        stop: &CancellationToken,
    ) -> Result<Value, Undone> {
        match claimed.kind {
            WorkKind::Read => {
                tokio::select! {
                    portion = self.read_part(job, claimed, stop) => portion,
                    () = stop.cancelled() => Err(Undone::Stopped),
                }
            }
            WorkKind::Act => self.act_part(job, claimed, stop).await,
        }
    }

    async fn read_part(
        &self,
        job: &Arc<Job>,
        claimed: &Claimed,
        stop: &CancellationToken,
    ) -> Result<Value, Undone> {
        let batch: Batch = serde_json::from_value(claimed.payload.clone())?;
        let order = RunOrder {
            job: Arc::clone(job),
            org: claimed.org.clone(),
            trigger: Trigger::Schedule,
            slot: None,
            actor: Actor::daemon("a part of a run"),
        };
        // What is decided without reading, the holder decides.
        let findings = Remembered {
            acknowledged: batch.acknowledged.into_iter().collect(),
            ..Remembered::default()
        };
        let survey = self.survey(&order, batch.writes, batch.now, &findings, true, stop);
        let portion = survey.read_and_decide(batch.ids).await?;
        if portion.cut_short {
            return Err(Undone::Stopped);
        }
        Ok(serde_json::to_value(&portion)?)
    }

    async fn act_part(
        &self,
        job: &Arc<Job>,
        claimed: &Claimed,
        stop: &CancellationToken,
    ) -> Result<Value, Undone> {
        let candidate: Candidate = serde_json::from_value(claimed.payload.clone())?;
        if claimed.claim.tries > 1
            && let Some(done) = self.begun_before(job, claimed, &candidate).await?
        {
            return Ok(serde_json::to_value(&done)?);
        }
        let claim = Some(claimed.claim.clone());
        let run = self.guarded(&job.name, &claimed.org, &claimed.claim.lease, claim);
        let guard = self.guard();
        let executor = Executor {
            api: &*self.api,
            store: &*self.store,
            clock: &self.clock,
            guard: &guard,
            job,
            run: &run,
            verify_after: &self.safety.verify_after,
            stop,
        };
        let done = executor.act(&candidate.request, &candidate.intent).await?;
        let draining = SkipReason::Draining;
        if matches!(done.verdict, Verdict::Skip { reason, .. } if reason == draining) {
            // It is this process that stops, or this claim; the run may go on.
            return Err(Undone::Stopped);
        }
        Ok(serde_json::to_value(&done)?)
    }

    /// What became of the write that an earlier doer of this part began, if it did.
    async fn begun_before(
        &self,
        job: &Job,
        claimed: &Claimed,
        candidate: &Candidate,
    ) -> Result<Option<Done>, StoreError> {
        let Some(order) = &candidate.request.external_reference else {
            return Ok(None);
        };
        let rule = job.rules.get(candidate.intent.rule).map(|rule| &rule.name);
        let attempts = self
            .store
            .attempts_for(&claimed.org, slice::from_ref(order))
            .await?;
        let begun = attempts.into_iter().rev().find(|attempt| {
            attempt.run_id == claimed.claim.lease.run_id
                && attempt.reference_id == candidate.request.reference_id
                && Some(&attempt.rule) == rule
        });
        Ok(begun.map(|attempt| Done {
            verdict: Verdict::Act {
                operation: attempt.operation,
            },
            explanation: format!(
                "attempt {}: {}; the replica that began it was not heard of again",
                attempt.id, attempt.state
            ),
            sent: attempt.state != AttemptState::NotSent,
            failed: !matches!(
                attempt.state,
                AttemptState::Accepted | AttemptState::Confirmed
            ),
            looked_up: false,
            sightings: vec![],
        }))
    }
}
