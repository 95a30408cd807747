//! A request as read from the upstream, and the part of it that may be remembered.
//!
//! Two types, because privacy is a type here: [`Request`] carries what a create needs to be sent again (customer,
//! coordinators, service point) and lives only in memory; [`Observation`] is what the store, the rules, the plan
//! and every output see. There is no way from the one's personal part into the other.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::attempt::Version;
use super::attributes::Attributes;
use super::closed_set;
use super::ids::{ExternalReference, ReferenceId};
use super::status::Status;

closed_set! {
    /// What a request wants done with a line.
    PersistenceType {
        /// A new line.
        Activation = "ACTIVATION",
        /// The end of one.
        Termination = "TERMINATION",
    }
}

closed_set! {
    /// Under which wholesale terms the line is sold.
    TerritoryOwner {
        /// Bitstream.
        Neba = "NEBA",
        /// Local access, commercial terms.
        VulaCommercial = "VULA_COMMERCIAL",
        /// Local access, regulated terms.
        VulaRegulated = "VULA_REGULATED",
    }
}

impl TerritoryOwner {
    /// The `requestType` that the installation operations want: NEBA or VULA.
    pub const fn request_type(self) -> &'static str {
        match self {
            Self::Neba => "NEBA",
            Self::VulaCommercial | Self::VulaRegulated => "VULA",
        }
    }
}

closed_set! {
    /// Who keeps the number.
    PortabilityIndicator {
        /// Donor.
        Donor = "D",
        /// Third party.
        ThirdParty = "T",
        /// Without portability.
        None = "N",
        /// Agreement.
        Agreement = "A",
    }
}

/// A request as remembered: ids, kind, status, flags, dates and numbers; never a person's data.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Observation {
    /// Tesamanager's id.
    pub reference_id: ReferenceId,
    /// The operator's id; without one no write can be addressed.
    pub external_reference: Option<ExternalReference>,
    /// Activation or termination.
    pub persistence_type: Option<PersistenceType>,
    /// Where it stands.
    pub status: Status,
    /// A cancellation is in flight beside the status.
    pub cancelling: bool,
    /// Our own technician installs.
    pub auto_installation: Option<bool>,
    /// Wholesale terms.
    pub territory_owner: Option<TerritoryOwner>,
    /// Telefónica's number of the request.
    pub request_number: Option<i64>,
    /// And of its part.
    pub subrequest_number: Option<i64>,
    /// What the operator declared impersonal.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// When it was made.
    pub created: Option<DateTime<Utc>>,
    /// When the upstream last changed it, by the upstream's clock.
    pub last_updated: Option<DateTime<Utc>>,
    /// When we read it, by our clock.
    pub observed_at: DateTime<Utc>,
}

impl Observation {
    /// What tells two states of the request apart.
    pub fn version(&self) -> Version {
        Version {
            status: self.status.clone(),
            cancelling: self.cancelling,
            last_updated: self.last_updated,
        }
    }
}

/// A request as just read: what may be remembered, and what may not.
#[derive(Debug, Clone)]
pub struct Request {
    /// What may be remembered.
    pub seen: Observation,
    /// Who keeps the number; needed to send an activation again.
    pub portability_indicator: Option<PortabilityIndicator>,
    /// What may only be sent back.
    pub personal: Personal,
}

/// Customer, coordinators, service point and every undocumented field of a request.
///
/// Carried through untouched to a repeated create, and nowhere else: it has no `Serialize`, its `Debug` shows
/// which parts are there but not what they say.
#[derive(Clone, Default)]
pub struct PersonalData {
    /// `technicalCoordinators`.
    pub technical_coordinators: Option<Value>,
    /// `customer`.
    pub customer: Option<Value>,
    /// `servicePoint`.
    pub service_point: Option<Value>,
    /// Fields of the answer that the contract does not name.
    pub unknown: serde_json::Map<String, Value>,
}

impl fmt::Debug for PersonalData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |part: &Option<Value>| if part.is_some() { "redacted" } else { "absent" };
        f.debug_struct("PersonalData")
            .field(
                "technical_coordinators",
                &shown(&self.technical_coordinators),
            )
            .field("customer", &shown(&self.customer))
            .field("service_point", &shown(&self.service_point))
            .field("unknown_fields", &self.unknown.len())
            .finish()
    }
}

/// [`PersonalData`] as it came from the upstream, decoded only when somebody looks at it.
///
/// Nearly every request is read to see where it stands, and hardly one is sent again. `Debug` shows no more than that
/// of the data itself.
#[derive(Clone)]
pub struct Personal {
    answer: Box<[u8]>,
    decode: fn(&[u8]) -> PersonalData,
    decoded: OnceLock<PersonalData>,
}

impl Personal {
    /// What `decode` will find in the answer.
    pub fn new(answer: &[u8], decode: fn(&[u8]) -> PersonalData) -> Self {
        Self {
            answer: answer.into(),
            decode,
            decoded: OnceLock::new(),
        }
    }
}

impl Deref for Personal {
    type Target = PersonalData;

    fn deref(&self) -> &PersonalData {
        self.decoded.get_or_init(|| (self.decode)(&self.answer))
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PersonalData::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_personal_data_shows_no_value() {
        let personal = PersonalData {
            customer: Some(serde_json::json!({"name": "CANARY"})),
            unknown: serde_json::Map::from_iter([("note".to_owned(), Value::from("CANARY"))]),
            ..PersonalData::default()
        };
        let shown = format!("{personal:?}");
        assert!(
            shown.contains("redacted") && !shown.contains("CANARY"),
            "{shown}"
        );
    }

    #[test]
    fn both_vula_terms_are_the_vula_request_type() {
        assert_eq!(TerritoryOwner::VulaCommercial.request_type(), "VULA");
        assert_eq!(TerritoryOwner::VulaRegulated.request_type(), "VULA");
        assert_eq!(TerritoryOwner::Neba.request_type(), "NEBA");
    }
}
