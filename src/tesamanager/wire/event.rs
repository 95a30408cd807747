//! `TesaEvent`: what `get_request_events` answers.

use super::dates::Dates;
use super::fields::{Fields, Undecodable};
use super::request::subrequest_number;
use crate::domain::Event;
use crate::domain::code::Code;
use crate::domain::ids::ReferenceId;

/// The events of the request that was `asked` for, in the upstream's order. One that can't be understood spoils
/// the answer: leaving it out would look like a gap in the sequence.
pub fn events(body: &[u8], asked: &ReferenceId, dates: &Dates) -> Result<Vec<Event>, Undecodable> {
    let decode = |fields| event(Fields::new(fields), asked, dates);
    super::objects(body)?.into_iter().map(decode).collect()
}

fn event(mut fields: Fields<'_>, asked: &ReferenceId, dates: &Dates) -> Result<Event, Undecodable> {
    Ok(Event {
        // Optional and no part of an event's identity, so an id that is no number is no loss.
        id: fields.number("id").unwrap_or(None),
        reference_id: fields
            .id("reference_id")?
            .map_or_else(|| asked.clone(), |id| ReferenceId::from(&*id)),
        message_type: fields.id("message_type")?.map(|said| Code::new(&said)),
        request_number: fields.number("request_number")?,
        subrequest_number: subrequest_number(&mut fields)?,
        event_date: fields.instant("event_date", dates)?,
        sequence_number: fields.number("sequence_number")?,
        inconsistent: fields.flag("inconsistent")?.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn decode(body: &Value) -> Result<Vec<Event>, Undecodable> {
        events(
            body.to_string().as_bytes(),
            &ReferenceId::from("77"),
            &Dates::of_tests(),
        )
    }

    #[test]
    fn bare_and_wrapped_lists_in_both_spellings_say_the_same() {
        let snake = json!({
            "id": 1, "reference_id": "77", "message_type": "M", "request_number": 2, "subrequest_number": 3,
            "event_date": "2026-03-01T00:00:00Z", "sequence_number": 4, "inconsistent": true,
        });
        let camel = json!({
            "id": "1", "referenceId": 77, "messageType": "M", "requestNumber": "2", "subrequestNumber": "3",
            "eventDate": "2026-03-01T00:00:00", "sequenceNumber": "4", "inconsistent": "true", "more": [],
        });
        let bare = decode(&json!([snake])).unwrap();
        assert_eq!(bare, decode(&json!([camel])).unwrap());
        assert_eq!(
            bare,
            decode(&json!({"total": 1, "events": [snake]})).unwrap()
        );
        assert!(bare[0].inconsistent);
    }

    #[test]
    fn an_event_may_be_nearly_empty() {
        let read = decode(&json!([{"id": "not-a-number"}])).unwrap();
        assert_eq!(read[0].reference_id.as_str(), "77");
        assert_eq!((read[0].id, read[0].sequence_number), (None, None));
        assert_eq!(decode(&json!([])).unwrap(), []);
        assert_eq!(decode(&json!({"events": []})).unwrap(), []);
    }

    #[test]
    fn of_lists_of_one_name_the_last_counts() {
        for (body, read) in [
            (
                r#"{"events":[{"id":1}],"events":[{"id":2}]}"#,
                Some(Some(2)),
            ),
            (
                r#"{"events":[{"id":1}],"\u0065vents":[{"id":2}]}"#,
                Some(Some(2)),
            ),
            (r#"{"events":[{"id":1,"id":3}],"total":1}"#, Some(Some(3))),
            (r#"{"events":[{"id":1}],"events":null}"#, None),
            (r#"{"events":[{"id":1}],"others":[]}"#, None),
        ] {
            let decoded = events(
                body.as_bytes(),
                &ReferenceId::from("77"),
                &Dates::of_tests(),
            );
            let id = decoded.ok().map(|events| events[0].id);
            assert_eq!(id, read, "{body}");
        }
    }

    #[test]
    fn a_garbled_event_spoils_the_answer() {
        for body in [
            json!([{"inconsistent": "perhaps"}]),
            json!([{"sequence_number": "first"}]),
            json!([1]),
            json!({"events": null}),
            json!({"events": [], "others": []}),
            json!(null),
        ] {
            assert!(decode(&body).is_err(), "{body}");
        }
    }
}
