//! What people said: hands off. One row each time it was said.
//!
//! It belongs to the request, and to its order once that number is known: not to a job, a run, or the finding that it
//! was said of. So neither an empty list, nor a 404, nor a renamed job, nor the finding's own end takes it away. What
//! does is judged by the reconciler from the request as it was read; the intent's transaction asks here once more.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::findings::FindingKey;
use super::runs::RunLease;
use super::{Actor, StoreError};
use crate::domain::Status;
use crate::domain::ids::{AcknowledgementId, ExternalReference, FindingId, Org, ReferenceId};

/// A person's word.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Acknowledgement {
    /// The row.
    pub id: AcknowledgementId,
    /// The tenant.
    pub org: Org,
    /// What it was said of.
    #[serde(flatten)]
    pub key: FindingKey,
    /// The order, once it is known.
    pub external_reference: Option<ExternalReference>,
    /// The request as it was said.
    #[serde(flatten)]
    pub given: Given,
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
    /// When.
    pub given_at: DateTime<Utc>,
    /// When it ended; it holds as long as there is none.
    pub ended_at: Option<DateTime<Utc>>,
    /// And why.
    pub ended_why: Option<String>,
}

/// What was so when it was said, as far as it was known then: a later look fills in the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Given {
    /// The request's status.
    pub status: Option<Status>,
    /// A cancellation was in flight.
    pub cancelling: Option<bool>,
    /// The request's date.
    pub last_updated: Option<DateTime<Utc>>,
    /// Of an issue's finding: the issue had come back already.
    pub repeated: Option<bool>,
}

/// What a look at the request means for what was said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcknowledgementChange {
    /// The row.
    pub id: AcknowledgementId,
    /// The order, if it was not known.
    pub external_reference: Option<ExternalReference>,
    /// What was not known when it was said.
    pub given: Given,
    /// It is over, and why.
    pub ended_why: Option<String>,
}

/// See the module.
#[async_trait]
pub trait Acknowledgements {
    /// A person says hands off, of findings. Ids that are resolved or unknown are refused, all or nothing
    /// (`NotFound`). What was said before stays beside it. Audited.
    async fn acknowledge_findings(
        &self,
        ids: &[FindingId],
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// A person takes back all that was said of findings, resolved ones too; answers it. Ids of which nothing holds are
    /// refused, all or nothing (`NotFound`). Audited.
    async fn unacknowledge_findings(
        &self,
        ids: &[FindingId],
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Vec<Acknowledgement>, StoreError>;

    /// What holds for these requests and orders, oldest first. A few hundred a call.
    async fn acknowledgements_about(
        &self,
        org: &Org,
        requests: &[ReferenceId],
        orders: &[ExternalReference],
    ) -> Result<Vec<Acknowledgement>, StoreError>;

    /// All that holds, of an org or of all, oldest first.
    async fn acknowledgements(&self, org: Option<&Org>)
    -> Result<Vec<Acknowledgement>, StoreError>;

    /// The requests of which something was said that holds, each once, ascending bytewise.
    async fn acknowledged_ids(&self, org: &Org) -> Result<Vec<ReferenceId>, StoreError>;

    /// All that was ever said of a request, oldest first.
    async fn acknowledgements_of(
        &self,
        org: &Org,
        request: &ReferenceId,
    ) -> Result<Vec<Acknowledgement>, StoreError>;

    /// Writes down what looks brought: what was not known yet is filled in, what is over ends (audited) and opens its
    /// finding again. Those that have ended are left as they are.
    async fn keep_acknowledgements(
        &self,
        lease: &RunLease,
        changes: &[AcknowledgementChange],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;
}
