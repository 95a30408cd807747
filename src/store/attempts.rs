//! The ledger: one attempt a write, committed before it is sent, its states appended and never overwritten.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::orders::Recheck;
use super::runs::RunLease;
use super::{Actor, Page, StoreError};
use crate::domain::ids::{
    ExternalReference, JobName, Org, ReferenceId, ReplicaId, RuleName, RunId,
};
use crate::domain::{AttemptId, AttemptState, IssueVersion, Operation, SkipReason, Version};

/// A write about to be sent.
#[derive(Debug, Clone)]
pub struct NewAttempt {
    /// The tenant.
    pub org: Org,
    /// The request that was looked at.
    pub reference_id: ReferenceId,
    /// The order that the write is addressed to: at most one open attempt each, and each request.
    pub external_reference: ExternalReference,
    /// What is sent.
    pub operation: Operation,
    /// Which job decided it.
    pub job_name: JobName,
    /// Which rule.
    pub rule: RuleName,
    /// The request's version as read right before.
    pub before: Version,
    /// Which issue it is meant to solve (`issue_sequence`), where it is one.
    pub issue_sequence: Option<i64>,
    /// That issue's version as read right before.
    pub before_issue: Option<IssueVersion>,
    /// Since when the request was stuck, for the time to repair.
    pub due_since: Option<DateTime<Utc>>,
    /// On the wire, in the log, here.
    pub correlation_id: Uuid,
    /// Who will send it.
    pub replica: ReplicaId,
    /// Asked last but the caps: whether what is known of the order *now* lets the write go.
    pub recheck: Recheck,
}

/// What the intent's own transaction checks, over all replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntentLimits {
    /// Attempts that one run may make.
    pub per_run: u32,
    /// Attempts of an org in the last hour.
    pub per_hour: u32,
}

/// Why an intent was not committed. Nothing was written, nothing may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentRefused {
    /// The job, or everything, is paused.
    Paused,
    /// The guard's latch holds this job and org.
    Held,
    /// A person said hands off, of the request or of the order.
    Acknowledged,
    /// The run's cap is reached.
    RunCap,
    /// The hour's cap is reached.
    HourCap,
    /// The order, or the request, has an attempt whose outcome isn't known.
    OpenAttempt(AttemptId),
    /// The [`Recheck`] said no: why, and in words.
    Rechecked(SkipReason, String),
}

/// A step of an attempt to its next state.
#[derive(Debug, Clone)]
pub struct Step {
    /// The new state; allowed only out of [`AttemptState::predecessors`].
    pub to: AttemptState,
    /// What was seen: an error's class, an evidence. Never personal data.
    pub detail: String,
    /// The upstream's status code, if one came.
    pub http_status: Option<u16>,
    /// When to verify next, for `accepted` and `unknown`.
    pub verify_at: Option<DateTime<Utc>>,
    /// The request's version that showed the effect, for `confirmed`.
    pub confirmed: Option<Version>,
}

/// An attempt as it stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Attempt {
    /// The row.
    pub id: AttemptId,
    /// The tenant.
    pub org: Org,
    /// The request.
    pub reference_id: ReferenceId,
    /// The order.
    pub external_reference: ExternalReference,
    /// What was sent.
    pub operation: Operation,
    /// Where it stands.
    pub state: AttemptState,
    /// Which job decided it.
    pub job_name: JobName,
    /// Which rule.
    pub rule: RuleName,
    /// Which run.
    pub run_id: RunId,
    /// Who sent it.
    pub replica: String,
    /// The request's version right before.
    pub before: Version,
    /// The issue it is meant to solve.
    pub issue_sequence: Option<i64>,
    /// That issue's version right before.
    pub before_issue: Option<IssueVersion>,
    /// Since when the request was stuck.
    pub due_since: Option<DateTime<Utc>>,
    /// Its correlation id.
    pub correlation_id: Uuid,
    /// When it was committed.
    pub intended_at: DateTime<Utc>,
    /// When its state last changed.
    pub changed_at: DateTime<Utc>,
    /// The upstream's status code, if one came.
    pub http_status: Option<u16>,
    /// The last step's detail.
    pub detail: String,
    /// Verifications made so far.
    pub verifications: u32,
    /// When the next one is due.
    pub verify_at: Option<DateTime<Utc>>,
    /// The request's version that showed the effect; none where a person said so.
    pub confirmed: Option<Version>,
}

/// One line of an attempt's history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AttemptStep {
    /// The state entered (or, for a verification that settled nothing, kept).
    pub state: AttemptState,
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub who: String,
    /// What was seen.
    pub detail: String,
}

