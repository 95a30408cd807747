//! Findings: seen, touched, resolved, counted. What is refused to whom stands with the trait.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::domain::finding::{FindingKind, FindingState};
use tesa_reconciler::domain::ids::{ClassId, FindingId, JobName, Org, ReferenceId};
use tesa_reconciler::store::findings::{
    Finding, FindingChanges, FindingCount, FindingFilter, FindingKey, Findings, Live, LiveFinding,
    OldestKey, Sighting,
};
use tesa_reconciler::store::runs::RunLease;
use tesa_reconciler::store::{Page, StoreError};

use super::{MemoryStore, State};

/// Rows a transaction.
const CHUNK: usize = 500;

#[derive(Default)]
pub(super) struct Table {
    last: i64,
    pub(super) rows: BTreeMap<FindingId, Row>,
    /// What a finding is about never changes.
    pub(super) by_key: BTreeMap<Place, FindingId>,
}

/// The key begins with the reference, so that a class's members stand in their order.
pub(super) type Place = (ReferenceId, Org, FindingKind, String);

#[derive(Clone)]
pub(super) struct Row {
    pub(super) finding: Finding,
    pub(super) class: Option<ClassId>,
    pub(super) missing_since: Option<DateTime<Utc>>,
}

impl Row {
    pub(super) fn is_live(&self) -> bool {
        self.finding.state != FindingState::Resolved
    }

    fn resolve(&mut self, now: DateTime<Utc>) {
        self.finding.state = FindingState::Resolved;
        self.finding.resolved_at = Some(now);
        self.class = None;
        self.missing_since = None;
    }

    fn as_live(&self) -> LiveFinding {
        let finding = &self.finding;
        LiveFinding {
            id: finding.id,
            key: finding.key.clone(),
            state: finding.state,
            attention: finding.attention,
            evidence: finding.evidence.clone(),
            last_seen: finding.last_seen,
            class: self.class,
            missing_since: self.missing_since,
        }
    }
}

pub(super) fn place(org: &Org, key: &FindingKey) -> Place {
    let id = key.reference_id.clone();
    (id, org.clone(), key.kind, key.detail.clone())
}

impl Table {
    pub(super) fn get_mut(&mut self, place: &Place) -> Option<&mut Row> {
        self.rows.get_mut(self.by_key.get(place)?)
    }

    pub(super) fn remove(&mut self, id: FindingId) {
        if let Some(row) = self.rows.remove(&id) {
            self.by_key
                .remove(&place(&row.finding.org, &row.finding.key));
        }
    }

    /// All findings about a request.
    pub(super) fn about(&self, org: &Org, id: &ReferenceId) -> impl Iterator<Item = &Row> {
        let first = FindingKind::ALL.iter().copied().min();
        let first = first.map(|kind| (id.clone(), org.clone(), kind, String::new()));
        let places = first.map(|first| self.by_key.range(first..));
        let places = places.into_iter().flatten();
        places
            .take_while(move |((of, of_org, ..), _)| of == id && of_org == org)
            .filter_map(|(_, id)| self.rows.get(id))
    }

    /// The live ones of a job, by id.
    pub(super) fn of_job<'a>(
        &'a self,
        org: &'a Org,
        job: &'a JobName,
    ) -> impl Iterator<Item = &'a Row> {
        self.rows.values().filter(move |row| {
            row.is_live() && row.finding.org == *org && row.finding.job_name == *job
        })
    }

    /// Makes a row that was never there, as first seen.
    pub(super) fn insert(
        &mut self,
        org: &Org,
        job: &JobName,
        seen: &Sighting,
        state: FindingState,
        now: DateTime<Utc>,
    ) -> &mut Row {
        self.last += 1;
        let id = FindingId(self.last);
        self.by_key.insert(place(org, &seen.key), id);
        let finding = Finding {
            id,
            org: org.clone(),
            key: seen.key.clone(),
            external_reference: seen.external_reference.clone(),
            job_name: job.clone(),
            state,
            attention: seen.attention,
            evidence: seen.evidence.clone(),
            since: seen.since,
            first_seen: now,
            last_seen: now,
            times_seen: 1,
            times_reopened: 0,
            resolved_at: None,
            read_at: Some(now),
            rule: None,
            status: None,
        };
        self.rows.entry(id).or_insert(Row {
            finding,
            class: None,
            missing_since: None,
        })
    }
}

impl State {
    /// What a finding is when it opens: what was said of it and holds says so.
    pub(super) fn opens_as(&self, org: &Org, key: &FindingKey) -> FindingState {
        if self.acknowledgements.holds_of(org, key) {
            FindingState::Acknowledged
        } else {
            FindingState::Open
        }
    }

