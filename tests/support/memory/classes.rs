//! Classes and their members.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::domain::finding::FindingKind;
use tesa_reconciler::domain::ids::{ClassId, JobName, Org, ReferenceId};
use tesa_reconciler::domain::{IdBatch, Observation};
use tesa_reconciler::rules::classes::ClassKey;
use tesa_reconciler::store::StoreError;
use tesa_reconciler::store::classes::{ClassSize, Classes, StoredClass};
use tesa_reconciler::store::findings::{FindingKey, Sighting};
use tesa_reconciler::store::runs::RunLease;

use super::findings::{Row, place};
use super::looks::from;
use super::{MemoryStore, State};

/// Rows a transaction.
const CHUNK: usize = 2_000;

#[derive(Default)]
pub(super) struct Table {
    last: i64,
    pub(super) rows: BTreeMap<ClassId, Class>,
}

pub(super) struct Class {
    org: Org,
    job: JobName,
    pub(super) stored: StoredClass,
}

impl State {
    /// Requests of findings that are `wanted`, each once, ascending bytewise.
    fn members(
        &self,
        after: Option<&str>,
        limit: u32,
        wanted: impl Fn(&Row) -> bool,
    ) -> Result<IdBatch, StoreError> {
        let findings = &self.findings;
        let first = FindingKind::ALL.iter().copied().min();
        let first = first.map(|kind| (from(after), Org::new(""), kind, String::new()));
        let places = first
            .into_iter()
            .flat_map(|first| findings.by_key.range(first..));
        let members = places.filter(|(_, id)| findings.rows.get(id).is_some_and(&wanted));
        let (mut batch, mut last) = (IdBatch::default(), None);
        for ((id, ..), _) in members {
            if batch.len() == limit as usize {
                break;
            }
            if last.replace(id) != Some(id) {
                batch
                    .push(id.as_str())
                    .map_err(|full| StoreError::Internal {
                        operation: "class_members",
                        detail: full.to_string(),
                    })?;
            }
        }
        Ok(batch)
    }

    /// Answers whether it is new, or came back.
    fn open_member(
        &mut self,
        org: &Org,
        job: &JobName,
        class: ClassId,
        seen: &Sighting,
        elders: &[JobName],
        now: DateTime<Utc>,
    ) -> bool {
        let opens_as = self.opens_as(org, &seen.key);
        let Some(row) = self.findings.get_mut(&place(org, &seen.key)) else {
            let row = self.findings.insert(org, job, seen, opens_as, now);
            row.class = Some(class);
            row.finding.read_at = None;
            return true;
        };
        let comes_back = !row.is_live();
        if !comes_back && elders.contains(&row.finding.job_name) {
            return false;
        }
        row.class = Some(class);
        row.missing_since = None;
        let finding = &mut row.finding;
        finding.job_name = job.clone();
        finding.evidence.clone_from(&seen.evidence);
        if comes_back {
            finding.state = opens_as;
            finding.since = None;
            finding.read_at = None;
            finding.attention = None;
            finding.resolved_at = None;
            finding.times_reopened += 1;
        }
        finding.last_seen = now;
        finding.times_seen += 1;
        comes_back
    }

    /// What is known of the live class findings of a request is replaced by what is newer, and never by nothing.
    fn fill(&mut self, org: &Org, job: &JobName, seen: &Observation) {
        let about = self.findings.about(org, &seen.reference_id);
        let members = about.filter(|row| row.class.is_some() && row.finding.job_name == *job);
        let ids: Vec<_> = members.map(|row| row.finding.id).collect();
        for id in ids {
            if let Some(row) = self.findings.rows.get_mut(&id) {
                let finding = &mut row.finding;
                if seen.external_reference.is_some() {
                    finding
                        .external_reference
                        .clone_from(&seen.external_reference);
                }
                finding.since = finding.since.max(seen.last_updated);
                finding.read_at = finding.read_at.max(Some(seen.observed_at));
            }
        }
    }
}

#[async_trait]
impl Classes for MemoryStore {
    async fn classes(&self, org: &Org, job: &JobName) -> Result<Vec<StoredClass>, StoreError> {
        self.read("classes", |state, _| {
            let rows = state.classes.rows.values();
            let of_job = rows.filter(|row| row.org == *org && row.job == *job);
            Ok(of_job.map(|row| row.stored.clone()).collect())
        })
        .await
    }

