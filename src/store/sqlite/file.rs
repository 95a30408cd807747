//! The database's file: made private, and known again by its inode.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::store::fault::Fault;

/// What lies beside a database that is or was in use.
const COMPANIONS: [&str; 5] = ["-wal", "-shm", ".bell", ".lock", MARK];

/// The file with the store's id: it survives what empties the database.
const MARK: &str = ".id";

/// Stands there from the moment that a file is made where there was none until its schema is.
const TO_BE_MARKED: &str = "new";

/// How a database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// A file that was there when the store was opened.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    identity: (u64, u64),
    /// Its file system can't be written, by nobody here: reading needs no lock, and writing is refused.
    read_only: bool,
}

impl DatabaseFile {
    /// Finds the file, or makes an empty one that only its owner may read (the files that SQLite puts beside it
    /// take their mode from it).
    pub(super) fn prepare(path: &Path, create: bool) -> Result<Self, Fault> {
        let was_there = path.exists();
        let read_only = match OpenOptions::new()
            .write(true)
            .create(create)
            .truncate(false)
            .mode(0o600)
            .open(path)
        {
            Ok(_) => false,
            Err(error) if was_there && error.kind() == ErrorKind::ReadOnlyFilesystem => true,
            Err(error) => return Err(Fault::Unavailable(why_not(path, &error))),
        };
        // The real path: the lock beside it must be one and the same however the file is reached.
        let path =
            fs::canonicalize(path).map_err(|error| Fault::Unavailable(why_not(path, &error)))?;
        let identity =
            identity(&path).map_err(|error| Fault::Unavailable(why_not(&path, &error)))?;
        let file = Self {
            path,
            identity,
            read_only,
        };
        file.is_a_database()?;
        if read_only {
            file.is_whole()?;
        }
        let is_new = !was_there
            && COMPANIONS
                .iter()
                .all(|&of| !beside(&file.path, of).exists());
        if is_new {
            file.promise_mark()?;
        }
        Ok(file)
    }

    /// An empty file is about to become one; what begins otherwise is damaged, or another program's.
    fn is_a_database(&self) -> Result<(), Fault> {
        let unreadable = |error| Fault::Unavailable(why_not(&self.path, &error));
        let mut head = Vec::with_capacity(MAGIC.len());
        let file = fs::File::open(&self.path).map_err(unreadable)?;
        file.take(16).read_to_end(&mut head).map_err(unreadable)?;
        if head.is_empty() || head == MAGIC {
            return Ok(());
        }
        Err(Fault::Unavailable(format!(
            "{} is no SQLite database: it is damaged, or another program's; restore it from a backup, or change state.url",
            self.path.display()
        )))
    }

    /// What a daemon that died left beside the database is taken in by whoever opens it next, which can't be done here; and
    /// without it the newest changes would be missing unseen.
    fn is_whole(&self) -> Result<(), Fault> {
        let log = beside(&self.path, "-wal");
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            return Err(Fault::Unavailable(format!(
                "{} is on a read-only file system, and its newest changes are still in {}: copy both to where they can be \
                 written, and name the copy in state.url",
                self.path.display(),
                log.display()
            )));
        }
        Ok(())
    }

    /// Its file system can't be written.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether it may be written now: what can be told before it is tried.
    pub(super) fn may_be_written(&self) -> Result<(), Fault> {
        if self.read_only {
            return Err(Fault::Unavailable(format!(
                "{} is on a read-only file system: it can be read, and nothing can be changed",
                self.path.display()
            )));
        }
        self.still_there()
    }

    /// What stands in the file beside the database: the id of the store that was made here.
    pub(super) fn mark(&self) -> Result<Option<String>, Fault> {
        let path = beside(&self.path, MARK);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::Unavailable(why_not(&path, &error))),
        }
    }

    /// Whoever opens it at the same time may have been faster, or have marked it already.
    fn promise_mark(&self) -> Result<(), Fault> {
        let path = beside(&self.path, MARK);
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match made.and_then(|mut file| writeln!(file, "{TO_BE_MARKED}")) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(Fault::Unavailable(why_not(&path, &error)))
            }
            _ => Ok(()),
        }
    }

    /// Nothing has ever been done from here, and the store that was made now has this id.
    pub(super) fn mark_if_new(&self, id: &str) -> Result<(), Fault> {
        match self.mark()? {
            Some(mark) if mark == TO_BE_MARKED => self.set_mark(id),
            _ => Ok(()),
        }
    }

    /// Whole or not at all: half a mark would be another store's. For whoever holds the write lock.
    pub(super) fn set_mark(&self, id: &str) -> Result<(), Fault> {
        let (path, aside) = (beside(&self.path, MARK), beside(&self.path, ".id~"));
        let written = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&aside)?;
            writeln!(file, "{id}")?;
            file.sync_all()?;
            fs::rename(&aside, &path)
        };
        written().map_err(|error| Fault::Unavailable(why_not(&path, &error)))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path still leads to the file that was opened. A look at one inode: cheap enough before every write.
    pub(super) fn still_there(&self) -> Result<(), Fault> {
        let shown = self.path.display();
        match identity(&self.path) {
            Ok(found) if found == self.identity => Ok(()),
            Ok(_) => Err(Fault::Unavailable(format!(
                "{shown} is not the file that was opened (restored from a backup?): restart to use it"
            ))),
            Err(error) => Err(Fault::Unavailable(format!(
                "{shown} was there and is gone ({error}): put it back, or restart to begin anew"
            ))),
        }
    }
}

/// The path of what lies beside the database at `database`: the same name, and more.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Why the file can't be had, and the way out.
fn why_not(path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if error.kind() == ErrorKind::NotFound && !directory.is_dir() {
        let directory = directory.display();
        return format!(
            "the directory {directory} for {shown} does not exist: make it, or change state.url"
        );
    }
    match error.kind() {
        ErrorKind::NotFound => {
            format!("{shown} does not exist; `tesa-reconciler migrate` makes it")
        }
        ErrorKind::PermissionDenied => format!(
            "{shown}: {error}; file and directory must be writable for the user that runs this"
        ),
        _ => format!("{shown}: {error}"),
    }
}
