//! SQLite: one file, one daemon, any number of commands beside it.
//!
//! One connection writes and a few read: SQLite has one writer at a time anyway, and with a single one of ours the
//! queue forms here, where waiting is asynchronous and fair (see [`turn`]), instead of in a busy loop inside the
//! library. Every write transaction begins with `BEGIN IMMEDIATE`, so it holds the write lock before it reads:
//! what it checked is still true when it commits. WAL lets readers go on meanwhile; `synchronous = FULL` makes a
//! commit durable before it is answered, which is what "committed before it is sent" means.
//!
//! A write first looks whether the file at the path is still the one that was opened: a ledger in a deleted file
//! is no ledger.

#[macro_use]
mod dialect;

mod backup;
mod bulk;
mod changes;
mod file;
mod history;
mod identity;
mod lock;
mod looks;
mod rates;
mod requests;
mod schema;
#[allow(
    clippy::duplicate_mod,
    reason = "each back end compiles the bodies for itself"
)]
#[path = "../sql/mod.rs"]
mod sql;
mod write_queue;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, SqlSafeStr, SqlStr, Sqlite, SqliteConnection,
    Transaction,
};

pub use lock::DaemonLock;
use sql::audit;
pub(super) use sql::audit::append as append_audit;
#[doc(hidden)]
pub use sql::hot_statements::{HOT, HOT_HERE};

use self::file::DatabaseFile;
use self::write_queue::{BulkTransaction, Turn};
use super::changes::Changes;
use super::fault::{Fault, Meaning};
use super::timed::Timed;
use super::{SchemaState, Store, StoreError, StoreOptions};

#[expect(clippy::disallowed_types, reason = "this is the SQL's place")]
type Pool = sqlx::SqlitePool;

/// Readers at once. Four keep a scrape, a page and a run from waiting for each other; each costs a thread and up
/// to a megabyte of cache.
const READERS: u32 = 4;

/// How long an idle reader is kept: a quiet daemon should be a small one.
const READER_IDLE: Duration = Duration::from_secs(60);

/// How long to wait before the file is tried again while another process sets it up.
const OPEN_RETRY: Duration = Duration::from_millis(25);

const PROBE: &str = "UPDATE identity SET probes = probes + 1";

/// A store in one file.
#[derive(Debug)]
pub struct SqliteStore {
    file: DatabaseFile,
    turn: Turn,
    writer: Pool,
    readers: Pool,
    timed: Timed,
    migrate_timeout: Duration,
    lock: Mutex<Option<DaemonLock>>,
    given: rates::GivenAway,
}

impl SqliteStore {
    /// Opens the file at `path`, making it (mode 0600) when there is none and the options allow it. Its schema is
    /// neither looked at nor changed.
    pub async fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let timed = Timed::new(options.call_timeout, classify);
        timed
            .call("open", Self::connect(path, options, timed.clone()))
            .await
    }

    async fn connect(path: &Path, options: &StoreOptions, timed: Timed) -> Result<Self, Fault> {
        let file = DatabaseFile::prepare(path, options.create_if_missing)?;
        let common = SqliteConnectOptions::new()
            .filename(file.path())
            .busy_timeout(options.busy_timeout)
            .foreign_keys(true)
            .pragma("temp_store", "memory")
            .pragma("analysis_limit", "400")
            // Where nobody can write, there is nobody to lock out, and no place for SQLite's locks.
            .immutable(file.is_read_only())
            .read_only(file.is_read_only())
            .disable_statement_logging();
        let durable = if file.is_read_only() {
            common.clone()
        } else {
            common
                .clone()
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
        };
        let writing = durable
            // Negative: KiB. Positive would be pages. A sweep's rows go into trees of many pages: what does not fit
            // is read again and again.
            .pragma("cache_size", "-32768")
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "16777216");
        let reading = common.read_only(true).pragma("cache_size", "-1024");
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(options.call_timeout)
                .test_before_acquire(false)
                .max_lifetime(None)
        };
        // Whatever the last one asked for: a commit is on the disk when it returns, and a single statement waits
        // for the lock by itself.
        let as_opened = format!(
            "PRAGMA synchronous = FULL; PRAGMA busy_timeout = {}",
            options.busy_timeout.as_millis()
        );
        let as_opened = AssertSqlSafe(as_opened).into_sql_str();
        // Turning a new file to WAL needs a lock for which SQLite's own busy time-out does not wait.
        let writer = loop {
            let tried = pool()
                .max_connections(1)
                .idle_timeout(None)
                .before_acquire({
                    let as_opened = as_opened.clone();
                    move |writer, _| Box::pin(as_new(writer, as_opened.clone()))
                })
                .connect_with(writing.clone())
                .await;
            match tried {
                Err(sqlx::Error::Database(told)) if classify(told.as_ref()) == Meaning::Busy => {
                    tokio::time::sleep(OPEN_RETRY).await;
                }
                other => break other?,
            }
        };
        let readers = pool()
            .max_connections(READERS)
            .idle_timeout(READER_IDLE)
            .connect_lazy_with(reading);
        Ok(Self {
            turn: Turn::new(file.path(), options.busy_timeout),
            file,
            writer,
            readers,
            timed,
            migrate_timeout: options.migrate_timeout,
            lock: Mutex::new(None),
            given: rates::GivenAway::default(),
        })
    }

    /// The file's own path, symbolic links resolved.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Keeps the daemon's lock for as long as this store is open.
    #[must_use]
    pub fn held_by(self, lock: DaemonLock) -> Self {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
        self
    }

    /// Runs `work` as the call `operation`: bounded, counted, its errors read.
    async fn call<T, W>(
        &self,
        operation: &'static str,
        work: impl Fn() -> W + Send + Sync,
    ) -> Result<T, StoreError>
    where
        W: Future<Output = Result<T, Fault>> + Send,
    {
        self.call_within(self.timed.clone(), operation, work).await
    }

    /// The same with another limit.
    async fn call_within<T, W>(
        &self,
        timed: Timed,
        operation: &'static str,
        work: impl Fn() -> W + Send + Sync,
    ) -> Result<T, StoreError>
    where
        W: Future<Output = Result<T, Fault>> + Send,
    {
        timed.call(operation, work()).await
    }

    /// Lets SQLite refresh its statistics, and cuts off the log.
    async fn tidy(&self) -> Result<(), Fault> {
        let mut writer = self.writer.acquire().await?;
        sqlx::query("PRAGMA optimize").execute(&mut *writer).await?;
        let (_, in_log, copied): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)")
            .fetch_one(&mut *writer)
            .await?;
        // Only when all of the log is copied is nothing left to wait for but its end being cut off.
        if in_log > 0 && in_log == copied {
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(&mut *writer)
                .await?;
        }
        Ok(())
    }

    /// Where what only reads is asked.
    fn reading(&self) -> &Pool {
        &self.readers
    }

    /// Begins a transaction that writes in bulk, for what can be read again from the upstream: a power cut loses the last of
    /// them and never one from the middle. Dropped, it is rolled back.
    async fn unhurried(&self) -> Result<BulkTransaction, Fault> {
        self.file.may_be_written()?;
        Ok(self.turn.begin_bulk(&self.writer).await?)
    }

    /// Begins a transaction that holds the write lock from its first statement on. Dropped, it is rolled back.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, Fault> {
        self.file.may_be_written()?;
        Ok(self.turn.begin(&self.writer).await?)
    }

    /// Commits what the daemon should look at now.
    async fn steer(&self, tx: Transaction<'static, Sqlite>) -> Result<(), Fault> {
        tx.commit().await?;
        changes::tell(self.file.path());
        Ok(())
    }
}

