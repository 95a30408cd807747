//! Bodies that take their time: a byte at a time, or without an end.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream;
use tokio_util::sync::CancellationToken;

use super::answers;

/// What an endless body sends at once, where it doesn't pause.
const CHUNK: usize = 16 * 1024;

/// The whole answer, a byte at a time.
pub(super) async fn drip(answer: Response, pause_ms: u64, closing: &CancellationToken) -> Response {
    let (head, body) = answer.into_parts();
    // A body of the sandbox's own can't fail, and an empty one shows it if it did.
    let body = axum::body::to_bytes(body, usize::MAX).await;
    let body = body.unwrap_or_default();
    let closing = closing.clone();
    let bytes = stream::unfold(0, move |next| {
        let byte = body.get(next..next + 1).map(Bytes::copy_from_slice);
        let closing = closing.clone();
        async move {
            let byte = byte?;
            if next > 0 && !waited(pause_ms, &closing).await {
                return None;
            }
            Some((Ok::<_, Infallible>(byte), next + 1))
        }
    });
    Response::from_parts(head, Body::from_stream(bytes))
}

/// The beginning, and then the same again and again.
pub(super) fn endless(
    beginning: &'static [u8],
    again: &'static [u8],
    pause_ms: u64,
    closing: &CancellationToken,
) -> Response {
    let rest: Bytes = again.repeat(CHUNK / again.len().max(1)).into();
    let closing = closing.clone();
    let chunks = stream::unfold(0_usize, move |at| {
        let (chunk, next) = if at == 0 {
            (Bytes::from_static(beginning), 1)
        } else if pause_ms == 0 {
            (rest.clone(), 1)
        } else {
            let place = (at - 1) % rest.len();
            (rest.slice(place..=place), at + 1)
        };
        let closing = closing.clone();
        async move {
            if at > 0 && !waited(pause_ms, &closing).await {
                return None;
            }
            Some((Ok::<_, Infallible>(chunk), next))
        }
    });
    answers::json_body(Body::from_stream(chunks))
}

/// Pauses; false if the sandbox stops meanwhile.
async fn waited(pause_ms: u64, closing: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = closing.cancelled() => false,
        () = pause(pause_ms) => true,
    }
}

/// At least once around the scheduler.
async fn pause(pause_ms: u64) {
    if pause_ms == 0 {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}
