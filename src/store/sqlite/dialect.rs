//! SQLite's side of what the bodies in [`super::sql`] leave open: which words of SQL, and how values go in.
//!
//! Each name here stands in `postgres/dialect.rs` too. A list goes in as one JSON text; the caller's clock counts;
//! and a transaction holds the write lock from its first statement on, so nothing else needs to be locked.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;
use uuid::Uuid;

pub(super) use super::SqliteStore as Backend;
use crate::domain::ids::{JobName, Org};
use crate::store::fault::Fault;
use crate::store::rows::{Micros, stamp};

pub(super) type Connection = sqlx::SqliteConnection;

/// Takes this back end's half.
macro_rules! dialect {
    (sqlite: $sqlite:expr, postgres: $postgres:expr $(,)?) => {
        $sqlite
    };
}

/// The value for the parameter of `from_now!`.
pub(super) fn from_now(now: DateTime<Utc>, by: TimeDelta) -> Micros {
    Micros(stamp(now).0.saturating_add(span(by)))
}

/// A stretch of time, as it is added to an instant: microseconds. Longer than anybody remembers is cut off.
pub(super) fn span(length: TimeDelta) -> i64 {
    length.num_microseconds().unwrap_or(i64::MAX / 2)
}

/// A text as it is stored.
pub(super) fn text(text: &str) -> &str {
    text
}

/// Texts as one parameter.
pub(super) fn texts<'a>(list: impl IntoIterator<Item = &'a str>) -> Json<Vec<&'a str>> {
    Json(list.into_iter().collect())
}

/// Numbers as one parameter.
pub(super) fn numbers(list: impl IntoIterator<Item = i64>) -> Json<Vec<i64>> {
    Json(list.into_iter().collect())
}

/// A value in a JSON column, among rows that are one JSON text themselves.
pub(super) fn json<T: serde::Serialize>(value: &T) -> &T {
    value
}

/// A UUID as it is stored.
pub(super) fn uuid(id: Uuid) -> String {
    id.to_string()
}

/// Nobody else starts or ends a run of the job: the transaction has the write lock.
pub(super) async fn lock_job(_: &mut Connection, _: &JobName, _: &Org) -> Result<(), Fault> {
    Ok(())
}

/// Nobody else counts the org's attempts: the transaction has the write lock.
pub(super) async fn lock_org(_: &mut Connection, _: &Org) -> Result<(), Fault> {
    Ok(())
}
