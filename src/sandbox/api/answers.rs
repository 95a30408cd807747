//! The answers' bodies, in the contract's shapes.

use axum::Json;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::domain::Operation;
use crate::sandbox::faults::ErrorShape;
use crate::sandbox::world::Written;

/// The gateway's own 401.
pub(super) fn unauthorized(why: &str) -> Response {
    let body = shaped(ErrorShape::Gateway, StatusCode::UNAUTHORIZED, why);
    (StatusCode::UNAUTHORIZED, body).into_response()
}

/// An error in the form that the contract gives the reads (`TesaError`).
pub(super) fn error(status: StatusCode, why: &str) -> Response {
    (status, shaped(ErrorShape::Object, status, why)).into_response()
}

/// An error in any of the gateway's forms.
pub(super) fn shaped_error(status: u16, shape: ErrorShape) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        shaped(shape, status, "The sandbox was told to fail"),
    )
        .into_response()
}

fn shaped(shape: ErrorShape, status: StatusCode, why: &str) -> Response {
    let code = status.as_u16().to_string();
    let title = status.canonical_reason().unwrap_or("Error");
    let long = json!({"code": code, "title": title, "ref": "sandbox", "details": why});
    let body: Value = match shape {
        ErrorShape::Object => long,
        ErrorShape::Array => json!([long]),
        ErrorShape::Errors => json!({"errors": [long]}),
        ErrorShape::Short => json!({"code": code, "title": title}),
        ErrorShape::Gateway => json!({
            "code": code, "status": title.to_uppercase(), "message": title, "detailMsg": why,
        }),
        ErrorShape::Text => return format!("{title}: {why}\n").into_response(),
    };
    Json(body).into_response()
}

/// The answer to a write that was looked at (`TesaResult`, or `TesaCreateAccessResult`).
pub(super) fn written(operation: Operation, external: Option<&str>, written: &Written) -> Response {
    let result = |status: StatusCode, message: &str, reference_id: Option<&str>| {
        let mut body = json!({"code": status.as_u16().to_string(), "message": message});
        if let Some(id) = reference_id {
            body["reference_id"] = json!(id);
        }
        if let Some(external) = external {
            body["external_reference"] = json!(external);
        }
        (status, Json(body)).into_response()
    };
    match written {
        Written::Done { reference_id, .. } if operation == Operation::CreateAccess => Json(json!({
            "code": "200", "message": "Done", "access_id": format!("ACC-{reference_id}"),
        }))
        .into_response(),
        Written::Done { reference_id, .. } if operation.is_create_request() => {
            result(StatusCode::CREATED, "Created", Some(reference_id))
        }
        Written::Done { reference_id, .. } => result(StatusCode::OK, "Done", Some(reference_id)),
        Written::NotFound => result(
            StatusCode::NOT_FOUND,
            "No request has this externalReference",
            None,
        ),
        Written::Refused {
            reference_id,
            status,
            cancelling,
        } => {
            let aside = if *cancelling {
                " while it is being cancelled"
            } else {
                ""
            };
            let why = format!("{operation} is not acceptable in status {status}{aside}");
            result(StatusCode::NOT_ACCEPTABLE, &why, Some(reference_id))
        }
        Written::Malformed(complaints) => {
            result(StatusCode::BAD_REQUEST, &complaints.join("; "), None)
        }
    }
}

/// 404 of an org that the sandbox does not have.
pub(super) fn no_such_org() -> Response {
    error(
        StatusCode::NOT_FOUND,
        "The org is not one of the sandbox's; see its --orgs",
    )
}

/// 404 of any other path.
pub(super) async fn no_such_path() -> Response {
    error(
        StatusCode::NOT_FOUND,
        "No operation has this path; the sandbox has the assumed default paths",
    )
}

/// JSON from ready-made bytes.
pub(super) fn json_body(body: Body) -> Response {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
