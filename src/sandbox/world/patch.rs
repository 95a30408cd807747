//! Requests made or changed from outside: by a create, or by a test through the control surface.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::domain::request::{PersistenceType, PortabilityIndicator, TerritoryOwner};
use crate::domain::{Operation, Status};

use super::head::{Head, seeded_external};
use super::item::{EventRow, IssueRow, Item, Personal};

/// How a test wants a request to be. What is absent stays as it is (or, on a new request, plain).
///
/// `reference_id` names a request that must be there. Otherwise the newest with `external_reference` is changed, or
/// one is added if there is none (or `another` asks for one beside it, or no reference is given at all).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Patch {
    /// Whose; the only org if absent and there is only one.
    pub org: Option<String>,
    /// Which request.
    pub reference_id: Option<String>,
    /// Which order.
    pub external_reference: Option<String>,
    /// Add a second request with the same external reference.
    pub another: bool,
    /// Any word, undocumented ones too.
    #[serde(deserialize_with = "parsed")]
    pub status: Option<Status>,
    /// Time since its last update.
    #[serde(deserialize_with = "human_time")]
    pub age: Option<Duration>,
    /// Leave the date of its last update as it was; `age` counts for nothing then.
    pub undated: bool,
    /// A cancellation in flight.
    pub cancelling: Option<bool>,
    /// Our own technician installs.
    pub auto_installation: Option<bool>,
    /// `ACTIVATION` or `TERMINATION`.
    #[serde(deserialize_with = "member")]
    pub persistence_type: Option<PersistenceType>,
    /// Wholesale terms.
    #[serde(deserialize_with = "member")]
    pub territory_owner: Option<TerritoryOwner>,
    /// Instead of the issues that are there.
    pub issues: Option<Vec<IssuePatch>>,
    /// Instead of the events that are there.
    pub events: Option<Vec<EventPatch>>,
    /// Fields that answers about it lack, by their names on the wire; `["*"]`: all. None by default, after each patch.
    pub omits: Vec<String>,
    /// Lets it move by itself; by default what a test has set stays as it is.
    pub moves: bool,
}

/// One issue of a [`Patch`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IssuePatch {
    /// Its code.
    pub issue_code: String,
    /// Solved.
    pub resolved: bool,
    /// It came back.
    pub repeated: bool,
}

/// One event of a [`Patch`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventPatch {
    /// What it says; `STATUS_CHANGED` if absent.
    pub message_type: Option<String>,
    /// Its place; the next one if absent.
    pub sequence_number: Option<i64>,
    /// Must be reconciled.
    pub inconsistent: bool,
    /// Time since it happened; the request's own age if absent.
    #[serde(deserialize_with = "human_time")]
    pub age: Option<Duration>,
}

/// What a [`Patch`] came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, Deserialize)]
pub struct Patched {
    /// The request's id.
    pub reference_id: String,
    /// The order's id.
    pub external_reference: String,
    /// It was not there before.
    pub created: bool,
}

fn parsed<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Status>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(|text| Status::parse(&text)))
}

fn member<'de, D: Deserializer<'de>, T>(from: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    Option::<String>::deserialize(from)?
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}

fn human_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    Option::<String>::deserialize(from)?
        .map(|text| humantime::parse_duration(&text).map_err(serde::de::Error::custom))
        .transpose()
}

/// So long before `now`; an age beyond the calendar is the beginning of time.
fn before(now: DateTime<Utc>, age: Duration) -> DateTime<Utc> {
    chrono::Duration::from_std(age)
        .ok()
        .and_then(|age| now.checked_sub_signed(age))
        .unwrap_or(DateTime::UNIX_EPOCH)
}

impl Patch {
    pub(super) fn apply(&self, item: &mut Item, now: DateTime<Utc>) {
        let head = &mut item.head;
        head.step += 1;
        if !self.undated {
            head.last_updated = before(now, self.age.unwrap_or_default());
        }
        head.created = head.created.min(head.last_updated);
        if let Some(status) = &self.status {
            head.status = status.clone();
        }
        head.cancelling = self.cancelling.unwrap_or(head.cancelling);
        head.auto_installation = self.auto_installation.unwrap_or(head.auto_installation);
        head.kind = self.persistence_type.unwrap_or(head.kind);
        head.territory_owner = self.territory_owner.unwrap_or(head.territory_owner);
        head.moves_from = self.moves.then_some(now);
        let at = head.last_updated;
        item.omits.clone_from(&self.omits);
        if let Some(issues) = &self.issues {
            item.issues = (1..)
                .zip(issues)
                .map(|(sequence, issue)| issue.row(sequence, at))
                .collect();
        }
        if let Some(events) = &self.events {
            item.events = (1..)
                .zip(events)
                .map(|(place, event)| EventRow {
                    message: event
                        .message_type
                        .clone()
                        .map_or("STATUS_CHANGED".into(), Into::into),
                    at: event.age.map_or(at, |age| before(now, age)),
                    sequence: event.sequence_number.unwrap_or(place),
                    inconsistent: event.inconsistent,
                })
                .collect();
        }
    }
}

impl IssuePatch {
    fn row(&self, sequence: i64, at: DateTime<Utc>) -> IssueRow {
        IssueRow {
            code: self.issue_code.clone().into(),
            sequence,
            resolved: self.resolved,
            repeated: self.repeated,
            at,
        }
    }
}

/// A plain new request, for a patch to shape.
pub(super) fn blank(external: Option<&str>, index: u32, now: DateTime<Utc>) -> Item {
    let external = external.map_or_else(|| seeded_external(index), str::to_owned);
    let mut item = Item {
        head: Head {
            index,
            external: Some(external.into()),
            kind: PersistenceType::Activation,
            status: Status::NotSent,
            cancelling: false,
            auto_installation: false,
            territory_owner: TerritoryOwner::Neba,
            portability: Some(PortabilityIndicator::None),
            created: now,
            last_updated: now,
            moves_from: None,
            step: 0,
            second: false,
        },
        events: Vec::new(),
        issues: Vec::new(),
        omits: Vec::new(),
        personal: None,
    };
    item.note("REQUEST_RECEIVED", now);
    item
}

/// The new request that a create makes.
pub(super) fn created(
    operation: Operation,
    body: &Map<String, Value>,
    index: u32,
    now: DateTime<Utc>,
) -> Item {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let object = |name: &str| body.get(name).cloned().unwrap_or_default();
    let mut item = blank(text("externalReference"), index, now);
    item.head.kind = match operation {
        Operation::CreateTermination => PersistenceType::Termination,
        _ => PersistenceType::Activation,
    };
    if let Some(owner) = text("territoryOwner").and_then(|word| word.parse().ok()) {
        item.head.territory_owner = owner;
    }
    item.head.portability = text("portabilityIndicator").and_then(|word| word.parse().ok());
    item.personal = Some(Personal {
        technical_coordinators: object("technicalCoordinators"),
        customer: object("customer"),
        service_point: object("servicePoint"),
    });
    item.head.status = Status::Validating;
    item.head.moves_from = Some(now);
    item.note("REQUEST_SENT", now);
    item
}
