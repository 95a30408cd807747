//! A copy of a SQLite store, made while the daemon works on it.
//!
//! SQLite copies a snapshot of its own, so nobody is stopped, and what was committed when it began is in it. The copy says
//! of itself that it is one: put in the place of the store, it is told from it ([`super::Doubt::Restored`]), for what was
//! sent since is not in it. PostgreSQL brings its own tools.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::sqlite::SqliteStore;
use super::{StoreError, StoreOptions, open};

/// The longest that it may take: a large store on a slow disk.
const LIMIT: Duration = Duration::from_secs(3600);

const OPERATION: &str = "backup";

/// Copies the store at `url` to `to`, which must not be there yet; only its owner may read it. It is on the disk when this
/// returns. Failed or dropped, it leaves at most a file that ends in `.part`, which the next one replaces.
pub async fn backup(url: &str, to: &Path, now: DateTime<Utc>) -> Result<(), StoreError> {
    let wrong = |error: io::Error| refuse(format!("{}: {error}", to.display()));
    if to.try_exists().map_err(wrong)? {
        let shown = to.display();
        return Err(refuse(format!(
            "{shown} is there already: name another file"
        )));
    }
    let store = opened(url).await?;
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    make_private(&part).map_err(wrong)?;
    let done = store.copy_to(&part, now, LIMIT).await;
    super::Store::close(&store).await;
    done?;
    // Not over one that came meanwhile.
    fs::hard_link(&part, to)
        .and_then(|()| fs::remove_file(&part))
        .map_err(wrong)
}

/// The same into a file beside the store that goes with what is returned beside it; the file is at its beginning.
pub async fn backup_aside(
    url: &str,
    now: DateTime<Utc>,
) -> Result<(File, tempfile::TempPath), StoreError> {
    let store = opened(url).await?;
    let wrong = |error: io::Error| refuse(format!("beside the store: {error}"));
    let folder = store.path().parent().unwrap_or(Path::new("."));
    let aside = tempfile::Builder::new()
        .prefix(".backup-")
        .tempfile_in(folder);
    let aside = aside.map_err(wrong)?.into_temp_path();
    let done = store.copy_to(&aside, now, LIMIT).await;
    super::Store::close(&store).await;
    done?;
    Ok((File::open(&aside).map_err(wrong)?, aside))
}

async fn opened(url: &str) -> Result<SqliteStore, StoreError> {
    if open::is_postgres(url) {
        return Err(refuse(
            "the store is in PostgreSQL, which has a tool of its own: `pg_dump --format=custom --file=FILE` with the host, user and \
             database of state.url; nothing was backed up"
                .to_owned(),
        ));
    }
    let existing = StoreOptions {
        create_if_missing: false,
        ..StoreOptions::default()
    };
    SqliteStore::open(&open::sqlite_path(url)?, &existing).await
}

/// Empty, and nobody else's to read: SQLite fills a file that is empty, and leaves its mode.
fn make_private(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(())
}

fn refuse(detail: String) -> StoreError {
    StoreError::Refused {
        operation: OPERATION,
        detail,
    }
}
