//! Whatever number or instant an answer or a header holds, it is read or refused: nothing panics, overflows or waits
//! for ever.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use reqwest::header::HeaderValue;
use serde_json::Value;

use crate::domain::ids::ReferenceId;
use crate::tesamanager::id_stream::Parser;
use crate::tesamanager::skew::Skew;
use crate::tesamanager::{retry, wire};

/// Numbers at their edges, dates beyond the calendar, and words.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(&[0, 1, -1, i64::MAX, i64::MIN][..]).prop_map(Value::from),
        "[+-]?[0-9]{1,24}".prop_map(Value::from),
        "[+-]?[0-9]{1,6}-[0-9]{1,2}-[0-9]{1,2}([T ][0-9:.]{1,12}(Z|[+-][0-9:]{1,6})?)?"
            .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
    ]
}

/// Any of the contract's fields that hold a number, an instant or a code.
const FIELDS: [&str; 17] = [
    "id",
    "reference_id",
    "external_reference",
    "status",
    "cancelling",
    "request_number",
    "subrequest_number",
    "subRequestNumber",
    "created",
    "last_updated",
    "lastUpdated",
    "event_date",
    "sequence_number",
    "issue_sequence",
    "issue_code",
    "message_type",
    "code",
];

fn object() -> impl Strategy<Value = Value> {
    let field = (prop::sample::select(&FIELDS[..]), odd());
    prop::collection::vec(field, 0..12).prop_map(|fields| {
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    })
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    // Two thousand years: whatever our own clock says.
    (-31_000_000_000_i64..31_000_000_000)
        .prop_map(|at| DateTime::from_timestamp(at, 0).unwrap_or_default())
}

proptest! {
    #[test]
    fn no_answer_panics(objects in prop::collection::vec(object(), 0..4), now in instant(), apart in any::<u64>()) {
        let id = ReferenceId::from("77");
        let dates = wire::Dates::new(crate::zone::Zone::named("Europe/Madrid").unwrap(), now, std::time::Duration::from_secs(apart));
        let list = Value::from(objects.clone()).to_string();
        let _ = wire::problem(list.as_bytes());
        let _ = wire::events(list.as_bytes(), &id, &dates);
        let _ = wire::issues(list.as_bytes(), &id, &dates);
        let mut parser = Parser::default();
        let _ = parser.feed(list.as_bytes()).and_then(|()| parser.finish());
        for object in objects {
            let object = object.to_string();
            let _ = wire::request(object.as_bytes(), &id, &dates, now);
            let _ = wire::write_result(object.as_bytes());
            let _ = wire::problem(object.as_bytes());
        }
    }

    #[test]
    fn no_header_panics_and_none_makes_us_wait_for_ever(
        text in prop_oneof![
            "[ -~]{0,40}",
            "[+-]?[0-9]{1,24}",
            "(Mon|Sun), [0-9]{1,2} (Jan|Dec) [0-9]{1,6} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4})",
        ],
        now in instant(),
    ) {
        if let Some(wait) = retry::retry_after(&text, now) {
            prop_assert!(wait.as_secs() <= 3_600);
        }
        let mut skew = Skew::default();
        if let Ok(header) = HeaderValue::from_str(&text) {
            skew.note(&header, now);
        }
        // As a sweep reckons with it.
        let margin = skew.margin();
        let _ = (now - margin, now + margin);
        prop_assert!(skew.latest().is_none_or(|ahead| ahead.abs() <= TimeDelta::days(366)));
    }
}
