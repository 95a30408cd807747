//! A fresh store a test, and what a test needs from outside of it: a second process, a rude neighbour.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tesa_reconciler::clock::{Clock, SystemClock};
use tesa_reconciler::store::{self, Store, StoreOptions};

use crate::memory::MemoryStore;
use crate::support::postgres::Database;

/// A fresh, migrated store of one back end.
pub struct Fresh {
    pub store: Arc<dyn Store>,
    backend: Backend,
}

enum Backend {
    Memory {
        store: MemoryStore,
        clock: Arc<AheadClock>,
    },
    Sqlite {
        dir: TempDir,
    },
    Postgres {
        database: Database,
    },
}

/// The machine's clock, put forward.
#[derive(Debug, Default)]
struct AheadClock(Mutex<TimeDelta>);

impl Clock for AheadClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + *self.0.lock().unwrap()
    }

    fn uptime(&self) -> Duration {
        SystemClock.uptime()
    }

    fn random(&self) -> u64 {
        SystemClock.random()
    }
}

/// There is no database below the store in memory.
const NO_DATABASE: &str = "this behaviour is of a database";

impl Fresh {
    pub async fn memory() -> Self {
        let clock = Arc::new(AheadClock::default());
        let store = MemoryStore::new(clock.clone());
        Self {
            store: Arc::new(store.another()),
            backend: Backend::Memory { store, clock },
        }
    }

