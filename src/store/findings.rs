//! Findings: one row per (org, request, kind, detail), opened when seen, resolved when no longer seen.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::runs::RunLease;
use super::{Page, StoreError};
use crate::domain::Status;
use crate::domain::finding::{Attention, FindingKind, FindingState};
use crate::domain::ids::{
    ClassId, ExternalReference, FindingId, JobName, Org, ReferenceId, RuleName,
};

/// What makes two sightings the same finding, within an org.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct FindingKey {
    /// The request.
    pub reference_id: ReferenceId,
    /// What diverges.
    pub kind: FindingKind,
    /// Which one of its kind: a status, an issue's sequence and code, a sequence number.
    pub detail: String,
}

/// A divergence as seen now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sighting {
    /// Its identity.
    pub key: FindingKey,
    /// The order.
    pub external_reference: Option<ExternalReference>,
    /// Since when it has been so, as far as known (the upstream's last change of the request).
    pub since: Option<DateTime<Utc>>,
    /// Why it waits for a person, if it does.
    pub attention: Option<Attention>,
    /// What was seen: dates, codes, numbers; never personal data.
    pub evidence: String,
}

/// What is remembered of a finding that isn't resolved, as a run needs it to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFinding {
    /// The row.
    pub id: FindingId,
    /// Its identity.
    pub key: FindingKey,
    /// Open or acknowledged.
    pub state: FindingState,
    /// Why it waits for a person.
    pub attention: Option<Attention>,
    /// What was last seen.
    pub evidence: String,
    /// When it was last written down.
    pub last_seen: DateTime<Utc>,
    /// The class that it belongs to.
    pub class: Option<ClassId>,
    /// When a list first did not name it any more.
    pub missing_since: Option<DateTime<Utc>>,
}

/// Which of the findings that aren't resolved.
#[derive(Debug, Clone, Copy)]
pub enum Live<'a> {
    /// All of them.
    All,
    /// Those of a kind.
    OfKind(FindingKind),
    /// Those about these requests: a few hundred a call.
    About(&'a [ReferenceId]),
}

/// The difference between what is remembered and what was seen; made by a pure function, carried out in batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingChanges {
    /// New ones, ones seen again after they were resolved, and ones whose evidence or attention changed. One that is live
    /// in a class stays in it while it stays with its job; one that was resolved comes back without a class.
    pub seen: Vec<Sighting>,
    /// Unchanged ones whose `last_seen` is to be brought up to date.
    pub touched: Vec<FindingId>,
    /// No longer seen.
    pub resolved: Vec<FindingId>,
    /// A list did not name them: since now, unless that was noted in the last 24 hours. What was noted longer ago proves
    /// nothing together with this list.
    pub missing: Vec<FindingId>,
    /// Named again.
    pub back: Vec<FindingId>,
    /// Attention of live findings of the job; nothing else of them changes.
    pub attention: Vec<(FindingKey, Option<Attention>)>,
    /// The jobs that come before this one in the configuration: what is theirs stays theirs.
    pub elders: Vec<JobName>,
}

/// A finding as listed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The row.
    pub id: FindingId,
    /// The tenant.
    pub org: Org,
    /// Its identity.
    #[serde(flatten)]
    pub key: FindingKey,
    /// The order.
    pub external_reference: Option<ExternalReference>,
    /// The job that saw it.
    pub job_name: JobName,
    /// Where it stands.
    pub state: FindingState,
    /// Why it waits for a person.
    pub attention: Option<Attention>,
    /// What was last seen.
    pub evidence: String,
    /// Since when it has been so upstream.
    pub since: Option<DateTime<Utc>>,
    /// First seen by us.
    pub first_seen: DateTime<Utc>,
    /// Last seen: written down as such, or named by a complete list of its class.
    pub last_seen: DateTime<Utc>,
    /// Times written down as seen.
    pub times_seen: u64,
    /// Times it came back after it was resolved.
    pub times_reopened: u64,
    /// When it was resolved.
    pub resolved_at: Option<DateTime<Utc>>,
    /// When the request was last read for it; none while lists alone have told of it, so that order and date are not known
    /// *yet*.
    pub read_at: Option<DateTime<Utc>>,
    /// The rule by whose list it is known, else the one of the job's last decision about the request.
    pub rule: Option<RuleName>,
    /// The request's status as last read.
    pub status: Option<Status>,
}

