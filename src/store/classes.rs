//! Classes: the requests of one rule and status, as the upstream's lists name them, remembered once.
//!
//! A finding that rests on lists alone belongs to its class. The next run compares what a list names now with the
//! class's members: two streams in the same order (bytewise ascending, as Rust orders `str`), so neither is ever held
//! whole. What is true of all members (how many the last complete list named, and when) stands with the class, so a run
//! in which nothing changed writes one row a class, however many findings stand.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use super::runs::RunLease;
use crate::domain::ids::{ClassId, JobName, Org, ReferenceId};
use crate::domain::{IdBatch, Observation};
use crate::rules::classes::ClassKey;

/// A class as remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredClass {
    /// The row.
    pub id: ClassId,
    /// What its findings say.
    pub key: ClassKey,
    /// How many the last complete list named; 0 before the first.
    pub size: u64,
    /// When that was; when it was made, before the first.
    pub listed_at: DateTime<Utc>,
}

/// How many a complete list named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassSize {
    /// Of this class.
    pub id: ClassId,
    /// So many.
    pub size: u64,
}

/// See the module.
#[async_trait]
pub trait Classes {
    /// Every remembered class of a job, those that no rule makes any more too; by id.
    async fn classes(&self, org: &Org, job: &JobName) -> Result<Vec<StoredClass>, StoreError>;

    /// The rows of these, made where they are new (of size 0, listed now); in the order of `keys`.
    async fn ensure_classes(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        keys: &[ClassKey],
        now: DateTime<Utc>,
    ) -> Result<Vec<ClassId>, StoreError>;

    /// A complete list named so many of each, now. All in one transaction. Findings that it did not name are marked
    /// (`FindingChanges::missing`) or resolved before it is noted or at the same instant: "last seen" of those is the list
    /// before.
    async fn note_listed(
        &self,
        lease: &RunLease,
        classes: &[ClassSize],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Requests with a live finding of this class, ascending bytewise, after `after`, at most `limit`.
    async fn class_members(
        &self,
        class: ClassId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<IdBatch, StoreError>;

    /// Opens a stuck-request finding of this class for each of these requests. A resolved one is reopened: what was known
    /// of its date and attention is gone, its order is kept. A live one moves into this class, with its evidence and job,
    /// and is missing no longer; all else that is known of it stays. A live one of one of the `elders` (the jobs that
    /// come before this one) stays as it is. Whether it is open or acknowledged follows from what was said of it.
    /// Answers how many were newly opened or reopened.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is opened, for whom, in which run"
    )]
    async fn open_members(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        class: ClassId,
        ids: &[ReferenceId],
        elders: &[JobName],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError>;

    /// Requests of live findings of the job that belong to no class, each once, ascending bytewise, after `after`, at most
    /// `limit`.
    async fn classless_members(
        &self,
        org: &Org,
        job: &JobName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<IdBatch, StoreError>;

    /// Requests of live class findings of the job whose date is not known, the oldest finding first. One that was read and
    /// has no date stays among them, after those that were not read yet; what was read longest ago comes first.
    async fn without_details(
        &self,
        org: &Org,
        job: &JobName,
        limit: u32,
    ) -> Result<Vec<ReferenceId>, StoreError>;

    /// Fills order and date of the live class findings of these requests in from what was read. What is known is replaced by
    /// what is newer, and never by nothing; and when that was read is noted.
    async fn fill_details(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        seen: &[Observation],
    ) -> Result<(), StoreError>;
}
