//! The sandbox without sockets: the same router, called by the client in its own process. What a broken connection
//! would be is an answer that breaks off.

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use tower::ServiceExt as _;

use super::Sandbox;
use crate::tesamanager::InProcess;

/// See the module.
#[derive(Debug, Clone)]
pub struct WithoutSockets(Router);

impl Sandbox {
    /// Its operations, without a server.
    pub fn without_sockets(&self) -> WithoutSockets {
        WithoutSockets(self.router())
    }
}

#[async_trait]
impl InProcess for WithoutSockets {
    async fn answer(
        &self,
        request: http::Request<reqwest::Body>,
    ) -> Result<http::Response<reqwest::Body>, String> {
        // The body is asked for as the network would ask for it: a write that must not leave any more fails here.
        let (head, body) = request.into_parts();
        let body = to_bytes(Body::new(body), usize::MAX).await;
        let body = body.map_err(|error| error.to_string())?;
        let request = http::Request::from_parts(head, Body::from(body));
        let answer = match self.0.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let (head, body) = answer.into_parts();
        let body = reqwest::Body::wrap_stream(body.into_data_stream());
        Ok(http::Response::from_parts(head, body))
    }
}
