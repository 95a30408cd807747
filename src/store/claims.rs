//! Claims: where a read contradicted what a filter of the list call had said.
//!
//! The upstream's filters are assumptions. Whether one is distrusted is judged by the reconciler; what that rests on is
//! kept here, so that a restart or another replica distrusts the same.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use super::runs::RunLease;
use crate::domain::Filter;
use crate::domain::ids::{Org, ReferenceId};

/// A read that contradicted a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Contradiction {
    /// The filter that was wrong.
    pub filter: Filter,
    /// The request.
    pub reference_id: ReferenceId,
    /// In words.
    pub what: String,
    /// When it was read.
    pub seen_at: DateTime<Utc>,
}

/// See the module.
#[async_trait]
pub trait Claims {
    /// Those that stand, by filter and request.
    async fn contradictions(&self, org: &Org) -> Result<Vec<Contradiction>, StoreError>;

    /// Remembers these; a later one of the same filter and request replaces the earlier.
    async fn note_contradictions(
        &self,
        lease: &RunLease,
        org: &Org,
        found: &[Contradiction],
    ) -> Result<(), StoreError>;

    /// The filter proved right about these.
    async fn forget_contradictions(
        &self,
        lease: &RunLease,
        org: &Org,
        filter: Filter,
        ids: &[ReferenceId],
    ) -> Result<(), StoreError>;
}
