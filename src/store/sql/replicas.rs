//! Who is alive.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Backend, from_now};
use crate::domain::ids::ReplicaId;
use crate::store::StoreError;
use crate::store::replicas::{ReplicaRow, Replicas};
use crate::store::rows::controls::RawReplica;
use crate::store::rows::{all, stamp};

const BEAT: &str = sql!("
    INSERT INTO replicas (id, host, pid, version, zones, mode, started_at, last_beat)
    VALUES ($1, $2, $3, $4, $5, $6, $7, " now!("$8") ")
    ON CONFLICT (id) DO UPDATE SET mode = excluded.mode, last_beat = excluded.last_beat");

const LIVE: &str = sql!("
    SELECT id, host, pid, version, zones, mode, started_at, last_beat FROM replicas
    WHERE last_beat >= " from_now!("$1") " ORDER BY started_at, id");

#[async_trait]
impl Replicas for Backend {
    async fn beat_replica(
        &self,
        replica: &ReplicaRow,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("beat_replica", || async {
            let mut tx = self.begin().await?;
            sqlx::query(BEAT)
                .bind(replica.id.as_str())
                .bind(&replica.host)
                .bind(i64::from(replica.pid))
                .bind(&replica.version)
                .bind(&replica.zones)
                .bind(replica.mode.as_str())
                .bind(stamp(replica.started_at))
                .bind(stamp(now))
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
            let rows: Vec<RawReplica> = sqlx::query_as(LIVE)
                .bind(from_now(now, since - now))
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }
}
