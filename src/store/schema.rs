//! What both back ends make of their migrations: which are missing, and whether a newer program's schema will do.
//!
//! Two versions work side by side on one store while replicas are upgraded one after the other, and a version may be gone
//! back from. So migrations expand first and contract a version later: `schema_floor` names the last migration that a program
//! must know to work on the schema. One that only adds leaves it as it is; one that takes away or changes what is there raises
//! it, in a version in which nobody needs that any more.

use sqlx::migrate::{MigrateError, Migration, Migrator};

use super::fault::Fault;
use super::{SchemaState, StoreError};

/// The last migration that a program must know.
pub(super) const FLOOR: &str = "SELECT migration FROM schema_floor";

/// The migrations that were applied.
pub(super) const APPLIED: &str =
    "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";

/// A newer program was here.
pub(super) fn has_unknown(migrator: &Migrator, applied: &[i64]) -> bool {
    let known = |version: &i64| migrator.iter().any(|ours| ours.version == *version);
    !applied.iter().all(known)
}

/// How the schema relates to this program's; `floor` counts where a newer program was.
pub(super) fn state(migrator: &Migrator, applied: &[i64], floor: Option<i64>) -> SchemaState {
    let newest = migrator.iter().map(|ours| ours.version).max();
    let will_do = floor.zip(newest).is_some_and(|(floor, ours)| floor <= ours);
    if has_unknown(migrator, applied) && !will_do {
        return SchemaState::Ahead;
    }
    match missing(migrator, applied).count() {
        0 => SchemaState::Current,
        pending => SchemaState::Behind { pending },
    }
}

/// Those not applied, by number and name.
pub(super) fn names(migrator: &Migrator, applied: &[i64]) -> Vec<String> {
    missing(migrator, applied)
        .map(|one| format!("{:04} {}", one.version, one.description))
        .collect()
}

fn missing<'a>(migrator: &'a Migrator, applied: &'a [i64]) -> impl Iterator<Item = &'a Migration> {
    let is_missing = |one: &&Migration| !applied.contains(&one.version);
    migrator.iter().filter(is_missing)
}

/// A newer program's schema will not do for this one.
pub(super) fn too_new(operation: &'static str) -> StoreError {
    let detail = "the store was changed by a newer tesa-reconciler in a way that this version can't work with: start that version \
                  again, or restore the backup that was made before the upgrade (`docs/operations.md`, \"Upgrade and go back\")"
        .to_owned();
    StoreError::TooNew { operation, detail }
}

/// What a failed migration comes to.
pub(super) fn failed(error: MigrateError) -> Fault {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            Fault::Sql(error)
        }
        MigrateError::VersionMismatch(version) => refuse(format!(
            "schema {version} in the database is not the one this program was built with"
        )),
        other => refuse(other.to_string()),
    }
}

/// The schema can't be brought up to date.
pub(super) fn refuse(detail: String) -> Fault {
    let operation = "migrate";
    Fault::Refused(StoreError::Schema { operation, detail })
}
