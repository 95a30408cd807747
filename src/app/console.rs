//! The console beside the metrics: opened before anything begins, served until the drain is over.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Core, Live, StartError};
use crate::answers::time::of_system;
use crate::config::Config;
use crate::console::{self, Console};
use crate::http;

/// The console's socket, held before anything else begins.
pub(super) struct Opened {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// Listens, where there is a console.
pub(super) async fn open(config: &Config) -> Result<Option<Opened>, StartError> {
    let Some(settings) = &config.console else {
        return Ok(None);
    };
    let listener = http::bind(settings.listen, "[console].listen").await?;
    let address = listener.local_addr().map_err(StartError::Io)?;
    Ok(Some(Opened { listener, address }))
}

/// Its pages, where there are any; a reload's configuration shows in them.
pub(super) fn pages(
    config: &Config,
    core: &Core,
    live: watch::Receiver<Arc<Live>>,
) -> Result<Option<Router>, StartError> {
    let Some(settings) = &config.console else {
        return Ok(None);
    };
    let system = || of_system(std::env::var("TZ").ok().as_deref());
    let zone = settings.timezone.or(config.daemon.timezone);
    let console = Console::new(
        Arc::new(move || Arc::clone(&live.borrow().config)),
        Arc::clone(&core.store),
        Arc::clone(&core.clock),
        zone.unwrap_or_else(system),
    );
    Ok(Some(console::router(console, settings)?))
}
