//! The sandbox without sockets: the same router, called by the client in its own process. What a broken connection
//! would be is an answer that breaks off.

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use futures::TryStreamExt as _;
use tower::ServiceExt as _;

use super::Sandbox;
use crate::tesamanager::{AnswerBody, InProcess};

/// The router, called directly; a clone is the same sandbox.
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
        request: http::Request<Bytes>,
    ) -> Result<http::Response<AnswerBody>, String> {
        let answer = match self.0.clone().oneshot(request.map(Body::from)).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        Ok(answer
            .map(|body| -> AnswerBody { Box::pin(body.into_data_stream().map_err(Into::into)) }))
    }
}
