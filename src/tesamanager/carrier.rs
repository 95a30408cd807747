//! Who carries a request to the upstream: the network, or, in a simulation, the upstream itself in this process.
//!
//! Everything above is the same for both: limits, tokens, retries, permits, decoding. So what a simulation proves of the
//! client is true of the one that runs.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{Request, Response, Url};

use super::transport::{Failed, classify};

/// An upstream in this process. Time-outs are the caller's: an answer may never come.
#[async_trait]
pub trait InProcess: std::fmt::Debug + Send + Sync {
    /// Answers a call. An error is a request that never got there.
    async fn answer(
        &self,
        request: http::Request<reqwest::Body>,
    ) -> Result<http::Response<reqwest::Body>, String>;
}

/// See the module.
#[derive(Debug, Clone)]
pub enum Carrier {
    /// Sockets and TLS.
    Network(reqwest::Client),
    /// None of them.
    InProcess(Arc<dyn InProcess>),
}

impl Carrier {
    /// Carries one request there, and the head of its answer back.
    pub async fn execute(&self, request: Request) -> Result<Response, Failed> {
        match self {
            Self::Network(client) => {
                let answer = client.execute(request).await;
                answer.map_err(|error| classify(&error))
            }
            Self::InProcess(upstream) => {
                let request = http::Request::try_from(request).map_err(|error| classify(&error))?;
                let answer = upstream.answer(request).await.map_err(|detail| Failed {
                    code: "connect",
                    detail,
                })?;
                Ok(answer.into())
            }
        }
    }

    /// A read that carries no token.
    pub async fn get(&self, url: Url) -> Result<Response, Failed> {
        self.execute(Request::new(reqwest::Method::GET, url)).await
    }
}
