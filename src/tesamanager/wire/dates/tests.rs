//! Dates as the upstream writes them, and what is no date.

use chrono::SecondsFormat;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// When these dates are read.
fn now() -> DateTime<Utc> {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

fn zone_named(name: &str) -> Zone {
    Zone::named(name).unwrap()
}

fn zones() -> Vec<Zone> {
    crate::zone::names().map(zone_named).collect()
}

fn dates(zone: Zone) -> Dates {
    Dates::new(zone, now(), Duration::from_secs(60))
}

fn read_in(zone: Zone, value: &Value) -> (Option<String>, u64) {
    let dates = dates(zone);
    let read = dates.instant(&serde_json::from_str(&value.to_string()).unwrap());
    let shown = read.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    (shown.ok(), dates.without_zone())
}

#[test]
fn every_form_of_a_date_with_its_zone_is_read() {
    for (value, expected) in [
        (json!("2026-03-29T01:30:00Z"), "2026-03-29T01:30:00Z"),
        (json!("2026-03-29t01:30:00z"), "2026-03-29T01:30:00Z"),
        (json!(" 2026-03-29 01:30:00 Z "), "2026-03-29T01:30:00Z"),
        (json!("2026-03-29T03:30:00+02:00"), "2026-03-29T01:30:00Z"),
        (json!("2026-03-28T20:00:00-05:30"), "2026-03-29T01:30:00Z"),
        (json!("2026-03-29T03:30:00+0200"), "2026-03-29T01:30:00Z"),
        (json!("2026-03-29 03:30:00 +02"), "2026-03-29T01:30:00Z"),
        (
            json!("2026-03-29T03:30:00.5+0200"),
            "2026-03-29T01:30:00.500Z",
        ),
        (
            json!("2026-03-29T01:30:00.123456789Z"),
            "2026-03-29T01:30:00.123456Z",
        ),
        (json!("2026-11-28T00:30Z"), "2026-11-28T00:30:00Z"),
        (json!("2026-11-28T01:30+01:00"), "2026-11-28T00:30:00Z"),
        (json!("20261128T003000Z"), "2026-11-28T00:30:00Z"),
        (json!("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00Z"),
        (json!("2026-03-29Z"), "2026-03-29T00:00:00Z"),
        (json!(1_774_747_800_000_i64), "2026-03-29T01:30:00Z"),
        (json!("1774747800000"), "2026-03-29T01:30:00Z"),
        (json!(1_774_747_800), "2026-03-29T01:30:00Z"),
        (json!(1_774_747_800.5), "2026-03-29T01:30:00.500Z"),
        (json!(1_774_747_800_000.0), "2026-03-29T01:30:00Z"),
    ] {
        let expected = (Some(expected.to_owned()), 0);
        assert_eq!(
            read_in(zone_named("Europe/Madrid"), &value),
            expected,
            "{value}"
        );
    }
}

#[test]
fn a_date_without_a_zone_is_read_in_the_configured_one_and_counted() {
    for (value, in_utc, in_madrid) in [
        (json!("2026-11-28T00:30:00"), "28T00:30:00Z", "27T23:30:00Z"),
        (json!("2026-11-28 00:30:00"), "28T00:30:00Z", "27T23:30:00Z"),
        (
            json!("2026-11-28T00:30:00.25"),
            "28T00:30:00.250Z",
            "27T23:30:00.250Z",
        ),
        (json!("2026-11-28T00:30"), "28T00:30:00Z", "27T23:30:00Z"),
        (json!("2026-11-28"), "28T00:00:00Z", "27T23:00:00Z"),
        (json!("20261128"), "28T00:00:00Z", "27T23:00:00Z"),
        (json!(20_261_128), "28T00:00:00Z", "27T23:00:00Z"),
        (json!("20261128003000"), "28T00:30:00Z", "27T23:30:00Z"),
        (
            json!(20_261_128_003_000_i64),
            "28T00:30:00Z",
            "27T23:30:00Z",
        ),
        (json!("202611280030"), "28T00:30:00Z", "27T23:30:00Z"),
    ] {
        for (zone, expected) in [
            (Zone::UTC, in_utc),
            (zone_named("Europe/Madrid"), in_madrid),
        ] {
            let expected = (Some(format!("2026-11-{expected}")), 1);
            assert_eq!(read_in(zone, &value), expected, "{value} in {zone}");
        }
    }
}

#[test]
fn an_hour_that_a_zone_has_twice_is_the_later_one_and_one_that_it_has_not_is_no_date() {
    let zone = zone_named("Europe/Madrid");
    let twice = json!("2026-10-25T02:30:00");
    assert_eq!(
        read_in(zone, &twice).0.as_deref(),
        Some("2026-10-25T01:30:00Z")
    );
    assert_eq!(read_in(zone, &json!("2026-03-29T02:30:00")), (None, 0));
    // Read within the first of the two hours, the second is yet to come.
    let now = "2026-10-25T00:45:00Z".parse().unwrap();
    let dates = Dates::new(zone, now, Duration::from_secs(60));
    let read = dates.instant(&Json::Text("2026-10-25T02:30:00".into()));
    assert_eq!(read, Ok("2026-10-25T00:30:00Z".parse().unwrap()));
}

#[test]
fn what_is_no_date_of_our_time_is_refused_and_not_guessed() {
    for value in [
        json!("yesterday"),
        json!(""),
        json!("2026-02-31T00:00:00Z"),
        json!("29/03/2026"),
        json!("1999-12-31T23:59:59Z"),
        json!("19700101"),
        json!("0001-01-01T00:00:00Z"),
        json!("+2026-11-28"),
        json!("2026-11-28T24:30:00Z"),
        json!("2026-11-28T00:30:00+99:00"),
        json!("2026-11-28T00:30:00+01:0"),
        json!("2026-11-28T1"),
        json!("2026-11-28T00:30:00 CET"),
        json!(0),
        json!(-1),
        json!(28_112_026),
        json!("28112026"),
        json!(true),
        json!(1.5),
        json!(1e300),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!("99999999999999999999"),
        json!({}),
        json!(null),
    ] {
        assert_eq!(read_in(Zone::UTC, &value), (None, 0), "{value}");
    }
}

#[test]
fn nothing_has_happened_later_than_the_clocks_can_explain() {
    for (value, read) in [
        ("2026-11-28T12:01:00Z", true),
        ("2026-11-28T12:01:01Z", false),
        ("2027-01-01T00:00:00Z", false),
        ("2127-01-01T00:00:00Z", false),
        ("20270101", false),
        ("1796000000", false),
    ] {
        assert_eq!(
            read_in(Zone::UTC, &json!(value)).0.is_some(),
            read,
            "{value}"
        );
    }
}

proptest! {
    #[test]
    fn no_date_panics_and_each_that_is_read_is_of_our_time(
        text in prop_oneof![
            "\\PC{0,40}",
            "[0-9+.:TZtz \\-]{0,32}",
            "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{0,12}([Zz+\\-][0-9:]{0,5})?",
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| number.to_string()),
        ],
        at in any::<i64>(),
        zone in prop::sample::select(zones()),
        margin in any::<u64>(),
    ) {
        let now = DateTime::from_timestamp(at, 0).unwrap_or_else(now);
        let dates = Dates::new(zone, now, Duration::from_secs(margin));
        let values = [Some(text.clone()).map(|text| Json::Text(text.into())), serde_json::from_str(&text).ok()];
        for value in values.into_iter().flatten() {
            if let Ok(read) = dates.instant(&value) {
                prop_assert!(read.timestamp() >= EARLIEST && read <= dates.latest);
            }
        }
    }
}
