//! Who did what, when and why. Rows are appended by the calls that change something, in the same transaction.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Actor, Page, StoreError};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AuditRow {
    /// The row.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub who: String,
    /// What: one of [`ACTIONS`].
    pub action: String,
    /// On what: a job, a job and org, an id.
    pub subject: String,
    /// Why.
    pub reason: String,
}

/// All that is audited.
pub const ACTIONS: &[&str] = &[
    "acknowledge",
    "acknowledgement_ended",
    "adopt",
    "copy",
    "latch",
    "move",
    "pause",
    "pause_ended",
    "release",
    "reload",
    "reset_rate",
    "resume",
    "retry",
    "set_back",
    "settle",
    "start",
    "stop",
    "trigger",
    "unacknowledge",
];

/// Which rows to list.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this actor.
    pub who: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// At or after.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
}

/// See the module.
#[async_trait]
pub trait Audit {
    /// Notes a change that no other call of the store makes (a start, a reload, a stop).
    async fn note(
        &self,
        action: &str,
        subject: &str,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Rows, newest first.
    async fn audit(&self, filter: &AuditFilter, page: Page) -> Result<Vec<AuditRow>, StoreError>;

    /// How many rows there are.
    async fn count_audit(&self, filter: &AuditFilter) -> Result<u64, StoreError>;
}
