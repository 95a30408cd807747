//! PostgreSQL's side of what the bodies in [`super::sql`] leave open: which words of SQL, and how values go in.
//!
//! Each name here stands in `sqlite/dialect.rs` too. A list goes in as an array; the database's own clock counts, so
//! the caller's instant is handed over and not looked at; what a decision rests on is locked by a statement of its own.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

pub(super) use super::PgStore as Backend;
pub(super) use super::lock::{job as lock_job, org as lock_org};
pub(super) use super::values::{age as span, json, text, texts};

pub(super) type Connection = sqlx::PgConnection;

/// Takes this back end's half.
macro_rules! dialect {
    (sqlite: $sqlite:expr, postgres: $postgres:expr $(,)?) => {
        $postgres
    };
}

/// The value for the parameter of `from_now!`.
pub(super) fn from_now(_now: DateTime<Utc>, by: TimeDelta) -> PgInterval {
    span(by)
}

/// Numbers as one parameter.
pub(super) fn numbers(list: impl IntoIterator<Item = i64>) -> Vec<i64> {
    list.into_iter().collect()
}

/// A UUID as it is stored.
pub(super) fn uuid(id: Uuid) -> Uuid {
    id
}
