//! History: a row for each change of an observation, and for what is news beside it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::domain::ids::{Org, ReferenceId};
use tesa_reconciler::domain::{Happening, Sight, What};
use tesa_reconciler::store::StoreError;
use tesa_reconciler::store::history::{History, PrunedHistory};
use tesa_reconciler::store::runs::RunLease;

use super::looks::from;
use super::{MemoryStore, State};

#[derive(Default)]
pub(super) struct Table {
    rows: BTreeMap<(Org, ReferenceId), Vec<Happening>>,
    last: i64,
}

impl Table {
    pub(super) fn tell(&mut self, org: &Org, id: &ReferenceId, seen_at: DateTime<Utc>, what: What) {
        self.last += 1;
        let happening = Happening {
            id: self.last,
            seen_at,
            what,
        };
        let of_request = self.rows.entry((org.clone(), id.clone())).or_default();
        of_request.push(happening);
    }

    /// The last that was told of each thing of a request.
    fn told(&self, org: &Org, id: &ReferenceId) -> Vec<What> {
        let rows = self.rows.get(&(org.clone(), id.clone()));
        let mut last: BTreeMap<String, What> = BTreeMap::new();
        for happening in rows.into_iter().flatten() {
            last.insert(happening.what.subject(), happening.what.clone());
        }
        last.into_values().collect()
    }

    /// Its last event and its issues, as they were last told.
    pub(super) fn last_beside(&self, org: &Org, id: &ReferenceId) -> Vec<Happening> {
        let rows = self.rows.get(&(org.clone(), id.clone()));
        let mut last: BTreeMap<String, &Happening> = BTreeMap::new();
        for happening in rows.into_iter().flatten() {
            let is_beside = matches!(
                happening.what,
                What::Event(_) | What::Issue(_) | What::IssueGone(_)
            );
            if is_beside {
                last.insert(happening.what.subject(), happening);
            }
        }
        let mut last: Vec<Happening> = last.into_values().cloned().collect();
        last.sort_by_key(|happening| happening.id);
        last
    }

    pub(super) fn tell_beside(&mut self, org: &Org, sights: &[Sight]) {
        for sight in sights {
            let told = self.told(org, &sight.reference_id);
            for what in sight.beside.news(&told) {
                self.tell(org, &sight.reference_id, sight.at, what);
            }
        }
    }
}

#[async_trait]
impl History for MemoryStore {
    async fn history(&self, org: &Org, id: &ReferenceId) -> Result<Vec<Happening>, StoreError> {
        self.read("history", |state, _| {
            let rows = state.history.rows.get(&(org.clone(), id.clone()));
            Ok(rows.cloned().unwrap_or_default())
        })
        .await
    }

    async fn orgs_of_history(&self, id: &ReferenceId) -> Result<Vec<Org>, StoreError> {
        self.read("history", |state, _| {
            let keys = state.history.rows.keys().filter(|(_, of)| of == id);
            Ok(keys.map(|(org, _)| org.clone()).collect())
        })
        .await
    }

    async fn histories(
        &self,
        org: &Org,
        after: Option<&ReferenceId>,
        limit: u32,
    ) -> Result<Vec<(ReferenceId, Vec<Happening>)>, StoreError> {
        self.read("histories", |state, _| {
            let first = (org.clone(), from(after.map(ReferenceId::as_str)));
            let rows = state.history.rows.range(first..);
            let of_org = rows.take_while(|((of, _), _)| of == org);
            let of_org = of_org.map(|((_, id), rows)| (id.clone(), rows.clone()));
            Ok(of_org.take(limit as usize).collect())
        })
        .await
    }

    async fn beside(
        &self,
        org: &Org,
        ids: &[ReferenceId],
    ) -> Result<Vec<(ReferenceId, Vec<Happening>)>, StoreError> {
        self.read("beside", |state, _| {
            let asked: BTreeSet<&ReferenceId> = ids.iter().collect();
            let beside = asked.into_iter().map(|id| {
                let last = state.history.last_beside(org, id);
                (id.clone(), last)
            });
            Ok(beside.filter(|(_, last)| !last.is_empty()).collect())
        })
        .await
    }

    async fn prune_history(
        &self,
        lease: &RunLease,
        older_than: DateTime<Utc>,
        after: i64,
        batch: u32,
    ) -> Result<PrunedHistory, StoreError> {
        self.write("prune_history", |state: &mut State, _| {
            state.hold("prune_history", lease)?;
            let history = &mut state.history;
            let rows = history.rows.values().flatten();
            let mut step: Vec<(i64, DateTime<Utc>)> = rows
                .filter(|row| row.id > after)
                .map(|row| (row.id, row.seen_at))
                .collect();
            step.sort();
            step.truncate(batch as usize);
            let Some(&(last, seen_at)) = step.last() else {
                return Ok(PrunedHistory::default());
            };
            let mut removed = 0;
            for rows in history.rows.values_mut() {
                let outdated = |row: &Happening| {
                    let subject = row.what.subject();
                    let mut later = rows.iter().filter(|later| later.id > row.id);
                    later.any(|later| later.what.subject() == subject)
                };
                let goes = |row: &Happening| {
                    let is_in_step = row.id > after && row.id <= last;
                    is_in_step && row.seen_at < older_than && outdated(row)
                };
                let gone: Vec<i64> = rows
                    .iter()
                    .filter(|row| goes(row))
                    .map(|row| row.id)
                    .collect();
                rows.retain(|row| !gone.contains(&row.id));
                removed += gone.len() as u64;
            }
            let goes_on = seen_at < older_than && step.len() == batch as usize;
            Ok(PrunedHistory {
                removed,
                next: goes_on.then_some(last),
            })
        })
        .await
    }
}