    pub async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fresh = Self::over(Backend::Sqlite { dir }).await;
        fresh.store.migrate().await.unwrap();
        fresh
    }

    pub async fn postgres() -> Self {
        let database = Database::migrated().await;
        Self::over(Backend::Postgres { database }).await
    }

    async fn over(backend: Backend) -> Self {
        let store = store::open(&backend.url(), &StoreOptions::default())
            .await
            .unwrap();
        Self { store, backend }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.backend.url()
    }

    /// The same database as another process sees it.
    pub async fn again(&self) -> Arc<dyn Store> {
        self.with(&StoreOptions::default()).await
    }

    /// The same, with options.
    pub async fn with(&self, options: &StoreOptions) -> Arc<dyn Store> {
        if let Backend::Memory { store, .. } = &self.backend {
            return Arc::new(store.with_limit(options.call_timeout));
        }
        store::open(&self.backend.url(), options).await.unwrap()
    }

    /// Time passes for whoever judges the age of heartbeats and intents and the end of pauses, of circuits too. On SQLite
    /// that is the caller, by the times it gives.
    pub async fn time_passes(&self, seconds: i64) {
        if let Backend::Memory { clock, .. } = &self.backend {
            *clock.0.lock().unwrap() += TimeDelta::seconds(seconds);
        }
        if let Backend::Postgres { .. } = self.backend {
            for (table, column) in [
                ("runs", "last_beat"),
                ("replicas", "last_beat"),
                ("attempts", "counted_at"),
                ("pauses", "until"),
            ] {
                let age = format!(
                    "UPDATE {table} SET {column} = {column} - interval '{seconds} seconds'"
                );
                self.past_the_store(&age).await.unwrap();
            }
            let pauses = format!(
                "UPDATE circuits SET probe_at = probe_at - interval '{seconds} seconds',
                     opened_at = opened_at - interval '{seconds} seconds'"
            );
            self.past_the_store(&pauses).await.unwrap();
        }
    }

    /// An instant as it is written in this back end's statements.
    pub fn literal(&self, at: DateTime<Utc>) -> String {
        match self.backend {
            Backend::Memory { .. } | Backend::Sqlite { .. } => at.timestamp_micros().to_string(),
            Backend::Postgres { .. } => {
                format!("'{}'", at.to_rfc3339_opts(SecondsFormat::Micros, true))
            }
        }
    }

    /// What the column of an instant takes and no calendar has.
    pub fn no_instant(&self) -> &'static str {
        match self.backend {
            Backend::Memory { .. } => panic!("{NO_DATABASE}"),
            Backend::Sqlite { .. } => "9223372036854775807",
            Backend::Postgres { .. } => "'infinity'",
        }
    }

    /// Holds off every other writer until the answer is dropped.
    pub async fn block_writers(&self) -> RudeNeighbour {
        match &self.backend {
            Backend::Memory { .. } => panic!("{NO_DATABASE}"),
            Backend::Sqlite { .. } => {
                let mut connection = self.raw_sqlite().await;
                connection.execute("BEGIN EXCLUSIVE").await.unwrap();
                RudeNeighbour::Sqlite(connection)
            }
            Backend::Postgres { database } => {
                let mut connection = database.connect().await;
                let lock = "BEGIN; LOCK TABLE runs, attempts, audit, replicas IN EXCLUSIVE MODE";
                connection.execute(lock).await.unwrap();
                RudeNeighbour::Postgres(connection)
            }
        }
    }

    /// Runs a statement past the store; the database's refusal as text.
    pub async fn past_the_store(&self, statement: &str) -> Result<u64, String> {
        let statement = AssertSqlSafe(statement.to_owned());
        let done = match &self.backend {
            Backend::Memory { .. } => panic!("{NO_DATABASE}"),
            Backend::Sqlite { .. } => {
                let mut connection = self.raw_sqlite().await;
                let done = sqlx::query(statement).execute(&mut connection).await;
                done.map(|done| done.rows_affected())
            }
            Backend::Postgres { database } => {
                let mut connection = database.connect().await;
                let done = sqlx::query(statement).execute(&mut connection).await;
                done.map(|done| done.rows_affected())
            }
        };
        done.map_err(|error| error.to_string())
    }

    /// This statement is about so many rows. A store that takes no statements is not asked.
    pub async fn expect_rows(&self, statement: &str, rows: u64, why: &str) {
        if !matches!(self.backend, Backend::Memory { .. }) {
            assert_eq!(self.past_the_store(statement).await, Ok(rows), "{why}");
        }
    }

    /// From now on the database takes every transaction back that does this to a table: SQLite at once, as it does on a
    /// full disk; PostgreSQL at the commit.
    pub async fn take_back(&self, table: &str, what: &str) {
        match &self.backend {
            Backend::Memory { .. } => panic!("{NO_DATABASE}"),
            Backend::Sqlite { .. } => {
                let trigger = format!(
                    "CREATE TRIGGER full_{table} BEFORE {what} ON {table}
                     BEGIN SELECT RAISE(ROLLBACK, 'disk full'); END"
                );
                self.past_the_store(&trigger).await.unwrap();
            }
            Backend::Postgres { .. } => {
                let function = "CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN RAISE 'disk full' USING ERRCODE = 'disk_full'; END $$";
                self.past_the_store(function).await.unwrap();
                let trigger = format!(
                    "CREATE CONSTRAINT TRIGGER full_{table} AFTER {what} ON {table}
                     DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION disk_is_full()"
                );
                self.past_the_store(&trigger).await.unwrap();
            }
        }
    }

    /// There is room again.
    pub async fn take_nothing_back(&self, table: &str) {
        let on = match self.backend {
            Backend::Memory { .. } => panic!("{NO_DATABASE}"),
            Backend::Sqlite { .. } => String::new(),
            Backend::Postgres { .. } => format!(" ON {table}"),
        };
        let drop = format!("DROP TRIGGER full_{table}{on}");
        self.past_the_store(&drop).await.unwrap();
    }

    /// Where the next life finds what a crash at this moment leaves: SQLite's files under another name; PostgreSQL's
    /// database after every connection was cut.
    pub async fn as_after_a_crash(&self) -> String {
        match &self.backend {
            Backend::Memory { .. } => panic!("{NO_DATABASE}"),
            Backend::Sqlite { dir } => {
                let copy = dir.path().join("crashed.db");
                for suffix in ["", "-wal"] {
                    let from = format!("{}{suffix}", dir.path().join("t.db").display());
                    let to = format!("{}{suffix}", copy.display());
                    std::fs::copy(from, to).unwrap();
                }
                format!("sqlite:{}", copy.display())
            }
            Backend::Postgres { database } => {
                database.cut_connections().await;
                database.url()
            }
        }
    }

    /// A connection of somebody else to the PostgreSQL that this store is in.
    pub async fn raw_postgres(&self) -> PgConnection {
        match &self.backend {
            Backend::Memory { .. } => panic!("{NO_DATABASE}"),
            Backend::Sqlite { .. } => panic!("this store is a file"),
            Backend::Postgres { database } => database.connect().await,
        }
    }

    async fn raw_sqlite(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.backend.url())
            .await
            .unwrap()
    }
}

impl Backend {
    fn url(&self) -> String {
        match self {
            Self::Memory { .. } => panic!("{NO_DATABASE}"),
            Self::Sqlite { dir } => format!("sqlite:{}", dir.path().join("t.db").display()),
            Self::Postgres { database } => database.url(),
        }
    }
}

/// A connection of somebody else that holds what a writer needs.
#[expect(dead_code, reason = "held for what it locks")]
pub enum RudeNeighbour {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}
