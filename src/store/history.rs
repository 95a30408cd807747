//! The history of each request: what was seen of it, oldest first, and never rewritten.
//!
//! Nobody writes a row about the request itself: the database does, in the statement that changes the observation. What
//! was read beside it comes in with [`Requests::remember_seen`](super::requests::Requests::remember_seen).

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use super::runs::RunLease;
use crate::domain::Happening;
use crate::domain::ids::{Org, ReferenceId};

/// One step through the rows from the oldest on, see [`History::prune_history`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrunedHistory {
    /// Rows that it removed.
    pub removed: u64,
    /// Where the next step goes on; none when everything so old was looked at.
    pub next: Option<i64>,
}

/// See the module.
#[async_trait]
pub trait History {
    /// A request's, oldest first.
    async fn history(&self, org: &Org, id: &ReferenceId) -> Result<Vec<Happening>, StoreError>;

    /// The orgs in which a request of this id was ever seen.
    async fn orgs_of_history(&self, id: &ReferenceId) -> Result<Vec<Org>, StoreError>;

    /// Every request's, ascending bytewise after `after`: at most `limit` requests, each whole and oldest first.
    async fn histories(
        &self,
        org: &Org,
        after: Option<&ReferenceId>,
        limit: u32,
    ) -> Result<Vec<(ReferenceId, Vec<Happening>)>, StoreError>;

    /// What is beside each of these: its last event, and its issues as they were last told. A few hundred a call.
    async fn beside(
        &self,
        org: &Org,
        ids: &[ReferenceId],
    ) -> Result<Vec<(ReferenceId, Vec<Happening>)>, StoreError>;

    /// Looks at `batch` rows from `after` (0 to begin with) on, and removes those seen before `older_than` that a later row
    /// on the same thing has outdated: the last one of each stays, however old it is. Each call is short, so that
    /// others get their turn.
    async fn prune_history(
        &self,
        lease: &RunLease,
        older_than: DateTime<Utc>,
        after: i64,
        batch: u32,
    ) -> Result<PrunedHistory, StoreError>;
}
