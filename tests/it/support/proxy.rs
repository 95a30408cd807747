//! Between a store and its PostgreSQL: a network that may swallow everything without a word, as one does whose other end
//! lost its power. No reset, no goodbye; what is written is taken and leads nowhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

const SOCKET: &str = ".s.PGSQL.5432";

/// A socket that leads to another one.
pub struct Proxy {
    dir: TempDir,
    /// Connections carry on while this is their own; odd: new ones lead nowhere either.
    era: watch::Sender<u64>,
    swallowed: Arc<AtomicUsize>,
}

impl Proxy {
    /// Leads to the server whose socket is in `home`.
    pub fn start(home: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("tesa-px-")
            .tempdir()
            .unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let (era, seen) = watch::channel(0);
        let swallowed = Arc::new(AtomicUsize::new(0));
        tokio::spawn(accept(
            listener,
            home.join(SOCKET),
            seen,
            Arc::clone(&swallowed),
        ));
        Self {
            dir,
            era,
            swallowed,
        }
    }

    /// The server's URL with this in between.
    pub fn url(&self, of: &str) -> String {
        let options: sqlx::postgres::PgConnectOptions = of.parse().unwrap();
        let database = options.get_database().unwrap_or("postgres");
        format!(
            "postgres://postgres@localhost/{database}?host={}",
            self.dir.path().display()
        )
    }

    /// From now on nothing comes through.
    pub fn swallow(&self) {
        self.era.send_modify(|era| *era |= 1);
    }

    /// New connections come through again. The old ones never will.
    pub fn heal(&self) {
        self.era.send_modify(|era| *era += *era % 2);
    }

    /// Connections that lead nowhere and that the store has not given up.
    pub fn swallowed(&self) -> usize {
        self.swallowed.load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: UnixListener,
    target: PathBuf,
    era: watch::Receiver<u64>,
    swallowed: Arc<AtomicUsize>,
) {
    while let Ok((near, _)) = listener.accept().await {
        let (target, era, swallowed) = (target.clone(), era.clone(), Arc::clone(&swallowed));
        tokio::spawn(async move {
            let own = *era.borrow();
            let (mut near_in, mut near_out) = near.into_split();
            // Kept to the end: the server is not told either.
            let mut far = None;
            if own % 2 == 0 {
                let Ok(connected) = UnixStream::connect(target).await else {
                    return;
                };
                let (far_in, far_out) = far.insert(connected.into_split());
                let ended = tokio::select! {
                    () = carry(&mut near_in, far_out, era.clone(), own) => *era.borrow() == own,
                    () = carry(far_in, &mut near_out, era.clone(), own) => *era.borrow() == own,
                };
                if ended {
                    return;
                }
            }
            swallowed.fetch_add(1, Ordering::SeqCst);
            let mut lost = [0; 4096];
            while matches!(near_in.read(&mut lost).await, Ok(1..)) {}
            swallowed.fetch_sub(1, Ordering::SeqCst);
            drop((near_out, far));
        });
    }
}

/// Until either end is closed, or the era is over.
async fn carry(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut era: watch::Receiver<u64>,
    own: u64,
) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            biased;
            _over = era.wait_for(|now| *now != own) => return,
            read = from.read(&mut bytes) => read,
        };
        match read {
            Ok(count @ 1..) if to.write_all(&bytes[..count]).await.is_ok() => {}
            _ => return,
        }
    }
}
