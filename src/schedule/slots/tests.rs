//! The instants against tables, and against the slow way: looking at every single minute.

use chrono::{Datelike, NaiveDate, Timelike};
use proptest::prelude::*;

use super::*;

fn zone_named(name: &str) -> Zone {
    Zone::named(name).unwrap()
}

fn cron_in(text: &str, zone: Zone) -> When {
    When::Cron {
        cron: Box::new(text.parse().unwrap()),
        text: text.to_owned(),
        zone,
    }
}

fn madrid(text: &str) -> When {
    cron_in(text, zone_named("Europe/Madrid"))
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// All slots in (`from`, `to`], found forwards.
fn forwards(when: &When, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    std::iter::successors(when.next_after(from), |&slot| when.next_after(slot))
        .take_while(|&slot| slot <= to)
        .collect()
}

/// The same, found backwards.
fn backwards(when: &When, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let mut slots: Vec<_> =
        std::iter::successors(when.latest_at(to), |&slot| when.latest_before(slot))
            .take_while(|&slot| slot > from)
            .collect();
    slots.reverse();
    slots
}

fn local_day(when: &When, year: i32, month: u32, day: u32) -> Vec<String> {
    let date = NaiveDate::from_ymd_opt(year, month, day).unwrap();
    let midnight = |date: NaiveDate| {
        zone_named("Europe/Madrid")
            .from_local_datetime(&date.and_hms_opt(0, 0, 0).unwrap())
            .unwrap()
            .to_utc()
    };
    let (from, to) = (midnight(date), midnight(date.succ_opt().unwrap()));
    let second = TimeDelta::seconds(1);
    let slots = forwards(when, from - second, to - second);
    assert_eq!(
        slots,
        backwards(when, from - second, to - second),
        "both directions agree"
    );
    slots
        .iter()
        .map(|slot| {
            slot.with_timezone(&zone_named("Europe/Madrid"))
                .format("%H:%M %Z")
                .to_string()
        })
        .collect()
}

// Spain's clocks: on 2026-03-29 from 02:00 CET to 03:00 CEST, on 2026-10-25 from 03:00 CEST to 02:00 CET.
#[test]
fn dst_spring_and_autumn() {
    let daily = madrid("0 30 2 * * *");
    assert_eq!(local_day(&daily, 2026, 3, 28), ["02:30 CET"]);
    assert_eq!(
        local_day(&daily, 2026, 3, 29),
        ["03:00 CEST"],
        "skipped by the clock: right after the gap"
    );
    assert_eq!(local_day(&daily, 2026, 3, 30), ["02:30 CEST"]);
    assert_eq!(
        local_day(&daily, 2026, 10, 25),
        ["02:30 CEST"],
        "shown twice: the first time"
    );
    assert_eq!(local_day(&daily, 2026, 10, 26), ["02:30 CET"]);

    let morning = madrid("0 0 9 * * *");
    assert_eq!(local_day(&morning, 2026, 3, 28), ["09:00 CET"]);
    assert_eq!(local_day(&morning, 2026, 3, 29), ["09:00 CEST"]);
    assert_eq!(local_day(&morning, 2026, 10, 25), ["09:00 CET"]);

    let hourly = madrid("0 0 * * * *");
    for (month, day, hours) in [(3, 29, 23), (6, 1, 24), (10, 25, 25)] {
        let times = local_day(&hourly, 2026, month, day);
        assert_eq!(times.len(), hours, "{times:?}");
    }
    let autumn = forwards(
        &hourly,
        at("2026-10-24T20:30:00Z"),
        at("2026-10-25T06:30:00Z"),
    );
    assert!(
        autumn
            .windows(2)
            .all(|pair| pair[1] - pair[0] == TimeDelta::hours(1)),
        "an hour is an hour: {autumn:?}"
    );
}

#[test]
fn several_times_a_day_follow_the_wall_clock_as_it_is_shown() {
    let twice = madrid("0 30 2,14 * * *");
    assert_eq!(local_day(&twice, 2026, 3, 29), ["14:30 CEST"]);
    assert_eq!(
        local_day(&twice, 2026, 10, 25),
        ["02:30 CEST", "02:30 CET", "14:30 CET"]
    );
    let quarters = madrid("0 */15 2 * * *");
    assert_eq!(local_day(&quarters, 2026, 3, 29), [] as [String; 0]);
    assert_eq!(local_day(&quarters, 2026, 10, 25).len(), 8);
}

#[test]
fn a_slot_at_the_very_instant_of_the_change_comes_once() {
    // 03:00 CEST is the first instant after the gap, and 02:00 CET the one at which the hour repeats.
    assert_eq!(
        local_day(&madrid("0 0 3 * * *"), 2026, 3, 29),
        ["03:00 CEST"]
    );
    assert_eq!(
        local_day(&madrid("0 0 2 * * *"), 2026, 3, 29),
        ["03:00 CEST"]
    );
    assert_eq!(
        local_day(&madrid("0 0 2 * * *"), 2026, 10, 25),
        ["02:00 CEST"]
    );
    assert_eq!(
        local_day(&madrid("0 0 3 * * *"), 2026, 10, 25),
        ["03:00 CET"]
    );
    let change = at("2026-03-29T01:00:00Z");
    let daily = madrid("0 30 2 * * *");
    assert_eq!(daily.next_after(change - SECOND), Some(change));
    assert_eq!(daily.next_after(change), Some(at("2026-03-30T00:30:00Z")));
    assert_eq!(daily.latest_at(change), Some(change));
    assert_eq!(
        daily.latest_at(change - SECOND),
        Some(at("2026-03-28T01:30:00Z"))
    );
}

#[test]
fn sub_seconds_do_not_leak_into_slots() {
    let when = madrid("0 */5 * * * *");
    let slot = at("2026-06-01T10:05:00Z");
    assert_eq!(
        when.next_after(at("2026-06-01T10:04:59.999999Z")),
        Some(slot)
    );
    assert_eq!(
        when.next_after(at("2026-06-01T10:00:00.000001Z")),
        Some(slot)
    );
    assert_eq!(when.latest_at(slot), Some(slot));
    assert_eq!(
        when.latest_at(at("2026-06-01T10:05:00.000001Z")),
        Some(slot)
    );
    assert_eq!(
        when.latest_before(slot),
        Some(at("2026-06-01T10:00:00Z")),
        "strictly before"
    );
}

#[test]
fn rare_slots_are_found_both_ways() {
    let leap = madrid("0 0 12 29 2 *");
    let slot = at("2028-02-29T11:00:00Z");
    assert_eq!(leap.next_after(at("2026-01-01T00:00:00Z")), Some(slot));
    assert_eq!(leap.latest_at(at("2031-12-31T00:00:00Z")), Some(slot));
}

#[test]
fn an_interval_keeps_to_multiples_since_1970() {
    let when = When::Every(Duration::from_secs(300));
    let slot = at("2026-06-01T10:05:00Z");
    assert_eq!(when.latest_at(at("2026-06-01T10:07:31Z")), Some(slot));
    assert_eq!(when.next_after(at("2026-06-01T10:00:00Z")), Some(slot));
    assert_eq!(when.count(slot, slot), Some(1));
    assert_eq!(when.count(slot, slot + TimeDelta::hours(1)), Some(13));
    let never = When::Every(Duration::ZERO);
    assert_eq!(
        (never.next_after(slot), never.latest_at(slot)),
        (None, None)
    );
}

#[test]
fn counting_stops_where_it_would_not_end() {
    let when = madrid("0 * * * * *");
    let first = at("2026-06-01T00:00:00Z");
    let minutes = |n| first + TimeDelta::minutes(n);
    assert_eq!(when.count(first, first), Some(1));
    assert_eq!(when.count(first, minutes(999)), Some(1_000));
    assert_eq!(when.count(first, minutes(1_000)), None);
    let interval = When::Every(Duration::from_secs(60));
    assert_eq!(
        interval.count(first, minutes(525_600)),
        Some(525_601),
        "an interval needs no enumeration"
    );
}

/// The slow way: is this minute a slot? Only for expressions with several times a day.
fn matches_minute(when: &When, minute: DateTime<Utc>) -> bool {
    let When::Cron { cron, zone, .. } = when else {
        unreachable!()
    };
    cron.is_time_matching(&minute.with_timezone(zone)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_matching_minute_is_a_slot_and_nothing_else_is(
        expression in prop::sample::select(vec![
            "0 0 * * * *", "0 */15 * * * *", "0 7,37 * * * *", "0 30 1-4 * * *", "0 */20 2 * * *",
            "0 30 2,14 * * SUN", "0 0 */6 L * *",
        ]),
        zone in prop::sample::select(vec![
            "Europe/Madrid", "Atlantic/Canary", "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns", "UTC",
        ]),
        // Mostly the days on which one of these zones changes its clocks in 2026, and the days before.
        day in prop_oneof![
            3 => prop::sample::select(vec![44, 45, 65, 66, 79, 80, 86, 87, 93, 94, 275, 276, 296, 297, 303, 304]),
            1 => 0_i64..365,
        ],
    ) {
        let when = cron_in(expression, zone_named(zone));
        let from = at("2026-01-01T00:00:00Z") + TimeDelta::days(day);
        let to = from + TimeDelta::days(2);
        let slow: Vec<_> = (1..=2 * 24 * 60)
            .map(|minute| from + TimeDelta::minutes(minute))
            .filter(|&minute| matches_minute(&when, minute))
            .collect();
        prop_assert_eq!(&forwards(&when, from, to), &slow);
        prop_assert_eq!(&backwards(&when, from, to), &slow);
    }

    #[test]
    fn a_fixed_time_comes_exactly_once_every_local_day(hour in 0_u32..24, minute in 0_u32..60) {
        let when = madrid(&format!("0 {minute} {hour} * * *"));
        let (from, to) = (at("2025-12-31T23:00:00Z") - SECOND, at("2026-12-31T23:00:00Z") - SECOND);
        let slots = forwards(&when, from, to);
        let days: Vec<_> = slots
            .iter()
            .map(|slot| slot.with_timezone(&zone_named("Europe/Madrid")).ordinal())
            .collect();
        prop_assert_eq!(days, (1..=365).collect::<Vec<_>>());
        prop_assert_eq!(&backwards(&when, from, to), &slots);
        prop_assert!(slots.iter().all(|slot| slot.second() == 0));
    }
}
