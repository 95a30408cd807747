//! The sandbox behind HTTP: the sixteen operations, the token endpoint, and the control surface.

mod answers;
mod control;
mod list;
mod reads;
mod slow;
mod token;
mod trouble;
mod writes;

use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, DATE};
use axum::http::request::Parts;
use axum::middleware::map_response_with_state;
use axum::response::Response;
use axum::routing::{get, post};

use crate::domain::{Operation, ReadOperation};

use super::wire::Wire;
use super::{BASE_PATH, Sandbox};

/// What every handler needs of a call besides its path and body.
#[derive(Debug)]
struct Caller {
    authorization: Option<HeaderValue>,
    correlation_id: Option<HeaderValue>,
    /// Absent where the router is not served by [`Sandbox::serve`].
    wire: Option<Wire>,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let wire = parts
            .extensions
            .get::<ConnectInfo<Wire>>()
            .map(|info| info.0.clone());
        Ok(Self {
            authorization: parts.headers.get(AUTHORIZATION).cloned(),
            correlation_id: parts.headers.get("Request-Correlation-Id").cloned(),
            wire,
        })
    }
}

impl Caller {
    fn authorization(&self) -> Option<&str> {
        self.authorization.as_ref()?.to_str().ok()
    }

    fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_ref()?.to_str().ok()
    }
}

/// The assumed path of a write, below [`BASE_PATH`].
const fn write_path(operation: Operation) -> &'static str {
    match operation {
        Operation::CreateActivation => "/tesa/orgs/{org}/activations",
        Operation::CreateTermination => "/tesa/orgs/{org}/terminations",
        Operation::CancelRequest => "/tesa/orgs/{org}/cancellations",
        Operation::ResolveIncident => "/tesa/orgs/{org}/incidents/resolutions",
        Operation::CreateAccess => "/tesa/orgs/{org}/accesses",
        Operation::TerminateAccess => "/tesa/orgs/{org}/accesses/terminations",
        Operation::CreateStatusCto => "/tesa/orgs/{org}/cto/status",
        Operation::ChangeCto => "/tesa/orgs/{org}/cto/changes",
        Operation::CreatePort => "/tesa/orgs/{org}/ports",
        Operation::CreatePort2 => "/tesa/orgs/{org}/ports2",
        Operation::CreateInstallationIncident => "/tesa/orgs/{org}/installations/incidents",
        Operation::CreateInstallationEnd => "/tesa/orgs/{org}/installations/ends",
    }
}

impl Sandbox {
    /// Everything, as a router. Faults that break a connection need [`Sandbox::serve`]; on another server they end
    /// in a broken body.
    pub fn router(&self) -> Router {
        let mut operations = Router::new()
            .route("/oauth/token", post(token::token))
            .route("/tesa/orgs/{org}/requests", get(list::list))
            .route(
                "/tesa/orgs/{org}/requests/{reference_id}",
                get(|state, caller, path| {
                    reads::read(ReadOperation::GetRequest, state, caller, path)
                }),
            )
            .route(
                "/tesa/orgs/{org}/requests/{reference_id}/events",
                get(|state, caller, path| {
                    reads::read(ReadOperation::GetRequestEvents, state, caller, path)
                }),
            )
            .route(
                "/tesa/orgs/{org}/requests/{reference_id}/issues",
                get(|state, caller, path| {
                    reads::read(ReadOperation::GetRequestIssues, state, caller, path)
                }),
            );
        for operation in Operation::ALL.iter().copied() {
            let handler = post(move |state, path, caller, body| {
                writes::write(operation, state, path, caller, body)
            });
            operations = operations.route(write_path(operation), handler);
        }
        Router::new()
            .nest(BASE_PATH, operations)
            .nest("/_sandbox", control::router())
            .fallback(answers::no_such_path)
            .layer(map_response_with_state(self.clone(), dated))
            .with_state(self.clone())
    }
}

/// Tells the time by the sandbox's own clock: the server would take the machine's.
async fn dated(State(sandbox): State<Sandbox>, mut response: Response) -> Response {
    let now = sandbox.0.clock.now().format("%a, %d %b %Y %H:%M:%S GMT");
    // An absent header would be filled in by the server.
    let said = match sandbox.0.config.omit_date {
        true => String::new(),
        false => now.to_string(),
    };
    if let Ok(date) = HeaderValue::from_str(&said) {
        response.headers_mut().insert(DATE, date);
    }
    response
}
