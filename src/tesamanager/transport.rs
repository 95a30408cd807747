//! One HTTP exchange: what is sent with every call, what is measured of it, and in which words a failure is told.

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Request, Response, StatusCode, Url};
use tokio::time::Instant;
use tracing::Span;
use uuid::Uuid;

use super::carrier::Carrier;
use super::redact;
use super::retry;
use crate::certificates;
use crate::domain::IllHealth;
use crate::domain::ids::Org;
use crate::telemetry::{record, traces};

/// No answer about a single request is longer, and no peer gets more memory than this.
pub const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Of an error's body, and of a token, this much is read.
pub const LARGEST_ERROR: usize = 64 * 1024;

const CORRELATION_ID: HeaderName = HeaderName::from_static("request-correlation-id");

/// Why an exchange gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// `timeout`, `connect`, `reset` or `other`.
    pub code: &'static str,
    /// In words, without URL and secrets.
    pub detail: String,
}

impl Failed {
    /// In which way the upstream is unwell.
    pub fn ill_health(&self) -> IllHealth {
        match self.code {
            "timeout" => IllHealth::Timeouts,
            "connect" => IllHealth::Connect,
            "reset" => IllHealth::Reset,
            _ => IllHealth::Other,
        }
    }
}

/// A request with the headers that every call has.
pub fn request(
    method: Method,
    url: Url,
    bearer: HeaderValue,
    correlation_id: Uuid,
    body: Option<reqwest::Body>,
) -> Request {
    let mut request = Request::new(method, url);
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let mut text = Uuid::encode_buffer();
    if let Ok(value) = HeaderValue::from_str(correlation_id.hyphenated().encode_lower(&mut text)) {
        headers.insert(CORRELATION_ID, value);
    }
    if let Some(body) = body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body);
    }
    request
}

/// A call on its way: measures, logs and counts it exactly once, when it ends.
pub struct Call<'a> {
    operation: &'static str,
    org: &'a Org,
    correlation_id: Uuid,
    started: Instant,
    span: Span,
    /// What it was sent with.
    authorization: OnceLock<HeaderValue>,
}

impl<'a> Call<'a> {
    /// Begins to measure; `nth` counts the tries of one question from 1.
    pub fn begin(operation: &'static str, org: &'a Org, correlation_id: Uuid, nth: u32) -> Self {
        Self {
            operation,
            org,
            correlation_id,
            started: Instant::now(),
            span: traces::call(operation, org, correlation_id, nth),
            authorization: OnceLock::new(),
        }
    }

    /// Sends, and waits for the answer's head. A failure ends the call.
    pub async fn send(
        &self,
        carrier: &Carrier,
        mut request: Request,
        within: Duration,
    ) -> Result<Response, Failed> {
        self.join_trace(&mut request);
        if let Some(sent) = request.headers().get(AUTHORIZATION) {
            let _ = self.authorization.set(sent.clone());
        }
        match tokio::time::timeout(within, carrier.execute(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(failed)) => Err(self.failed(failed)),
            Err(_) => Err(self.failed(timed_out(within))),
        }
    }

    /// Lets the upstream go on with our trace, if there is one.
    fn join_trace(&self, request: &mut Request) {
        let Some(parent) = traces::traceparent(&self.span) else {
            return;
        };
        let url = request.url();
        let (host, port) = (url.host_str(), url.port_or_known_default());
        traces::call_sent(&self.span, request.method().as_str(), host, port);
        if let Ok(value) = HeaderValue::from_str(&parent) {
            request.headers_mut().insert("traceparent", value);
        }
    }

    /// Reads the body to its end and ends the call. The time left of `within` since the call began bounds it.
    pub async fn read(
        &self,
        response: Response,
        largest: usize,
        within: Duration,
    ) -> Result<Bytes, Failed> {
        let status = response.status();
        let left = within.saturating_sub(self.started.elapsed());
        match tokio::time::timeout(left, read_body(response, largest)).await {
            Ok(Ok(body)) => {
                self.ended(status);
                Ok(self.without_token(body))
            }
            Ok(Err(failed)) => Err(self.failed(failed)),
            Err(_) => Err(self.failed(timed_out(within))),
        }
    }

