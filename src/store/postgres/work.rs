//! Parts of runs: posted, claimed row by row, answered, collected.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::PgStore;
use super::changes;
use super::intend::LEASE;
use super::runs::fenced;
use super::values::{age, json, text};
use crate::domain::RunId;
use crate::domain::ids::ReplicaId;
use crate::store::StoreError;
use crate::store::fault::Fault;
use crate::store::rows::work::{ClaimedRow, CollectedRow};
use crate::store::runs::RunLease;
use crate::store::work::{Claim, Claimed, Collected, NewWork, Scope, TRIES, Work};

const POST: &str = "
    INSERT INTO work (run_id, part, token, kind, digest, payload) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (run_id, part) DO NOTHING";

// A row that another one is just claiming is passed over. One whose claim ran out is claimed like a new one.
pub(super) const CLAIM: &str = "
    WITH next AS (
        SELECT work.run_id, work.part, runs.job_name, runs.org
        FROM work JOIN runs ON runs.id = work.run_id AND runs.token = work.token AND runs.outcome IS NULL
        WHERE work.result IS NULL AND work.tries < $3
            AND (work.taken_until IS NULL OR work.taken_until < clock_timestamp())
            AND (work.run_id = $4 OR ($4 IS NULL AND runs.replica <> $1 AND work.digest = ANY($5)))
            AND work.run_id <> ALL($6)
        ORDER BY work.run_id, work.part LIMIT 1
        FOR UPDATE OF work SKIP LOCKED)
    UPDATE work SET taken_by = $1, taken_until = clock_timestamp() + $2::interval, tries = tries + 1
    FROM next WHERE work.run_id = next.run_id AND work.part = next.part
    RETURNING work.run_id, work.part, token, tries, taken_by, kind, digest, payload, next.job_name, next.org";

macro_rules! of_claim {
    ($change:literal) => {
        concat!(
            "UPDATE work SET ",
            $change,
            " WHERE run_id = $1 AND part = $2 AND token = $3 AND tries = $4 AND taken_by = $5"
        )
    };
}
pub(super) const HOLD: &str = concat!(
    of_claim!("taken_until = clock_timestamp() + $6::interval"),
    " AND result IS NULL"
);
pub(super) const ANSWER: &str = of_claim!("result = coalesce(result, $6)");
pub(super) const RETURN: &str = concat!(
    of_claim!(
        "taken_by = NULL, taken_until = NULL, trouble = coalesce($6, trouble),
         tries = CASE WHEN $6::text IS NULL THEN tries - 1 ELSE tries END"
    ),
    " AND result IS NULL"
);

pub(super) const COLLECT: &str = "
    DELETE FROM work WHERE run_id = $1 AND token = $2 AND (result IS NOT NULL
        OR (tries >= $3 AND (taken_until IS NULL OR taken_until < clock_timestamp())))
    RETURNING part, result, trouble";

pub(super) const WITHDRAW: &str = "
    DELETE FROM work WHERE run_id = $1 AND token = $2 AND result IS NULL
        AND (taken_by IS NULL OR ($3 AND taken_until < clock_timestamp()))
    RETURNING part";

/// The claim is still this one; it stays so until the transaction ends.
pub(super) const CLAIMED: &str = "
    SELECT part FROM work WHERE run_id = $1 AND part = $2 AND token = $3 AND tries = $4 AND taken_by = $5
    FOR SHARE";

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn of_claim<'q>(statement: &'static str, claim: &'q Claim) -> Query<'q> {
    sqlx::query(statement)
        .bind(claim.lease.run_id.0)
        .bind(claim.part)
        .bind(claim.lease.token)
        .bind(i64::from(claim.tries))
        .bind(claim.replica.as_str())
}

/// Refuses whoever no longer has the claim under which he wants to do something.
pub(super) async fn require_claim(tx: &mut PgConnection, claim: &Claim) -> Result<(), Fault> {
    let held = of_claim(CLAIMED, claim).fetch_optional(tx).await?;
    held.map(|_| ())
        .ok_or_else(|| fenced("intend", &claim.lease))
}

