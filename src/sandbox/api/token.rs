//! The token endpoint: a signed assertion in, a bearer token out.

use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::sandbox::Sandbox;
use crate::sandbox::call::Call;

use super::Caller;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

pub(super) async fn token(
    State(sandbox): State<Sandbox>,
    caller: Caller,
    form: Result<Form<HashMap<String, String>>, FormRejection>,
) -> Response {
    sandbox.0.ledger.count(Call::Token);
    let hit = sandbox.0.faults.draw(Call::Token, None, None);
    let answer = hit
        .instead()
        .unwrap_or_else(|| sandbox.exchange(form.as_deref().ok()));
    sandbox.answer(hit, caller.wire, answer).await
}

impl Sandbox {
    fn exchange(&self, form: Option<&HashMap<String, String>>) -> Response {
        let Some(form) = form else {
            return refuse(
                "invalid_request",
                "the body must be application/x-www-form-urlencoded",
            );
        };
        if form.get("grant_type").map(String::as_str) != Some(GRANT_TYPE) {
            return refuse(
                "unsupported_grant_type",
                "grant_type must be the JWT bearer grant",
            );
        }
        let Some(assertion) = form.get("assertion") else {
            return refuse("invalid_request", "assertion is missing");
        };
        match self.0.tokens.exchange(assertion) {
            Err(why) => refuse("invalid_grant", why),
            Ok(issued) => {
                let mut body = json!({"access_token": issued.access_token, "token_type": "Bearer"});
                if !self.0.config.omit_expires_in {
                    body["expires_in"] = json!(issued.expires_in);
                }
                Json(body).into_response()
            }
        }
    }
}

fn refuse(error: &str, why: &str) -> Response {
    let body = json!({"error": error, "error_description": why});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}
