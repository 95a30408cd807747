//! Who carries a request to the upstream: the network, or, in a simulation, the upstream itself in this process.
//!
//! Everything above is the same for both: limits, tokens, retries, permits, decoding. So what a simulation proves of the
//! client is true of the one that runs.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::Stream;
use futures::future::poll_fn;
use hyper::body::Body as _;
use reqwest::{Request, Response, Url};

use super::transport::{Failed, classify};

/// An answer's body as it comes. An error in it is a connection that broke.
pub type AnswerBody =
    Pin<Box<dyn Stream<Item = Result<Bytes, Box<dyn Error + Send + Sync>>> + Send>>;

/// An upstream in this process. Time-outs are the caller's: an answer may never come.
#[async_trait]
pub trait InProcess: std::fmt::Debug + Send + Sync {
    /// Answers a call. An error is a request that never got there.
    async fn answer(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<AnswerBody>, String>;
}

/// The way to the upstream and back.
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
                let unreached = |detail: String| Failed {
                    code: "connect",
                    detail,
                };
                let (head, body) = request.into_parts();
                let body = whole(body).await.map_err(unreached)?;
                let request = http::Request::from_parts(head, body);
                let answer = upstream.answer(request).await.map_err(unreached)?;
                Ok(answer.map(reqwest::Body::wrap_stream).into())
            }
        }
    }

    /// A read that carries no token.
    pub async fn get(&self, url: Url) -> Result<Response, Failed> {
        self.execute(Request::new(reqwest::Method::GET, url)).await
    }
}

/// A request's body, asked for right before it leaves, as the network asks for it: a write that must not leave any more
/// fails here.
async fn whole(mut body: reqwest::Body) -> Result<Bytes, String> {
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Some(data) = frame.data_ref() {
            whole.extend_from_slice(data);
        }
    }
    Ok(whole.freeze())
}
