//! From `state.url` to a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::postgres::PgStore;
use super::sqlite::{DaemonLock, SqliteStore};
use super::{Store, StoreError};

/// What can be set about a store; the defaults are the daemon's.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The longest that any call takes.
    pub call_timeout: Duration,
    /// How long to wait for another's lock; below `call_timeout`, so that the error says who is in the way
    /// rather than only that it took long.
    pub busy_timeout: Duration,
    /// The longest that a migration takes.
    pub migrate_timeout: Duration,
    /// Make SQLite's file when there is none.
    pub create_if_missing: bool,
    /// A file that holds PostgreSQL's password and nothing else.
    pub password_file: Option<PathBuf>,
    /// Connections to PostgreSQL at once, at most, beside one that listens.
    pub max_connections: u32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(4),
            migrate_timeout: Duration::from_secs(120),
            create_if_missing: true,
            password_file: None,
            max_connections: 10,
        }
    }
}

pub(super) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

/// Opens the store at `url` for a command that works beside the daemon. Neither migrates nor checks the schema.
pub async fn open(url: &str, options: &StoreOptions) -> Result<Arc<dyn Store>, StoreError> {
    if is_postgres(url) {
        return Ok(Arc::new(PgStore::open(url, options).await?));
    }
    let path = sqlite_path(url)?;
    Ok(Arc::new(SqliteStore::open(&path, options).await?))
}

/// Opens the store at `url` for the daemon. On SQLite at most one daemon may hold it: `Busy`, naming the other
/// one, if one does. The hold ends with [`Store::close`], with the last reference, or with the process.
pub async fn open_for_daemon(
    url: &str,
    options: &StoreOptions,
) -> Result<Arc<dyn Store>, StoreError> {
    if is_postgres(url) {
        return open(url, options).await;
    }
    let path = sqlite_path(url)?;
    let store = SqliteStore::open(&path, options).await?;
    let lock = DaemonLock::acquire(store.path())?;
    Ok(Arc::new(store.held_by(lock)))
}

/// There is a store at `url`, as far as that can be told without connecting: a SQLite file that isn't there is none. One
/// that this user may not even look for is told by opening it.
pub fn exists(url: &str) -> bool {
    sqlite_path(url).map_or(true, |path| path.try_exists().unwrap_or(true))
}

/// The file that a `sqlite:` URL names: `sqlite:file.db`, `sqlite:///absolute/file.db`; taken as it is written,
/// without percent decoding.
pub(super) fn sqlite_path(url: &str) -> Result<PathBuf, StoreError> {
    let refuse = |detail: String| StoreError::Unavailable {
        operation: "open",
        detail,
    };
    let Some(rest) = url.strip_prefix("sqlite:") else {
        // Only the scheme is repeated: what follows may hold a password.
        let scheme = url.split(':').next().unwrap_or_default();
        return Err(refuse(format!(
            "state.url begins with {scheme:?}, which is no store that this program knows; write `sqlite:FILE` or `postgres://USER@HOST/DATABASE`"
        )));
    };
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err(refuse(
            "state.url names no file; write `sqlite:FILE`".to_owned(),
        ));
    }
    if path.contains(":memory:") {
        return Err(refuse(
            "state.url asks for a database in memory, which would forget what was sent: name a file".to_owned(),
        ));
    }
    if path.contains('?') {
        return Err(refuse(
            "state.url has options after `?`, which SQLite's URL does not take here: remove them"
                .to_owned(),
        ));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_url_names_a_file() {
        for (url, path) in [
            ("sqlite:file.db", "file.db"),
            ("sqlite://file.db", "file.db"),
            ("sqlite:///var/lib/x.db", "/var/lib/x.db"),
            ("sqlite:/var/lib/x.db", "/var/lib/x.db"),
            ("sqlite:../x y.db", "../x y.db"),
        ] {
            assert_eq!(sqlite_path(url).unwrap(), PathBuf::from(path), "{url}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused_with_the_way_out() {
        for (url, says) in [
            ("sqlite::memory:", "name a file"),
            ("sqlite://:memory:", "name a file"),
            ("sqlite:", "names no file"),
            ("sqlite://", "names no file"),
            ("sqlite:x.db?mode=ro", "remove them"),
            ("mysql://u:CANARY@h/d", "sqlite:FILE"),
            ("CANARY.db", "sqlite:FILE"),
        ] {
            let error = sqlite_path(url).unwrap_err().to_string();
            assert!(error.contains(says), "{url}: {error}");
            assert!(!error.contains("u:CANARY"), "{error}");
        }
    }
}
