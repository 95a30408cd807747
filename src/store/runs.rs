//! Runs and slots: who runs what, under which lease, and what became of every scheduled instant.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::{Actor, Page, StoreError};
use crate::domain::ids::{JobName, Org, ReplicaId, RunId};
use crate::domain::run::{Mode, SlotResult};
use crate::domain::{RunOutcome, Trigger};

/// A run about to begin.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The job.
    pub job_name: JobName,
    /// The tenant.
    pub org: Org,
    /// Why now.
    pub trigger: Trigger,
    /// The scheduled instant, for a run that the schedule asked for.
    pub slot: Option<DateTime<Utc>>,
    /// Who runs it.
    pub replica: ReplicaId,
    /// Whether it may write.
    pub mode: Mode,
    /// For whom.
    pub actor: Actor,
}

/// What came of [`Runs::start`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It is ours.
    Yes(RunLease),
    /// The slot was already accounted for, by another replica or an earlier life.
    SlotTaken,
    /// A run of the same job and org is going on.
    AlreadyRunning(RunId),
}

/// The right to work on a run, until its heartbeat stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLease {
    /// The run.
    pub run_id: RunId,
    /// Fencing token: grows with every start, so that a stale holder's writes can be told and refused.
    pub token: i64,
}

/// What a run did, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct RunSummary {
    /// Ids that the selection answered.
    pub selected: u64,
    /// Requests read.
    pub observed: u64,
    /// Requests known to be unchanged without a read.
    pub unchanged: u64,
    /// Decisions to act.
    pub to_act: u64,
    /// Writes sent.
    pub sent: u64,
    /// Decisions to flag.
    pub flagged: u64,
    /// Skips.
    pub skipped: u64,
    /// Writes that a cap withheld.
    pub capped: u64,
    /// Items that failed.
    pub failed: u64,
    /// The run's own trouble, in words; empty when there was none.
    pub trouble: String,
}

/// A run as listed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RunRow {
    /// The run.
    pub id: RunId,
    /// The job.
    pub job_name: JobName,
    /// The tenant.
    pub org: Org,
    /// Why.
    pub trigger: Trigger,
    /// The scheduled instant.
    pub slot: Option<DateTime<Utc>>,
    /// Who ran it.
    pub replica: String,
    /// Observe or enforce.
    pub mode: Mode,
    /// For whom.
    #[serde(rename = "who")]
    pub actor: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; none while it goes on.
    pub finished_at: Option<DateTime<Utc>>,
    /// How it ended; none while it goes on.
    pub outcome: Option<RunOutcome>,
    /// Its numbers.
    pub summary: RunSummary,
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of this job.
    pub job_name: Option<JobName>,
    /// Of this tenant.
    pub org: Option<Org>,
    /// With this outcome.
    pub outcome: Option<RunOutcome>,
    /// Started at or after.
    pub since: Option<DateTime<Utc>>,
    /// Started before.
    pub until: Option<DateTime<Utc>>,
}

/// The last runs of a job and org, for metrics and `jobs`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LastRuns {
    /// The job.
    pub job_name: JobName,
    /// The tenant.
    pub org: Org,
    /// The last start.
    pub last_started: DateTime<Utc>,
    /// The last outcome.
    pub last_outcome: Option<RunOutcome>,
    /// The end of the last run that [did its duty](RunOutcome::did_its_duty).
    pub last_success: Option<DateTime<Utc>>,
}

/// A stretch of scheduled instants that did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnrunSlots {
    /// The job.
    pub job_name: JobName,
    /// The tenant.
    pub org: Org,
    /// Why they did not run.
    pub result: SlotResult,
    /// The first.
    pub first: DateTime<Utc>,
    /// The last (equal to the first for a single one).
    pub last: DateTime<Utc>,
    /// How many; none when there were too many to count (a year of minutes).
    pub count: Option<u64>,
}

/// What is ahead by less may be another machine's clock.
pub const CLOCKS_DIFFER_BY: TimeDelta = TimeDelta::minutes(1);

/// How the audit names what [`Runs::set_back`] did.
pub const SET_BACK: &str = "set_back";

/// The audit's words for it.
pub fn memory_was_ahead(reached: DateTime<Utc>) -> Actor {
    let until = reached.format("%Y-%m-%d %H:%M:%SZ");
    Actor::daemon(format!(
        "slots were accounted for up to {until}: a clock was ahead"
    ))
}

/// See the module.
#[async_trait]
pub trait Runs {
    /// Claims the slot (if any) and starts the run, in one transaction. A slot that ran, was skipped or was
    /// missed is `SlotTaken`; with `AlreadyRunning` the slot stays unclaimed. After a time-out the run may have
    /// started all the same: nobody beats it then, so it is reaped like any other lost one.
    async fn start(&self, run: &NewRun, now: DateTime<Utc>) -> Result<Started, StoreError>;

    /// Says that the run is alive. `Fenced` when it was taken away.
    async fn beat(&self, lease: &RunLease, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Ends the run. `Fenced` when it was taken away: its outcome is then `lost` already. The same end once more
    /// (as after a time-out) is no error.
    async fn finish(
        &self,
        lease: &RunLease,
        outcome: RunOutcome,
        summary: &RunSummary,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Declares every running run lost whose last beat is older than `beat_before`, and answers them. A back end
    /// that only one process may use is told `None` at start: every run still marked running is then lost.
    async fn reap_lost(
        &self,
        beat_before: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RunRow>, StoreError>;

    /// Accounts for slots that did not run. Repeating it is harmless; the same stretch grown longer replaces the
    /// shorter one.
    async fn record_unrun(&self, slots: &UnrunSlots, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// The latest slot accounted for.
    async fn last_slot(
        &self,
        job: &JobName,
        org: &Org,
    ) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Forgets the slots that lie ahead of the store's clock by more than [`CLOCKS_DIFFER_BY`], and the stretches that reach
    /// there: a clock was ahead once, and nothing would run until it is then. Audited. Answers up to when the memory
    /// reached; none if it was good.
    async fn set_back(
        &self,
        job: &JobName,
        org: &Org,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Runs, newest first.
    async fn runs(&self, filter: &RunFilter, page: Page) -> Result<Vec<RunRow>, StoreError>;

    /// How many runs there are.
    async fn count_runs(&self, filter: &RunFilter) -> Result<u64, StoreError>;

    /// One run.
    async fn run(&self, id: RunId) -> Result<Option<RunRow>, StoreError>;

    /// Since when this job and org might write as in this run: when the last one before it began that was in observe, else
    /// the first that is remembered. None if there is none.
    async fn writable_since(
        &self,
        job: &JobName,
        org: &Org,
        run: RunId,
    ) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// The last runs of every job and org.
    async fn last_runs(&self) -> Result<Vec<LastRuns>, StoreError>;
}
