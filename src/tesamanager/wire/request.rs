//! `TesaRequest`: what `get_request` answers.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::fields::{Fields, Undecodable};
use crate::domain::ids::{ExternalReference, ReferenceId};
use crate::domain::request::PersonalData;
use crate::domain::{Observation, Request, Status};

/// Shown where an answer has no status at all. Never acted on, like every status outside the list.
const NO_STATUS: &str = "(missing)";

/// The request that was `asked` for. An answer without an id speaks of that one; an answer with another id is an
/// error, because acting on it would repair the wrong order.
pub fn request(
    body: &[u8],
    asked: &ReferenceId,
    observed_at: DateTime<Utc>,
) -> Result<Request, Undecodable> {
    let Value::Object(fields) = serde_json::from_slice(body)? else {
        return Err(Undecodable::shape("no object"));
    };
    let mut fields = Fields::new(fields);
    if fields
        .id("reference_id")?
        .is_some_and(|id| id != asked.as_str())
    {
        return Err(Undecodable::shape("another request than the one asked for"));
    }
    let seen = Observation {
        reference_id: asked.clone(),
        external_reference: fields
            .id("external_reference")?
            .map(ExternalReference::from),
        persistence_type: fields.word("persistence_type")?,
        status: Status::parse(fields.id("status")?.as_deref().unwrap_or(NO_STATUS)),
        cancelling: fields.flag("cancelling")?.unwrap_or(false),
        auto_installation: fields.flag("auto_installation")?,
        territory_owner: fields.word("territory_owner")?,
        request_number: fields.number("request_number")?,
        subrequest_number: subrequest_number(&mut fields)?,
        created: fields.instant("created")?,
        last_updated: fields.instant("last_updated")?,
        observed_at,
    };
    Ok(Request {
        seen,
        portability_indicator: fields.word("portability_indicator")?,
        personal: PersonalData {
            technical_coordinators: fields.value("technical_coordinators"),
            customer: fields.value("customer"),
            service_point: fields.value("service_point"),
            unknown: fields.rest(),
        },
    })
}

/// The contract itself spells it in two ways: `subrequest_number` in what is read, `subRequestNumber` in what is
/// written.
pub(super) fn subrequest_number(fields: &mut Fields) -> Result<Option<i64>, Undecodable> {
    let documented = fields.number("subrequest_number")?;
    let other = fields.number("sub_request_number")?;
    Ok(documented.or(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::request::{PersistenceType, PortabilityIndicator, TerritoryOwner};
    use serde_json::json;

    fn decode(body: &Value) -> Result<Request, Undecodable> {
        request(
            body.to_string().as_bytes(),
            &ReferenceId::from("77"),
            DateTime::UNIX_EPOCH,
        )
    }

    #[test]
    fn snake_case_camel_case_texts_and_numbers_say_the_same() {
        let snake = json!({
            "reference_id": "77", "external_reference": "900", "persistence_type": "ACTIVATION",
            "status": "NOT_SENT", "cancelling": true, "auto_installation": false,
            "territory_owner": "VULA_COMMERCIAL", "portability_indicator": "N",
            "request_number": 5, "subrequest_number": 6,
            "created": "2026-03-01T00:00:00Z", "last_updated": "2026-03-02T00:00:00Z",
            "technical_coordinators": {"a": 1}, "customer": {"b": 2}, "service_point": {"c": 3},
        });
        let camel = json!({
            "referenceId": 77, "externalReference": 900, "persistenceType": "ACTIVATION",
            "status": "NOT_SENT", "cancelling": "true", "autoInstallation": 0,
            "territoryOwner": "VULA_COMMERCIAL", "portabilityIndicator": "N",
            "requestNumber": "5", "subRequestNumber": "6",
            "created": 1_772_323_200_000_i64, "lastUpdated": "2026-03-02T01:00:00+01:00",
            "technicalCoordinators": {"a": 1}, "customer": {"b": 2}, "servicePoint": {"c": 3},
        });
        let (snake, camel) = (decode(&snake).unwrap(), decode(&camel).unwrap());
        assert_eq!(snake.seen, camel.seen);
        assert_eq!(
            snake.seen.persistence_type,
            Some(PersistenceType::Activation)
        );
        assert_eq!(
            snake.seen.territory_owner,
            Some(TerritoryOwner::VulaCommercial)
        );
        assert_eq!(
            (snake.seen.request_number, snake.seen.subrequest_number),
            (Some(5), Some(6))
        );
        for read in [&snake, &camel] {
            assert_eq!(read.portability_indicator, Some(PortabilityIndicator::None));
            assert_eq!(read.personal.customer, Some(json!({"b": 2})));
            assert_eq!(read.personal.service_point, Some(json!({"c": 3})));
            assert_eq!(read.personal.technical_coordinators, Some(json!({"a": 1})));
            assert!(read.personal.unknown.is_empty());
        }
    }

    #[test]
    fn only_the_id_is_needed_and_even_that_is_known_from_the_question() {
        let read = decode(&json!({})).unwrap();
        assert_eq!(read.seen.reference_id.as_str(), "77");
        assert!(!read.seen.status.is_known());
        assert!(!read.seen.cancelling);
        assert_eq!(read.seen.external_reference, None);
        assert!(
            decode(&json!({"status": null, "customer": null}))
                .unwrap()
                .personal
                .customer
                .is_none()
        );
    }

    #[test]
    fn unknown_fields_and_words_are_kept_or_dropped_but_never_an_error() {
        let read = decode(&json!({
            "status": "ON_THE_MOON", "persistence_type": "MOVE", "territory_owner": "X", "ticket": {"n": 1},
        }))
        .unwrap();
        assert_eq!(read.seen.status.as_str(), "ON_THE_MOON");
        assert_eq!(
            (read.seen.persistence_type, read.seen.territory_owner),
            (None, None)
        );
        assert_eq!(read.personal.unknown.get("ticket"), Some(&json!({"n": 1})));
    }

    #[test]
    fn what_could_mislead_is_an_error() {
        for body in [
            json!({"reference_id": "78"}),
            json!({"cancelling": "perhaps"}),
            json!({"last_updated": "soon"}),
            json!({"status": {}}),
            json!([]),
            json!("77"),
        ] {
            assert!(decode(&body).is_err(), "{body}");
        }
    }
}
