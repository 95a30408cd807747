//! Pages of looks, as PostgreSQL reads them fastest.

use chrono::{DateTime, Utc};

use super::Pool;
use crate::domain::ids::{JobName, Org};
use crate::store::fault::Fault;
use crate::store::looks::LookMark;
use crate::store::rows::Micros;
use crate::store::rows::looks::look_mark;

// All of a page in one row.
pub(super) const MARKS: &str = "
    SELECT coalesce(array_agg(reference_id), '{}'), coalesce(array_agg(looked_at), '{}') FROM (
        SELECT reference_id, looked_at FROM looks
        WHERE org = $1 AND job_name = $2 AND reference_id >= $3 ORDER BY reference_id LIMIT $4) AS page";

pub(super) const DUE: &str = "
    SELECT reference_id, looked_at, issues, again_at FROM looks
    WHERE org = $1 AND job_name = $2 AND again_at <= $3 AND reference_id >= $4 ORDER BY reference_id LIMIT $5";

/// The marks of a page.
pub(super) async fn marks(
    pool: &Pool,
    org: &Org,
    job: &JobName,
    from: String,
    limit: u32,
) -> Result<Vec<LookMark>, Fault> {
    let (ids, at): (Vec<String>, Vec<Micros>) = sqlx::query_as(MARKS)
        .bind(org.as_str())
        .bind(job.as_str())
        .bind(from)
        .bind(i64::from(limit))
        .fetch_one(pool)
        .await?;
    ids.into_iter()
        .zip(at)
        .map(|(id, at)| look_mark(id.into(), at))
        .collect()
}

/// The statement for a page of those that are due. Whether their index is the way, or the key's own order, the planner
/// knows from its statistics.
pub(super) async fn due(
    _: &Pool,
    _: &Org,
    _: &JobName,
    _now: DateTime<Utc>,
    _limit: u32,
) -> Result<&'static str, Fault> {
    Ok(DUE)
}
