//! An event of a request: one message between the gateway and Telefónica.

use chrono::{DateTime, Utc};

use super::closed_set;
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

closed_set! {
    /// What a request's events can be checked for; all is by default.
    EventCheck {
        /// The upstream's `inconsistent` mark.
        Inconsistent = "inconsistent",
        /// A sequence number is missing.
        SequenceGap = "sequence_gap",
        /// A sequence number stands twice.
        SequenceDuplicate = "sequence_duplicate",
        /// A later number with an earlier date.
        OutOfOrder = "out_of_order",
        /// An event dated after the request's last change, the request being finished.
        AfterFinalStatus = "after_final_status",
        /// Events of more than one request number under one reference.
        MixedRequestNumbers = "mixed_request_numbers",
    }
}
