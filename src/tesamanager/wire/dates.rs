//! Instants in every form that an upstream of this kind has been seen to use, and no guess beyond.
//!
//! A date decides whether a request is stuck, so one that is read wrong is worse than one that is not read. A form
//! counts only if what it says lies between the year 2000 and a year ahead; `20261128` is a day and no second of
//! 1970. And since all dates of the contract tell of something that has happened, one that lies later than the clocks
//! can explain is refused as well.

use std::cell::Cell;
use std::time::Duration;

use chrono::{
    DateTime, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    TimeZone as _, Utc,
};

use super::json::Json;
use crate::zone::Zone;

/// 2000-01-01T00:00:00Z.
const EARLIEST: i64 = 946_684_800;

/// How the dates of one answer are read.
#[derive(Debug)]
pub struct Dates {
    zone: Zone,
    /// No later year than this one's next is meant.
    ahead: DateTime<Utc>,
    /// Nothing has happened later.
    latest: DateTime<Utc>,
    without_zone: Cell<u64>,
}

impl Dates {
    /// Dates that say no zone are meant in `zone`. The clocks are apart by at most `margin`.
    pub fn new(zone: Zone, now: DateTime<Utc>, margin: Duration) -> Self {
        let later = |by: Option<TimeDelta>| {
            by.and_then(|by| now.checked_add_signed(by))
                .unwrap_or(DateTime::<Utc>::MAX_UTC)
        };
        Self {
            zone,
            ahead: later(TimeDelta::try_days(366)),
            latest: later(TimeDelta::from_std(margin).ok()),
            without_zone: Cell::default(),
        }
    }

    /// Of the end of 2026, in UTC, by clocks that agree.
    #[cfg(test)]
    pub fn of_tests() -> Self {
        let now = DateTime::from_timestamp(1_798_000_000, 0).unwrap();
        Self::new(Zone::UTC, now, Duration::ZERO)
    }

    /// How many of the dates that were read said no zone.
    pub fn without_zone(&self) -> u64 {
        self.without_zone.get()
    }

    /// The instant at which something happened; why not, if it is none. Cut to microseconds, like everything that may
    /// go through a database.
    pub fn instant(&self, value: &Json<'_>) -> Result<DateTime<Utc>, &'static str> {
        let instant = match value {
            Json::Text(text) => self.text(text.trim()),
            Json::Number(number) => match number.as_i64() {
                Some(number) => self.digits(&number.to_string()),
                None => number.as_f64().and_then(|number| self.fraction(number)),
            },
            _ => None,
        };
        // A leap second is the next minute's first, as databases have it.
        let instant = instant
            .and_then(|at| DateTime::from_timestamp_micros(at.timestamp_micros()))
            .ok_or("a date between 2000 and a year ahead")?;
        if instant > self.latest {
            return Err("a date that lies in the past");
        }
        Ok(instant)
    }

    fn text(&self, text: &str) -> Option<DateTime<Utc>> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.digits(text);
        }
        let (local, offset) = cut_zone(text)?;
        self.at(local_time(local)?, offset)
    }

    /// A number is whichever of these forms makes sense of it: they exclude each other.
    fn digits(&self, digits: &str) -> Option<DateTime<Utc>> {
        let number: i64 = digits.parse().ok()?;
        [
            DateTime::from_timestamp(number, 0),
            DateTime::from_timestamp_millis(number),
        ]
        .into_iter()
        .flatten()
        .find(|at| self.makes_sense(*at))
        .or_else(|| self.at(local_time(digits)?, None))
    }

    /// Seconds or milliseconds with a fraction.
    fn fraction(&self, number: f64) -> Option<DateTime<Utc>> {
        // What is no number, or too large for an instant, saturates and makes no sense then.
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        let micros = |per: f64| DateTime::from_timestamp_micros((number * per) as i64);
        let candidates = [micros(1e6), micros(1e3)];
        candidates
            .into_iter()
            .flatten()
            .find(|at| self.makes_sense(*at))
    }

    fn at(&self, local: NaiveDateTime, offset: Option<FixedOffset>) -> Option<DateTime<Utc>> {
        let at = match offset {
            Some(offset) => offset.from_local_datetime(&local).single()?.to_utc(),
            None => self.in_zone(local)?,
        };
        self.makes_sense(at).then(|| {
            let more = u64::from(offset.is_none());
            self.without_zone.set(self.without_zone.get() + more);
            at
        })
    }

    /// An hour that the zone has twice is the later one, because what changed later is left alone for longer; unless that
    /// one is yet to come. An hour that it hasn't is no date.
    fn in_zone(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self.zone.from_local_datetime(&local) {
            MappedLocalTime::Single(at) => Some(at.to_utc()),
            MappedLocalTime::Ambiguous(one, other) => {
                let later = one.max(other).to_utc();
                Some(if later > self.latest {
                    one.min(other).to_utc()
                } else {
                    later
                })
            }
            MappedLocalTime::None => None,
        }
    }

    fn makes_sense(&self, at: DateTime<Utc>) -> bool {
        at.timestamp() >= EARLIEST && at <= self.ahead
    }
}

/// Cuts what a text says of its zone from its end: `Z`, `+01`, `+0100`, `+01:00`.
fn cut_zone(text: &str) -> Option<(&str, Option<FixedOffset>)> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return Some((local.trim_end(), FixedOffset::east_opt(0)));
    }
    // A date's own dashes stand before its time.
    let time = text.find([':', 'T', 't', ' ']).unwrap_or(text.len());
    let Some(sign) = text[time..].rfind(['+', '-']).map(|at| time + at) else {
        return Some((text, None));
    };
    let (local, zone) = text.split_at(sign);
    let digits: String = zone[1..].split(':').collect();
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |part: &str| part.parse::<i32>().ok();
    let minutes = digits.get(2..).filter(|minutes| !minutes.is_empty());
    let minutes = minutes.map_or(Some(0), number).filter(|part| *part < 60)?;
    let seconds = 60 * (60 * number(&digits[..2])? + minutes);
    let seconds = if zone.starts_with('-') {
        -seconds
    } else {
        seconds
    };
    Some((local.trim_end(), Some(FixedOffset::east_opt(seconds)?)))
}

/// Date and time, with or without marks, the time down to whatever it says; a date alone is its midnight.
fn local_time(text: &str) -> Option<NaiveDateTime> {
    let day = if text.as_bytes().get(4) == Some(&b'-') {
        10
    } else {
        8
    };
    let (day, time) = (text.get(..day)?, text.get(day..)?);
    // The formats alone would also read shorter years and numbers with signs or spaces.
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    let format = if day.len() == 10 {
        "%Y-%m-%d"
    } else {
        "%Y%m%d"
    };
    if !day.bytes().all(plain) || day.starts_with('-') {
        return None;
    }
    let day = NaiveDate::parse_from_str(day, format).ok()?;
    let time = time.strip_prefix(['T', 't', ' ']).unwrap_or(time);
    if time.is_empty() {
        return day.and_hms_opt(0, 0, 0);
    }
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b':' || byte == b'.';
    if !time.bytes().all(plain) {
        return None;
    }
    let whole = time.find('.').unwrap_or(time.len());
    let format = match (whole, time.contains(':')) {
        (8, true) => "%H:%M:%S%.f",
        (5, true) => "%H:%M",
        (6, false) => "%H%M%S%.f",
        (4, false) => "%H%M",
        _ => return None,
    };
    NaiveTime::parse_from_str(time, format)
        .ok()
        .map(|time| day.and_time(time))
}

#[cfg(test)]
mod tests;
