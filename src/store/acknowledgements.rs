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

/// Findings as one text for the audit, so that what was chosen by a filter is known for ever: `17-19, 25`.
pub fn frozen(ids: &[FindingId]) -> String {
    let mut ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let runs = ids.chunk_by(|a, b| a + 1 == *b);
    let runs = runs.filter_map(|run| match run {
        [only] => Some(only.to_string()),
        [first, second] => Some(format!("{first}, {second}")),
        [first, .., last] => Some(format!("{first}-{last}")),
        [] => None,
    });
    runs.collect::<Vec<_>>().join(", ")
}

/// See the module.
#[async_trait]
pub trait Acknowledgements {
    /// A person says hands off, of findings. Ids that are resolved or unknown are refused, all or nothing
    /// (`NotFound`). What was said before stays beside it. Audited, in one row that names all of them.
    async fn acknowledge_findings(
        &self,
        ids: &[FindingId],
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// A person takes back all that was said of findings, resolved ones too; answers it. Ids of which nothing holds are
    /// refused, all or nothing (`NotFound`). Audited, in one row that names all of them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_list_names_each_once_and_neighbours_together() {
        for (ids, text) in [
            (vec![], ""),
            (vec![7], "7"),
            (vec![8, 7], "7, 8"),
            (vec![3, 1, 2, 2, 9, 11, 10, 20], "1-3, 9-11, 20"),
        ] {
            let ids: Vec<FindingId> = ids.into_iter().map(FindingId).collect();
            assert_eq!(frozen(&ids), text);
        }
    }
}
