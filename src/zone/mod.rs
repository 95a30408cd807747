//! Time zones, by the newest data at hand.
//!
//! States change their clocks with weeks of notice, so rules that were compiled into a program are wrong before the program is
//! old. Therefore the system's files are asked, which its packages keep up to date; the rules that are compiled in are for where
//! there are none, or older ones ([`data`]).
//!
//! A zone is a value: its rules are read once, and then stay what they are as long as the process lives, so that all that is
//! made of them is a function of instants. A restart takes newer files.

mod data;

#[cfg(test)]
mod tests;

use std::fmt;

use chrono::{FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, TimeZone};
use jiff::tz::AmbiguousOffset;
use jiff::{Timestamp, civil};

pub use data::{Origin, Version, names, version};

/// A zone of the IANA database.
#[derive(Clone, Copy)]
pub struct Zone(&'static data::Rules);

impl Zone {
    /// Where the clocks never change.
    pub const UTC: Self = Self(&data::UTC);

    /// The zone of this name; none where neither the system nor this program knows it.
    pub fn named(name: &str) -> Option<Self> {
        data::rules(name).map(Self)
    }

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        &self.0.name
    }

    /// Local time there is UTC for ever, whatever data one goes by.
    pub fn is_utc(self) -> bool {
        self == Self::UTC
    }

    fn offset_at(self, seconds: i64) -> ZoneOffset {
        let at = Timestamp::from_second(
            seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second()),
        )
        .unwrap_or_default();
        let offset = fixed(self.0.zone.to_offset(at));
        ZoneOffset {
            zone: self,
            at,
            offset,
        }
    }

    /// The offset where the wall clock shows `local` by `offset`.
    fn offset_of(self, local: &NaiveDateTime, offset: jiff::tz::Offset) -> ZoneOffset {
        self.offset_at(local.and_utc().timestamp() - i64::from(offset.seconds()))
    }
}

/// No offset of the database is a day long.
fn fixed(offset: jiff::tz::Offset) -> FixedOffset {
    FixedOffset::east_opt(offset.seconds()).unwrap_or(Offset::fix(&chrono::Utc))
}

/// By name: the same rules may go by several.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A zone's distance from UTC at an instant; printed, it is the name that the zone goes by just then (CEST).
#[derive(Clone, Copy)]
pub struct ZoneOffset {
    zone: Zone,
    at: Timestamp,
    offset: FixedOffset,
}

impl Offset for ZoneOffset {
    fn fix(&self) -> FixedOffset {
        self.offset
    }
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.zone.0.zone.to_offset_info(self.at).abbreviation())
    }
}

impl fmt::Debug for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TimeZone for Zone {
    type Offset = ZoneOffset;

    fn from_offset(offset: &ZoneOffset) -> Self {
        offset.zone
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<ZoneOffset> {
        self.offset_from_local_datetime(&NaiveDateTime::from(*local))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<ZoneOffset> {
        let Some(shown) = wall_clock(local) else {
            return MappedLocalTime::Single(self.offset_at(local.and_utc().timestamp()));
        };
        match self.0.zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                MappedLocalTime::Single(self.offset_of(local, offset))
            }
            AmbiguousOffset::Gap { .. } => MappedLocalTime::None,
            AmbiguousOffset::Fold { before, after } => MappedLocalTime::Ambiguous(
                self.offset_of(local, before),
                self.offset_of(local, after),
            ),
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> ZoneOffset {
        self.offset_from_utc_datetime(&NaiveDateTime::from(*utc))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> ZoneOffset {
        self.offset_at(utc.and_utc().timestamp())
    }
}

/// None in years that have no rules, thousands of years from now.
fn wall_clock(local: &NaiveDateTime) -> Option<civil::DateTime> {
    let seconds = Timestamp::from_second(local.and_utc().timestamp()).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(seconds))
}
