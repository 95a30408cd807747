//! Who is alive.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::SqliteStore;
use crate::domain::ids::ReplicaId;
use crate::store::StoreError;
use crate::store::replicas::{ReplicaRow, Replicas};
use crate::store::rows::controls::RawReplica;
use crate::store::rows::{all, micros};

#[async_trait]
impl Replicas for SqliteStore {
    async fn beat_replica(
        &self,
        replica: &ReplicaRow,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.timed
            .call("beat_replica", async {
                let mut tx = self.begin().await?;
                sqlx::query(
                    "INSERT INTO replicas (id, host, pid, version, mode, started_at, last_beat)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (id) DO UPDATE SET mode = excluded.mode, last_beat = excluded.last_beat",
                )
                .bind(replica.id.as_str())
                .bind(&replica.host)
                .bind(replica.pid)
                .bind(&replica.version)
                .bind(replica.mode.as_str())
                .bind(micros(replica.started_at))
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    async fn retire_replica(&self, id: &ReplicaId) -> Result<(), StoreError> {
        self.timed
            .call("retire_replica", async {
                let mut tx = self.begin().await?;
                sqlx::query("DELETE FROM replicas WHERE id = ?1")
                    .bind(id.as_str())
                    .execute(&mut *tx)
                    .await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    async fn live_replicas(
        &self,
        since: DateTime<Utc>,
        _now: DateTime<Utc>,
    ) -> Result<Vec<ReplicaRow>, StoreError> {
        self.timed
            .call("live_replicas", async {
                let rows: Vec<RawReplica> = sqlx::query_as(
                    "SELECT id, host, pid, version, mode, started_at, last_beat FROM replicas
                     WHERE last_beat >= ?1 ORDER BY started_at, id",
                )
                .bind(micros(since))
                .fetch_all(&self.readers)
                .await?;
                all(rows)
            })
            .await
    }
}
