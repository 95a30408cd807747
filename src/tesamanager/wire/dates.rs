//! Instants in every form that an upstream of this kind has been seen to use.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SubsecRound, Utc};

use super::json::Json;

/// Below this, an epoch number means seconds: as milliseconds it would be before 1973-03-03.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// An instant from RFC 3339 (any offset, any fraction), ISO 8601 without a zone (taken as UTC) or epoch
/// milliseconds. Cut to microseconds, like everything that may go through a database.
pub fn instant(value: &Json<'_>) -> Option<DateTime<Utc>> {
    let instant = match value {
        Json::Text(text) => from_text(text.trim()),
        Json::Number(number) => from_epoch(number.as_i64()?),
        _ => None,
    };
    instant.map(|instant| instant.trunc_subsecs(6))
}

fn from_text(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(number) = text.parse() {
        return from_epoch(number);
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.to_utc());
    }
    // An offset without its colon, which RFC 3339 wants.
    if let Ok(instant) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z") {
        return Some(instant.to_utc());
    }
    let without_zone = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
    ]
    .iter()
    .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let midnight = || {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()?
            .and_hms_opt(0, 0, 0)
    };
    without_zone
        .or_else(midnight)
        .map(|instant| instant.and_utc())
}

fn from_epoch(number: i64) -> Option<DateTime<Utc>> {
    if number.unsigned_abs() < MILLISECONDS_FROM.unsigned_abs() {
        DateTime::from_timestamp(number, 0)
    } else {
        DateTime::from_timestamp_millis(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: &Value) -> Option<DateTime<Utc>> {
        instant(&serde_json::from_str(&value.to_string()).unwrap())
    }

    #[test]
    fn every_form_of_a_date_is_read() {
        for (value, expected) in [
            (json!("2026-03-29T01:30:00Z"), "2026-03-29T01:30:00Z"),
            (json!("2026-03-29t01:30:00z"), "2026-03-29T01:30:00Z"),
            (json!("2026-03-29T03:30:00+02:00"), "2026-03-29T01:30:00Z"),
            (json!("2026-03-29T03:30:00+0200"), "2026-03-29T01:30:00Z"),
            (
                json!("2026-03-29T03:30:00.5+0200"),
                "2026-03-29T01:30:00.500Z",
            ),
            (
                json!("2026-03-29T01:30:00.123456789Z"),
                "2026-03-29T01:30:00.123456Z",
            ),
            (json!("2026-03-29T01:30:00"), "2026-03-29T01:30:00Z"),
            (json!("2026-03-29T01:30:00.25"), "2026-03-29T01:30:00.250Z"),
            (json!("2026-03-29 01:30:00"), "2026-03-29T01:30:00Z"),
            (json!("2026-03-29T01:30"), "2026-03-29T01:30:00Z"),
            (json!("2026-03-29"), "2026-03-29T00:00:00Z"),
            (json!(1_774_747_800_000_i64), "2026-03-29T01:30:00Z"),
            (json!("1774747800000"), "2026-03-29T01:30:00Z"),
            (json!(1_774_747_800), "2026-03-29T01:30:00Z"),
        ] {
            let shown =
                read(&value).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
            assert_eq!(shown.as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for value in [
            json!("yesterday"),
            json!("2026-02-31T00:00:00Z"),
            json!("29/03/2026"),
            json!(true),
            json!(1.5),
            json!(i64::MAX),
            json!({}),
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
    }
}
