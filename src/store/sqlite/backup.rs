//! Copies the whole of a database into another file, from a snapshot.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _};

use super::SqliteStore;
use crate::store::StoreError;
use crate::store::fault::Fault;
use crate::store::rows::stamp;

/// Marks the copy as one, so that it is told from the store when it stands in its place.
const MARK: &str = "UPDATE identity SET backup_of = $1";

impl SqliteStore {
    /// Fills the empty file at `path` with all that is committed now, and sees to it that it is on the disk.
    pub(in crate::store) async fn copy_to(
        &self,
        path: &Path,
        now: DateTime<Utc>,
        limit: Duration,
    ) -> Result<(), StoreError> {
        self.timed
            .with_limit(limit)
            .call("backup", async {
                self.file.still_there()?;
                let shown = path.to_string_lossy();
                let mut reader = self.readers.acquire().await?;
                sqlx::query("VACUUM INTO $1")
                    .bind(&*shown)
                    .execute(&mut *reader)
                    .await?;
                drop(reader);
                // In one file, whatever breaks off: no journal of its own stays beside it.
                let copy = SqliteConnectOptions::new()
                    .filename(path)
                    .journal_mode(SqliteJournalMode::Delete)
                    .disable_statement_logging();
                let mut copy = copy.connect().await?;
                sqlx::query(MARK)
                    .bind(stamp(now))
                    .execute(&mut copy)
                    .await?;
                copy.close().await?;
                let written = std::fs::File::open(path).and_then(|file| file.sync_all());
                written.map_err(|error| Fault::Unavailable(format!("{shown}: {error}")))
            })
            .await
    }
}