async fn set(writer: &mut SqliteConnection, pragmas: SqlStr) -> Result<(), sqlx::Error> {
    sqlx::query(pragmas).execute(writer).await?;
    Ok(())
}

/// As it was opened, and in no transaction. Where SQLite takes a transaction back by itself (the disk is full), the driver
/// goes on to count it, and every later one would be refused: such a connection is thrown away.
async fn as_new(writer: &mut SqliteConnection, pragmas: SqlStr) -> Result<bool, sqlx::Error> {
    set(writer, pragmas).await?;
    Ok(!writer.is_in_transaction())
}

#[async_trait]
impl Store for SqliteStore {
    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.timed
            .with_limit(self.migrate_timeout)
            .call("migrate", async {
                let mut tx = self.begin().await?;
                let missing = schema::migrate(&mut tx).await?;
                tx.commit().await?;
                // After the commit, or a crash would leave the mark of a store that never was; and one at a time.
                let mut tx = self.begin().await?;
                if let Some(id) = identity::id(&mut tx).await? {
                    self.file.mark_if_new(&id)?;
                }
                tx.rollback().await?;
                Ok(missing)
            })
            .await
    }

    async fn check_schema(&self) -> Result<SchemaState, StoreError> {
        self.timed
            .call("check_schema", schema::check(&self.readers))
            .await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.timed
            .call("probe", async {
                let mut tx = self.begin().await?;
                sqlx::query(PROBE).execute(&mut *tx).await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn changes(&self) -> Changes {
        // Whoever shares the file with a daemon must not take its bell away.
        let daemon = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        match *daemon {
            Some(_) => changes::listen(self.file.path()),
            None => super::changes::none(),
        }
    }

    async fn close(&self) {
        // Bounded like every call: a connection that hangs must not keep the process from ending.
        let closing = async {
            self.readers.close().await;
            self.writer.close().await;
            Ok(())
        };
        // The time-out is counted and logged by its metric; there is nothing else left to do about it.
        let _ = self.timed.call("close", closing).await;
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// What SQLite's result codes mean to us (sqlite.org/rescode.html); the low byte is the primary code.
pub(super) fn classify(error: &dyn DatabaseError) -> Meaning {
    let code = error.code().and_then(|code| code.parse::<i32>().ok());
    match code.map(|code| code & 0xff) {
        // BUSY, LOCKED
        Some(5 | 6) => Meaning::Busy,
        // PERM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOLFS, AUTH, NOTADB
        Some(3 | 8 | 10 | 11 | 13 | 14 | 22 | 23 | 26) => Meaning::Unavailable,
        Some(1) if is_about_schema(error.message()) => Meaning::Schema,
        _ => Meaning::Internal,
    }
}

// The code for "no such table" is the same as for any error of syntax; only the message tells.
fn is_about_schema(message: &str) -> bool {
    message.starts_with("no such table") || message.starts_with("no such column")
}
