//! Metrics and health over HTTP: `/metrics`, `/livez`, `/readyz`.
//!
//! Whoever restarts us asks `/livez`: it knows only the loops' beats, because neither the store's nor the
//! upstream's trouble is mended by a restart. Whoever waits for us asks `/readyz`: it asks the store, but never
//! the upstream, whose outage must not take all replicas out of service. `/metrics` always answers, whatever is
//! down. None of them reads a body, changes anything or needs to be secret.

mod guests;
mod health;
mod server;

use std::sync::Arc;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

pub use health::{Check, Health, StaleLoops};
pub use server::{BindError, Peer, bind, serve};

use crate::telemetry::{StoreGauges, process};

/// The format of the page, as Prometheus wants it named.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

const PATHS: &str = "\
/metrics   for Prometheus
/livez     the loops make progress
/readyz    configuration and store are good, not draining (?verbose lists all checks)
";

/// What the pages are made of.
#[derive(Debug)]
pub struct Pages {
    /// This process's metrics.
    pub metrics: PrometheusHandle,
    /// The gauges read from the store at scrape.
    pub store: StoreGauges,
    /// The answers of `/livez` and `/readyz`.
    pub health: Health,
}

/// The three pages; to be given to [`serve`].
pub fn router(pages: Arc<Pages>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .fallback(|| async { (StatusCode::NOT_FOUND, PATHS) })
        .layer(middleware::from_fn(refuse_bodies))
        .with_state(pages)
}

/// Nothing here takes a body, so nobody need wait for one.
async fn refuse_bodies(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        next.run(request).await
    } else {
        (
            StatusCode::PAYLOAD_TOO_LARGE,
            "no request here takes a body\n",
        )
            .into_response()
    }
}

async fn metrics(State(pages): State<Arc<Pages>>) -> Response {
    pages.store.refresh().await;
    let mut page = pages.metrics.render();
    process::render(&mut page);
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], page).into_response()
}

async fn livez(State(pages): State<Arc<Pages>>) -> (StatusCode, String) {
    let stale = pages.health.stale_loops();
    if stale.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let lines = stale
        .iter()
        .map(|name| format!("the loop {name} does not beat\n"));
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect())
}

async fn readyz(
    State(pages): State<Arc<Pages>>,
    RawQuery(query): RawQuery,
) -> (StatusCode, String) {
    let checks = pages.health.readiness().await;
    let ready = checks.iter().all(|check| check.problem.is_none());
    let verbose = query.is_some_and(|query| query.split('&').any(|key| key.starts_with("verbose")));
    let lines = match (verbose, ready) {
        (true, _) => checks.iter().map(Check::line).collect(),
        (false, true) => "ok\n".to_owned(),
        (false, false) => checks.iter().filter_map(Check::complaint).collect(),
    };
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, lines)
}

#[cfg(test)]
mod tests;
