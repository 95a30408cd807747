//! The twelve writes with their bodies, exactly the documented fields and no other.
//!
//! `Serialize` is the wire form. `Debug` is safe to log: the personal parts of a create are redacted by their
//! type, and the free texts are the operator's own configuration.

use serde::Serialize;
use serde_json::Value;

use super::ids::ExternalReference;
use super::operation::Operation;
use super::request::{PersistenceType, PortabilityIndicator, Request, TerritoryOwner};

/// One write, ready to be sent.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Write {
    /// See [`Operation::CreateActivation`].
    CreateActivation(Box<CreateRequest>),
    /// See [`Operation::CreateTermination`].
    CreateTermination(Box<CreateRequest>),
    /// See [`Operation::CancelRequest`].
    CancelRequest(ByReference),
    /// See [`Operation::ResolveIncident`].
    ResolveIncident(ResolveIncident),
    /// See [`Operation::CreateAccess`].
    CreateAccess(CreateAccess),
    /// See [`Operation::TerminateAccess`].
    TerminateAccess(TerminateAccess),
    /// See [`Operation::CreateStatusCto`].
    CreateStatusCto(ByReference),
    /// See [`Operation::ChangeCto`].
    ChangeCto(ChangeCto),
    /// See [`Operation::CreatePort`].
    CreatePort(CreatePort),
    /// See [`Operation::CreatePort2`].
    CreatePort2(CreatePort),
    /// See [`Operation::CreateInstallationIncident`].
    CreateInstallationIncident(InstallationIncident),
    /// See [`Operation::CreateInstallationEnd`].
    CreateInstallationEnd(InstallationEnd),
}

/// A body that only names the request: `cancel_request`, `create_status_cto`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ByReference {
    /// The order.
    pub external_reference: ExternalReference,
}

/// `TesaActivationRequest` and `TesaTerminationRequest`, from a request as just read.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateRequest {
    /// Wholesale terms.
    pub territory_owner: TerritoryOwner,
    /// Only an activation has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portability_indicator: Option<PortabilityIndicator>,
    /// The order.
    pub external_reference: ExternalReference,
    /// Carried through untouched.
    pub technical_coordinators: Value,
    /// Carried through untouched.
    pub customer: Value,
    /// Carried through untouched.
    pub service_point: Value,
}

impl std::fmt::Debug for CreateRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateRequest")
            .field("territory_owner", &self.territory_owner)
            .field("portability_indicator", &self.portability_indicator)
            .field("external_reference", &self.external_reference)
            .finish_non_exhaustive()
    }
}

/// `TesaIncidentResolveRequest`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolveIncident {
    /// The order.
    pub external_reference: ExternalReference,
    /// What Telefónica is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observations: Option<String>,
}

/// `TesaCreateAccessRequest`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateAccess {
    /// The order.
    pub external_reference: ExternalReference,
    /// Who gets the access.
    pub technician_code: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `TesaTerminateAccessRequest`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TerminateAccess {
    /// The order.
    pub external_reference: ExternalReference,
    /// Why.
    pub observations: String,
}

/// `TesaCtoChangeRequest`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeCto {
    /// The order.
    pub external_reference: ExternalReference,
    /// The new optical terminal box.
    pub cto_identifier: String,
    /// And its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cto_port: Option<String>,
    /// Why.
    pub reason: CtoChangeReason,
}

super::closed_set! {
    /// Why a CTO is changed.
    CtoChangeReason {
        /// Broken.
        Broken = "AV",
        /// Others.
        Others = "OT",
    }
}

/// `TesaCreatePortRequest`, for both port operations.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatePort {
    /// The order.
    pub external_reference: ExternalReference,
    /// The port.
    pub port: String,
}

/// `TesaInstallationIncidentRequest`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallationIncident {
    /// The order.
    pub external_reference: ExternalReference,
    /// NEBA or VULA.
    pub request_type: String,
    /// Telefónica's number.
    pub request_number: i64,
    /// And of its part.
    pub sub_request_number: i64,
    /// What happened.
    pub incidence: String,
    /// Where.
    pub cto: String,
    /// In words.
    pub comments: String,
}

/// `TesaInstallationEndRequest`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallationEnd {
    /// The order.
    pub external_reference: ExternalReference,
    /// NEBA or VULA.
    pub request_type: String,
    /// Telefónica's number.
    pub request_number: i64,
    /// And of its part.
    pub sub_request_number: i64,
    /// The test's outcome.
    pub test: String,
    /// Indicator.
    pub indicator: String,
    /// Owner.
    pub owner: String,
}

impl Write {
    /// Which of the twelve it is.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::CreateActivation(_) => Operation::CreateActivation,
            Self::CreateTermination(_) => Operation::CreateTermination,
            Self::CancelRequest(_) => Operation::CancelRequest,
            Self::ResolveIncident(_) => Operation::ResolveIncident,
            Self::CreateAccess(_) => Operation::CreateAccess,
            Self::TerminateAccess(_) => Operation::TerminateAccess,
            Self::CreateStatusCto(_) => Operation::CreateStatusCto,
            Self::ChangeCto(_) => Operation::ChangeCto,
            Self::CreatePort(_) => Operation::CreatePort,
            Self::CreatePort2(_) => Operation::CreatePort2,
            Self::CreateInstallationIncident(_) => Operation::CreateInstallationIncident,
            Self::CreateInstallationEnd(_) => Operation::CreateInstallationEnd,
        }
    }

    /// The order it is addressed to.
    pub const fn external_reference(&self) -> &ExternalReference {
        match self {
            Self::CreateActivation(body) | Self::CreateTermination(body) => {
                &body.external_reference
            }
            Self::CancelRequest(body) | Self::CreateStatusCto(body) => &body.external_reference,
            Self::ResolveIncident(body) => &body.external_reference,
            Self::CreateAccess(body) => &body.external_reference,
            Self::TerminateAccess(body) => &body.external_reference,
            Self::ChangeCto(body) => &body.external_reference,
            Self::CreatePort(body) | Self::CreatePort2(body) => &body.external_reference,
            Self::CreateInstallationIncident(body) => &body.external_reference,
            Self::CreateInstallationEnd(body) => &body.external_reference,
        }
    }

    /// The create that sends `request` again, or the field that is missing for it.
    ///
    /// The body comes from the request as just read, because the store keeps no personal data.
    pub fn resend(request: &Request) -> Result<Self, MissingField> {
        let missing = |field| MissingField { field };
        let seen = &request.seen;
        let persistence_type = seen.persistence_type.ok_or(missing("persistence_type"))?;
        let activation = persistence_type == PersistenceType::Activation;
        let personal = &request.personal;
        let body = Box::new(CreateRequest {
            territory_owner: seen.territory_owner.ok_or(missing("territory_owner"))?,
            portability_indicator: request.portability_indicator.filter(|_| activation),
            external_reference: seen
                .external_reference
                .clone()
                .ok_or(missing("external_reference"))?,
            technical_coordinators: personal
                .technical_coordinators
                .clone()
                .ok_or(missing("technical_coordinators"))?,
            customer: personal.customer.clone().ok_or(missing("customer"))?,
            service_point: personal
                .service_point
                .clone()
                .ok_or(missing("service_point"))?,
        });
        Ok(if activation {
            Self::CreateActivation(body)
        } else {
            Self::CreateTermination(body)
        })
    }
}

/// A field that a write needs and the request does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request has no {field}")]
pub struct MissingField {
    /// The field's name in the contract.
    pub field: &'static str,
}
