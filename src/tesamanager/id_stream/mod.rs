//! The id list as a stream: a million ids pass through a few kilobytes.
//!
//! Three layers: [`lexer`] cuts bytes into JSON tokens wherever the network cut them, [`parser`] knows the shapes
//! that an id list may have (and takes plain ids by the hundred, which [`run`] finds), and this file pulls chunks
//! out of the answer and hands batches on. An end that is
//! not the list's own end is always an error, after what came before it: nobody may take half a list for all.

mod lexer;
mod parser;
mod run;

use std::time::Duration;

use reqwest::Response;

use super::transport;
use super::{IdStream, ReadError};
use crate::domain::id_list::IdBatch;
pub use parser::{Fault, Parser};

/// A batch is handed on from this size.
const BATCH: usize = 1024;

/// How a faulty list is told: the caller counts and logs contract violations.
pub type OnFault = Box<dyn Fn(&str) -> ReadError + Send + Sync>;

struct Reading {
    operation: &'static str,
    /// None once the end was seen, good or bad.
    response: Option<Response>,
    parser: Parser,
    between_chunks: Duration,
    on_contract_fault: OnFault,
    /// To be told after the ids that came before it.
    error: Option<ReadError>,
}

/// The ids in `response`'s body. Every wait for more of it is bounded by `between_chunks`.
pub fn stream(
    operation: &'static str,
    response: Response,
    between_chunks: Duration,
    on_contract_fault: OnFault,
) -> IdStream {
    let reading = Reading {
        operation,
        response: Some(response),
        parser: Parser::default(),
        between_chunks,
        on_contract_fault,
        error: None,
    };
    Box::pin(futures::stream::unfold(reading, Reading::next))
}

type Batch = Result<IdBatch, ReadError>;

impl Reading {
    async fn next(mut self) -> Option<(Batch, Self)> {
        loop {
            let Some(response) = &mut self.response else {
                if self.parser.ready() > 0 {
                    return Some((Ok(self.parser.take()), self));
                }
                return self.error.take().map(|error| (Err(error), self));
            };
            if self.parser.ready() >= BATCH {
                return Some((Ok(self.parser.take()), self));
            }
            match tokio::time::timeout(self.between_chunks, response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    if let Err(fault) = self.parser.feed(&chunk) {
                        self.fail(self.contract(fault));
                    }
                }
                Ok(Ok(None)) => match self.parser.finish() {
                    Ok(()) => self.response = None,
                    // An HTTP/1.0 peer that dies looks like this, so the next try may fare better.
                    Err(Fault::Cut) => self.fail(self.transient(Fault::Cut.to_string())),
                    Err(fault) => self.fail(self.contract(fault)),
                },
                Ok(Err(error)) => {
                    let detail = format!("the list was cut: {}", transport::describe(&error));
                    self.fail(self.transient(detail));
                }
                Err(_) => {
                    let waited = self.between_chunks.as_secs_f64();
                    self.fail(self.transient(format!("the list stood still for {waited} s")));
                }
            }
        }
    }

    fn fail(&mut self, error: ReadError) {
        // Dropping the response closes the connection: what else it holds is worth nothing.
        self.response = None;
        self.error = Some(error);
    }

    fn contract(&self, fault: Fault) -> ReadError {
        (self.on_contract_fault)(&fault.to_string())
    }

    fn transient(&self, detail: String) -> ReadError {
        ReadError::Transient {
            operation: self.operation,
            detail,
        }
    }
}
