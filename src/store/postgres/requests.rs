//! Observations and decisions on their way in: one array a column, one statement.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::values::{column, texts, texts_opt};
use crate::domain::ids::{JobName, Org, RunId};
use crate::domain::{Decision, Observation};
use crate::store::fault::Fault;
use crate::store::rows::{stamp, stamp_opt};

const REMEMBER_OBSERVATIONS: &str = "
    INSERT INTO observations (
        org, reference_id, external_reference, persistence_type, status, cancelling, auto_installation,
        territory_owner, request_number, subrequest_number, attributes, created, last_updated, observed_at)
    SELECT $1, * FROM unnest(
        $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::boolean[], $8::text[], $9::bigint[],
        $10::bigint[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[])
    ON CONFLICT (org, reference_id) DO UPDATE SET
        external_reference = excluded.external_reference, persistence_type = excluded.persistence_type,
        status = excluded.status, cancelling = excluded.cancelling, auto_installation = excluded.auto_installation,
        territory_owner = excluded.territory_owner, request_number = excluded.request_number,
        subrequest_number = excluded.subrequest_number, attributes = excluded.attributes, created = excluded.created,
        last_updated = excluded.last_updated, observed_at = excluded.observed_at
    WHERE CASE WHEN excluded.last_updated <> observations.last_updated
        THEN excluded.last_updated > observations.last_updated
        ELSE excluded.observed_at >= observations.observed_at END";

const REMEMBER_DECISIONS: &str = "
    INSERT INTO decisions (org, job_name, run_id, since, reference_id, verdict, rule, explanation)
    SELECT $1, $2, $3, $4, * FROM unnest($5::text[], $6::text[], $7::text[], $8::text[])
    ON CONFLICT (org, reference_id, job_name) DO UPDATE SET
        run_id = excluded.run_id, since = excluded.since, verdict = excluded.verdict, rule = excluded.rule,
        explanation = excluded.explanation
    WHERE (excluded.verdict, excluded.rule, excluded.explanation)
        IS DISTINCT FROM (decisions.verdict, decisions.rule, decisions.explanation)";

/// Writes what was seen, one of each request; answers how many rows were.
pub(super) async fn write_observations(
    tx: &mut PgConnection,
    org: &Org,
    seen: &[&Observation],
) -> Result<u64, Fault> {
    let orders = seen.iter().map(|seen| seen.external_reference.as_ref());
    let done = sqlx::query(REMEMBER_OBSERVATIONS)
        .bind(org.as_str())
        .bind(texts(seen.iter().map(|seen| seen.reference_id.as_str())))
        .bind(texts_opt(
            orders.map(|order| order.map(|order| order.as_str())),
        ))
        .bind(column(seen, |seen| {
            seen.persistence_type.map(|kind| kind.as_str())
        }))
        .bind(texts(seen.iter().map(|seen| seen.status.as_str())))
        .bind(column(seen, |seen| seen.cancelling))
        .bind(column(seen, |seen| seen.auto_installation))
        .bind(column(seen, |seen| {
            seen.territory_owner.map(|owner| owner.as_str())
        }))
        .bind(column(seen, |seen| seen.request_number))
        .bind(column(seen, |seen| seen.subrequest_number))
        .bind(column(seen, |seen| seen.attributes.to_text()))
        .bind(column(seen, |seen| stamp_opt(seen.created)))
        .bind(column(seen, |seen| stamp_opt(seen.last_updated)))
        .bind(column(seen, |seen| stamp(seen.observed_at)))
        .execute(tx)
        .await?;
    Ok(done.rows_affected())
}

/// Writes what was decided, one of each request; answers how many rows were.
pub(super) async fn write_decisions(
    tx: &mut PgConnection,
    run: RunId,
    org: &Org,
    job: &JobName,
    at: DateTime<Utc>,
    decided: &[&Decision],
) -> Result<u64, Fault> {
    let rules = decided.iter().map(|one| one.rule.as_ref());
    let done = sqlx::query(REMEMBER_DECISIONS)
        .bind(org.as_str())
        .bind(job.as_str())
        .bind(run.0)
        .bind(stamp(at))
        .bind(texts(decided.iter().map(|one| one.reference_id.as_str())))
        .bind(column(decided, |one| one.verdict.label()))
        .bind(texts_opt(rules.map(|rule| rule.map(|rule| rule.as_str()))))
        .bind(texts(decided.iter().map(|one| one.explanation.as_str())))
        .execute(tx)
        .await?;
    Ok(done.rows_affected())
}
