//! The id list as a stream: a million ids pass through a few kilobytes.
//!
//! Three layers: [`lexer`] cuts bytes into JSON tokens wherever the network cut them, [`parser`] knows the shapes
//! that an id list may have and what an upstream [says of the rest](`paging`), and this file pulls chunks out of the answer
//! and hands batches on. An end that is not the list's own end is always an error, after what came before it, and so is a
//! list that says that there is more: nobody may take half a list for all.
//!
//! Why not `serde_json`: it reads a whole body or blocks on a reader, keeps no number beyond 64 bits exactly, and knows no
//! bound for a text. A body of a million ids would stand in memory beside the ids.
//!
//! A list may be long, but neither endless nor endlessly slow: its ids and bytes are bounded, and so is the time that is
//! spent waiting for it. The time that its reader takes between two batches is not the upstream's.

mod lexer;
mod paging;
mod parser;

use std::time::Duration;

use reqwest::Response;
use tokio::time::Instant;

use super::transport;
use super::{IdStream, ReadError};
use crate::domain::IllHealth;
use crate::domain::id_list::IdBatch;
pub use parser::{Fault, Parser};

/// A list that comes more slowly than this, once its time is up, will hardly come to its end. Bytes a second.
const SLOWEST: u64 = 64 * 1024;

/// What a list may be at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// In all.
    pub ids: u64,
    /// Decoded.
    pub bytes: u64,
    /// For a pause, and for the whole beside a second for every [`SLOWEST`] bytes.
    pub time: Duration,
}

/// A batch is handed on from this size.
const BATCH: usize = 1024;

/// How a faulty list is told: the caller counts and logs contract violations.
pub type OnFault = Box<dyn Fn(&str) -> ReadError + Send + Sync>;

struct Reading {
    operation: &'static str,
    /// None once the end was seen, good or bad.
    response: Option<Response>,
    parser: Parser,
    bounds: Bounds,
    bytes: u64,
    ids: u64,
    /// For more of it.
    waited: Duration,
    on_contract_fault: OnFault,
    /// To be told after the ids that came before it.
    error: Option<ReadError>,
}

/// The ids in `response`'s body.
pub fn stream(
    operation: &'static str,
    response: Response,
    bounds: Bounds,
    on_contract_fault: OnFault,
) -> IdStream {
    let reading = Reading {
        operation,
        response: Some(response),
        parser: Parser::default(),
        bounds,
        bytes: 0,
        ids: 0,
        waited: Duration::ZERO,
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
            let earned = Duration::from_secs_f64(self.bytes as f64 / SLOWEST as f64);
            let left = (self.bounds.time + earned).saturating_sub(self.waited);
            let begun = Instant::now();
            let chunk = tokio::time::timeout(left.min(self.bounds.time), response.chunk()).await;
            self.waited += begun.elapsed();
            match chunk {
                Ok(Ok(Some(chunk))) => self.take(&chunk),
                Ok(Ok(None)) => match self.parser.finish() {
                    Ok(()) => self.response = None,
                    // An HTTP/1.0 peer that dies looks like this, so the next try may fare better.
                    Err(Fault::Cut) => {
                        self.fail(self.transient(IllHealth::Reset, Fault::Cut.to_string()))
                    }
                    Err(fault) => self.fail(self.contract(fault)),
                },
                Ok(Err(error)) => {
                    let detail = format!("the list was cut: {}", transport::describe(&error));
                    self.fail(self.transient(IllHealth::Reset, detail));
                }
                Err(_) => {
                    let (bytes, waited) = (self.bytes, self.waited.as_secs_f64());
                    self.fail(self.transient(
                        IllHealth::Timeouts,
                        format!("the list came too slowly: {bytes} bytes in {waited:.1} s"),
                    ));
                }
            }
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        if self.bytes > self.bounds.bytes {
            self.fail(ReadError::TooLarge {
                operation: self.operation,
                detail: format!(
                    "the list has more than {} bytes: if that is right, raise [tesamanager] max_list_bytes",
                    self.bounds.bytes
                ),
            });
            return;
        }
        let before = self.parser.ready();
        let fed = self.parser.feed(chunk);
        self.ids += (self.parser.ready() - before) as u64;
        if self.ids > self.bounds.ids {
            self.fail(ReadError::too_many_ids(self.operation, self.bounds.ids));
        } else if let Err(fault) = fed {
            self.fail(self.contract(fault));
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

    fn transient(&self, cause: IllHealth, detail: String) -> ReadError {
        ReadError::Transient {
            operation: self.operation,
            cause,
            detail,
        }
    }
}