    /// Reads what an error says; a body that can't be read says nothing.
    pub async fn read_error(&self, response: Response, within: Duration) -> Bytes {
        let status = response.status();
        let left = within.saturating_sub(self.started.elapsed());
        let body = tokio::time::timeout(left, read_body(response, LARGEST_ERROR)).await;
        self.ended(status);
        self.without_token(body.ok().and_then(Result::ok).unwrap_or_default())
    }

    fn without_token(&self, body: Bytes) -> Bytes {
        match self.authorization.get() {
            Some(authorization) => redact::without_token(body, authorization),
            None => body,
        }
    }

    /// The answer came, as far as it is waited for.
    pub fn ended(&self, status: StatusCode) {
        let took = self.started.elapsed();
        record::upstream_request(self.operation, status.as_str(), took);
        let status = status.as_u16();
        traces::call_answered(&self.span, status);
        let _within = self.span.enter();
        tracing::debug!(
            operation = self.operation,
            org = %self.org,
            correlation_id = %self.correlation_id,
            status,
            took_ms = millis(took),
            "upstream answered"
        );
    }

    /// Ends the call without an answer.
    pub fn failed(&self, failed: Failed) -> Failed {
        let took = self.started.elapsed();
        record::upstream_request(self.operation, failed.code, took);
        traces::call_failed(&self.span, failed.code);
        let _within = self.span.enter();
        tracing::debug!(
            operation = self.operation,
            org = %self.org,
            correlation_id = %self.correlation_id,
            code = failed.code,
            detail = failed.detail,
            took_ms = millis(took),
            "upstream call failed"
        );
        failed
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn timed_out(within: Duration) -> Failed {
    Failed {
        code: "timeout",
        detail: format!("no answer within {} s", within.as_secs_f64()),
    }
}

/// A whole body, unless it is larger than `largest`. One that comes in one piece, as nearly all do, is not copied.
pub async fn read_body(mut response: Response, largest: usize) -> Result<Bytes, Failed> {
    let mut body = Bytes::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        if body.len() + chunk.len() > largest {
            return Err(Failed {
                code: "other",
                detail: format!("the answer is larger than {largest} bytes"),
            });
        }
        body = if body.is_empty() {
            chunk
        } else {
            // Copies the first piece; what is ours alone by then only grows.
            let mut longer = BytesMut::from(body);
            longer.extend_from_slice(&chunk);
            longer.freeze()
        };
    }
    Ok(body)
}

/// `Retry-After`, if it was given and can be read.
pub fn retry_after(response: &Response, now: DateTime<Utc>) -> Option<Duration> {
    let header = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    retry::retry_after(header, now)
}

/// A failure of the HTTP client by what is known of it. A time-out while connecting is a failure to connect.
pub fn classify(error: &reqwest::Error) -> Failed {
    let detail = describe(error);
    let code = if error.is_connect() {
        "connect"
    } else if error.is_timeout() {
        "timeout"
    } else if is_reset(error) {
        "reset"
    } else {
        "other"
    };
    Failed { code, detail }
}

fn is_reset(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Not every I/O error comes from the connection: a broken gzip stream is one too.
        let of_connection = cause.downcast_ref::<std::io::Error>().is_some_and(|error| {
            use std::io::ErrorKind::{InvalidData, InvalidInput, Other};
            !matches!(error.kind(), InvalidData | InvalidInput | Other)
        });
        if of_connection
            || ["connection closed", "connection error", "end of file"]
                .iter()
                .any(|sign| text.contains(sign))
        {
            return true;
        }
        source = cause.source();
    }
    false
}

/// The causes of a failure, outermost first. The library's own first line is left out: it holds the URL.
pub fn describe(error: &reqwest::Error) -> String {
    // Its dates are no secrets, and the way out depends on them.
    if let Some(words) = certificates::tls_error(error).and_then(certificates::outside_its_dates) {
        return words;
    }
    let mut causes: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !causes.iter().any(|known| known.contains(&text)) {
            causes.push(text);
        }
        source = cause.source();
    }
    if causes.is_empty() {
        return "the HTTP client failed without a reason".to_owned();
    }
    redact::text(&causes.join(": "), 200)
}
