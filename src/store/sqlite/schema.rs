//! Bringing the schema up to date, and telling whether it is.
//!
//! The migrations are compiled in. All that are pending are applied in one transaction that holds the write lock
//! from its start, so of many processes that migrate at once one does it and the others find it done.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Sqlite, Transaction};

use super::Pool;
use crate::store::fault::Fault;
use crate::store::{SchemaState, StoreError};

// A new file in the folder is noticed when this file is compiled anew; a test holds both equal.
pub(super) static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// Applies what is pending.
pub(super) async fn migrate(tx: &mut Transaction<'static, Sqlite>) -> Result<(), Fault> {
    // `run` does the same, but its future can't be proven `Send` inside an async trait.
    let done = MIGRATOR.run_direct(None, &mut **tx, false).await;
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
    })
}

fn refuse(detail: String) -> Fault {
    Fault::Refused(StoreError::Schema {
        operation: "migrate",
        detail,
    })
}

/// Compares what is applied with what this program has.
pub(super) async fn check(readers: &Pool) -> Result<SchemaState, Fault> {
    let ours: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).collect();
    let any: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'",
    )
    .fetch_one(readers)
    .await?;
    let applied: Vec<i64> = if any == 0 {
        Vec::new()
    } else {
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(readers)
            .await?
    };
    if applied.iter().any(|version| !ours.contains(version)) {
        return Ok(SchemaState::Ahead);
    }
    match ours.len() - applied.len() {
        0 => Ok(SchemaState::Current),
        pending => Ok(SchemaState::Behind { pending }),
    }
}
