//! Between a store and its PostgreSQL: counts what the server is asked to do, and at the n-th of it lets all go dark, as when
//! the server dies there: either before it has heard of it, or when it has done it and nobody has heard of that.
//!
//! A statement is whatever makes the store wait for an answer: a `Sync` or a simple `Query` of the protocol.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

const SOCKET: &str = ".s.PGSQL.5432";

/// When the server dies.
#[derive(Debug, Clone, Copy)]
pub enum Dies {
    /// It has not heard of the statement.
    BeforeIt,
    /// It has done it, and nobody heard its answer.
    AfterIt,
}

/// A socket that leads to the server's.
pub struct Statements {
    dir: TempDir,
    shared: Arc<Shared>,
}

struct Shared {
    server: PathBuf,
    seen: AtomicUsize,
    doom: Option<(usize, Dies)>,
    is_dark: watch::Sender<bool>,
}

impl Statements {
    /// Counts what the server whose socket is in `home` is asked; it dies at the statement of this number, from 1 on.
    pub fn before(home: &Path, doom: Option<(usize, Dies)>) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("tesa-st-")
            .tempdir()
            .unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let shared = Arc::new(Shared {
            server: home.join(SOCKET),
            seen: AtomicUsize::new(0),
            doom,
            is_dark: watch::Sender::new(false),
        });
        let of = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((store, _)) = listener.accept().await {
                tokio::spawn(connection(store, Arc::clone(&of)));
            }
        });
        Self { dir, shared }
    }

    /// The server's URL with this in between.
    pub fn url(&self, of: &str) -> String {
        let options: PgConnectOptions = of.parse().unwrap();
        let database = options.get_database().unwrap_or("postgres");
        let dir = self.dir.path().display();
        // Without a word about TLS, which has no type and no length.
        format!("postgres://postgres@localhost/{database}?host={dir}&sslmode=disable")
    }

    /// How many there were.
    pub fn seen(&self) -> usize {
        self.shared.seen.load(Ordering::SeqCst)
    }

    /// Returns when the server is to die: nothing comes through any more.
    pub async fn died(&self) {
        let mut dark = self.shared.is_dark.subscribe();
        let _ = dark.wait_for(|dark| *dark).await;
    }

    /// The server is back: new connections come through.
    pub fn is_back(&self) {
        self.shared.is_dark.send_replace(false);
    }
}

/// Ends with either side, and with the server.
async fn connection(store: UnixStream, shared: Arc<Shared>) {
    let mut dark = shared.is_dark.subscribe();
    if *dark.borrow() {
        return;
    }
    let Ok(server) = UnixStream::connect(&shared.server).await else {
        return;
    };
    let (from_store, to_store) = store.into_split();
    let (from_server, to_server) = server.into_split();
    let (is_last, last) = watch::channel(false);
    tokio::select! {
        biased;
        _ = dark.wait_for(|dark| *dark) => {}
        () = asks(from_store, to_server, &shared, &is_last) => {}
        () = answers(from_server, to_store, &shared, last) => {}
    }
}

/// What the store asks.
async fn asks(
    mut store: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    shared: &Shared,
    is_last: &watch::Sender<bool>,
) {
    // The first message says who connects, and has no type.
    let mut has_type = false;
    while let Some((kind, message)) = message(&mut store, has_type).await {
        has_type = true;
        let number = match kind {
            b'S' | b'Q' => shared.seen.fetch_add(1, Ordering::SeqCst) + 1,
            _ => 0,
        };
        match shared.doom {
            Some((doomed, Dies::BeforeIt)) if doomed == number => {
                shared.is_dark.send_replace(true);
                return;
            }
            Some((doomed, Dies::AfterIt)) if doomed == number => {
                is_last.send_replace(true);
            }
            _ => {}
        }
        if server.write_all(&message).await.is_err() {
            return;
        }
    }
}

/// What the server answers.
async fn answers(
    mut server: OwnedReadHalf,
    mut store: OwnedWriteHalf,
    shared: &Shared,
    last: watch::Receiver<bool>,
) {
    while let Some((kind, message)) = message(&mut server, true).await {
        let is_last = *last.borrow();
        // It has done all, and is ready for the next.
        if is_last && kind == b'Z' {
            shared.is_dark.send_replace(true);
            return;
        }
        if !is_last && store.write_all(&message).await.is_err() {
            return;
        }
    }
}

/// The next message as it stands, and its type; none when there are no more.
async fn message(from: &mut OwnedReadHalf, has_type: bool) -> Option<(u8, Vec<u8>)> {
    let kind = match has_type {
        true => from.read_u8().await.ok()?,
        false => 0,
    };
    let length = from.read_u32().await.ok()?;
    let mut message = Vec::with_capacity(length as usize + 1);
    message.extend(has_type.then_some(kind));
    message.extend(length.to_be_bytes());
    let rest = u64::from(length.checked_sub(4)?);
    let read = from.take(rest).read_to_end(&mut message).await.ok()?;
    (read as u64 == rest).then_some((kind, message))
}
