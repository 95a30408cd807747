//! What people may type for an instant, and what it means.

use super::*;

/// A Monday noon in winter, UTC; one o'clock in Madrid.
fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 12, 0, 0).unwrap()
}

fn zone_named(name: &str) -> Zone {
    Zone::named(name).unwrap()
}

fn zones() -> Vec<Zone> {
    crate::zone::names().map(zone_named).collect()
}

fn ago(text: &str, zone: Zone) -> Option<String> {
    since(text, noon(), zone).ok().map(written)
}

#[test]
fn an_instant_may_be_typed_in_many_ways() {
    for (text, means) in [
        ("2h", "2026-03-02T10:00:00Z"),
        ("1d 30m", "2026-03-01T11:30:00Z"),
        ("2026-03-02T11:00:00+01:00", "2026-03-02T10:00:00Z"),
        ("2026-03-02T11:00:00Z", "2026-03-02T11:00:00Z"),
        // In Madrid, from here on.
        ("2026-02-27", "2026-02-26T23:00:00Z"),
        ("2026-07-01", "2026-06-30T22:00:00Z"),
        ("2026-02-27 22:00", "2026-02-27T21:00:00Z"),
        ("2026-02-27  22:00:05", "2026-02-27T21:00:05Z"),
        ("2026-02-27T22:00", "2026-02-27T21:00:00Z"),
        ("today", "2026-03-01T23:00:00Z"),
        ("yesterday", "2026-02-28T23:00:00Z"),
        ("tomorrow", "2026-03-02T23:00:00Z"),
        ("yesterday 22:00", "2026-03-01T21:00:00Z"),
        (" 08:15 ", "2026-03-02T07:15:00Z"),
        // As it is printed.
        ("2026-02-27 22:00:05 CET", "2026-02-27T21:00:05Z"),
        ("2026-07-01 22:00:05 CEST", "2026-07-01T20:00:05Z"),
        ("2026-02-27 22:00:05 UTC", "2026-02-27T22:00:05Z"),
        // Clocks are put back: the first of two, unless the name says which.
        ("2026-10-25 02:30", "2026-10-25T00:30:00Z"),
        ("2026-10-25 02:30 CEST", "2026-10-25T00:30:00Z"),
        ("2026-10-25 02:30 CET", "2026-10-25T01:30:00Z"),
        // Clocks are put forward: there is no such time.
        ("2026-03-29 02:30", "2026-03-29T01:00:00Z"),
    ] {
        let read = ago(text, zone_named("Europe/Madrid"));
        assert_eq!(read.as_deref(), Some(means), "{text:?}");
    }
    // A day that has no midnight begins later.
    let cuba = ago("2026-03-08", zone_named("America/Havana"));
    assert_eq!(cuba.as_deref(), Some("2026-03-08T05:00:00Z"));
    // A day that a place left out.
    let samoa = ago("2011-12-30", zone_named("Pacific/Apia"));
    assert_eq!(samoa.as_deref(), Some("2011-12-30T10:00:00Z"));
}

#[test]
fn what_is_no_instant_is_a_mistake_and_no_panic() {
    for text in [
        "",
        "soon",
        "2026-02-30",
        "2026-02-27 25:00",
        "2026-02-27 22:00 EST",
        "2026-07-01 22:00 CET",
        "2026-02-27 22:00 CET now",
        "27/02/2026",
        "9999999999h",
        "99999999999999999999h",
        "18446744073709551615s",
        "600000000years",
        "9000years",
        "0000-01-01T00:00:00Z",
        "0001-01-01",
        "-5h",
    ] {
        assert_eq!(ago(text, zone_named("Europe/Madrid")), None, "{text:?}");
        assert!(until(text, noon(), Zone::UTC).is_err(), "{text:?}");
    }
}

#[test]
fn a_pause_ends_in_the_future() {
    assert_eq!(
        until("2h", noon(), Zone::UTC).unwrap() - noon(),
        TimeDelta::hours(2)
    );
    for past in ["2020-01-01T00:00:00Z", "today", "11:59"] {
        let refused = until(past, noon(), Zone::UTC).unwrap_err().to_string();
        assert!(refused.contains("is in the past"), "{refused}");
    }
}

#[test]
fn an_instant_within_a_text_is_told_like_all_else() {
    for (text, told) in [
        ("", ""),
        ("Zaragoza", "Zaragoza"),
        (
            "until 2026-03-02T12:00:00Z, then",
            "until 2026-03-02 13:00:00 CET, then",
        ),
        (
            "2026-07-02T12:00:00Z/2026-03-02T12:00:00Z",
            "2026-07-02 14:00:00 CEST/2026-03-02 13:00:00 CET",
        ),
        ("2026-13-02T12:00:00Z", "2026-13-02T12:00:00Z"),
        ("x2026-03-02T12:00:00Z", "x2026-03-02 13:00:00 CET"),
        ("ñññññññññññññññññññZ añoZ", "ñññññññññññññññññññZ añoZ"),
    ] {
        assert_eq!(super::told(text, zone_named("Europe/Madrid")), told);
    }
}

#[test]
fn a_length_is_told_to_its_two_largest_units() {
    for (seconds, told) in [
        (-5, "0s"),
        (0, "0s"),
        (59, "59s"),
        (3_600, "1h"),
        (3_661, "1h 1m"),
        (200_000, "2d 7h"),
        (86_401, "1d"),
        (86_400 * 400, "400d"),
    ] {
        assert_eq!(rough(TimeDelta::seconds(seconds)), told);
    }
}

#[test]
fn the_systems_zone_is_what_the_variable_names() {
    for (variable, zone) in [
        ("Europe/Madrid", zone_named("Europe/Madrid")),
        (":Europe/Madrid", zone_named("Europe/Madrid")),
        ("UTC", Zone::UTC),
        ("CET-1CEST,M3.5.0,M10.5.0/3", Zone::UTC),
    ] {
        assert_eq!(of_system(Some(variable)), zone, "{variable}");
    }
    // Unset: whatever this machine has.
    assert_eq!(of_system(None), of_system(Some("")));
}

proptest::proptest! {
    #[test]
    fn no_moment_panics(
        text in proptest::prop_oneof![
            "\\PC{0,30}",
            "[0-9]{1,20}(ns|us|ms|s|m|h|d|w|M|y| years)",
            "[+-]?[0-9]{1,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})",
            "[+-]?[0-9]{1,6}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}(:[0-9]{2})?( [A-Z]{1,5})?)?",
        ],
        seconds in proptest::prelude::any::<i64>(),
        zone in proptest::sample::select(zones()),
    ) {
        let now = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        if let Ok(at) = moment(&text, now, zone, |now, age| now.checked_sub_signed(age)) {
            proptest::prop_assert!(YEARS.contains(&at.year()));
        }
    }

    #[test]
    fn what_is_printed_can_be_typed_again(
        seconds in 0i64..4_000_000_000,
        zone in proptest::sample::select(["Europe/Madrid", "UTC", "America/Havana", "Asia/Kathmandu"].map(zone_named).to_vec()),
    ) {
        let at = DateTime::from_timestamp(seconds, 0).unwrap();
        let shown = shown(at, zone);
        proptest::prop_assert_eq!(read(&shown, noon(), zone), Some(at), "{}", shown);
    }
}
