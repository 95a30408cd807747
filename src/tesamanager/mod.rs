//! The upstream: what the rest of the program may ask of Tesamanager, and the HTTP client that asks it.
//!
//! [`Tesamanager`] is the whole surface. It has four reads and *one* write method, which takes a
//! [`WritePermit`]: the permit owns the write, can be minted only by the guard after the ledger row is committed,
//! and is used up by sending. So nothing in this program can write by accident: `plan`, `observe` and a forgotten
//! check have no permit, and without one there is nothing to compile.
//!
//! Reads may be repeated below this trait (they are harmless, and the client has a budget for it). Writes never
//! are: whether one is sent again is a decision of the reconciler, made on the ledger.

mod auth;
mod carrier;
mod client;
mod departure;
pub mod endpoints;
pub mod error;
pub mod id_stream;
mod limits;
mod read;
pub mod redact;
mod retry;
mod reuse;
mod skew;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
#[doc(hidden)]
pub mod wire;
mod write;

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::Stream;

use crate::domain::code::Code;
use crate::domain::ids::{ExternalReference, Org, ReferenceId};
use crate::domain::request::PersistenceType;
use crate::domain::{Event, IdBatch, Issue, Request, Status};
use crate::reconcile::guard::WritePermit;

use auth::Bearer;

pub use auth::{AuthError, token_in};
pub use carrier::{AnswerBody, InProcess};
pub use client::{BuildError, HttpTesamanager};
pub use error::{Problem, ReadError, WriteError};
pub use limits::{LARGEST as MOST_IN_FLIGHT, Rates};
pub use tls::{Connections, TlsError, http_client, install_crypto_provider, proxy_to};
pub use transport::describe;

/// The id list as it arrives: batches of ids, so that a million of them never stand in memory as text and JSON at
/// once, and as slices of one text each, because most of them are only compared. Ends early with an error if the body is cut or can't be decoded; what was yielded before is then
/// *incomplete*, and nobody may conclude anything from an id's absence.
pub type IdStream = Pin<Box<dyn Stream<Item = Result<IdBatch, ReadError>> + Send>>;

/// What Tesamanager offers, per org.
///
/// Every method applies the org's rate limit and a time-out of its own, and is cancel safe for reads. Dropping
/// [`Tesamanager::write`] midway leaves the write's outcome unknown; the ledger then says so.
#[async_trait]
pub trait Tesamanager: Send + Sync + 'static {
    /// The ids of all requests that match `filter`, unordered, streamed.
    async fn list_reference_ids(
        &self,
        org: &Org,
        filter: &ListFilter,
    ) -> Result<IdStream, ReadError>;

    /// One request.
    async fn get_request(&self, org: &Org, id: &ReferenceId) -> Result<Request, ReadError>;

    /// A request's events, as the upstream orders them.
    async fn get_request_events(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<Event>, ReadError>;

    /// A request's issues.
    async fn get_request_issues(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<Issue>, ReadError>;

    /// How far the upstream's clock and ours have been apart at most in the last day at least, as its answers told, to
    /// the second that a `Date` header has. None until one told.
    fn clocks_apart(&self) -> Option<Duration>;

    /// Waits until a write may go as far as the upstream is concerned: for a token, then for the org's write rate. Called
    /// *before* what the write rests on is read again and the guard commits the intent, so that no ledger row waits.
    /// [`ReadError::NoLeave`] when that is longer than a call waits.
    async fn prepare_write(&self, org: &Org) -> Result<Ready, ReadError>;

    /// The upstream refused a write of the org with 401, and no read has succeeded under another token since: none is to
    /// be tried.
    fn writes_are_refused(&self, org: &Org) -> bool;

    /// Sends the one write that `permit` allows, once, and within its terms. Never repeats it, whatever happens.
    async fn write(&self, permit: WritePermit, ready: Ready) -> Result<Accepted, WriteError>;
}

/// The filters of the list call, as documented. `None` means that the filter isn't sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Any of these. An empty list selects *nothing* and is never sent as "no filter".
    pub statuses: Option<Vec<Status>>,
    /// The only bridge from an external reference to reference ids.
    pub external_reference: Option<ExternalReference>,
    /// Our own technician installs.
    pub auto_installation: Option<bool>,
    /// A cancellation is in flight.
    pub cancelling: Option<bool>,
    /// Activation or termination.
    pub persistence_type: Option<PersistenceType>,
    /// Only requests not updated since this instant.
    pub not_updated_since: Option<DateTime<Utc>>,
}

impl ListFilter {
    /// The look-up of an order's requests.
    pub fn by_external_reference(reference: &ExternalReference) -> Self {
        Self {
            external_reference: Some(reference.clone()),
            ..Self::default()
        }
    }

    /// A filter that can match nothing; asking the upstream would mean "everything".
    pub fn selects_nothing(&self) -> bool {
        self.statuses.as_ref().is_some_and(Vec::is_empty)
    }
}

/// What a write needs beside its permit, which is had before the permit: a token, and a place in the org's rate. Used up
/// by sending.
#[derive(Debug)]
pub struct Ready {
    bearer: Bearer,
}

/// A write's 2xx. Says that the upstream took it, not that it had its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// 200 or 201.
    pub http_status: u16,
    /// The answer's `code`, if any.
    pub code: Option<Code>,
    /// The request it speaks of, if any.
    pub reference_id: Option<ReferenceId>,
}
