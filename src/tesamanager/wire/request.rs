//! `TesaRequest`: what `get_request` answers.

use chrono::{DateTime, Utc};

use super::dates::Dates;
use super::fields::{Fields, Undecodable};
use super::json::{self, Json};
use crate::domain::attributes::Attributes;
use crate::domain::ids::{ExternalReference, ReferenceId};
use crate::domain::request::{Personal, PersonalData};
use crate::domain::{Observation, Request, Status};

/// The request that was `asked` for. An answer without an id speaks of that one; an answer with another id is an
/// error, because acting on it would repair the wrong order. So is one without status, date of change or order
/// number: nothing can be decided on it, and it must not replace what is known.
///
/// All of the body is checked here, but its personal part is kept as it came: of a hundred thousand requests that a
/// sweep reads, hardly one is sent again.
pub fn request(
    body: &[u8],
    asked: &ReferenceId,
    dates: &Dates,
    observed_at: DateTime<Utc>,
) -> Result<Request, Undecodable> {
    let mut fields = fields(json::read_fields(body)?)?;
    if fields
        .id("reference_id")?
        .is_some_and(|id| id != asked.as_str())
    {
        return Err(Undecodable::shape("another request than the one asked for"));
    }
    let seen = Observation {
        reference_id: asked.clone(),
        external_reference: Some(ExternalReference::from(&*Fields::needed(
            "external_reference",
            fields.id("external_reference")?,
        )?)),
        persistence_type: fields.word("persistence_type")?,
        status: Status::parse(&Fields::needed("status", fields.id("status")?)?),
        cancelling: fields.flag("cancelling")?.unwrap_or(false),
        auto_installation: fields.flag("auto_installation")?,
        territory_owner: fields.word("territory_owner")?,
        request_number: fields.number("request_number")?,
        subrequest_number: subrequest_number(&mut fields)?,
        // Whoever knows what was declared adds it.
        attributes: Attributes::default(),
        created: fields.instant("created", dates)?,
        last_updated: Some(Fields::needed(
            "last_updated",
            fields.instant("last_updated", dates)?,
        )?),
        observed_at,
    };
    Ok(Request {
        seen,
        portability_indicator: fields.word("portability_indicator")?,
        personal: Personal::new(body, personal),
    })
}

