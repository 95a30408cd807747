//! A small HTTP server with limits: `axum::serve` has none, so one client that never ends its request head could
//! keep a connection, and many could keep all.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::guests::{Guests, Place};

/// A request's head must have arrived by then; it is also how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a request's head; the least that the library takes.
const HEAD_BYTES: usize = 8192;
/// Connections at once; for more, those that are idle for the longest time are closed.
const CONNECTIONS: usize = 64;
/// How long answers under way may take after the stop.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// Pause after a failed accept: what makes it fail (no file descriptors) takes a moment to pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// An address that can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "can't listen on {listen}: {error}; set another address in {key}, or stop what holds this one"
)]
pub struct BindError {
    /// The address.
    pub listen: SocketAddr,
    /// Where it is configured.
    pub key: &'static str,
    /// What the system says.
    #[source]
    pub error: io::Error,
}

/// Whose connection a request came by.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Listens on `listen`, which was configured under `key` (`[http].listen`).
pub async fn bind(listen: SocketAddr, key: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(listen)
        .await
        .map_err(|error| BindError { listen, key, error })
}

/// Serves `router` until `shutdown`; then ends the answers under way, for five seconds at most.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let limits = Limits {
        head_within: HEAD_WITHIN,
        connections: CONNECTIONS,
    };
    serve_within(limits, listener, router, shutdown).await;
}

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) head_within: Duration,
    pub(super) connections: usize,
}

pub(super) async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) {
    let guests = Guests::default();
    let connections = TaskTracker::new();
    while let Some(accepted) = shutdown
        .run_until_cancelled(accept(&listener, &guests, limits.connections))
        .await
    {
        match accepted {
            Ok((stream, peer, place)) => {
                connections.spawn(converse(
                    limits,
                    stream,
                    peer,
                    place,
                    router.clone(),
                    shutdown.clone(),
                ));
            }
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    if tokio::time::timeout(LAST_ANSWERS, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            left = connections.len(),
            "HTTP answers were cut off at the stop"
        );
    }
}

async fn accept(
    listener: &TcpListener,
    guests: &Guests,
    most: usize,
) -> io::Result<(TcpStream, Peer, Place)> {
    let (stream, peer) = listener.accept().await?;
    Ok((stream, Peer(peer), guests.place(most).await))
}

/// One connection, to its end. What goes wrong on it is the client's affair, and only worth a debug line.
async fn converse(
    limits: Limits,
    stream: TcpStream,
    peer: Peer,
    place: Place,
    router: Router,
    shutdown: CancellationToken,
) {
    let (came, made) = (place.marker(), place.marker());
    let answering = router
        .map_request(move |mut request: Request<_>| {
            came.set_busy(true);
            request.extensions_mut().insert(peer);
            request.map(Body::new)
        })
        .map_response(move |response| {
            made.set_busy(false);
            response
        });
    let service = TowerToHyperService::new(answering);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_buf_size(HEAD_BYTES);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = place.shown_out() => {
            tracing::debug!("an HTTP connection was closed to make room for another");
            return;
        }
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended badly");
    }
}
