//! Requests, events and issues as they look on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::domain::Status;
use crate::domain::request::{PersistenceType, PortabilityIndicator, TerritoryOwner};

use super::item::Item;
use super::story;

/// `TesaRequest`.
#[derive(Debug, Clone, Serialize)]
pub struct RequestView {
    /// Tesamanager's id.
    pub reference_id: String,
    /// The operator's id.
    pub external_reference: String,
    /// Activation or termination.
    pub persistence_type: PersistenceType,
    /// Where it stands.
    #[serde(serialize_with = "said")]
    pub status: Status,
    /// A cancellation is in flight.
    pub cancelling: bool,
    /// Our own technician installs.
    pub auto_installation: bool,
    /// Wholesale terms.
    pub territory_owner: TerritoryOwner,
    /// Who keeps the number; activations only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portability_indicator: Option<PortabilityIndicator>,
    /// Telefónica's number.
    pub request_number: i64,
    /// And of its part.
    pub subrequest_number: i64,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it last changed.
    pub last_updated: DateTime<Utc>,
    /// People.
    pub technical_coordinators: Value,
    /// People.
    pub customer: Value,
    /// Places.
    pub service_point: Value,
    /// What the answer lacks.
    #[serde(skip)]
    omits: Vec<String>,
}

/// An upstream says what it says.
fn said<S: serde::Serializer>(status: &Status, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(status.said())
}

impl RequestView {
    pub(super) fn of(reference_id: &str, item: &Item) -> Self {
        let head = &item.head;
        let personal = item
            .personal
            .clone()
            .unwrap_or_else(|| story::personal(head));
        Self {
            reference_id: reference_id.to_owned(),
            external_reference: head.external_reference().to_string(),
            persistence_type: head.kind,
            status: head.status.clone(),
            cancelling: head.cancelling,
            auto_installation: head.auto_installation,
            territory_owner: head.territory_owner,
            portability_indicator: head.portability,
            request_number: head.request_number(),
            subrequest_number: 1,
            created: head.created,
            last_updated: head.last_updated,
            technical_coordinators: personal.technical_coordinators,
            customer: personal.customer,
            service_point: personal.service_point,
            omits: item.omits.clone(),
        }
    }

    /// As it is answered: without what it omits.
    pub fn body(&self) -> serde_json::Result<Vec<u8>> {
        if self.omits.is_empty() {
            return serde_json::to_vec(self);
        }
        let mut body = serde_json::to_value(self)?;
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|name, _| {
                !self
                    .omits
                    .iter()
                    .any(|omitted| omitted == name || omitted == "*")
            });
        }
        serde_json::to_vec(&body)
    }
}

/// `TesaEvent`.
#[derive(Debug, Clone, Serialize)]
pub struct EventView {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    reference_id: String,
    message_type: String,
    request_number: i64,
    subrequest_number: i64,
    event_date: DateTime<Utc>,
    sequence_number: i64,
    inconsistent: bool,
}

impl EventView {
    pub(super) fn all(reference_id: &str, item: &Item) -> Vec<Self> {
        let index = i64::from(item.head.index);
        (1..)
            .zip(&item.events)
            .map(|(place, event)| Self {
                // The id is optional in the contract, so some requests' events have none.
                id: (index % 10 != 3).then_some(index * 1_000 + place),
                reference_id: reference_id.to_owned(),
                message_type: event.message.to_string(),
                request_number: item.head.request_number(),
                subrequest_number: 1,
                event_date: event.at,
                sequence_number: event.sequence,
                inconsistent: event.inconsistent,
            })
            .collect()
    }
}

/// `TesaIssue`.
#[derive(Debug, Clone, Serialize)]
pub struct IssueView {
    id: i64,
    reference_id: String,
    issue_sequence: i64,
    issue_code: String,
    resolved: bool,
    repeated: bool,
    last_updated: DateTime<Utc>,
}

impl IssueView {
    pub(super) fn all(reference_id: &str, item: &Item) -> Vec<Self> {
        item.issues
            .iter()
            .map(|issue| Self {
                id: i64::from(item.head.index) * 100 + issue.sequence,
                reference_id: reference_id.to_owned(),
                issue_sequence: issue.sequence,
                issue_code: issue.code.to_string(),
                resolved: issue.resolved,
                repeated: issue.repeated,
                last_updated: issue.at,
            })
            .collect()
    }
}
