//! The documented bodies of the twelve writes, and what is wrong with a given one.
//!
//! Strict on purpose: a rehearsal should say that a field is misspelled, where a lenient one would ignore it. So a
//! field that the contract does not name is refused too, which the vendor does not document.

use serde_json::{Map, Value};

use crate::domain::Operation;
use crate::domain::request::{PortabilityIndicator, TerritoryOwner};

/// What a field must hold.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A string; an empty one fills no required field.
    Text,
    /// A 64-bit integer.
    Integer,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// An object of any contents.
    Object,
}

struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
}

const fn must(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: true,
    }
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: false,
    }
}

const REFERENCE: Field = must("externalReference", Kind::Text);
const TERRITORIES: &[&str] = &[
    TerritoryOwner::Neba.as_str(),
    TerritoryOwner::VulaCommercial.as_str(),
    TerritoryOwner::VulaRegulated.as_str(),
];
const PORTABILITY: &[&str] = &[
    PortabilityIndicator::Donor.as_str(),
    PortabilityIndicator::ThirdParty.as_str(),
    PortabilityIndicator::None.as_str(),
    PortabilityIndicator::Agreement.as_str(),
];

const fn fields(operation: Operation) -> &'static [Field] {
    use Kind::{Integer, Object, OneOf, Text};
    use Operation as O;
    match operation {
        O::CreateActivation => {
            const {
                &[
                    must("territoryOwner", OneOf(TERRITORIES)),
                    may("portabilityIndicator", OneOf(PORTABILITY)),
                    REFERENCE,
                    must("technicalCoordinators", Object),
                    must("customer", Object),
                    must("servicePoint", Object),
                ]
            }
        }
        O::CreateTermination => {
            const {
                &[
                    must("territoryOwner", OneOf(TERRITORIES)),
                    REFERENCE,
                    must("technicalCoordinators", Object),
                    must("customer", Object),
                    must("servicePoint", Object),
                ]
            }
        }
        O::CancelRequest | O::CreateStatusCto => const { &[REFERENCE] },
        O::ResolveIncident => const { &[REFERENCE, may("observations", Text)] },
        O::CreateAccess => {
            const { &[REFERENCE, must("technicianCode", Text), may("reason", Text)] }
        }
        O::TerminateAccess => const { &[REFERENCE, must("observations", Text)] },
        O::ChangeCto => {
            const {
                &[
                    REFERENCE,
                    must("ctoIdentifier", Text),
                    may("ctoPort", Text),
                    must("reason", OneOf(&["AV", "OT"])),
                ]
            }
        }
        O::CreatePort | O::CreatePort2 => const { &[REFERENCE, must("port", Text)] },
        O::CreateInstallationIncident => {
            const {
                &[
                    REFERENCE,
                    must("requestType", Text),
                    must("requestNumber", Integer),
                    must("subRequestNumber", Integer),
                    must("incidence", Text),
                    must("cto", Text),
                    must("comments", Text),
                ]
            }
        }
        O::CreateInstallationEnd => {
            const {
                &[
                    REFERENCE,
                    must("requestType", OneOf(&["NEBA", "VULA"])),
                    must("requestNumber", Integer),
                    must("subRequestNumber", Integer),
                    must("test", Text),
                    must("indicator", Text),
                    must("owner", Text),
                ]
            }
        }
    }
}

/// Everything that is wrong with a body, or the body.
///
/// # Errors
/// The complaints, one a field, naming fields and never repeating their values.
pub(super) fn check(
    operation: Operation,
    body: Option<Value>,
) -> Result<Map<String, Value>, Vec<String>> {
    let Some(Value::Object(body)) = body else {
        return Err(vec!["the body must be a JSON object".to_owned()]);
    };
    let fields = fields(operation);
    let mut complaints: Vec<String> = fields
        .iter()
        .filter_map(|field| complaint(field, body.get(field.name)))
        .collect();
    let unknown = body
        .keys()
        .filter(|name| fields.iter().all(|field| field.name != *name));
    complaints.extend(unknown.map(|name| format!("{name} is not a field of this operation")));
    if complaints.is_empty() {
        Ok(body)
    } else {
        Err(complaints)
    }
}

fn complaint(field: &Field, value: Option<&Value>) -> Option<String> {
    let name = field.name;
    let Some(value) = value else {
        return field.required.then(|| format!("{name} is missing"));
    };
    let (fits, wanted) = match field.kind {
        Kind::Text => (
            value
                .as_str()
                .is_some_and(|text| !field.required || !text.trim().is_empty()),
            "a text that is not empty".to_owned(),
        ),
        Kind::Integer => (value.as_i64().is_some(), "a 64-bit integer".to_owned()),
        Kind::OneOf(words) => (
            value.as_str().is_some_and(|text| words.contains(&text)),
            format!("one of {}", words.join(", ")),
        ),
        Kind::Object => (value.is_object(), "an object".to_owned()),
    };
    (!fits).then(|| format!("{name} must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn complaints(operation: Operation, body: Value) -> Vec<String> {
        check(operation, Some(body)).err().unwrap_or_default()
    }

    #[test]
    fn every_missing_field_is_named_at_once() {
        let said = complaints(
            Operation::CreateInstallationEnd,
            json!({"externalReference": "A"}),
        );
        assert_eq!(said.len(), 6, "{said:?}");
        assert!(said.contains(&"requestNumber is missing".to_owned()));
    }

    #[test]
    fn malformed_and_unknown_fields_are_named() {
        let cases = [
            (
                Operation::ChangeCto,
                json!({"externalReference": "A", "ctoIdentifier": "C", "reason": "XX"}),
                "reason must be one of AV, OT",
            ),
            (
                Operation::CancelRequest,
                json!({"externalReference": " "}),
                "externalReference must be a text that is not empty",
            ),
            (
                Operation::CancelRequest,
                json!({"externalReference": 7}),
                "externalReference must be a text that is not empty",
            ),
            (
                Operation::CancelRequest,
                json!({"external_reference": "A", "externalReference": "A"}),
                "external_reference is not a field of this operation",
            ),
            (
                Operation::CancelRequest,
                json!(["A"]),
                "the body must be a JSON object",
            ),
        ];
        for (operation, body, wanted) in cases {
            assert_eq!(complaints(operation, body), [wanted]);
        }
    }

    #[test]
    fn no_complaint_repeats_a_value() {
        let body = json!({"externalReference": "A", "port": {"who": "CANARY"}});
        assert!(
            !complaints(Operation::CreatePort, body)
                .join(" ")
                .contains("CANARY")
        );
    }

    #[test]
    fn a_termination_has_no_portability_indicator() {
        let mut body = json!({
            "territoryOwner": "NEBA", "externalReference": "A", "portabilityIndicator": "N",
            "technicalCoordinators": {}, "customer": {}, "servicePoint": {},
        });
        assert_eq!(
            complaints(Operation::CreateActivation, body.clone()),
            [""; 0]
        );
        assert_eq!(
            complaints(Operation::CreateTermination, body.clone()).len(),
            1
        );
        body["portabilityIndicator"] = json!("X");
        assert_eq!(complaints(Operation::CreateActivation, body).len(), 1);
    }
}
