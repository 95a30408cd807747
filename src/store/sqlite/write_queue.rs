//! Whose turn it is to write.
//!
//! SQLite's write lock knows no queue. Who finds it held has to ask again, and SQLite's own way of doing so sleeps ever
//! longer, up to a tenth of a second; a daemon that writes batch after batch lets go of the lock for microseconds only,
//! which such a sleeper hardly ever meets. So, beyond what SQLite does:
//!
//! - Who waits asks again every millisecond or two, and says that it waits: by a shared advisory lock on the directory
//!   that holds the database. That takes no file of its own (which a command of root's would make for root), SQLite
//!   locks nothing there, and the kernel takes it back from whoever dies.
//! - Who is about to write looks first whether another process waits, and if so stays away until that one has had its
//!   turn. That costs three system calls when nobody waits, which is nearly always.
//! - Within this process writers queue, and those that write in bulk let all others go first: these wait for the one
//!   batch that is being written, at most.

use std::fs::{File, TryLockError};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::{SqlSafeStr, Sqlite, SqliteConnection, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep};

use super::{Pool, classify};
use crate::store::fault::Meaning;

/// SQLite itself shall not wait for the lock here: it would do so in its own way.
const BEGIN: &str = "PRAGMA busy_timeout = 0; BEGIN IMMEDIATE";

/// Who can wait leaves that to SQLite.
const BEGIN_BULK: &str = "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE";

/// How soon who waits asks again.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// The longest that a writer stays away for others' sake at once. Who waits needs a few milliseconds; one that takes longer
/// is stopped, or waits for somebody else.
const STAY_AWAY: Duration = Duration::from_millis(20);

/// How soon after its last transaction who writes several in a row asks for the next one.
const GO_ON_WITHIN: Duration = Duration::from_millis(2);

/// The queue for one store's writer.
#[derive(Debug)]
pub(super) struct Turn {
    directory: PathBuf,
    /// How long the lock is waited for.
    patience: Duration,
    /// Held by whoever is next.
    next: Mutex<()>,
    /// Held by the bulk writer that stands in the queue or writes.
    bulk: Arc<Mutex<()>>,
    /// How many transactions were asked for so far.
    begun: AtomicU64,
}

/// A transaction that writes in bulk. Dropped, it is rolled back.
pub(super) struct BulkTransaction {
    tx: Transaction<'static, Sqlite>,
    _only: OwnedMutexGuard<()>,
}

impl BulkTransaction {
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        self.tx.commit().await
    }
}

impl Turn {
    /// For the database at `database`, whose lock is waited for as long as `patience`.
    pub(super) fn new(database: &Path, patience: Duration) -> Self {
        Self {
            directory: database.parent().unwrap_or(Path::new("/")).to_owned(),
            patience,
            next: Mutex::default(),
            bulk: Arc::default(),
            begun: AtomicU64::default(),
        }
    }

    /// Begins a transaction that holds the write lock from its first statement on.
    pub(super) async fn begin(
        &self,
        writer: &Pool,
    ) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let _next = self.next.lock().await;
        self.let_others_first().await;
        let (mut since, mut place) = (None, None);
        loop {
            let error = match writer.begin_with(BEGIN).await {
                Err(error) if is_busy(&error) => error,
                begun => return begun,
            };
            let since = *since.get_or_insert_with(Instant::now);
            if since.elapsed() >= self.patience {
                return Err(error);
            }
            place = place.or_else(|| self.take_place());
            sleep(ASK_EVERY).await;
        }
    }

    /// Begins a transaction for somebody who keeps the lock for long and can wait. Its commit doesn't wait for the disk; the
    /// next one that does takes it along, in their order (sqlite.org/pragma.html#pragma_synchronous).
    pub(super) async fn begin_bulk(&self, writer: &Pool) -> Result<BulkTransaction, sqlx::Error> {
        let only = Arc::clone(&self.bulk).lock_owned().await;
        let since = Instant::now();
        loop {
            self.let_others_first().await;
            let begun = self.begun.load(Ordering::Relaxed);
            let next = self.next.lock().await;
            let writer = writer.acquire().await?;
            drop(next);
            // What others of this process do often takes several transactions in a row: a trigger is taken, then its
            // run begins. They shall not wait for a batch at each.
            if begun == self.begun.load(Ordering::Relaxed) || since.elapsed() > STAY_AWAY {
                let tx = Transaction::begin(writer, Some(BEGIN_BULK.into_sql_str())).await?;
                return Ok(BulkTransaction { tx, _only: only });
            }
            drop(writer);
            sleep(GO_ON_WITHIN).await;
        }
    }

    /// While other processes wait for the lock, and not for long.
    async fn let_others_first(&self) {
        let since = Instant::now();
        while self.somebody_waits() && since.elapsed() < STAY_AWAY {
            sleep(ASK_EVERY).await;
        }
    }

    fn somebody_waits(&self) -> bool {
        // Given back at once. Where there are no such locks nobody can say that he waits.
        File::open(&self.directory)
            .is_ok_and(|directory| matches!(directory.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Says that this process waits, until dropped. None if somebody looks at this very moment: tried again.
    fn take_place(&self) -> Option<File> {
        let directory = File::open(&self.directory).ok()?;
        directory.try_lock_shared().ok()?;
        Some(directory)
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(told) if classify(told.as_ref()) == Meaning::Busy)
}

impl Deref for BulkTransaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.tx
    }
}

impl DerefMut for BulkTransaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.tx
    }
}
