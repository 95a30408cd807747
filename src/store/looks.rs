//! What jobs that follow change remember: when they last looked at each request, and when they last looked at
//! everything.
//!
//! A sweep asks for all ids and for those not updated since the last complete sweep; the difference changed and is
//! read, the rest is known from its last look. A request whose look failed has no row here, so the next sweep
//! looks again whatever the lists say.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::domain::Issue;
use crate::domain::ids::{JobName, Org, ReferenceId};

/// A job's last look at a request.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        org: &Org,
        job: &JobName,
        ids: &[ReferenceId],
    ) -> Result<(), StoreError>;

    /// When the last complete sweep of a job began.
    async fn last_sweep(
        &self,
        org: &Org,
        job: &JobName,
    ) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// A sweep that began at `began` looked at everything.
    async fn complete_sweep(
        &self,
        org: &Org,
        job: &JobName,
        began: DateTime<Utc>,
    ) -> Result<(), StoreError>;
}
