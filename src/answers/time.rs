//! Instants as people type them and read them, in the zone that they are told in. Pure.
//!
//! What is shown can be typed again. Within a sentence an instant is written down in UTC, in one form; who shows the
//! sentence tells it in the reader's zone.

use std::borrow::Cow;

use chrono::{
    DateTime, Datelike as _, Days, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    TimeZone as _, Utc,
};

use crate::history::timeline::in_units;
use crate::zone::Zone;

/// Beyond these years nothing happens.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9999;

/// How an instant is printed: to the second, with the name that its zone goes by just then.
const SHOWN: &str = "%Y-%m-%d %H:%M:%S %Z";

/// How an instant is written down within a sentence: the only form that [`told`] looks for.
const WRITTEN: &str = "%Y-%m-%dT%H:%M:%SZ";

/// Neither a length of time nor an instant, or not one that is meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Mistyped(String);

/// The system's zone: `$TZ`, then what `/etc/localtime` is a link to; UTC where neither is an IANA name.
pub fn of_system(variable: Option<&str>) -> Zone {
    let named = variable.map(|name| name.trim_start_matches(':'));
    if let Some(name) = named.filter(|name| !name.is_empty()) {
        return Zone::named(name).unwrap_or(Zone::UTC);
    }
    let name = iana_time_zone::get_timezone().unwrap_or_default();
    Zone::named(&name).unwrap_or(Zone::UTC)
}

/// An instant for people in this zone.
pub fn shown(at: DateTime<Utc>, zone: Zone) -> String {
    at.with_timezone(&zone).format(SHOWN).to_string()
}

/// An instant within a sentence.
pub fn written(at: DateTime<Utc>) -> String {
    at.format(WRITTEN).to_string()
}

/// A text with every instant in it as people in this zone read them: what was written down in UTC (a decision's reason, a
/// finding's evidence, a sentence of ours) is told like all else.
pub fn told(text: &str, zone: Zone) -> Cow<'_, str> {
    let mut told = Cow::Borrowed("");
    let mut rest = text;
    while let Some(end) = rest.find('Z') {
        let (before, after) = rest.split_at(end + 1);
        let begin = before.len().checked_sub("2026-11-27T22:00:05Z".len());
        let typed = begin.and_then(|begin| before.split_at_checked(begin));
        let at = typed.and_then(|(_, typed)| DateTime::parse_from_rfc3339(typed).ok());
        match (typed, at) {
            (Some((before, _)), Some(at)) => {
                let at = at.with_timezone(&zone).format(SHOWN);
                told.to_mut().push_str(&format!("{before}{at}"));
            }
            _ => told.to_mut().push_str(before),
        }
        rest = after;
    }
    if told.is_empty() {
        return Cow::Borrowed(text);
    }
    told.to_mut().push_str(rest);
    told
}

/// A length of time to its two largest units, as it can be typed.
pub fn rough(length: TimeDelta) -> String {
    in_units(length, ["d", "h", "m", "s"])
}

/// What may be typed, for the help of every option that takes an instant.
pub const TYPED: &str = "2026-11-27, yesterday, \"2026-11-27 22:00\", 22:00, RFC 3339";

/// A moment in the past: an age ("12h") or an instant.
pub fn since(text: &str, now: DateTime<Utc>, zone: Zone) -> Result<DateTime<Utc>, Mistyped> {
    moment(text, now, zone, |now, age| now.checked_sub_signed(age))
}

/// A moment in the future: a time from now ("2h") or an instant.
pub fn until(text: &str, now: DateTime<Utc>, zone: Zone) -> Result<DateTime<Utc>, Mistyped> {
    let at = moment(text, now, zone, |now, wait| now.checked_add_signed(wait))?;
    if at <= now {
        let at = shown(at, zone);
        return Err(Mistyped(format!("{text:?} is in the past ({at})")));
    }
    Ok(at)
}

/// An instant that every store can hold, and every page show.
fn moment(
    text: &str,
    now: DateTime<Utc>,
    zone: Zone,
    from_now: impl FnOnce(DateTime<Utc>, TimeDelta) -> Option<DateTime<Utc>>,
) -> Result<DateTime<Utc>, Mistyped> {
    let text = text.trim();
    let at = match read(text, now, zone) {
        Some(at) => Some(at),
        None => {
            let span = humantime::parse_duration(text).map_err(|_| {
                Mistyped(format!(
                    "{text:?} is neither a time span (12h) nor an instant ({TYPED})"
                ))
            })?;
            let span = TimeDelta::from_std(span).ok();
            span.and_then(|span| from_now(now, span))
        }
    };
    at.filter(|at| YEARS.contains(&at.year())).ok_or_else(|| {
        let (first, last) = (YEARS.start(), YEARS.end());
        Mistyped(format!("{text:?} lies outside the years {first} to {last}"))
    })
}

/// A day means its beginning, a time without a day today.
fn read(text: &str, now: DateTime<Utc>, zone: Zone) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let today = now.with_timezone(&zone).date_naive();
    let mut words = text.split_ascii_whitespace();
    let first = words.next()?;
    let (day, time) = match (day(first, today), first.split_once('T')) {
        (Some(day), _) => (day, words.next()),
        (None, Some((date, time))) => (date.parse().ok()?, Some(time)),
        (None, None) => (today, Some(first)),
    };
    let time = match time {
        Some(time) => clock_time(time)?,
        None => NaiveTime::MIN,
    };
    let named = words.next();
    if words.next().is_some() {
        return None;
    }
    local(day.and_time(time), zone, named)
}

fn day(word: &str, today: NaiveDate) -> Option<NaiveDate> {
    match word {
        "today" => Some(today),
        "yesterday" => today.checked_sub_days(Days::new(1)),
        "tomorrow" => today.checked_add_days(Days::new(1)),
        word => NaiveDate::parse_from_str(word, "%Y-%m-%d").ok(),
    }
}

fn clock_time(word: &str) -> Option<NaiveTime> {
    ["%H:%M", "%H:%M:%S"]
        .iter()
        .find_map(|form| NaiveTime::parse_from_str(word, form).ok())
}

/// The instant of a local time. Where clocks are put back it stands twice, and the name tells which; without one it is the
/// first. Where clocks are put forward it does not exist, and the first instant after the gap is meant.
fn local(time: NaiveDateTime, zone: Zone, named: Option<&str>) -> Option<DateTime<Utc>> {
    let (zone, named) = match named {
        Some("UTC" | "Z") => (Zone::UTC, None),
        named => (zone, named),
    };
    let fits = |at: &DateTime<Zone>| named.is_none_or(|name| at.format("%Z").to_string() == name);
    let known = match zone.from_local_datetime(&time) {
        MappedLocalTime::Single(at) => vec![at],
        MappedLocalTime::Ambiguous(first, second) => vec![first, second],
        MappedLocalTime::None => after_gap(time, zone).into_iter().collect(),
    };
    let fitting = known.into_iter().find(fits);
    fitting.map(|at| at.to_utc())
}

/// Gaps are quarters of an hour at least, and a day at most (where a place changed the side of the date line).
fn after_gap(time: NaiveDateTime, zone: Zone) -> Option<DateTime<Zone>> {
    let quarter = time.and_utc().timestamp().rem_euclid(900);
    let begin = time.checked_sub_signed(TimeDelta::seconds(quarter))?;
    (1..=96).find_map(|quarters| {
        let later = begin.checked_add_signed(TimeDelta::minutes(15 * quarters))?;
        zone.from_local_datetime(&later).earliest()
    })
}

#[cfg(test)]
mod tests;
