//! Serving a sandbox, and holding on to one that is served.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;

use super::wire::{CuttableListener, Wire};
use super::{BASE_PATH, Sandbox, SandboxConfig, SetupError, account, token_uri};

/// How long clients may take to fetch what was answered before the stop.
const GRACE: Duration = Duration::from_secs(2);

/// A sandbox that is being served. Dropping it stops the server without waiting for it.
#[derive(Debug)]
pub struct Running {
    sandbox: Sandbox,
    address: SocketAddr,
    shutdown: CancellationToken,
    server: Option<JoinHandle<io::Result<()>>>,
}

impl Sandbox {
    /// Serves until `shutdown`; calls in flight are answered first, those that a fault holds up are cut off.
    ///
    /// # Errors
    /// If the listener has no address.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        let origin = format!("http://{}", listener.local_addr()?);
        // A public URL given in the configuration has come before, and stays.
        let _ = self.0.tokens.audience.set(token_uri(&origin));
        let closing = self.0.closing.clone();
        let app = self.router().into_make_service_with_connect_info::<Wire>();
        let server = axum::serve(CuttableListener(listener), app).with_graceful_shutdown({
            let closing = closing.clone();
            async move {
                shutdown.cancelled().await;
                closing.cancel();
            }
        });
        tokio::select! {
            served = server => served,
            () = async { closing.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
        }
    }

    /// Binds and serves in the background.
    ///
    /// # Errors
    /// If the configuration can't be, or the address can't be had.
    pub async fn start(
        config: SandboxConfig,
        clock: SharedClock,
        address: SocketAddr,
    ) -> Result<Running, SetupError> {
        let sandbox = Self::new(config, clock)?;
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(sandbox.clone().serve(listener, shutdown.clone()));
        Ok(Running {
            sandbox,
            address,
            shutdown,
            server: Some(server),
        })
    }
}

impl Running {
    /// The sandbox itself.
    pub fn handle(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `[tesamanager] base_url` must be.
    pub fn base_url(&self) -> String {
        format!("{}{BASE_PATH}", self.origin())
    }

    /// Before the base path: where `/_sandbox/…` is.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token endpoint.
    pub fn token_uri(&self) -> String {
        self.sandbox
            .0
            .tokens
            .audience
            .get()
            .cloned()
            .unwrap_or_else(|| token_uri(&self.origin()))
    }

    /// Writes a service account's file that works with this sandbox.
    ///
    /// # Errors
    /// As [`std::fs::write`].
    pub fn write_service_account(&self, path: &Path) -> io::Result<()> {
        account::write_service_account(path, &self.token_uri())
    }

    /// Stops and waits until the port is free.
    ///
    /// # Errors
    /// What the server died of, if it did.
    pub async fn shutdown(mut self) -> io::Result<()> {
        self.shutdown.cancel();
        match self.server.take() {
            Some(server) => server.await.map_err(io::Error::other)?,
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
