//! Bringing the schema up to date, and telling whether it is.
//!
//! The migrations are compiled in and have the numbers and names of SQLite's. Each is one transaction; an advisory
//! lock of the session stands around them all, so of many processes that migrate at once one does it and the others
//! find it done. A process that dies in between gives the lock back with its connection.

use std::time::Duration;

use sqlx::Connection;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;

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
        pending => Ok(SchemaState::Behind { pending }),
    }
}
