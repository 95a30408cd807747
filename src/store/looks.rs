//! What jobs that follow change remember: when they last looked at each request, and when their last sweep began.
//!
//! Every look here was still true when the last sweep began; how a sweep keeps it so stands in
//! `reconcile/jobs/sweep.rs`. A request whose look failed has no row here, so the next sweep looks again whatever
//! the lists say.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use super::runs::RunLease;
use crate::domain::Issue;
use crate::domain::ids::{JobName, Org, ReferenceId};

/// A job's last look at a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Look {
    /// The request.
    pub reference_id: ReferenceId,
    /// When it was read.
    pub looked_at: DateTime<Utc>,
    /// Its issues then, for jobs that decide on them.
    pub issues: Vec<Issue>,
    /// When its decision must be made anew although nothing changed; none: not before something does.
    pub again_at: Option<DateTime<Utc>>,
}

/// That a job looked at a request, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookMark {
    /// The request.
    pub reference_id: ReferenceId,
    /// When it was read.
    pub looked_at: DateTime<Utc>,
}

/// A job's last sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// When it began, by the upstream's clock.
    pub began: DateTime<Utc>,
    /// The fingerprint of the rules that its decisions were made under.
    pub rules: String,
}

/// See the module.
#[async_trait]
pub trait Looks {
    /// Remembers looks; a newer one of the same job and request replaces the older. A few hundred a call.
    async fn remember_looks(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        looks: &[Look],
    ) -> Result<(), StoreError>;

    /// A job's looks at these; unknown ones are simply absent. A few hundred a call.
    async fn looks(
        &self,
        org: &Org,
        job: &JobName,
        ids: &[ReferenceId],
    ) -> Result<Vec<Look>, StoreError>;

    /// When a job looked at each request, ascending bytewise, after `after`, at most `limit`.
    async fn look_marks(
        &self,
        org: &Org,
        job: &JobName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<LookMark>, StoreError>;

    /// Looks whose decision must be made anew by now, ascending bytewise, after `after`, at most `limit`.
    async fn looks_due(
        &self,
        org: &Org,
        job: &JobName,
        now: DateTime<Utc>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Look>, StoreError>;

    /// Says when the decision about each must be made anew.
    async fn look_again(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        at: &[(ReferenceId, Option<DateTime<Utc>>)],
    ) -> Result<(), StoreError>;

    /// Forgets looks, so that the next sweep reads these again. A few hundred a call.
    async fn forget_looks(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        ids: &[ReferenceId],
    ) -> Result<(), StoreError>;

    /// The last sweep of a job.
    async fn last_sweep(&self, org: &Org, job: &JobName) -> Result<Option<Sweep>, StoreError>;

    /// A sweep begins: every look that is remembered now was true at `began` and after, by the upstream's clock. Where the
    /// fingerprint of the `rules` is another than before, every decision must be made anew: each look of the job is due
    /// since 1970, from the same transaction on.
    async fn begin_sweep(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        began: DateTime<Utc>,
        rules: &str,
    ) -> Result<(), StoreError>;
}
