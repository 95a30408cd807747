//! Word of what a person's command did: a bell beside the database.
//!
//! SQLite tells nobody what another process committed, and watching its files would wake the daemon for each of its own
//! commits, of which a sweep makes many a second. So the daemon listens at a socket beside the database, and a command
//! rings there after its commit. What is sent says nothing; whoever hears it looks at the store.
//!
//! Where that can't be (a directory that can't be written, a path too long for a socket) or isn't done (another
//! program, another machine), the scheduler's look every two seconds finds what was done all the same.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram as Ringer;
use std::path::{Path, PathBuf};

use futures::StreamExt;
use tokio::net::UnixDatagram;

use super::file::beside;
use crate::store::changes::{self, Change, Changes};

/// Tells the daemon of the database at `database`, if there is one, that somebody steered. After the commit, or it
/// would look too early.
pub(super) fn tell(database: &Path) {
    // It is a hint: whoever can't ring is heard within a second.
    let _ = ring(&bell_path(database));
}

fn ring(bell: &Path) -> io::Result<()> {
    let ringer = Ringer::unbound()?;
    // Whoever finds the bell full of rings that nobody has heard yet needn't wait.
    ringer.set_nonblocking(true)?;
    ringer.send_to(&[], bell)?;
    Ok(())
}

/// For the daemon only, which has the database for itself: a bell that is there already is a dead one's. See
/// [`crate::store::Store::changes`].
pub(super) fn listen(database: &Path) -> Changes {
    let path = bell_path(database);
    // Only when it is polled: a socket needs a runtime.
    let hung = async move {
        match Bell::hang(path) {
            // What was done before that was told to nobody.
            Ok(bell) => futures::stream::iter([Change::Missed])
                .chain(rings(bell))
                .chain(changes::none())
                .boxed(),
            Err(error) => {
                tracing::debug!(%error, "no bell beside the database: commands are seen at the look every two seconds");
                changes::none()
            }
        }
    };
    futures::stream::once(hung).flatten().boxed()
}

/// Many at once are one. Ends when there is nothing left to listen to.
fn rings(bell: Bell) -> Changes {
    let rung = |bell: Bell| async {
        match bell.rung().await {
            Ok(()) => Some((Change::Steered, bell)),
            Err(error) => {
                tracing::debug!(%error, "the bell is broken: commands are seen at the look every two seconds");
                None
            }
        }
    };
    futures::stream::unfold(bell, rung).boxed()
}

fn bell_path(database: &Path) -> PathBuf {
    beside(database, ".bell")
}

/// The socket, for as long as somebody listens.
struct Bell {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Bell {
    fn hang(path: PathBuf) -> io::Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { socket, path })
    }

    async fn rung(&self) -> io::Result<()> {
        self.socket.recv(&mut []).await?;
        while self.socket.try_recv(&mut []).is_ok() {}
        Ok(())
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        // Left behind it does no harm: nobody hears it, and the next daemon hangs its own.
        let _ = fs::remove_file(&self.path);
    }
}
