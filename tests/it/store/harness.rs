//! A fresh store a test, and what a test needs from outside of it: a second process, a rude neighbour.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use tempfile::TempDir;
use tesa_reconciler::store::{self, Store, StoreOptions};

/// A fresh, migrated store of one back end.
pub struct Fresh {
    pub store: Arc<dyn Store>,
    backend: Backend,
}

enum Backend {
    Sqlite { dir: TempDir },
}

impl Fresh {
    pub async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let backend = Backend::Sqlite { dir };
        let store = store::open(&backend.url(), &StoreOptions::default())
            .await
            .unwrap();
        store.migrate().await.unwrap();
        Self { store, backend }
    }

    /// The same database as another process sees it.
    pub async fn again(&self) -> Arc<dyn Store> {
        self.with(&StoreOptions::default()).await
    }

    /// The same, with options.
    pub async fn with(&self, options: &StoreOptions) -> Arc<dyn Store> {
        store::open(&self.backend.url(), options).await.unwrap()
    }

    /// Holds off every other writer until the answer is dropped.
    pub async fn block_writers(&self) -> RudeNeighbour {
        match &self.backend {
            Backend::Sqlite { .. } => {
                let mut connection = self.raw().await;
                connection.execute("BEGIN EXCLUSIVE").await.unwrap();
                RudeNeighbour {
                    _connection: connection,
                }
            }
        }
    }

    /// Runs a statement past the store; the database's refusal as text.
    pub async fn past_the_store(&self, statement: &str) -> Result<u64, String> {
        let mut connection = self.raw().await;
        let statement = sqlx::query(AssertSqlSafe(statement.to_owned()));
        let done = statement.execute(&mut connection).await;
        done.map(|done| done.rows_affected())
            .map_err(|error| error.to_string())
    }

    /// SQLite's files as a crash at this moment would leave them, under another name.
    pub fn as_after_a_crash(&self) -> PathBuf {
        match &self.backend {
            Backend::Sqlite { dir } => {
                let copy = dir.path().join("crashed.db");
                for suffix in ["", "-wal"] {
                    let from = format!("{}{suffix}", dir.path().join("t.db").display());
                    let to = format!("{}{suffix}", copy.display());
                    std::fs::copy(from, to).unwrap();
                }
                copy
            }
        }
    }

    async fn raw(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.backend.url())
            .await
            .unwrap()
    }
}

impl Backend {
    fn url(&self) -> String {
        match self {
            Self::Sqlite { dir } => format!("sqlite:{}", dir.path().join("t.db").display()),
        }
    }
}

/// A connection of somebody else that holds what a writer needs.
pub struct RudeNeighbour {
    _connection: SqliteConnection,
}
