//! Runs as people list them.

use super::Backend;
use crate::domain::RunOutcome;
use crate::domain::ids::{JobName, Org};
use crate::store::Page;
use crate::store::fault::Fault;
use crate::store::rows::runs::RawRun;
use crate::store::rows::{all, number as as_number, stamp_opt};
use crate::store::runs::{RunFilter, RunRow};

macro_rules! filtered {
    ($driver:literal) => {
        sql!("
        FROM runs WHERE " $driver " AND id < $1
            AND (CAST($2 AS text) IS NULL OR job_name = $2) AND (CAST($3 AS text) IS NULL OR org = $3)
            AND (CAST($4 AS text) IS NULL OR outcome = $4) AND (CAST($5 AS timestamptz) IS NULL OR started_at >= $5)
            AND (CAST($6 AS timestamptz) IS NULL OR started_at < $6)")
    };
}
macro_rules! listing {
    ($driver:literal) => {
        sql!("SELECT *" filtered!($driver) " ORDER BY id DESC LIMIT $7")
    };
}
pub(in crate::store) const LIST: &str = listing!("true");
pub(in crate::store) const LIST_OF_JOB: &str = listing!("job_name = $2");
const NUMBER: &str = sql!("SELECT count(*)" filtered!("true"));

macro_rules! bind_filter {
    ($query:expr, $filter:expr, $before:expr) => {
        $query
            .bind($before.unwrap_or(i64::MAX))
            .bind($filter.job_name.as_ref().map(JobName::as_str))
            .bind($filter.org.as_ref().map(Org::as_str))
            .bind($filter.outcome.map(RunOutcome::as_str))
            .bind(stamp_opt($filter.since))
            .bind(stamp_opt($filter.until))
    };
}

/// The page of those that the filter wants, newest first.
pub(super) async fn newest(
    store: &Backend,
    filter: &RunFilter,
    page: Page,
) -> Result<Vec<RunRow>, Fault> {
    let asked = sqlx::query_as(match filter.job_name {
        Some(_) => LIST_OF_JOB,
        None => LIST,
    });
    let rows: Vec<RawRun> = bind_filter!(asked, filter, page.before)
        .bind(i64::from(page.limit))
        .fetch_all(store.reading())
        .await?;
    all(rows)
}

/// How many the filter wants, whatever the page.
pub(super) async fn number(store: &Backend, filter: &RunFilter) -> Result<u64, Fault> {
    let asked = sqlx::query_scalar(NUMBER);
    let count: i64 = bind_filter!(asked, filter, None)
        .fetch_one(store.reading())
        .await?;
    as_number("count", count)
}
