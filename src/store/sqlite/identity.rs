//! Which store this is: the row, and the mark in a file beside the database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use super::{SqliteStore, audit};
use crate::store::fault::Fault;
use crate::store::identity::{Doubt, Identity, Known};
use crate::store::rows::{Micros, instant};
use crate::store::{Actor, StoreError};

const ROW: &str = "SELECT id, moved_to, moved_at, backup_of FROM identity";

// What the other calls can't do without, where only rows were lost.
const ADOPT: [&str; 3] = [
    "INSERT INTO identity (only_row, id) VALUES (1, lower(hex(randomblob(16)))) ON CONFLICT (only_row) DO NOTHING",
    "UPDATE identity SET moved_to = NULL, moved_at = NULL, backup_of = NULL",
    "INSERT INTO fencing (only_row, token) SELECT 1, coalesce(max(token), 0) FROM runs WHERE true
     ON CONFLICT (only_row) DO NOTHING",
];

/// Id, where it moved to and when, and when it was backed up, should it be a backup.
type Row = (String, Option<String>, Option<Micros>, Option<Micros>);

/// The row's id, if there is one.
pub(super) async fn id(connection: &mut SqliteConnection) -> Result<Option<String>, Fault> {
    Ok(sqlx::query_scalar("SELECT id FROM identity")
        .fetch_optional(connection)
        .await?)
}

impl SqliteStore {
    async fn known(&self, connection: &mut SqliteConnection) -> Result<Known, Fault> {
        let row: Option<Row> = sqlx::query_as(ROW).fetch_optional(connection).await?;
        let (id, moved_to, moved_at, backup) = match row {
            Some((id, to, at, backup)) => (Some(id), to, at, backup),
            None => (None, None, None, None),
        };
        let moved = match moved_to.zip(moved_at) {
            Some((to, at)) => Some((to, instant("identity.moved_at", at)?)),
            None => None,
        };
        Ok(Known {
            id,
            mark: self.file.mark()?,
            moved,
            backup: backup
                .map(|at| instant("identity.backup_of", at))
                .transpose()?,
            ..Known::default()
        })
    }
}

#[async_trait]
impl Identity for SqliteStore {
    async fn doubt(&self) -> Result<Option<Doubt>, StoreError> {
        self.timed
            .call("doubt", async {
                let mut connection = self.readers.acquire().await?;
                Ok(self.known(&mut connection).await?.doubt())
            })
            .await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        // A file is at home where its mark is.
        Ok(())
    }

    async fn adopt(&self, actor: &Actor, now: DateTime<Utc>) -> Result<Option<Doubt>, StoreError> {
        self.timed
            .call("adopt", async {
                let mut tx = self.begin().await?;
                let Some(doubt) = self.known(&mut tx).await?.doubt() else {
                    return Ok(None);
                };
                for statement in ADOPT {
                    sqlx::query(statement).execute(&mut *tx).await?;
                }
                audit::append(&mut tx, "adopt", "store", actor, now).await?;
                let id = id(&mut tx).await?.unwrap_or_default();
                tx.commit().await?;
                // Last: adopted without an audit row it must not be. And one at a time.
                let tx = self.begin().await?;
                self.file.set_mark(&id)?;
                tx.rollback().await?;
                Ok(Some(doubt))
            })
            .await
    }
}
