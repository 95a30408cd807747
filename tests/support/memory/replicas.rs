//! Who is alive, by the store's clock.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::domain::ids::ReplicaId;
use tesa_reconciler::store::StoreError;
use tesa_reconciler::store::replicas::{ReplicaRow, Replicas};

use super::{MemoryStore, State};

#[derive(Default)]
pub(super) struct Table {
    pub(super) rows: BTreeMap<ReplicaId, ReplicaRow>,
}

impl State {
    /// This one beat within so long.
    pub(super) fn is_alive(
        &self,
        replica: &ReplicaId,
        within: TimeDelta,
        now: DateTime<Utc>,
    ) -> bool {
        let row = self.replicas.rows.get(replica);
        row.is_some_and(|row| row.last_beat >= now - within)
    }
}

#[async_trait]
impl Replicas for MemoryStore {
    async fn beat_replica(
        &self,
        replica: &ReplicaRow,
        _now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("beat_replica", |state, now| {
            let rows = &mut state.replicas.rows;
            let row = rows.entry(replica.id.clone());
            let row = row.or_insert_with(|| replica.clone());
            row.mode = replica.mode;
            row.last_beat = now;
            Ok(())
        })
        .await
    }

    async fn retire_replica(&self, id: &ReplicaId) -> Result<(), StoreError> {
        self.write("retire_replica", |state, _| {
            state.replicas.rows.remove(id);
            Ok(())
        })
        .await
    }

    async fn live_replicas(
        &self,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<ReplicaRow>, StoreError> {
        let within = now - since;
        self.read("live_replicas", |state, now| {
            let rows = state.replicas.rows.values();
            let mut alive: Vec<ReplicaRow> = rows
                .filter(|row| row.last_beat >= now - within)
                .cloned()
                .collect();
            alive.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
            Ok(alive)
        })
        .await
    }
}
