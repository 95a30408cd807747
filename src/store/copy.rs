//! Moving house: everything that a SQLite store remembers, into an empty PostgreSQL database.
//!
//! All or nothing: one transaction on the target, a snapshot of the source, the rows of each table counted on both
//! sides before the commit. Ids stay, because people wrote them down and rows refer to each other by them; what hands
//! out ids goes on after the highest ever given. Heartbeats stay behind: the processes they speak of don't come along.
//!
//! A daemon at work on either side would be writing into the one that is left, or already into the other: both are
//! refused. The source is marked as one that moved, so that none is started on it by mistake.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use self::tables::{TABLES, Table};
use super::fault::Fault;
use super::timed::Timed;
use super::{Actor, Identity as _, Store, StoreError, StoreOptions, open, postgres, sqlite};

mod tables;

/// Rows a statement.
const CHUNK: usize = 500;

/// The longest that it may take: hours for a ledger of years.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

const OPERATION: &str = "copy";

/// What was copied of one table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    /// The table.
    pub table: &'static str,
    /// How many rows.
    pub rows: u64,
}

/// Copies the store at `from` (`sqlite:…`) into the one at `to` (`postgres://…`), whose schema is brought up to date
/// first. `Busy` when a daemon holds `from`; `Refused` when `to` isn't empty or no PostgreSQL. The copy is audited at
/// the target, in the transaction that makes it. Dropped or failed, it leaves nothing behind but the empty schema.
pub async fn copy(
    from: &str,
    to: &str,
    options: &StoreOptions,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Vec<Copied>, StoreError> {
    let path = open::sqlite_path(from)?;
    let existing = StoreOptions {
        create_if_missing: false,
        ..options.clone()
    };
    if !open::is_postgres(to) {
        return Err(refuse(
            "the target must be `postgres://USER@HOST/DATABASE`".to_owned(),
        ));
    }
    // Held to the end: no daemon may start on what is being left.
    let source = sqlite::SqliteStore::open(&path, &existing).await?;
    let lock = sqlite::DaemonLock::acquire(source.path())?;
    super::require_current(&source, from).await?;
    if let Some(doubt) = source.doubt().await? {
        return Err(refuse(format!("{doubt}; nothing was changed")));
    }
    let target = postgres::PgStore::open(to, options).await?;
    target.migrate().await?;
    // Whichever of the two it is that errs.
    let timed = Timed::new(LIMIT, |error| {
        if error
            .try_downcast_ref::<sqlx::sqlite::SqliteError>()
            .is_some()
        {
            sqlite::classify(error)
        } else {
            postgres::meaning_of(error)
        }
    });
    let copied = timed
        .call(OPERATION, async {
            // Nobody steers what is being left: who tries is told that it is busy, and later that it has moved.
            let mut leaving = source.begin().await?;
            let mut writing = target.alone(LIMIT).await?;
            let mut target = writing.begin().await?;
            let copied = copy_all(&mut leaving, &mut target).await?;
            postgres::append_audit(&mut target, OPERATION, from, actor, now).await?;
            let went = without_password(to);
            sqlite::append_audit(&mut leaving, "move", &went, actor, now).await?;
            mark_moved(&mut leaving, Some((&went, now))).await?;
            // First here: between the two commits neither may be acted from, which is better than both.
            leaving.commit().await?;
            if let Err(error) = target.commit().await {
                let mut staying = source.begin().await?;
                mark_moved(&mut staying, None).await?;
                staying.commit().await?;
                return Err(error.into());
            }
            Ok(copied)
        })
        .await?;
    target.close().await;
    source.close().await;
    drop(lock);
    Ok(copied)
}

/// Every `table.column` that [`copy`] carries over; for the test that holds it against the schema.
#[doc(hidden)]
pub fn copied_columns() -> Vec<String> {
    let of = |table: &Table| {
        let name = table.name;
        table
            .columns
            .iter()
            .map(move |(column, _)| format!("{name}.{column}"))
    };
    TABLES.iter().flat_map(of).collect()
}

fn refuse(detail: String) -> StoreError {
    StoreError::Refused {
        operation: OPERATION,
        detail,
    }
}

/// What may be shown of the target's URL.
fn without_password(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    match url.split_once("://").and_then(|(scheme, rest)| {
        let (user, host) = rest.split_once('@')?;
        let user = user.split(':').next()?;
        Some(format!("{scheme}://{user}@{host}"))
    }) {
        Some(shown) => shown,
        None => url.to_owned(),
    }
}

/// Marks the store as one that is acted from elsewhere, or takes that back.
async fn mark_moved(
    store: &mut SqliteConnection,
    to: Option<(&str, DateTime<Utc>)>,
) -> Result<(), Fault> {
    sqlx::query("UPDATE identity SET moved_to = ?1, moved_at = ?2")
        .bind(to.map(|(place, _)| place))
        .bind(to.map(|(_, at)| at.timestamp_micros()))
        .execute(store)
        .await?;
    Ok(())
}

async fn copy_all(
    from: &mut SqliteConnection,
    to: &mut PgConnection,
) -> Result<Vec<Copied>, Fault> {
    let mut copied = Vec::new();
    // All locked before any is looked at: whoever starts on the target meanwhile waits, and finds it full.
    for table in TABLES {
        execute(to, format!("LOCK TABLE {} IN EXCLUSIVE MODE", table.name)).await?;
    }
    execute(to, "LOCK TABLE replicas IN EXCLUSIVE MODE".to_owned()).await?;
    for name in TABLES.iter().map(|table| table.name).chain(["replicas"]) {
        if count(to, name).await? > 0 {
            return Err(Fault::Refused(refuse(format!(
                "the target isn't empty ({name} has rows): name an empty database; nothing was changed"
            ))));
        }
    }
    // The history comes along: what is copied beside it is no news.
    execute(
        to,
        "SELECT set_config('tesa_reconciler.moves', 'on', true)".to_owned(),
    )
    .await?;
    for table in TABLES {
        let rows = copy_table(table, from, to).await?;
        let arrived = count(to, table.name).await?;
        if arrived != rows {
            return Err(Fault::Row(format!(
                "{rows} rows of {} were read, {arrived} arrived",
                table.name
            )));
        }
        if table.has_identity {
            let name = table.name;
            let given: Option<i64> =
                sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = ?1")
                    .bind(name)
                    .fetch_optional(&mut *from)
                    .await?;
            let sequence = format!("pg_get_serial_sequence('{name}', 'id')");
            go_on_after(to, &sequence, given.unwrap_or(0)).await?;
        }
        copied.push(Copied {
            table: table.name,
            rows: u64::try_from(rows).unwrap_or_default(),
        });
    }
    let token: i64 = sqlx::query_scalar("SELECT token FROM fencing")
        .fetch_one(&mut *from)
        .await?;
    go_on_after(to, "'fencing'", token).await?;
    Ok(copied)
}

async fn copy_table(
    table: &Table,
    from: &mut SqliteConnection,
    to: &mut PgConnection,
) -> Result<i64, Fault> {
    let insert = table.insert();
    let mut rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(table.select()))
        .fetch(from)
        .try_chunks(CHUNK);
    let mut read = 0;
    while let Some(chunk) = rows.try_next().await.map_err(|error| error.1)? {
        let batch = postgres::json_rows(&chunk)?;
        read += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        sqlx::query(AssertSqlSafe(insert.clone()))
            .bind(batch)
            .execute(&mut *to)
            .await?;
    }
    Ok(read)
}

async fn count(to: &mut PgConnection, table: &str) -> Result<i64, Fault> {
    let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    Ok(sqlx::query_scalar(count).fetch_one(to).await?)
}

async fn go_on_after(to: &mut PgConnection, sequence: &str, last: i64) -> Result<(), Fault> {
    let set = format!("SELECT setval({sequence}, {last} + 1, false)");
    execute(to, set).await
}

async fn execute(to: &mut PgConnection, statement: String) -> Result<(), Fault> {
    sqlx::query(AssertSqlSafe(statement)).execute(to).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_kept_of_where_it_went() {
        for (url, shown) in [
            (
                "postgres://u:CANARY@h:5432/d?sslmode=require",
                "postgres://u@h:5432/d",
            ),
            ("postgres://h/d?user=u&password=CANARY", "postgres://h/d"),
            ("postgres://u@h/d", "postgres://u@h/d"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
