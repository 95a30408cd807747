//! One daemon a file: an advisory lock beside the database, held for the daemon's life.
//!
//! SQLite itself would let two daemons share the file; but each would, at its start, take the other's running
//! runs for those of a dead process. The kernel drops the lock with the process, however it ends, so a crash
//! leaves nothing to clean up. The file stays; only the lock on it counts. Commands don't take it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::file::beside;
use crate::store::StoreError;

const OPERATION: &str = "lock";

/// The lock, held until dropped.
#[derive(Debug)]
pub struct DaemonLock {
    _file: File,
}

impl DaemonLock {
    /// Takes the lock for the database at `database`, or says which process holds it (`Busy`).
    pub fn acquire(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, ".lock");
        let unavailable = |error: io::Error| StoreError::Unavailable {
            operation: OPERATION,
            detail: format!("{}: {error}", path.display()),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&mut file, database)),
            Err(TryLockError::Error(error)) => return Err(unavailable(error)),
        }
        say_who(&mut file).map_err(unavailable)?;
        Ok(Self { _file: file })
    }
}

// Only for the message of whoever comes second.
fn say_who(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn held(file: &mut File, database: &Path) -> StoreError {
    let mut text = String::new();
    let holder = match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!("process {}", text.trim()),
        _ => "a process that has not said its number".to_owned(),
    };
    StoreError::Busy {
        operation: OPERATION,
        detail: format!(
            "{} already has a daemon, {holder}: use `tesa-reconciler trigger` to have it run a job now, or stop it first",
            database.display(),
        ),
    }
}