/// Which findings to list. `states` empty means all that aren't resolved.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    /// Of this tenant.
    pub org: Option<Org>,
    /// Of this kind.
    pub kind: Option<FindingKind>,
    /// In this state; none means every state but `resolved`. `acknowledged` means all of which a person's word holds,
    /// those that are no longer seen too.
    pub state: Option<FindingState>,
    /// Waiting for a person.
    pub attention: Option<Attention>,
    /// Of this reference id or external reference.
    pub reference: Option<String>,
    /// Whose reference id or external reference begins so, in any case.
    pub search: Option<String>,
    /// First seen at or after.
    pub since: Option<DateTime<Utc>>,
    /// First seen before.
    pub until: Option<DateTime<Utc>>,
    /// Of this job.
    pub job_name: Option<JobName>,
    /// By this rule.
    pub rule: Option<RuleName>,
    /// With this detail: of a stuck request, where it is stuck.
    pub detail: Option<String>,
}

/// Where a list that begins with the oldest goes on: behind this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldestKey {
    /// Since when it has been so upstream, as far as known.
    pub since: Option<DateTime<Utc>>,
    /// Of equals, the row.
    pub id: FindingId,
}

impl Finding {
    /// Its place in a list that begins with the oldest.
    pub const fn oldest_key(&self) -> OldestKey {
        OldestKey {
            since: self.since,
            id: self.id,
        }
    }
}

/// Numbers for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingCount {
    /// The tenant.
    pub org: Org,
    /// The kind.
    pub kind: FindingKind,
    /// For `stuck_request`: the status, which is its detail. Otherwise empty.
    pub status: String,
    /// How many aren't resolved.
    pub count: u64,
    /// For `stuck_request`: the oldest `since` among them.
    pub oldest: Option<DateTime<Utc>>,
}

/// See the module.
#[async_trait]
pub trait Findings {
    /// Findings of a job and org that aren't resolved.
    async fn live_findings(
        &self,
        org: &Org,
        job: &JobName,
        which: Live<'_>,
    ) -> Result<Vec<LiveFinding>, StoreError>;

    /// Live findings of a job and org that a list did not name any more.
    async fn missing_findings(
        &self,
        org: &Org,
        job: &JobName,
    ) -> Result<Vec<LiveFinding>, StoreError>;

    /// Requests of live findings of a job and org that wait for a person, each once, ascending bytewise.
    async fn attention_ids(&self, org: &Org, job: &JobName)
    -> Result<Vec<ReferenceId>, StoreError>;

    /// Carries the difference out: a few hundred rows a transaction. A resolved one is reopened; whether it is open or
    /// acknowledged then follows from what was said of it and holds.
    /// Answers the kinds that were newly opened or came back after they were resolved, one entry each.
    ///
    /// While it isn't resolved, a finding belongs to the first of the configured jobs that see it: another one's
    /// sighting of the same renews `last_seen` and nothing else.
    async fn apply_findings(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        changes: &FindingChanges,
        now: DateTime<Utc>,
    ) -> Result<Vec<FindingKind>, StoreError>;

    /// The same for one that was seen in no run: by verifying a write.
    async fn flag_verified(
        &self,
        org: &Org,
        job: &JobName,
        seen: &Sighting,
        now: DateTime<Utc>,
    ) -> Result<Vec<FindingKind>, StoreError>;

    /// Resolves what jobs that are no longer `configured` have left about these requests, because they are finished.
    async fn resolve_left_behind(
        &self,
        lease: &RunLease,
        org: &Org,
        finished: &[ReferenceId],
        configured: &[JobName],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// How many findings that aren't resolved each job has left that is no longer `configured`.
    async fn left_behind(&self, configured: &[JobName]) -> Result<Vec<(JobName, u64)>, StoreError>;

    /// Findings, newest first.
    async fn findings(
        &self,
        filter: &FindingFilter,
        page: Page,
    ) -> Result<Vec<Finding>, StoreError>;

    /// Findings by how long it has been so upstream, those of which that isn't known last: `limit` behind `after`.
    async fn oldest_findings(
        &self,
        filter: &FindingFilter,
        after: Option<OldestKey>,
        limit: u32,
    ) -> Result<Vec<Finding>, StoreError>;

    /// How many findings there are.
    async fn count_findings(&self, filter: &FindingFilter) -> Result<u64, StoreError>;

    /// How many aren't resolved, by org, kind and (for stuck requests) status.
    async fn finding_counts(&self) -> Result<Vec<FindingCount>, StoreError>;
}
