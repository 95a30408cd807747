//! The control surface for tests and rehearsals, under `/_sandbox`, without a token: it is not part of the contract.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::sandbox::world::Patch;
use crate::sandbox::{Fault, PatchError, Sandbox};

pub(super) fn router() -> Router<Sandbox> {
    Router::new()
        .route("/faults", get(faults).post(set_faults).delete(clear_faults))
        .route("/ledger", get(ledger))
        .route("/stats", get(stats))
        .route("/requests", post(patch).delete(remove))
}

/// All rules: a POST puts them in the place of those before.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    faults: Vec<Fault>,
}

async fn faults(State(sandbox): State<Sandbox>) -> Json<Rules> {
    Json(Rules {
        faults: sandbox.faults(),
    })
}

async fn set_faults(State(sandbox): State<Sandbox>, Json(rules): Json<Rules>) -> Response {
    match sandbox.set_faults(rules.faults) {
        Ok(()) => faults(State(sandbox)).await.into_response(),
        Err(why) => problem(StatusCode::BAD_REQUEST, &why),
    }
}

async fn clear_faults(State(sandbox): State<Sandbox>) -> Response {
    set_faults(State(sandbox), Json(Rules { faults: Vec::new() })).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerFilter {
    org: Option<String>,
    operation: Option<String>,
}

async fn ledger(State(sandbox): State<Sandbox>, Query(filter): Query<LedgerFilter>) -> Response {
    let fits =
        |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
    let mut entries = sandbox.ledger();
    entries.retain(|entry| {
        fits(&filter.org, &entry.org) && fits(&filter.operation, entry.operation.as_str())
    });
    Json(json!({ "entries": entries })).into_response()
}

async fn stats(State(sandbox): State<Sandbox>) -> Response {
    // A million requests take a while to count: not on a thread that others answer from.
    match tokio::task::spawn_blocking(move || sandbox.stats()).await {
        Ok(stats) => Json(stats).into_response(),
        Err(why) => problem(StatusCode::INTERNAL_SERVER_ERROR, &why),
    }
}

async fn patch(State(sandbox): State<Sandbox>, Json(patch): Json<Patch>) -> Response {
    match sandbox.patch(&patch) {
        Ok(patched) => Json(patched).into_response(),
        Err(why @ PatchError::Org) => problem(StatusCode::BAD_REQUEST, &why),
        Err(why @ PatchError::Reference) => problem(StatusCode::NOT_FOUND, &why),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    org: String,
    reference_id: String,
}

async fn remove(State(sandbox): State<Sandbox>, Query(which): Query<Which>) -> Response {
    match sandbox.remove(&which.org, &which.reference_id) {
        true => StatusCode::NO_CONTENT.into_response(),
        false => problem(StatusCode::NOT_FOUND, &PatchError::Reference),
    }
}

fn problem(status: StatusCode, why: &dyn std::fmt::Display) -> Response {
    (status, Json(json!({ "error": why.to_string() }))).into_response()
}
