//! Locks with a name, held until the end of the transaction.
//!
//! They exist without a row to lock, so the first of a kind needs no special care. Two names that happen to share a
//! number only wait for each other. A transaction takes at most one, first, and then touches rows: so none of these
//! can be part of a deadlock.

use sqlx::PgConnection;

use crate::domain::ids::{JobName, Org};
use crate::store::fault::Fault;

const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 7365617))";

/// What an org's attempts are counted under: the caps are the org's, over all replicas.
pub(super) async fn org(tx: &mut PgConnection, org: &Org) -> Result<(), Fault> {
    take(tx, format!("org\n{org}")).await
}

/// What a job's slots and runs are claimed under.
pub(super) async fn job(tx: &mut PgConnection, job: &JobName, org: &Org) -> Result<(), Fault> {
    take(tx, format!("job\n{job}\n{org}")).await
}

async fn take(tx: &mut PgConnection, name: String) -> Result<(), Fault> {
    sqlx::query(LOCK).bind(name).execute(tx).await?;
    Ok(())
}
