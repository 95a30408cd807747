//! Who is alive, by the database's clock.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::PgStore;
use super::values::{age, stamp};
use crate::domain::ids::ReplicaId;
use crate::store::StoreError;
use crate::store::replicas::{ReplicaRow, Replicas};
use crate::store::rows::all;
use crate::store::rows::controls::RawReplica;

#[async_trait]
impl Replicas for PgStore {
    async fn beat_replica(
        &self,
        replica: &ReplicaRow,
        _now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("beat_replica", || async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "INSERT INTO replicas (id, host, pid, version, mode, started_at, last_beat)
                     VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
                     ON CONFLICT (id) DO UPDATE SET mode = excluded.mode, last_beat = clock_timestamp()",
            )
            .bind(replica.id.as_str())
            .bind(&replica.host)
            .bind(i64::from(replica.pid))
            .bind(&replica.version)
            .bind(replica.mode.as_str())
            .bind(stamp(replica.started_at))
            .execute(&mut *tx)
            .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn retire_replica(&self, id: &ReplicaId) -> Result<(), StoreError> {
        self.call("retire_replica", || async {
            let mut tx = self.begin().await?;
            sqlx::query("DELETE FROM replicas WHERE id = $1")
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
        now: DateTime<Utc>,
    ) -> Result<Vec<ReplicaRow>, StoreError> {
        self.call("live_replicas", || async {
            let rows: Vec<RawReplica> = sqlx::query_as(
                "SELECT id, host, pid, version, mode, started_at, last_beat FROM replicas
                     WHERE last_beat >= clock_timestamp() - $1::interval ORDER BY started_at, id",
            )
            .bind(age(now - since))
            .fetch_all(&self.pool)
            .await?;
            all(rows)
        })
        .await
    }
}