    /// Answers whether it is new, or came back.
    fn see(
        &mut self,
        org: &Org,
        job: &JobName,
        seen: &Sighting,
        elders: &[JobName],
        now: DateTime<Utc>,
    ) -> bool {
        let opens_as = self.opens_as(org, &seen.key);
        let Some(row) = self.findings.get_mut(&place(org, &seen.key)) else {
            self.findings.insert(org, job, seen, opens_as, now);
            return true;
        };
        let comes_back = !row.is_live();
        let is_elders = elders.contains(&row.finding.job_name);
        if row.finding.job_name != *job && !is_elders {
            row.class = None;
        }
        if !is_elders {
            row.missing_since = None;
        }
        let finding = &mut row.finding;
        if comes_back || !is_elders {
            finding.job_name = job.clone();
            finding
                .external_reference
                .clone_from(&seen.external_reference);
            finding.since = seen.since;
            finding.read_at = Some(now);
            finding.attention = seen.attention;
            finding.evidence.clone_from(&seen.evidence);
        }
        if comes_back {
            finding.state = opens_as;
            finding.resolved_at = None;
            finding.times_reopened += 1;
        }
        finding.last_seen = now;
        finding.times_seen += 1;
        comes_back
    }

    /// Until now its class said when it was last seen: when it was last listed. A list of this very instant did not name
    /// it.
    fn leave_the_list(&mut self, id: FindingId, now: DateTime<Utc>) -> Option<&mut Row> {
        let row = self
            .findings
            .rows
            .get_mut(&id)
            .filter(|row| row.is_live())?;
        if row.missing_since.is_none() {
            let class = row.class.and_then(|class| self.classes.rows.get(&class));
            let listed_at = class.map(|class| class.stored.listed_at);
            if let Some(listed_at) = listed_at.filter(|&at| at < now) {
                row.finding.last_seen = row.finding.last_seen.max(listed_at);
            }
        }
        Some(row)
    }
}

impl MemoryStore {
    async fn see_findings(
        &self,
        lease: Option<&RunLease>,
        org: &Org,
        job: &JobName,
        seen: &[Sighting],
        elders: &[JobName],
        now: DateTime<Utc>,
    ) -> Result<Vec<FindingKind>, StoreError> {
        self.write("apply_findings", |state, _| {
            if let Some(lease) = lease {
                state.hold("apply_findings", lease)?;
            }
            let mut opened = Vec::new();
            for one in seen {
                if state.see(org, job, one, elders, now) {
                    opened.push(one.key.kind);
                }
            }
            Ok(opened)
        })
        .await
    }

