//! A trace collector that keeps what it gets, and a way to the sandbox that keeps what is asked on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;
use tokio::net::TcpListener;

use crate::support::http;

/// A span as it arrived.
#[derive(Debug, Clone)]
pub struct Span {
    pub name: String,
    pub trace_id: String,
    pub span_id: String,
    /// Empty for the root.
    pub parent: String,
    /// It is a call to somebody (`SPAN_KIND_CLIENT`).
    pub client: bool,
    /// It says that it failed.
    pub failed: bool,
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
}

impl Span {
    /// An attribute, or nothing.
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// One delivery.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The collector. Clones are the same.
#[derive(Clone)]
pub struct Collector {
    address: std::net::SocketAddr,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
    answers: bool,
}

impl Collector {
    pub async fn start() -> Self {
        Self::serving(true).await
    }

    /// One that takes a delivery and never answers.
    pub async fn hanging() -> Self {
        Self::serving(false).await
    }

    async fn serving(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self {
            address: listener.local_addr().unwrap(),
            deliveries: Arc::default(),
            answers,
        };
        let router = axum::Router::new()
            .fallback(collect)
            .with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        collector
    }

    /// What belongs into the configuration.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().unwrap().clone()
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.deliveries()
            .iter()
            .flat_map(|delivery| spans(&delivery.body))
            .collect()
    }
}

async fn collect(
    State(collector): State<Collector>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let path = uri.path().to_owned();
    collector.deliveries.lock().unwrap().push(Delivery {
        path,
        headers,
        body,
    });
    if !collector.answers {
        std::future::pending::<()>().await;
    }
    StatusCode::OK
}

fn spans(body: &Bytes) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body.clone()).expect("OTLP");
    let mut spans = Vec::new();
    for resource in request.resource_spans {
        let of_resource = attributes(resource.resource.unwrap_or_default().attributes);
        for span in resource.scope_spans.into_iter().flat_map(|one| one.spans) {
            spans.push(Span {
                name: span.name,
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                client: span.kind == 3,
                failed: span.status.is_some_and(|status| status.code == 2),
                attributes: attributes(span.attributes),
                resource: of_resource.clone(),
            });
        }
    }
    spans
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: AnyValue| match value.value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pairs = pairs.into_iter();
    pairs
        .filter_map(|pair| Some((pair.key, text(pair.value?))))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was asked on the way to the upstream.
#[derive(Debug, Clone)]
pub struct Asked {
    pub correlation_id: String,
    pub traceparent: Option<String>,
}

/// Hands everything on to the upstream, and keeps the headers.
#[derive(Clone)]
pub struct Way {
    address: std::net::SocketAddr,
    upstream: String,
    http: reqwest::Client,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Way {
    /// To an upstream with this base URL.
    pub async fn to(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Self {
            address: listener.local_addr().unwrap(),
            upstream: upstream.trim_end_matches('/').to_owned(),
            http: http::client(),
            asked: Arc::default(),
        };
        let router = axum::Router::new()
            .fallback(hand_on)
            .with_state(way.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        way
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn hand_on(State(way): State<Way>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let header = |name: &str| Some(head.headers.get(name)?.to_str().unwrap().to_owned());
    way.asked.lock().unwrap().push(Asked {
        correlation_id: header("Request-Correlation-Id").expect("every call has one"),
        traceparent: header("traceparent"),
    });
    let path = head.uri.path_and_query().unwrap().as_str();
    let mut headers = head.headers.clone();
    headers.remove("host");
    headers.remove("accept-encoding");
    let answer = way
        .http
        .request(head.method, format!("{}{path}", way.upstream))
        .headers(headers)
        .body(to_bytes(body, usize::MAX).await.unwrap())
        .send()
        .await
        .expect("the sandbox answers");
    let status = answer.status();
    (status, answer.bytes().await.unwrap()).into_response()
}
