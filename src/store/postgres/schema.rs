//! Bringing the schema up to date, and telling whether it is.
//!
//! The migrations are compiled in and have the numbers and names of SQLite's. Each is one transaction; an advisory
//! lock of the session stands around them all, so of many processes that migrate at once one does it and the others
//! find it done. A process that dies in between gives the lock back with its connection.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use super::{Pool, connect};
use crate::store::SchemaState;
use crate::store::fault::Fault;
use crate::store::schema::{APPLIED, FLOOR, failed, has_unknown, names, refuse, state, too_new};

// A new file in the folder is noticed when this file is compiled anew; a test holds both equal.
pub(super) static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("migrations/postgres");
    // What a newer program added: whether that will do is asked before.
    migrator.set_ignore_missing(true);
    migrator
});

/// Applies what is pending, and answers it. On a connection of its own: its lock is waited for as long as a migration may
/// take.
pub(super) async fn migrate(
    options: &PgConnectOptions,
    limit: Duration,
) -> Result<Vec<String>, Fault> {
    let mut connection = connect::alone(options, limit).await?;
    let before = applied(&mut connection).await?;
    if state_of(&mut connection, &before).await? == SchemaState::Ahead {
        return Err(too_new("migrate").into());
    }
    // `run` does the same, but its future can't be proven `Send` inside an async trait.
    let done = MIGRATOR.run_direct(None, &mut connection, false).await;
    if done.as_ref().is_err_and(is_denied) {
        // On another connection: on this one a transaction has just failed.
        let mut other = connect::alone(options, limit).await?;
        may_make_tables(&mut other).await?;
    }
    done.map_err(failed)?;
    connection.close().await?;
    Ok(names(&MIGRATOR, &before))
}

/// PostgreSQL's insufficient_privilege.
fn is_denied(error: &MigrateError) -> bool {
    let (MigrateError::Execute(sqlx::Error::Database(told))
    | MigrateError::ExecuteMigration(sqlx::Error::Database(told), _)) = error
    else {
        return false;
    };
    told.code().as_deref() == Some("42501")
}

/// Since PostgreSQL 15 nobody but its owner may make a table in the schema `public`, unless told so.
async fn may_make_tables(connection: &mut PgConnection) -> Result<(), Fault> {
    let (schema, may, user): (Option<String>, Option<bool>, String) = sqlx::query_as(
        "SELECT current_schema()::text, has_schema_privilege(current_schema(), 'CREATE'), current_user::text",
    )
    .fetch_one(connection)
    .await?;
    match (schema, may) {
        (None, _) => Err(refuse(
            "no schema of the search path is there, or may be used: make it, or name another in state.url (`options[search_path]=SCHEMA`)"
                .to_owned(),
        )),
        (Some(schema), Some(false)) => Err(refuse(format!(
            "the user {user} may not make tables in the schema {schema}: have its owner say `GRANT USAGE, CREATE ON SCHEMA \"{schema}\" TO \"{user}\"`"
        ))),
        _ => Ok(()),
    }
}

/// Compares what is applied with what this program has.
pub(super) async fn check(pool: &Pool) -> Result<SchemaState, Fault> {
    let mut connection = pool.acquire().await?;
    let applied = applied(&mut connection).await?;
    let state = state_of(&mut connection, &applied).await?;
    if matches!(state, SchemaState::Behind { .. }) {
        // Told now, before a start or a person tries it in vain.
        may_make_tables(&mut connection).await?;
    }
    Ok(state)
}

async fn state_of(connection: &mut PgConnection, applied: &[i64]) -> Result<SchemaState, Fault> {
    let floor = if has_unknown(&MIGRATOR, applied) {
        sqlx::query_scalar(FLOOR).fetch_optional(connection).await?
    } else {
        None
    };
    Ok(state(&MIGRATOR, applied, floor))
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, Fault> {
    let any: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !any {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar(APPLIED).fetch_all(connection).await?)
}
