//! An event of a request: one message between the gateway and Telefónica.

use chrono::{DateTime, Utc};

use super::code::Code;
use super::ids::ReferenceId;

/// One event. Its id is optional upstream, so its identity is (reference, request number, subrequest number,
/// sequence number).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Event {
    /// The upstream's id, where given.
    pub id: Option<i64>,
    /// The request it belongs to.
    pub reference_id: ReferenceId,
    /// What it says.
    pub message_type: Option<Code>,
    /// Telefónica's number of the request.
    pub request_number: Option<i64>,
    /// And of its part.
    pub subrequest_number: Option<i64>,
    /// When it happened.
    pub event_date: Option<DateTime<Utc>>,
    /// Its place in the stream.
    pub sequence_number: Option<i64>,
    /// The upstream's word that this event must be reconciled.
    pub inconsistent: bool,
}
