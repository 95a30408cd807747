//! What is marked about orders.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Backend, Connection, audit, history, lock_org, text, texts};
use crate::domain::AttemptId;
use crate::domain::ids::{ExternalReference, Org, ReferenceId};
use crate::store::fault::Fault;
use crate::store::orders::{Marks, Orders};
use crate::store::rows::orders::marks;
use crate::store::rows::stamp;
use crate::store::{Actor, StoreError};

pub(in crate::store) const RETRIES: &str = sql!("
    SELECT external_reference, at, last_attempt FROM retries
    WHERE org = $1 AND external_reference" one_of!("$2") " ORDER BY at");

pub(in crate::store) const KNOWN: &str = sql!("
    WITH known AS (
        SELECT external_reference, reference_id, false AS let_go FROM observations
        WHERE org = $1 AND external_reference" one_of!("$2") "
        UNION ALL
        SELECT external_reference, reference_id, let_go FROM duplicates
        WHERE org = $1 AND external_reference" one_of!("$2") "),
    each_known AS (
        SELECT external_reference, reference_id, " dialect!(sqlite: "max", postgres: "bool_or") "(let_go) AS let_go FROM known
        GROUP BY external_reference, reference_id)
    SELECT known.external_reference, known.reference_id, known.let_go, o.status, o.persistence_type
    FROM each_known AS known
        LEFT JOIN observations AS o ON o.org = $1 AND o.reference_id = known.reference_id
    ORDER BY known.external_reference, known.reference_id");

const NOTE: &str = sql!("
    INSERT INTO duplicates (org, external_reference, reference_id, seen_at, let_go)
    SELECT $1, $2, seen.reference_id, $3, false FROM " rows_of!(seen: "$4" reference_id text) "
    WHERE true ORDER BY seen.reference_id
    ON CONFLICT (org, external_reference, reference_id) DO NOTHING");

const OPEN: &str = "
    SELECT id FROM attempts WHERE org = $1 AND external_reference = $2
        AND state IN ('intended', 'accepted', 'unknown', 'needs_human')";

// In this order: what is known is kept, and let go, before it is forgotten. What was decided and looked at rests on
// the observation, and goes with it.
const KEEP: &str = "
    INSERT INTO duplicates (org, external_reference, reference_id, seen_at, let_go)
    SELECT org, external_reference, reference_id, $3, true FROM observations
    WHERE org = $1 AND external_reference = $2 ORDER BY reference_id
    ON CONFLICT (org, external_reference, reference_id) DO NOTHING";
const LET_GO: [&str; 4] = [
    "UPDATE duplicates SET let_go = true WHERE org = $1 AND external_reference = $2",
    "DELETE FROM decisions WHERE org = $1 AND reference_id IN (
        SELECT reference_id FROM observations WHERE org = $1 AND external_reference = $2)",
    "DELETE FROM looks WHERE org = $1 AND reference_id IN (
        SELECT reference_id FROM observations WHERE org = $1 AND external_reference = $2)
        AND job_name IN (SELECT job_name FROM sweeps WHERE org = $1)",
    "DELETE FROM observations WHERE org = $1 AND external_reference = $2",
];

const RETRY: &str = "
    INSERT INTO retries (org, external_reference, at, who, reason, last_attempt)
    SELECT $1, $2, $3, $4, $5, coalesce(max(id), 0) FROM attempts WHERE org = $1 AND external_reference = $2
    ON CONFLICT (org, external_reference, at) DO UPDATE SET
        who = excluded.who, reason = excluded.reason, last_attempt = excluded.last_attempt";

/// The marks of these orders, as the connection sees them.
pub(in crate::store) async fn marks_of(
    connection: &mut Connection,
    org: &Org,
    orders: &[ExternalReference],
) -> Result<Vec<(ExternalReference, Marks)>, Fault> {
    let asked = texts(orders.iter().map(ExternalReference::as_str));
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
impl Orders for Backend {
    async fn order_marks(
        &self,
        org: &Org,
        orders: &[ExternalReference],
    ) -> Result<Vec<(ExternalReference, Marks)>, StoreError> {
        self.call("order_marks", || async {
            let mut connection = self.reading().acquire().await?;
            marks_of(&mut connection, org, orders).await
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
        self.call("note_duplicates", || async {
            let mut tx = self.begin().await?;
            let note = sqlx::query(NOTE)
                .bind(org.as_str())
                .bind(text(order.as_str()))
                .bind(stamp(now));
            bind_rows!(note, requests, |id| [text(id.as_str())])
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
        self.call("retry_order", || async {
            let mut tx = self.begin().await?;
            lock_org(&mut tx, org).await?;
            let open: Option<i64> = sqlx::query_scalar(OPEN)
                .bind(org.as_str())
                .bind(text(order.as_str()))
                .fetch_optional(&mut *tx)
                .await?;
            if let Some(id) = open {
                return Ok(Err(AttemptId(id)));
            }
            for keep in [KEEP, history::LET_GO] {
                sqlx::query(keep)
                    .bind(org.as_str())
                    .bind(text(order.as_str()))
                    .bind(stamp(now))
                    .execute(&mut *tx)
                    .await?;
            }
            for statement in LET_GO {
                sqlx::query(statement)
                    .bind(org.as_str())
                    .bind(text(order.as_str()))
                    .execute(&mut *tx)
                    .await?;
            }
            sqlx::query(RETRY)
                .bind(org.as_str())
                .bind(text(order.as_str()))
                .bind(stamp(now))
                .bind(text(&actor.who))
                .bind(text(&actor.reason))
                .execute(&mut *tx)
                .await?;
            let subject = format!("{org}/{}", text(order.as_str()));
            audit::append(&mut tx, "retry", &subject, actor, now).await?;
            tx.commit().await?;
            Ok(Ok(()))
        })
        .await
    }
}
