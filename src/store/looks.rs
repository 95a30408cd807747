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

    /// Forgets looks, so that the next sweep reads these again. A few hundred a call.
    async fn forget_looks(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        ids: &[ReferenceId],
    ) -> Result<(), StoreError>;

    /// When the last sweep of a job began.
    async fn last_sweep(
        &self,
        org: &Org,
        job: &JobName,
    ) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// A sweep begins: every look that is remembered now was true at `began` and after, by the upstream's clock.
    async fn begin_sweep(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        began: DateTime<Utc>,
    ) -> Result<(), StoreError>;
}