fn fields(body: Json<'_>) -> Result<Fields<'_>, Undecodable> {
    match body {
        Json::Object(fields) => Ok(Fields::new(fields)),
        _ => Err(Undecodable::shape("no object")),
    }
}

/// The fields that [`request`] itself reads, in the contract's names.
const SEEN: [&str; 13] = [
    "reference_id",
    "external_reference",
    "persistence_type",
    "status",
    "cancelling",
    "auto_installation",
    "territory_owner",
    "request_number",
    "subrequest_number",
    "sub_request_number",
    "created",
    "last_updated",
    "portability_indicator",
];

/// The rest of a body that [`request`] has read, so it can't fail any more; if it did, nothing would be there, and
/// without a customer nothing is sent.
fn personal(body: &[u8]) -> PersonalData {
    let read = json::read(body).map_err(Undecodable::from);
    let Ok(mut fields) = read.and_then(fields) else {
        return PersonalData::default();
    };
    for name in SEEN {
        fields.value(name);
    }
    let mut part = |name| fields.value(name).map(Json::into_value);
    PersonalData {
        technical_coordinators: part("technical_coordinators"),
        customer: part("customer"),
        service_point: part("service_point"),
        unknown: fields.rest(),
    }
}

/// The contract itself spells it in two ways: `subrequest_number` in what is read, `subRequestNumber` in what is
/// written.
pub(super) fn subrequest_number(fields: &mut Fields<'_>) -> Result<Option<i64>, Undecodable> {
    let documented = fields.number("subrequest_number")?;
    let other = fields.number("sub_request_number")?;
    Ok(documented.or(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::request::{PersistenceType, PortabilityIndicator, TerritoryOwner};
    use serde_json::{Value, json};

    /// With what a decision needs, unless it says that itself.
    fn completed(body: &Value) -> Value {
        let mut all = json!({
            "external_reference": "900", "status": "NOT_SENT", "last_updated": "2026-03-02T00:00:00Z",
        });
        if let (Some(all), Some(own)) = (all.as_object_mut(), body.as_object()) {
            all.extend(own.clone());
        }
        all
    }

    fn decode(body: &Value) -> Result<Request, Undecodable> {
        request(
            body.to_string().as_bytes(),
            &ReferenceId::from("77"),
            &Dates::of_tests(),
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
    fn what_a_decision_needs_must_be_there_and_the_id_is_known_from_the_question() {
        let least = json!({"status": "NOT_SENT", "external_reference": "900", "last_updated": "2026-03-02T00:00:00Z"});
        let read = decode(&least).unwrap();
        assert_eq!(read.seen.reference_id.as_str(), "77");
        assert!(!read.seen.cancelling && read.personal.customer.is_none());
        for field in ["status", "external_reference", "last_updated"] {
            for nothing in [None, Some(Value::Null), Some(json!(""))] {
                let mut body = least.clone();
                let fields = body.as_object_mut().unwrap();
                match nothing {
                    None => fields.remove(field),
                    Some(nothing) => fields.insert(field.to_owned(), nothing),
                };
                assert_eq!(
                    decode(&body).unwrap_err(),
                    Undecodable::Missing { field },
                    "{body}"
                );
            }
        }
    }

    #[test]
    fn unknown_fields_and_words_are_kept_or_dropped_but_never_an_error() {
        let read = decode(&completed(&json!({
            "status": "ON_THE_MOON", "persistence_type": "MOVE", "territory_owner": "X", "ticket": {"n": 1},
        })))
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
            completed(&json!({"reference_id": "78"})),
            completed(&json!({"cancelling": "perhaps"})),
            completed(&json!({"last_updated": "soon"})),
            completed(&json!({"last_updated": "2999-01-01T00:00:00Z"})),
            completed(&json!({"created": "1970-01-01T00:00:00Z"})),
            completed(&json!({"status": {}})),
            json!([]),
            json!("77"),
        ] {
            assert!(decode(&body).is_err(), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error_wherever_it_stands() {
        let read = |part: &str| {
            let body = format!(
                r#"{{"status":"NOT_SENT","external_reference":"900","last_updated":1772323200,"customer":{{"name":{part}}},"x":1}}"#
            );
            request(
                body.as_bytes(),
                &ReferenceId::from("77"),
                &Dates::of_tests(),
                DateTime::UNIX_EPOCH,
            )
        };
        assert!(read(r#""N""#).is_ok());
        for part in [
            r#""\ud800""#,
            r#""\x""#,
            "1e999",
            "01",
            "{]",
            "N",
            "",
            "\"\n\"",
        ] {
            assert!(
                matches!(
                    read(part),
                    Err(Undecodable::Syntax { line: 1, .. })
                        | Err(Undecodable::Syntax { line: 2, .. })
                ),
                "{part}"
            );
        }
    }

    #[test]
    fn no_documented_field_is_unknown() {
        let contract: Value =
            serde_yaml_ng::from_str(include_str!("../../../contract/openapi.yaml")).unwrap();
        let documented = contract["components"]["schemas"]["TesaRequest"]["properties"].as_object();
        let names = documented.unwrap().keys();
        let body = Value::from_iter(names.map(|name| (name.clone(), Value::from("77"))));
        let unknown = personal(body.to_string().as_bytes()).unknown;
        assert!(unknown.is_empty(), "{:?}", unknown.keys());
    }

    #[test]
    fn the_personal_part_is_the_same_however_often_it_is_looked_at_and_shows_nothing() {
        let read = decode(&completed(&json!({
            "referenceId": "77", "customer": {"name": "CANARY", "n": [1, {"m": null}]}, "servicePoint": "CANARY",
            "service_point": null, "note": "CANARY",
        })))
        .unwrap();
        let shown = format!("{read:?}");
        assert!(
            shown.contains("redacted") && !shown.contains("CANARY"),
            "{shown}"
        );
        let copy = read.clone();
        for personal in [&read.personal, &copy.personal, &read.personal] {
            assert_eq!(
                personal.customer,
                Some(json!({"name": "CANARY", "n": [1, {"m": null}]}))
            );
            assert_eq!(personal.service_point, Some(json!("CANARY")));
            assert_eq!(personal.technical_coordinators, None);
            assert_eq!(personal.unknown.keys().collect::<Vec<_>>(), ["note"]);
        }
    }
}
