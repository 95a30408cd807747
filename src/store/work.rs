//! Parts of a run, offered to all replicas by the one that holds it.
//!
//! The holder posts parts, any replica claims one after the other, and the holder collects the answers. A claim lasts a
//! short while and is renewed as long as somebody is at work: who dies or stands still loses it, and another one takes
//! the part. Each claim of a part has a higher number than the one before, and what a stale one wants to say is
//! refused. So is the write that it wants to send: an intent names the claim under which it is made.
//!
//! The parts of a run end with it, whoever ends it: nothing here outlives a run.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::StoreError;
use super::runs::RunLease;
use crate::domain::closed_set;
use crate::domain::ids::{JobName, Org, ReplicaId, RunId};

/// How often a part is tried altogether.
pub const TRIES: u32 = 3;

closed_set! {
    /// What is to be done.
    WorkKind {
        /// Read a batch of requests, and decide on each.
        Read = "read",
        /// Carry out one write.
        Act = "act",
    }
}

/// A part to be offered.
#[derive(Debug, Clone)]
pub struct NewWork {
    /// Its number within the run; lower ones are taken first.
    pub part: i64,
    /// What is to be done.
    pub kind: WorkKind,
    /// Of the job's configuration at the holder's.
    pub digest: String,
    /// What the doer must know. Never personal data.
    pub payload: Value,
}

/// The right to do one part, until its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The run's own lease, under which the part was posted.
    pub lease: RunLease,
    /// Which part.
    pub part: i64,
    /// The how manieth claim of it this is, from one.
    pub tries: u32,
    /// Whose.
    pub replica: ReplicaId,
}

/// A part that is ours to do.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The right to do it.
    pub claim: Claim,
    /// The run's job.
    pub job_name: JobName,
    /// The run's tenant.
    pub org: Org,
    /// What is to be done.
    pub kind: WorkKind,
    /// As posted.
    pub digest: String,
    /// As posted.
    pub payload: Value,
}

/// Which parts somebody is ready to do.
#[derive(Debug, Clone)]
pub enum Scope {
    /// Those of one run, by its holder.
    Run(RunId),
    /// Those of other replicas' runs whose digest is among these.
    Others(Vec<String>),
}

/// What became of a part.
#[derive(Debug, Clone, PartialEq)]
pub struct Collected {
    /// Which.
    pub part: i64,
    /// Its answer; or, of one that was tried as often as may be, the last trouble.
    pub result: Result<Value, String>,
}

/// See the module. Times are the database's own where it has a clock; only SQLite takes the caller's.
#[async_trait]
pub trait Work {
    /// Offers a part. `Fenced` when the run was taken away. Repeating it is harmless.
    async fn post_work(&self, lease: &RunLease, work: &NewWork) -> Result<(), StoreError>;

    /// Claims the first part in `scope` that nobody is at, for as long as `hold`; of runs that go on, and none of those
    /// that are `busy`. Two callers never get the same part.
    async fn claim_work(
        &self,
        by: &ReplicaId,
        scope: &Scope,
        busy: &[RunId],
        hold: Duration,
        now: DateTime<Utc>,
    ) -> Result<Option<Claimed>, StoreError>;

    /// Keeps a claim for another `hold`. `Fenced` when it is no longer ours, or the run has ended.
    async fn hold_work(
        &self,
        claim: &Claim,
        hold: Duration,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// The part is done. `Fenced` when it was no longer ours to do; the same answer once more is no error.
    async fn answer_work(&self, claim: &Claim, result: &Value) -> Result<(), StoreError>;

    /// Gives a part back undone: for a `trouble`, which counts as a try, or for none, which does not. One that is no
    /// longer ours is left alone.
    async fn return_work(&self, claim: &Claim, trouble: Option<&str>) -> Result<(), StoreError>;

    /// Takes away what is done, and what was tried as often as may be.
    async fn collect_work(
        &self,
        lease: &RunLease,
        now: DateTime<Utc>,
    ) -> Result<Vec<Collected>, StoreError>;

    /// Takes back the parts that nobody has begun, and answers which; with `lost`, also those whose claim ran out.
    async fn withdraw_work(
        &self,
        lease: &RunLease,
        lost: bool,
        now: DateTime<Utc>,
    ) -> Result<Vec<i64>, StoreError>;
}
