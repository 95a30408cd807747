//! A store that hangs: a socket before PostgreSQL's, which on demand passes nothing on. Nothing is refused or closed,
//! as behind a network that loses everything.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

const NAME: &str = ".s.PGSQL.5432";

/// Passes on until silence falls. Ends with this value.
pub struct Silence {
    _dir: TempDir,
    url: String,
    silent: Arc<watch::Sender<bool>>,
}

impl Silence {
    /// Before the server of this database, which listens on a Unix socket.
    pub fn before(url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options: PgConnectOptions = url.parse().unwrap();
        let named_as_host = || PathBuf::from(options.get_host());
        let server = options.get_socket().cloned().unwrap_or_else(named_as_host);
        let silent = Arc::new(watch::Sender::new(false));
        let listener = UnixListener::bind(dir.path().join(NAME)).unwrap();
        tokio::spawn(accept(listener, server.join(NAME), Arc::clone(&silent)));
        let (user, database) = (options.get_username(), options.get_database().unwrap());
        Self {
            url: format!(
                "postgres://{user}@localhost/{database}?host={}",
                dir.path().display()
            ),
            _dir: dir,
            silent,
        }
    }

    /// Where a store finds it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on nothing is passed on.
    pub fn falls(&self) {
        self.silent.send_replace(true);
    }

    /// What waited is passed on.
    pub fn ends(&self) {
        self.silent.send_replace(false);
    }
}

async fn accept(listener: UnixListener, server: PathBuf, silent: Arc<watch::Sender<bool>>) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, silent) = (server.clone(), silent.subscribe());
        tokio::spawn(async move {
            let Ok(server) = UnixStream::connect(server).await else {
                return;
            };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::join!(
                pass(from_client, to_server, silent.clone()),
                pass(from_server, to_client, silent)
            );
        });
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut silent: watch::Receiver<bool>,
) {
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if silent.wait_for(|silent| !silent).await.is_err()
            || to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
}
