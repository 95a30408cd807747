//! Requests as last observed, and the last decision about each.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use super::runs::RunLease;
use crate::domain::attributes::Attributes;
use crate::domain::ids::{JobName, Org, ReferenceId, RunId};
use crate::domain::{Decision, Observation, PersistenceType, Sight, Status, TerritoryOwner};

/// A decision as remembered: the last one of a job about a request, written only when it changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RememberedDecision {
    /// Whose.
    pub job_name: JobName,
    /// The run that decided so first.
    pub run_id: RunId,
    /// When it first decided so.
    pub since: DateTime<Utc>,
    /// The request.
    pub reference_id: ReferenceId,
    /// `act`, `flag`, `ignore` or the skip reason.
    pub verdict: String,
    /// The rule that matched.
    pub rule: Option<String>,
    /// In words.
    pub explanation: String,
}

/// Open requests that have something in common, by what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCount {
    /// Of this kind; none: of those whose kind isn't known.
    pub persistence_type: Option<PersistenceType>,
    /// What they have in common.
    pub alike: Alike,
    /// Open requests that are alike in this.
    pub requests: u64,
}

/// See [`OpenCount::alike`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alike {
    /// What each is in itself. Every open request is in one of these.
    Request {
        /// Where it stands.
        status: Status,
        /// A cancellation is in flight beside the status.
        cancelling: bool,
        /// Our own technician installs.
        auto_installation: Option<bool>,
        /// Wholesale terms.
        territory_owner: Option<TerritoryOwner>,
    },
    /// The hour in which the upstream last changed it.
    Changed(DateTime<Utc>),
    /// The code of an unresolved issue.
    IssueCode(String),
    /// What its last event says.
    LastEvent(String),
    /// Everything that the operator declared impersonal, where there is any.
    Attributes(Attributes),
}

/// See the module.
#[async_trait]
pub trait Requests {
    /// Remembers what a run read; the newest observation of a request wins, by our instant and by the upstream's date:
    /// an older one never replaces a newer one, nor an undated one a dated one. Answers those that contradict what
    /// was known, because they were read later and dated earlier. One transaction a call: hand in a few hundred at a
    /// time.
    async fn remember_observations(
        &self,
        lease: &RunLease,
        org: &Org,
        observations: &[Observation],
    ) -> Result<Vec<ReferenceId>, StoreError> {
        self.remember_seen(lease, org, observations, &[]).await
    }

    /// The same, with what was read beside requests: their histories are told of it where it is news.
    async fn remember_seen(
        &self,
        lease: &RunLease,
        org: &Org,
        observations: &[Observation],
        beside: &[Sight],
    ) -> Result<Vec<ReferenceId>, StoreError>;

    /// The same for one request that was read in no run: to verify a write. Answers whether it contradicts what was known.
    async fn remember_verified(&self, org: &Org, seen: &Observation) -> Result<bool, StoreError>;

    /// What is remembered of these, in no particular order; unknown ones are simply absent. A few hundred a call.
    async fn observations(
        &self,
        org: &Org,
        ids: &[ReferenceId],
    ) -> Result<Vec<Observation>, StoreError>;

    /// What is remembered under a text that may be a reference id or an external reference, in all orgs or one.
    async fn find_observations(
        &self,
        org: Option<&Org>,
        reference: &str,
    ) -> Result<Vec<(Org, Observation)>, StoreError>;

    /// All open requests of an org in numbers, as last observed. Walks through all of them, so that nobody need hold them.
    async fn count_open(&self, org: &Org) -> Result<Vec<OpenCount>, StoreError>;

    /// The upstream answered 404: forget the observation, and what was decided and looked at by it. Its history tells when.
    async fn forget_observation(
        &self,
        lease: &RunLease,
        org: &Org,
        id: &ReferenceId,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Remembers decisions; a row is written only where verdict, rule or explanation differ from the last one.
    /// Answers how many were written.
    async fn remember_decisions(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        at: DateTime<Utc>,
        decisions: &[Decision],
    ) -> Result<u64, StoreError>;

    /// The last decisions about a request, one a job.
    async fn decisions_about(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<RememberedDecision>, StoreError>;
}
