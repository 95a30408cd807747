//! Carrying out the faults that a call has drawn: before the work, and on the finished answer.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};

use crate::sandbox::Sandbox;
use crate::sandbox::faults::{Effect, Hit};
use crate::sandbox::ledger::Answered;
use crate::sandbox::wire::Wire;
use crate::sandbox::world::AsOf;

use super::{answers, slow};

impl Hit {
    /// The answer that takes the place of any work, if that is what the fault does. Answers that are never sent are
    /// made too: [`Sandbox::finish`] sees to it.
    pub(super) fn instead(&self) -> Option<Response> {
        match self.answer {
            Some(Effect::Error {
                status,
                applied: false,
                shape,
            }) => Some(answers::shaped_error(status, shape)),
            Some(Effect::Throttle { retry_after }) => {
                let mut response = answers::error(StatusCode::TOO_MANY_REQUESTS, "Too many calls");
                if let Some(seconds) = retry_after {
                    response
                        .headers_mut()
                        .insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                Some(response)
            }
            Some(Effect::Drop { applied: false } | Effect::Hang { applied: false }) => {
                Some(StatusCode::SERVICE_UNAVAILABLE.into_response())
            }
            _ => None,
        }
    }

    /// Of when what is read or listed is.
    pub(super) fn as_of(&self, now: DateTime<Utc>) -> AsOf {
        match self.work {
            Some(Effect::Stale { ms }) => AsOf::lagging(now, Duration::from_millis(ms)),
            _ => AsOf::Now(now),
        }
    }

    /// What the client will know of an answer with this status.
    pub(super) fn answered(&self, status: StatusCode) -> Answered {
        match self.answer {
            Some(Effect::Drop { .. }) => Answered::Lost,
            Some(Effect::Hang { .. }) => Answered::Hung,
            Some(Effect::Cut) => Answered::Cut,
            Some(Effect::Undecodable) if status.is_success() => Answered::Undecodable,
            Some(Effect::Drip { .. } | Effect::Endless { .. }) if status.is_success() => {
                Answered::Slow
            }
            Some(Effect::Error {
                status,
                applied: true,
                ..
            }) => Answered::Status(status),
            _ => Answered::Status(status.as_u16()),
        }
    }
}

impl Sandbox {
    /// Lets the fault have the finished answer of an operation, which comes after the upstream's latency.
    pub(super) async fn finish(
        &self,
        mut hit: Hit,
        wire: Option<Wire>,
        answer: Response,
    ) -> Response {
        hit.delay += self.0.config.latency;
        self.answer(hit, wire, answer).await
    }

    /// Lets the fault have a finished answer.
    pub(super) async fn answer(&self, hit: Hit, wire: Option<Wire>, answer: Response) -> Response {
        let closing = &self.0.closing;
        if !hit.delay.is_zero() {
            tokio::select! {
                biased;
                () = tokio::time::sleep(hit.delay) => {}
                () = closing.cancelled() => {}
            }
        }
        match hit.answer {
            Some(Effect::Drop { .. }) => broken(wire),
            Some(Effect::Hang { .. }) => {
                closing.cancelled().await;
                broken(wire)
            }
            Some(Effect::Cut) => cut(wire, answer).await,
            Some(Effect::Undecodable) if answer.status().is_success() => {
                let mut response =
                    answers::json_body(Body::from("<html>not what was promised</html>"));
                *response.status_mut() = answer.status();
                response
            }
            Some(Effect::EmptyObject) if answer.status().is_success() => {
                let mut response = answers::json_body(Body::from("{}"));
                *response.status_mut() = answer.status();
                response
            }
            Some(Effect::Drip { pause_ms }) if answer.status().is_success() => {
                slow::drip(answer, pause_ms, closing).await
            }
            Some(Effect::Endless { pause_ms }) if answer.status().is_success() => {
                slow::endless(b"{", b" ", pause_ms, closing)
            }
            Some(Effect::Error {
                status,
                applied: true,
                shape,
            }) => answers::shaped_error(status, shape),
            _ => answer,
        }
    }
}

fn broken(wire: Option<Wire>) -> Response {
    match wire {
        Some(wire) => {
            wire.cut();
            Response::new(Body::empty())
        }
        None => Response::new(Body::from_stream(stream::iter([
            Err::<Bytes, _>(cut_off()),
        ]))),
    }
}

fn cut_off() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the sandbox was told to cut this answer",
    )
}

/// Promises the whole answer, sends half of its beginning, and breaks the connection.
async fn cut(wire: Option<Wire>, answer: Response) -> Response {
    let (mut head, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let first = match body.into_data_stream().next().await {
        Some(Ok(bytes)) => bytes,
        Some(Err(_)) | None => Bytes::new(),
    };
    let half = first.slice(..first.len() / 2);
    let end = stream::once(async move {
        // Once around the scheduler, so that what was sent before is on its way.
        tokio::task::yield_now().await;
        if let Some(wire) = wire {
            wire.cut();
        }
        Err(cut_off())
    });
    Response::from_parts(head, Body::from_stream(stream::iter([Ok(half)]).chain(end)))
}
