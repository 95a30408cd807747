//! Looks and sweeps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::domain::ids::{JobName, Org, ReferenceId};
use tesa_reconciler::store::StoreError;
use tesa_reconciler::store::looks::{Look, LookMark, Looks, Sweep};
use tesa_reconciler::store::runs::RunLease;

use super::{MemoryStore, State};

/// Rows a transaction.
const CHUNK: usize = 2_000;

#[derive(Default)]
pub(super) struct Table {
    pub(super) rows: BTreeMap<(Org, JobName, ReferenceId), Look>,
    pub(super) sweeps: BTreeMap<(Org, JobName), Sweep>,
}

/// The first text that comes after `after`, byte by byte; before all where there is none.
pub(super) fn from(after: Option<&str>) -> ReferenceId {
    after.map_or_else(|| "".into(), |after| format!("{after}\0").into())
}

impl Table {
    /// A job's looks, ascending bytewise.
    fn of_job<'a>(
        &'a self,
        org: &'a Org,
        job: &'a JobName,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a Look> {
        self.rows
            .range((org.clone(), job.clone(), from(after))..)
            .take_while(move |((of, by, _), _)| of == org && by == job)
            .map(|(_, look)| look)
    }
}

impl State {
    /// Forgets what jobs that sweep looked at there.
    pub(super) fn forget_swept_looks(&mut self, org: &Org, id: &ReferenceId) {
        let looks = &mut self.looks;
        let swept = looks.sweeps.keys().filter(|(of, _)| of == org);
        for (_, job) in swept {
            let key = (org.clone(), job.clone(), id.clone());
            looks.rows.remove(&key);
        }
    }
}

#[async_trait]
impl Looks for MemoryStore {
    async fn remember_looks(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        looks: &[Look],
    ) -> Result<(), StoreError> {
        if looks.is_empty() {
            return Ok(());
        }
        self.write("remember_looks", |state, _| {
            state.hold("remember_looks", lease)?;
            for look in looks {
                let key = (org.clone(), job.clone(), look.reference_id.clone());
                let known = state.looks.rows.entry(key).or_insert_with(|| look.clone());
                if look.looked_at >= known.looked_at {
                    *known = look.clone();
                }
            }
            Ok(())
        })
        .await
    }

    async fn looks(
        &self,
        org: &Org,
        job: &JobName,
        ids: &[ReferenceId],
    ) -> Result<Vec<Look>, StoreError> {
        self.read("looks", |state, _| {
            let mut found: Vec<&Look> = ids
                .iter()
                .filter_map(|id| {
                    let key = (org.clone(), job.clone(), id.clone());
                    state.looks.rows.get(&key)
                })
                .collect();
            found.sort_by(|a, b| a.reference_id.cmp(&b.reference_id));
            found.dedup_by(|a, b| a.reference_id == b.reference_id);
            Ok(found.into_iter().cloned().collect())
        })
        .await
    }

    async fn look_marks(
        &self,
        org: &Org,
        job: &JobName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<LookMark>, StoreError> {
        self.read("look_marks", |state, _| {
            let looks = state.looks.of_job(org, job, after);
            let marks = looks.take(limit as usize).map(|look| LookMark {
                reference_id: look.reference_id.clone(),
                looked_at: look.looked_at,
            });
            Ok(marks.collect())
        })
        .await
    }

    async fn looks_due(
        &self,
        org: &Org,
        job: &JobName,
        at: DateTime<Utc>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Look>, StoreError> {
        self.read("looks_due", |state, _| {
            let looks = state.looks.of_job(org, job, after);
            let due = looks.filter(|look| look.again_at.is_some_and(|again| again <= at));
            Ok(due.take(limit as usize).cloned().collect())
        })
        .await
    }

    async fn look_again(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        at: &[(ReferenceId, Option<DateTime<Utc>>)],
    ) -> Result<(), StoreError> {
        for chunk in at.chunks(CHUNK) {
            self.write("look_again", |state, _| {
                state.hold("look_again", lease)?;
                for (id, again) in chunk {
                    let key = (org.clone(), job.clone(), id.clone());
                    if let Some(look) = state.looks.rows.get_mut(&key) {
                        look.again_at = *again;
                    }
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn forget_looks(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        ids: &[ReferenceId],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.write("forget_looks", |state, _| {
            state.hold("forget_looks", lease)?;
            for id in ids {
                let key = (org.clone(), job.clone(), id.clone());
                state.looks.rows.remove(&key);
            }
            Ok(())
        })
        .await
    }

    async fn last_sweep(&self, org: &Org, job: &JobName) -> Result<Option<Sweep>, StoreError> {
        self.read("last_sweep", |state, _| {
            let key = (org.clone(), job.clone());
            Ok(state.looks.sweeps.get(&key).cloned())
        })
        .await
    }

    async fn begin_sweep(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        began: DateTime<Utc>,
        rules: &str,
    ) -> Result<(), StoreError> {
        self.write("begin_sweep", |state, _| {
            state.hold("begin_sweep", lease)?;
            let key = (org.clone(), job.clone());
            let looks = &mut state.looks;
            let last = looks.sweeps.get(&key);
            if last.is_none_or(|last| last.rules != rules) {
                for ((of, by, _), look) in &mut looks.rows {
                    if of == org && by == job {
                        look.again_at = Some(DateTime::UNIX_EPOCH);
                    }
                }
            }
            let began = last.map_or(began, |last| began.max(last.began));
            let rules = rules.to_owned();
            looks.sweeps.insert(key, Sweep { began, rules });
            Ok(())
        })
        .await
    }
}
