//! What is marked about orders.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use super::{SqliteStore, audit};
use crate::domain::AttemptId;
use crate::domain::ids::{ExternalReference, Org, ReferenceId};
use crate::store::fault::Fault;
use crate::store::orders::{Marks, Orders};
use crate::store::rows::orders::marks;
use crate::store::rows::{json, micros};
use crate::store::{Actor, StoreError};

pub(super) const RETRIES: &str = "
    SELECT external_reference, at, last_attempt FROM retries
    WHERE org = ?1 AND external_reference IN (SELECT value FROM json_each(?2)) ORDER BY at";

pub(super) const KNOWN: &str = "
    WITH known AS (
        SELECT external_reference, reference_id, 0 AS let_go FROM observations
        WHERE org = ?1 AND external_reference IN (SELECT value FROM json_each(?2))
        UNION ALL
        SELECT external_reference, reference_id, let_go FROM duplicates
        WHERE org = ?1 AND external_reference IN (SELECT value FROM json_each(?2)))
    SELECT known.external_reference, known.reference_id, max(let_go) AS let_go, o.status, o.persistence_type
    FROM known LEFT JOIN observations AS o ON o.org = ?1 AND o.reference_id = known.reference_id
    GROUP BY known.external_reference, known.reference_id";

const NOTE: &str = "
    INSERT INTO duplicates (org, external_reference, reference_id, seen_at, let_go)
    SELECT ?1, ?2, value, ?4, 0 FROM json_each(?3) WHERE true
    ON CONFLICT (org, external_reference, reference_id) DO NOTHING";

const OPEN: &str = "
    SELECT id FROM attempts WHERE org = ?1 AND external_reference = ?2
        AND state IN ('intended', 'accepted', 'unknown', 'needs_human')";

// In this order: what is known is kept, and let go, before it is forgotten. What was decided and looked at rests on
// the observation, and goes with it.
const KEEP: &str = "
    INSERT INTO duplicates (org, external_reference, reference_id, seen_at, let_go)
    SELECT org, external_reference, reference_id, ?3, 1 FROM observations
    WHERE org = ?1 AND external_reference = ?2
    ON CONFLICT (org, external_reference, reference_id) DO NOTHING";
const LET_GO: [&str; 4] = [
    "UPDATE duplicates SET let_go = 1 WHERE org = ?1 AND external_reference = ?2",
    "DELETE FROM decisions WHERE org = ?1 AND reference_id IN (
        SELECT reference_id FROM observations WHERE org = ?1 AND external_reference = ?2)",
    "DELETE FROM looks WHERE org = ?1 AND reference_id IN (
        SELECT reference_id FROM observations WHERE org = ?1 AND external_reference = ?2)
        AND job_name IN (SELECT job_name FROM sweeps WHERE org = ?1)",
    "DELETE FROM observations WHERE org = ?1 AND external_reference = ?2",
];

const RETRY: &str = "
    INSERT OR REPLACE INTO retries (org, external_reference, at, who, reason, last_attempt)
    SELECT ?1, ?2, ?3, ?4, ?5, coalesce(max(id), 0) FROM attempts WHERE org = ?1 AND external_reference = ?2";

/// The marks of these orders, as the connection sees them.
pub(super) async fn marks_of(
    connection: &mut SqliteConnection,
    org: &Org,
    orders: &[ExternalReference],
) -> Result<Vec<(ExternalReference, Marks)>, Fault> {
    let asked = json(orders)?;
    let retries = sqlx::query_as(RETRIES)
        .bind(org.as_str())
        .bind(&asked)
        .fetch_all(&mut *connection)
        .await?;
    let known = sqlx::query_as(KNOWN)
        .bind(org.as_str())
        .bind(&asked)
        .fetch_all(&mut *connection)
        .await?;
    marks(retries, known)
}

#[async_trait]
impl Orders for SqliteStore {
    async fn order_marks(
        &self,
        org: &Org,
        orders: &[ExternalReference],
    ) -> Result<Vec<(ExternalReference, Marks)>, StoreError> {
        self.timed
            .call("order_marks", async {
                let mut reader = self.readers.acquire().await?;
                marks_of(&mut reader, org, orders).await
            })
            .await
    }

    async fn note_duplicates(
        &self,
        org: &Org,
        order: &ExternalReference,
        requests: &[ReferenceId],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.timed
            .call("note_duplicates", async {
                let mut tx = self.begin().await?;
                sqlx::query(NOTE)
                    .bind(org.as_str())
                    .bind(order.as_str())
                    .bind(json(requests)?)
                    .bind(micros(now))
                    .execute(&mut *tx)
                    .await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    async fn retry_order(
        &self,
        org: &Org,
        order: &ExternalReference,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Result<(), AttemptId>, StoreError> {
        self.timed
            .call("retry_order", async {
                let mut tx = self.begin().await?;
                let open: Option<i64> = sqlx::query_scalar(OPEN)
                    .bind(org.as_str())
                    .bind(order.as_str())
                    .fetch_optional(&mut *tx)
                    .await?;
                if let Some(id) = open {
                    return Ok(Err(AttemptId(id)));
                }
                sqlx::query(KEEP)
                    .bind(org.as_str())
                    .bind(order.as_str())
                    .bind(micros(now))
                    .execute(&mut *tx)
                    .await?;
                for statement in LET_GO {
                    sqlx::query(statement)
                        .bind(org.as_str())
                        .bind(order.as_str())
                        .execute(&mut *tx)
                        .await?;
                }
                sqlx::query(RETRY)
                    .bind(org.as_str())
                    .bind(order.as_str())
                    .bind(micros(now))
                    .bind(&actor.who)
                    .bind(&actor.reason)
                    .execute(&mut *tx)
                    .await?;
                let subject = format!("{org}/{order}");
                audit::append(&mut tx, "retry", &subject, actor, now).await?;
                tx.commit().await?;
                Ok(Ok(()))
            })
            .await
    }
}
