//! Pages of looks, as SQLite reads them fastest.

use chrono::{DateTime, Utc};

use super::Pool;
use crate::domain::ids::{JobName, Org};
use crate::store::fault::Fault;
use crate::store::looks::LookMark;
use crate::store::rows::looks::look_marks;
use crate::store::rows::stamp;

// All of a page in one value.
pub(super) const MARKS: &str = "
    SELECT json_group_array(json_array(reference_id, looked_at)) FROM (
        SELECT reference_id, looked_at FROM looks
        WHERE org = $1 AND job_name = $2 AND reference_id >= $3 ORDER BY reference_id LIMIT $4) AS page";

pub(super) const MANY_DUE: &str = "
    SELECT count(*) > $4 FROM (
        SELECT 1 FROM looks WHERE org = $1 AND job_name = $2 AND again_at <= $3 LIMIT $4 + 1) AS due";

// Few are found by when they are due, and sorted. Where most of them are (the rules changed), sorting all of them for
// each page would cost far more than walking through them in their order.
macro_rules! due {
    ($due:literal) => {
        concat!(
            "SELECT reference_id, looked_at, issues, again_at FROM looks
             WHERE org = $1 AND job_name = $2 AND ",
            $due,
            " ORDER BY reference_id LIMIT $5"
        )
    };
}
pub(super) const FEW: &str = due!("+reference_id >= $4 AND again_at <= $3");
pub(super) const MANY: &str = due!("reference_id >= $4 AND +again_at <= $3");

/// The marks of a page.
pub(super) async fn marks(
    readers: &Pool,
    org: &Org,
    job: &JobName,
    from: String,
    limit: u32,
) -> Result<Vec<LookMark>, Fault> {
    let page: String = sqlx::query_scalar(MARKS)
        .bind(org.as_str())
        .bind(job.as_str())
        .bind(from)
        .bind(limit)
        .fetch_one(readers)
        .await?;
    look_marks(&page)
}

/// The statement for a page of those that are due.
pub(super) async fn due(
    readers: &Pool,
    org: &Org,
    job: &JobName,
    now: DateTime<Utc>,
    limit: u32,
) -> Result<&'static str, Fault> {
    let many: bool = sqlx::query_scalar(MANY_DUE)
        .bind(org.as_str())
        .bind(job.as_str())
        .bind(stamp(now))
        .bind(limit)
        .fetch_one(readers)
        .await?;
    Ok(if many { MANY } else { FEW })
}