fn length(hold: Duration) -> sqlx::postgres::types::PgInterval {
    age(TimeDelta::from_std(hold).unwrap_or(TimeDelta::MAX))
}

#[async_trait]
impl Work for PgStore {
    async fn post_work(&self, lease: &RunLease, work: &NewWork) -> Result<(), StoreError> {
        self.call("post_work", || async {
            let mut tx = self.begin().await?;
            let held: Option<i64> = sqlx::query_scalar(LEASE)
                .bind(lease.run_id.0)
                .bind(lease.token)
                .fetch_optional(&mut *tx)
                .await?;
            if held.is_none() {
                return Err(fenced("post_work", lease));
            }
            sqlx::query(POST)
                .bind(lease.run_id.0)
                .bind(work.part)
                .bind(lease.token)
                .bind(work.kind.as_str())
                .bind(&work.digest)
                .bind(json(&work.payload))
                .execute(&mut *tx)
                .await?;
            changes::tell_posted(&mut tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn claim_work(
        &self,
        by: &ReplicaId,
        scope: &Scope,
        busy: &[RunId],
        hold: Duration,
        _now: DateTime<Utc>,
    ) -> Result<Option<Claimed>, StoreError> {
        let (run, digests) = match scope {
            Scope::Run(run) => (Some(run.0), &[][..]),
            Scope::Others(digests) => (None, &digests[..]),
        };
        let busy: Vec<i64> = busy.iter().map(|run| run.0).collect();
        self.call("claim_work", || async {
            let mut tx = self.begin().await?;
            let row: Option<ClaimedRow> = sqlx::query_as(CLAIM)
                .bind(by.as_str())
                .bind(length(hold))
                .bind(i64::from(TRIES))
                .bind(run)
                .bind(digests)
                .bind(&busy)
                .fetch_optional(&mut *tx)
                .await?;
            tx.commit().await?;
            row.map(Claimed::try_from).transpose()
        })
        .await
    }

    async fn hold_work(
        &self,
        claim: &Claim,
        hold: Duration,
        _now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("hold_work", || async {
            let mut tx = self.begin().await?;
            let held = of_claim(HOLD, claim).bind(length(hold));
            if held.execute(&mut *tx).await?.rows_affected() == 0 {
                return Err(fenced("hold_work", &claim.lease));
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn answer_work(&self, claim: &Claim, result: &Value) -> Result<(), StoreError> {
        self.call("answer_work", || async {
            let mut tx = self.begin().await?;
            let answered = of_claim(ANSWER, claim).bind(json(result));
            if answered.execute(&mut *tx).await?.rows_affected() == 0 {
                return Err(fenced("answer_work", &claim.lease));
            }
            changes::tell_answered(&mut tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn return_work(&self, claim: &Claim, trouble: Option<&str>) -> Result<(), StoreError> {
        self.call("return_work", || async {
            let mut tx = self.begin().await?;
            of_claim(RETURN, claim)
                .bind(trouble.map(text))
                .execute(&mut *tx)
                .await?;
            changes::tell_posted(&mut tx).await?;
            changes::tell_answered(&mut tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn collect_work(
        &self,
        lease: &RunLease,
        _now: DateTime<Utc>,
    ) -> Result<Vec<Collected>, StoreError> {
        self.call("collect_work", || async {
            let mut tx = self.begin().await?;
            let rows: Vec<CollectedRow> = sqlx::query_as(COLLECT)
                .bind(lease.run_id.0)
                .bind(lease.token)
                .bind(i64::from(TRIES))
                .fetch_all(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(rows.into_iter().map(Collected::from).collect())
        })
        .await
    }

    async fn withdraw_work(
        &self,
        lease: &RunLease,
        lost: bool,
        _now: DateTime<Utc>,
    ) -> Result<Vec<i64>, StoreError> {
        self.call("withdraw_work", || async {
            let mut tx = self.begin().await?;
            let parts = sqlx::query_scalar(WITHDRAW)
                .bind(lease.run_id.0)
                .bind(lease.token)
                .bind(lost)
                .fetch_all(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(parts)
        })
        .await
    }
}