    async fn ensure_classes(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        keys: &[ClassKey],
        now: DateTime<Utc>,
    ) -> Result<Vec<ClassId>, StoreError> {
        self.write("ensure_classes", |state, _| {
            state.hold("ensure_classes", lease)?;
            let classes = &mut state.classes;
            let mut ids = Vec::with_capacity(keys.len());
            for key in keys {
                let is_it =
                    |row: &&Class| row.org == *org && row.job == *job && row.stored.key == *key;
                let known = classes.rows.values().find(is_it).map(|row| row.stored.id);
                let id = known.unwrap_or_else(|| {
                    classes.last += 1;
                    ClassId(classes.last)
                });
                classes.rows.entry(id).or_insert_with(|| Class {
                    org: org.clone(),
                    job: job.clone(),
                    stored: StoredClass {
                        id,
                        key: key.clone(),
                        size: 0,
                        listed_at: now,
                    },
                });
                ids.push(id);
            }
            Ok(ids)
        })
        .await
    }

    async fn note_listed(
        &self,
        lease: &RunLease,
        classes: &[ClassSize],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("note_listed", |state, _| {
            state.hold("note_listed", lease)?;
            for class in classes {
                if let Some(row) = state.classes.rows.get_mut(&class.id) {
                    row.stored.size = class.size;
                    row.stored.listed_at = now;
                }
            }
            Ok(())
        })
        .await
    }

    async fn class_members(
        &self,
        class: ClassId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<IdBatch, StoreError> {
        self.read("class_members", |state, _| {
            state.members(after, limit, |row| row.class == Some(class))
        })
        .await
    }

    async fn open_members(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        class: ClassId,
        ids: &[ReferenceId],
        elders: &[JobName],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let mut opened = 0;
        for chunk in ids.chunks(CHUNK) {
            opened += self
                .write("open_members", |state, _| {
                    state.hold("open_members", lease)?;
                    let says = state.classes.rows.get(&class);
                    let says = says.ok_or_else(|| StoreError::Internal {
                        operation: "open_members",
                        detail: format!("there is no class {class}"),
                    })?;
                    let ClassKey {
                        detail, evidence, ..
                    } = says.stored.key.clone();
                    let asked: BTreeSet<&ReferenceId> = chunk.iter().collect();
                    let sighting = |id: &ReferenceId| Sighting {
                        key: FindingKey {
                            reference_id: id.clone(),
                            kind: FindingKind::StuckRequest,
                            detail: detail.clone(),
                        },
                        external_reference: None,
                        since: None,
                        attention: None,
                        evidence: evidence.clone(),
                    };
                    let mut new = 0;
                    for id in asked {
                        let seen = sighting(id);
                        new += u64::from(state.open_member(org, job, class, &seen, elders, now));
                    }
                    Ok(new)
                })
                .await?;
        }
        Ok(opened)
    }

    async fn classless_members(
        &self,
        org: &Org,
        job: &JobName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<IdBatch, StoreError> {
        self.read("classless_members", |state, _| {
            state.members(after, limit, |row| {
                let finding = &row.finding;
                let is_of_job = finding.org == *org && finding.job_name == *job;
                is_of_job && row.is_live() && row.class.is_none()
            })
        })
        .await
    }

    async fn without_details(
        &self,
        org: &Org,
        job: &JobName,
        limit: u32,
    ) -> Result<Vec<ReferenceId>, StoreError> {
        self.read("without_details", |state, _| {
            let of_job = state.findings.of_job(org, job);
            let bare = of_job.filter(|row| row.class.is_some() && row.finding.since.is_none());
            let mut bare: Vec<&Row> = bare.collect();
            bare.sort_by_key(|row| (row.finding.read_at, row.finding.id));
            let ids = bare
                .into_iter()
                .map(|row| row.finding.key.reference_id.clone());
            Ok(ids.take(limit as usize).collect())
        })
        .await
    }

    async fn fill_details(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        seen: &[Observation],
    ) -> Result<(), StoreError> {
        for chunk in seen.chunks(CHUNK) {
            self.write("fill_details", |state, _| {
                state.hold("fill_details", lease)?;
                for one in chunk {
                    state.fill(org, job, one);
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}