/// Which attempts to list.
#[derive(Debug, Clone, Default)]
pub struct AttemptFilter {
    /// Of this tenant.
    pub org: Option<Org>,
    /// Of this reference id or external reference.
    pub reference: Option<String>,
    /// In this state.
    pub state: Option<AttemptState>,
    /// Of this operation.
    pub operation: Option<Operation>,
    /// Of this run.
    pub run_id: Option<RunId>,
    /// Intended at or after.
    pub since: Option<DateTime<Utc>>,
    /// Intended before.
    pub until: Option<DateTime<Utc>>,
    /// Whose reference id or external reference begins so, in any case.
    pub search: Option<String>,
}

/// How many attempts stand in a state that is open, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptCount {
    /// The operation.
    pub operation: Operation,
    /// The state.
    pub state: AttemptState,
    /// How many.
    pub count: u64,
    /// Since when the one that has stood in it longest does.
    pub oldest: DateTime<Utc>,
}

/// See the module.
#[async_trait]
pub trait Attempts {
    /// Commits the intent to write, or says why not. Pause, hold, acknowledgement, both caps, the lease, "no other open
    /// attempt for this order or request" and the intent's own [`Recheck`] are checked in the same transaction, in the
    /// order lease, pause, hold, acknowledgement, open attempt, recheck, run's cap, hour's cap. The hour and a pause's end
    /// go by the store's clock where it has one. Attempts that ended `not_sent` count towards no cap. `Fenced` when the
    /// run was taken away.
    ///
    /// After a time-out it isn't known whether the intent was committed. The same call again (same run, same
    /// correlation id, still `intended`) answers the same id, so it may be repeated; if it is not, nothing is
    /// sent, and [`Attempts::recover_intended`] picks the row up once the run has ended.
    async fn intend(
        &self,
        lease: &RunLease,
        attempt: &NewAttempt,
        limits: IntentLimits,
        now: DateTime<Utc>,
    ) -> Result<Result<AttemptId, IntentRefused>, StoreError>;

    /// Appends a step. `IllegalStep` when the attempt's state does not allow it; after a time-out, one whose `from`
    /// and `to` are equal says that the first call went through. Audited (`settle`) when it is a person's.
    async fn advance(
        &self,
        id: AttemptId,
        step: &Step,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Appends what the sender of a write learnt of it: a step out of [`AttemptState::answered_from`], for whoever knows
    /// the attempt's correlation id, which its sender alone does. Otherwise as [`Attempts::advance`].
    async fn answer(
        &self,
        id: AttemptId,
        correlation_id: Uuid,
        step: &Step,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// A verification settled nothing yet: notes what was seen and when to look again. `counts` says whether it
    /// was a look at all (it raises `verifications`); a look that the upstream did not answer does not count. Nor does
    /// one at an attempt that is no longer due: another replica looked at the same moment, and nothing is changed.
    /// `IllegalStep` when the attempt does not await verification.
    async fn postpone_verification(
        &self,
        id: AttemptId,
        detail: &str,
        verify_at: DateTime<Utc>,
        counts: bool,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Every `intended` attempt of a process that is gone becomes `unknown`, due for verification `first_look` after
    /// it was intended.
    /// `alive` names the replicas that still live and so still own theirs, as long as the run goes on (or was
    /// lost to them unawares): what a run left `intended` when it finished nobody will send. Answers those
    /// changed, oldest first.
    async fn recover_intended(
        &self,
        alive: &[ReplicaId],
        first_look: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Attempt>, StoreError>;

    /// Attempts that await verification and are due, oldest first; of one org or all.
    async fn due_for_verification(
        &self,
        org: Option<&Org>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Attempt>, StoreError>;

    /// All attempts for these orders, oldest first within each. A few hundred orders a call.
    async fn attempts_for(
        &self,
        org: &Org,
        references: &[ExternalReference],
    ) -> Result<Vec<Attempt>, StoreError>;

    /// Every open attempt of an org, and those that changed at `since` or after; oldest first.
    async fn attempts_since(
        &self,
        org: &Org,
        since: DateTime<Utc>,
    ) -> Result<Vec<Attempt>, StoreError>;

    /// One attempt.
    async fn attempt(&self, id: AttemptId) -> Result<Option<Attempt>, StoreError>;

    /// Attempts, newest first.
    async fn attempts(
        &self,
        filter: &AttemptFilter,
        page: Page,
    ) -> Result<Vec<Attempt>, StoreError>;

    /// How many attempts there are.
    async fn count_attempts(&self, filter: &AttemptFilter) -> Result<u64, StoreError>;

    /// An attempt's history, oldest first.
    async fn attempt_steps(&self, id: AttemptId) -> Result<Vec<AttemptStep>, StoreError>;

    /// How many attempts are open, by operation and state.
    async fn attempt_counts(&self) -> Result<Vec<AttemptCount>, StoreError>;
}
