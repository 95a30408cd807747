//! What people steer with: pauses, the guard's latches, triggers; and the circuit breakers' memory.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::replicas::ALIVE_WITHIN;
use super::runs::RunLease;
use super::{Actor, StoreError};
use crate::domain::IllHealth;
use crate::domain::ids::{JobName, Org, ReplicaId, RunId, TriggerId};

/// A replica that took a trigger keeps it while its last beat is not older than this; see
/// [`Controls::take_triggers`].
pub const TAKER_LIVES: TimeDelta = TimeDelta::seconds(ALIVE_WITHIN.as_secs() as i64);

/// How a pause's scope reads in the audit.
pub fn scope(job: Option<&JobName>) -> &str {
    job.map_or("all jobs", JobName::as_str)
}

/// The refusal to end a pause in force sooner than it would.
pub fn would_shorten(pause: &Pause) -> StoreError {
    let until = match pause.until {
        Some(until) => format!("until {}", until.to_rfc3339_opts(SecondsFormat::Secs, true)),
        None => "until it is resumed".to_owned(),
    };
    StoreError::Refused {
        operation: "pause",
        detail: format!(
            "{} is paused {until} ({}, {}), which is longer; nothing was changed",
            scope(pause.job_name.as_ref()),
            pause.reason,
            pause.who
        ),
    }
}

/// In whose name, and with what words, the end of a timed pause stands in the audit.
pub fn ended(pause: &Pause) -> Actor {
    Actor::daemon(format!(
        "its time is over; {} had paused it: {}",
        pause.who, pause.reason
    ))
}

/// How a job and org read in the audit.
pub fn subject(job: &JobName, org: &Org) -> String {
    format!("{job}/{org}")
}

/// A pause in force: of one job, or (no name) of all.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Pause {
    /// Which job; none means all.
    pub job_name: Option<JobName>,
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when; none means until resumed.
    pub until: Option<DateTime<Utc>>,
}

/// A guard's latch: set by a correlated failure, released only by a person.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Latch {
    /// The job.
    pub job_name: JobName,
    /// The tenant.
    pub org: Org,
    /// Since when.
    pub since: DateTime<Utc>,
    /// What was seen.
    pub reason: String,
}

/// A person's request to run a job now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TriggerRow {
    /// The row.
    pub id: TriggerId,
    /// The job.
    pub job_name: JobName,
    /// The tenant.
    pub org: Org,
    /// Who asked.
    pub who: String,
    /// Why.
    pub reason: String,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// The run that answered it, once one began.
    pub run_id: Option<RunId>,
}

/// A circuit breaker as remembered over restarts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CircuitRow {
    /// The tenant.
    pub org: Org,
    /// `closed`, `open`, `half_open`.
    pub state: String,
    /// What opened it; none while it is closed.
    pub cause: Option<IllHealth>,
    /// Failures in a row.
    pub failures: u32,
    /// Since when it has been open.
    pub opened_at: Option<DateTime<Utc>>,
    /// When a probe may be sent.
    pub probe_at: Option<DateTime<Utc>>,
    /// That instant has come, by the store's clock.
    pub due: bool,
}

impl CircuitRow {
    /// Not closed.
    pub fn is_open(&self) -> bool {
        self.state != "closed"
    }
}

/// How a circuit opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Why.
    pub cause: IllHealth,
    /// Failures in a row.
    pub failures: u32,
    /// Until a probe may go.
    pub pause: Duration,
    /// The caller's own probe failed. Otherwise one that is open already stays as it is.
    pub after_probe: bool,
}

/// See the module.
#[async_trait]
pub trait Controls {
    /// Pauses one job or all. Of the same scope the later end stays: to end one that is in force sooner is refused
    /// (`Refused`). Audited.
    async fn pause(
        &self,
        job: Option<&JobName>,
        until: Option<DateTime<Utc>>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// The same in the place of whatever is in force. Audited.
    async fn replace_pause(
        &self,
        job: Option<&JobName>,
        until: Option<DateTime<Utc>>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Takes away the pauses whose time is over, and answers them: each to one caller only. Audited (`pause_ended`).
    async fn end_pauses(&self, now: DateTime<Utc>) -> Result<Vec<Pause>, StoreError>;

    /// Ends a pause; false when there was none. Audited.
    async fn resume(
        &self,
        job: Option<&JobName>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// The pauses in force now, by the store's clock where it has one.
    async fn pauses(&self, now: DateTime<Utc>) -> Result<Vec<Pause>, StoreError>;

    /// Latches the guard; keeps an earlier latch. Answers whether it is new. Audited.
    async fn latch_guard(
        &self,
        lease: &RunLease,
        job: &JobName,
        org: &Org,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// Releases it; false when it was not latched. Audited.
    async fn release_guard(
        &self,
        job: &JobName,
        org: &Org,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// The latches in force.
    async fn latches(&self) -> Result<Vec<Latch>, StoreError>;

    /// When a person last released this guard, if ever: the hold does not latch again for what they let go.
    async fn last_release(
        &self,
        job: &JobName,
        org: &Org,
    ) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Asks for a run. Audited.
    async fn request_trigger(
        &self,
        job: &JobName,
        org: &Org,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<TriggerId, StoreError>;

    /// Triggers that no run has answered yet and no other live replica has taken, oldest first, marked as taken.
    ///
    /// Level-triggered: only [`Controls::answer_triggers`] ends a trigger. Until then its taker gets it again with
    /// every call (so whoever forgets, or fails to start the run, is reminded), and when the taker retires or its
    /// beat is older than [`TAKER_LIVES`], any other replica gets it. So a trigger survives its taker's death, and
    /// at worst is answered by two runs, which is harmless: a run looks at the world afresh. A caller keeps the
    /// ids as a set and answers them with the first run it starts after it took them.
    async fn take_triggers(
        &self,
        replica: &ReplicaId,
        now: DateTime<Utc>,
    ) -> Result<Vec<TriggerRow>, StoreError>;

    /// Says which run answers these triggers (several may share one); the first answer stands.
    async fn answer_triggers(&self, ids: &[TriggerId], run: RunId) -> Result<(), StoreError>;

    /// One trigger.
    async fn trigger(&self, id: TriggerId) -> Result<Option<TriggerRow>, StoreError>;

    /// The circuits remembered.
    async fn circuits(&self, now: DateTime<Utc>) -> Result<Vec<CircuitRow>, StoreError>;

    /// Opens a circuit, or opens it anew.
    async fn open_circuit(
        &self,
        org: &Org,
        opening: &Opening,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Takes the probe of an open circuit, if it is due; nobody else gets it before `hold` is over. None: it is not due,
    /// or another's, or the circuit is closed.
    async fn claim_probe(
        &self,
        org: &Org,
        hold: Duration,
        now: DateTime<Utc>,
    ) -> Result<Option<CircuitRow>, StoreError>;

    /// The upstream answered.
    async fn close_circuit(&self, org: &Org) -> Result<(), StoreError>;
}