    /// Does something to each, some a transaction.
    async fn each<T>(
        &self,
        lease: &RunLease,
        all: &[T],
        what: impl Fn(&mut State, &T),
    ) -> Result<(), StoreError> {
        for chunk in all.chunks(CHUNK) {
            self.write("apply_findings", |state, _| {
                state.hold("apply_findings", lease)?;
                for one in chunk {
                    what(state, one);
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Findings for MemoryStore {
    async fn live_findings(
        &self,
        org: &Org,
        job: &JobName,
        which: Live<'_>,
    ) -> Result<Vec<LiveFinding>, StoreError> {
        self.read("live_findings", |state, _| {
            let of_job = state.findings.of_job(org, job);
            Ok(match which {
                Live::All => of_job.map(Row::as_live).collect(),
                Live::OfKind(kind) => {
                    let of_kind = of_job.filter(|row| row.finding.key.kind == kind);
                    of_kind.map(Row::as_live).collect()
                }
                Live::About(ids) => {
                    let about = ids.iter().flat_map(|id| state.findings.about(org, id));
                    let about = about.filter(|row| row.is_live() && row.finding.job_name == *job);
                    let about = about.map(|row| (row.finding.id, row.as_live()));
                    let by_id: BTreeMap<_, _> = about.collect();
                    by_id.into_values().collect()
                }
            })
        })
        .await
    }

    async fn missing_findings(
        &self,
        org: &Org,
        job: &JobName,
    ) -> Result<Vec<LiveFinding>, StoreError> {
        self.read("missing_findings", |state, _| {
            let of_job = state.findings.of_job(org, job);
            let missing = of_job.filter(|row| row.missing_since.is_some());
            Ok(missing.map(Row::as_live).collect())
        })
        .await
    }

    async fn attention_ids(
        &self,
        org: &Org,
        job: &JobName,
    ) -> Result<Vec<ReferenceId>, StoreError> {
        self.read("attention_ids", |state, _| {
            let of_job = state.findings.of_job(org, job);
            let waiting = of_job.filter(|row| row.finding.attention.is_some());
            let mut ids: Vec<ReferenceId> = waiting
                .map(|row| row.finding.key.reference_id.clone())
                .collect();
            ids.sort();
            ids.dedup();
            Ok(ids)
        })
        .await
    }

    async fn apply_findings(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        changes: &FindingChanges,
        now: DateTime<Utc>,
    ) -> Result<Vec<FindingKind>, StoreError> {
        let mut opened = Vec::new();
        for chunk in changes.seen.chunks(CHUNK) {
            let seeing = self.see_findings(Some(lease), org, job, chunk, &changes.elders, now);
            opened.extend(seeing.await?);
        }
        self.each(lease, &changes.touched, |state, id| {
            let row = state.findings.rows.get_mut(id);
            if let Some(row) = row.filter(|row| row.is_live()) {
                row.finding.last_seen = now;
                row.finding.times_seen += 1;
            }
        })
        .await?;
        self.each(lease, &changes.resolved, |state, id| {
            if let Some(row) = state.leave_the_list(*id, now) {
                row.resolve(now);
            }
        })
        .await?;
        self.each(lease, &changes.missing, |state, id| {
            let known = state.findings.rows.get(id);
            let since = known.and_then(|row| row.missing_since);
            if since.is_some_and(|since| since >= now - TimeDelta::days(1)) {
                return;
            }
            if let Some(row) = state.leave_the_list(*id, now) {
                row.missing_since = Some(now);
            }
        })
        .await?;
        self.each(lease, &changes.back, |state, id| {
            if let Some(row) = state.findings.rows.get_mut(id) {
                row.missing_since = None;
            }
        })
        .await?;
        self.each(lease, &changes.attention, |state, (key, attention)| {
            let row = state.findings.get_mut(&place(org, key));
            if let Some(row) = row.filter(|row| row.is_live() && row.finding.job_name == *job) {
                row.finding.attention = *attention;
            }
        })
        .await?;
        Ok(opened)
    }

    async fn flag_verified(
        &self,
        org: &Org,
        job: &JobName,
        seen: &Sighting,
        now: DateTime<Utc>,
    ) -> Result<Vec<FindingKind>, StoreError> {
        let seen = std::slice::from_ref(seen);
        self.see_findings(None, org, job, seen, &[], now).await
    }

    async fn resolve_left_behind(
        &self,
        lease: &RunLease,
        org: &Org,
        finished: &[ReferenceId],
        configured: &[JobName],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("resolve_left_behind", |state, _| {
            state.hold("resolve_left_behind", lease)?;
            let findings = &mut state.findings;
            let about = finished.iter().flat_map(|id| findings.about(org, id));
            let left =
                about.filter(|row| row.is_live() && !configured.contains(&row.finding.job_name));
            let left: Vec<FindingId> = left.map(|row| row.finding.id).collect();
            for id in left {
                if let Some(row) = findings.rows.get_mut(&id) {
                    row.resolve(now);
                }
            }
            Ok(())
        })
        .await
    }

    async fn left_behind(&self, configured: &[JobName]) -> Result<Vec<(JobName, u64)>, StoreError> {
        self.read("left_behind", |state, _| {
            let mut counts: BTreeMap<JobName, u64> = BTreeMap::new();
            let live = state.findings.rows.values().filter(|row| row.is_live());
            for row in live.filter(|row| !configured.contains(&row.finding.job_name)) {
                *counts.entry(row.finding.job_name.clone()).or_default() += 1;
            }
            Ok(counts.into_iter().collect())
        })
        .await
    }

    async fn findings(&self, filter: &FindingFilter, of: Page) -> Result<Vec<Finding>, StoreError> {
        self.read("findings", |state, _| Ok(state.newest_findings(filter, of)))
            .await
    }

    async fn oldest_findings(
        &self,
        filter: &FindingFilter,
        after: Option<OldestKey>,
        limit: u32,
    ) -> Result<Vec<Finding>, StoreError> {
        self.read("oldest_findings", |state, _| {
            Ok(state.oldest_findings(filter, after, limit))
        })
        .await
    }

    async fn count_findings(&self, filter: &FindingFilter) -> Result<u64, StoreError> {
        self.read("count_findings", |state, _| {
            Ok(state.wanted_findings(filter).count() as u64)
        })
        .await
    }

    async fn finding_counts(&self) -> Result<Vec<FindingCount>, StoreError> {
        self.read("finding_counts", |state, _| {
            let mut counts: BTreeMap<(&Org, &str, &str), FindingCount> = BTreeMap::new();
            for row in state.findings.rows.values().filter(|row| row.is_live()) {
                let finding = &row.finding;
                let kind = finding.key.kind;
                let is_stuck = kind == FindingKind::StuckRequest;
                let status = if is_stuck { &*finding.key.detail } else { "" };
                let count = counts
                    .entry((&finding.org, kind.as_str(), status))
                    .or_insert_with(|| FindingCount {
                        org: finding.org.clone(),
                        kind,
                        status: status.to_owned(),
                        count: 0,
                        oldest: None,
                    });
                count.count += 1;
                if let Some(since) = finding.since.filter(|_| is_stuck) {
                    count.oldest = Some(count.oldest.map_or(since, |oldest| oldest.min(since)));
                }
            }
            Ok(counts.into_values().collect())
        })
        .await
    }
}
