//! Bringing the schema up to date, and telling whether it is.
//!
//! The migrations are compiled in and have the numbers and names of SQLite's. Each is one transaction; an advisory
//! lock of the session stands around them all, so of many processes that migrate at once one does it and the others
//! find it done. A process that dies in between gives the lock back with its connection.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use super::{Pool, connect};
use crate::store::fault::Fault;
use crate::store::{SchemaState, StoreError};

// A new file in the folder is noticed when this file is compiled anew; a test holds both equal.
pub(super) static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// Applies what is pending, on a connection of its own: its lock is waited for as long as a migration may take.
pub(super) async fn migrate(options: &PgConnectOptions, limit: Duration) -> Result<(), Fault> {
    let mut connection = connect::alone(options, limit).await?;
    // `run` does the same, but its future can't be proven `Send` inside an async trait.
    let done = MIGRATOR.run_direct(None, &mut connection, false).await;
    if done.as_ref().is_err_and(is_denied) {
        // On another connection: on this one a transaction has just failed.
        let mut other = connect::alone(options, limit).await?;
        may_make_tables(&mut other).await?;
    }
    done.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            Fault::Sql(error)
        }
        MigrateError::VersionMissing(version) => refuse(format!(
            "a newer tesa-reconciler was here (schema {version}): use that version, or another database"
        )),
        MigrateError::VersionMismatch(version) => refuse(format!(
            "schema {version} in the database is not the one this program was built with"
        )),
        other => refuse(other.to_string()),
    })?;
    Ok(connection.close().await?)
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

fn refuse(detail: String) -> Fault {
    Fault::Refused(StoreError::Schema {
        operation: "migrate",
        detail,
    })
}

/// Compares what is applied with what this program has.
pub(super) async fn check(pool: &Pool) -> Result<SchemaState, Fault> {
    let ours: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).collect();
    let any: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(pool)
        .await?;
    let applied: Vec<i64> = if any {
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(pool)
            .await?
    } else {
        Vec::new()
    };
    if applied.iter().any(|version| !ours.contains(version)) {
        return Ok(SchemaState::Ahead);
    }
    match ours.len() - applied.len() {
        0 => Ok(SchemaState::Current),
        pending => {
            // Told now, before a start or a person tries it in vain.
            may_make_tables(&mut *pool.acquire().await?).await?;
            Ok(SchemaState::Behind { pending })
        }
    }
}
