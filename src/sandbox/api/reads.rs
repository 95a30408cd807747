//! The three reads of one request.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::ReadOperation;
use crate::sandbox::call::Call;
use crate::sandbox::faults::{Effect, Hit};
use crate::sandbox::{RequestView, Sandbox};

use super::{Caller, answers};

pub(super) async fn read(
    operation: ReadOperation,
    State(sandbox): State<Sandbox>,
    caller: Caller,
    Path((org, reference_id)): Path<(String, String)>,
) -> Response {
    let call = Call::Read(operation);
    sandbox.count_read(call, &org);
    let hit = sandbox.0.faults.draw(call, Some(&org), Some(&reference_id));
    let answer = sandbox.look_up(operation, &caller, &hit, &org, &reference_id);
    sandbox.finish(hit, caller.wire, answer).await
}

impl Sandbox {
    fn look_up(
        &self,
        operation: ReadOperation,
        caller: &Caller,
        hit: &Hit,
        org: &str,
        reference_id: &str,
    ) -> Response {
        if let Some(answer) = hit.instead() {
            return answer;
        }
        if let Some(refusal) = self.refusal(caller, hit) {
            return refusal;
        }
        let Some(world) = self.world(org) else {
            return answers::no_such_org();
        };
        let as_of = hit.as_of(self.0.clock.now());
        let found = match operation {
            ReadOperation::GetRequestEvents => world
                .events(reference_id, as_of)
                .map(|events| Json(events).into_response()),
            ReadOperation::GetRequestIssues => {
                world
                    .issues(reference_id, as_of)
                    .map(|issues| match hit.work {
                        Some(Effect::NoDate) => {
                            Json(issues.iter().map(undated).collect::<Vec<_>>()).into_response()
                        }
                        _ => Json(issues).into_response(),
                    })
            }
            // The list has a handler of its own.
            ReadOperation::GetRequest | ReadOperation::ListReferenceIds => {
                world.with_request(reference_id, as_of, |request| match hit.work {
                    Some(Effect::NoDate) => Json(undated(request)).into_response(),
                    _ => answer(request),
                })
            }
        };
        found.unwrap_or_else(|| {
            answers::error(StatusCode::NOT_FOUND, "No request has this reference id")
        })
    }
}

/// A request or an issue without the date of its last change.
fn undated(dated: impl Serialize) -> Value {
    let mut body = json!(dated);
    if let Some(fields) = body.as_object_mut() {
        fields.remove("last_updated");
    }
    body
}

fn answer(request: &RequestView) -> Response {
    match request.body() {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => answers::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
