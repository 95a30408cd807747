//! Bringing the schema up to date, and telling whether it is.
//!
//! The migrations are compiled in. All that are pending are applied in one transaction that holds the write lock
//! from its start, so of many processes that migrate at once one does it and the others find it done.

use std::sync::LazyLock;

use sqlx::migrate::Migrator;
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::Pool;
use crate::store::SchemaState;
use crate::store::fault::Fault;
use crate::store::schema::{APPLIED, FLOOR, failed, has_unknown, names, state, too_new};

// A new file in the folder is noticed when this file is compiled anew; a test holds both equal.
pub(super) static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("migrations/sqlite");
    // What a newer program added: whether that will do is asked before.
    migrator.set_ignore_missing(true);
    migrator
});

/// Applies what is pending, and answers it.
pub(super) async fn migrate(tx: &mut Transaction<'static, Sqlite>) -> Result<Vec<String>, Fault> {
    let before = applied(tx).await?;
    if state_of(tx, &before).await? == SchemaState::Ahead {
        return Err(too_new("migrate").into());
    }
    // `run` does the same, but its future can't be proven `Send` inside an async trait.
    let done = MIGRATOR.run_direct(None, &mut **tx, false).await;
    done.map_err(failed)?;
    Ok(names(&MIGRATOR, &before))
}

/// Compares what is applied with what this program has.
pub(super) async fn check(readers: &Pool) -> Result<SchemaState, Fault> {
    let mut connection = readers.acquire().await?;
    let applied = applied(&mut connection).await?;
    state_of(&mut connection, &applied).await
}

async fn state_of(
    connection: &mut SqliteConnection,
    applied: &[i64],
) -> Result<SchemaState, Fault> {
    let floor = if has_unknown(&MIGRATOR, applied) {
        sqlx::query_scalar(FLOOR).fetch_optional(connection).await?
    } else {
        None
    };
    Ok(state(&MIGRATOR, applied, floor))
}

async fn applied(connection: &mut SqliteConnection) -> Result<Vec<i64>, Fault> {
    let any: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'",
    )
    .fetch_one(&mut *connection)
    .await?;
    if any == 0 {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar(APPLIED).fetch_all(connection).await?)
}
