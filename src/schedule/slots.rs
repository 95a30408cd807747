//! The instants of a schedule: the next one, the latest one, and how many lie between.
//!
//! Croner searches *wall clock* time and then maps it to real time by itself. In the repeated hour of autumn that
//! mapping goes wrong in both directions (from 02:00 CEST the next full hour is said to be 03:00 CET, so a real
//! hour is lost; from 02:30 CET the next quarter is said to be 02:45 CEST, which is over), and searching backwards
//! it puts a slot from the spring gap before the gap. So croner is asked in a time without changes only (the wall
//! clock read as if it were UTC), and the mapping to real time is done here, from one stretch of constant offset
//! to the next.
//!
//! What it means is what croner documents, the rule of Vixie's cron:
//! - a *fixed time* (one second, one minute, one hour: `0 30 2 * * *`) runs once a day whatever the clocks do: if
//!   its wall clock time is skipped in spring, then at the first instant after the gap (03:00); if it comes twice
//!   in autumn, then at the first of the two;
//! - anything else (`0 0 * * * *`, `0 */15 * * * *`, but also `0 30 2,14 * * *`) runs at every real instant whose
//!   wall clock time matches: nothing in the gap, both times in the repeated hour. An hourly job therefore neither
//!   loses nor doubles a real hour.

#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Offset, SubsecRound, TimeDelta, TimeZone, Utc};
use croner::{Cron, JobType};

use super::spec::When;
use crate::zone::Zone;

/// More slots than this are not enumerated: their count is then unknown.
pub const COUNTED_AT_MOST: u64 = 1_000;

const SECOND: TimeDelta = TimeDelta::seconds(1);
const DAY: TimeDelta = TimeDelta::days(1);

impl When {
    /// The first slot after `t`. None when there is none any more (or the interval is zero).
    pub fn next_after(&self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Every(interval) => multiple(*interval, t, 1),
            Self::Cron { cron, zone, .. } => {
                Wall { cron, zone: *zone }.next_after(t.trunc_subsecs(0))
            }
        }
    }

    /// The last slot at or before `t`. None when there was none.
    pub fn latest_at(&self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Every(interval) => multiple(*interval, t, 0),
            Self::Cron { cron, zone, .. } => {
                Wall { cron, zone: *zone }.latest_at(t.trunc_subsecs(0))
            }
        }
    }

    /// The last slot before `t`.
    pub fn latest_before(&self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.latest_at(t - TimeDelta::microseconds(1))
    }

    /// How many slots there are from `first` to `last`, both of them slots. An interval's are computed; those of a
    /// cron expression are enumerated, and None says that there are more than [`COUNTED_AT_MOST`].
    pub fn count(&self, first: DateTime<Utc>, last: DateTime<Utc>) -> Option<u64> {
        if let Self::Every(interval) = self {
            let interval = i64::try_from(interval.as_micros())
                .ok()
                .filter(|&n| n > 0)?;
            let steps = (last - first).num_microseconds()? / interval;
            return u64::try_from(steps).ok().map(|steps| steps + 1);
        }
        let mut count = 1;
        let mut slot = first;
        while slot < last {
            slot = self.next_after(slot)?;
            count += 1;
            if count > COUNTED_AT_MOST {
                return None;
            }
        }
        Some(count)
    }
}

/// The `ahead`-th multiple of `interval` since 1970 after the last one at or before `t`.
fn multiple(interval: Duration, t: DateTime<Utc>, ahead: i64) -> Option<DateTime<Utc>> {
    let interval = i64::try_from(interval.as_micros())
        .ok()
        .filter(|&interval| interval > 0)?;
    let index = t.timestamp_micros().div_euclid(interval);
    DateTime::from_timestamp_micros(index.checked_add(ahead)?.checked_mul(interval)?)
}

/// A cron expression on the wall clock of a zone. Every instant in here is a whole second.
#[derive(Clone, Copy)]
struct Wall<'a> {
    cron: &'a Cron,
    zone: Zone,
}

impl Wall<'_> {
    /// The first slot after `from`.
    fn next_after(self, mut from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut ahead = SECOND;
        loop {
            let offset = self.offset(from);
            let wall = self.next_wall(from.naive_utc() + offset + ahead)?;
            let slot = (wall - offset).and_utc();
            match self.change_after(from, slot) {
                None if self.is_second_time(slot, wall) => (from, ahead) = (slot, SECOND),
                None => return Some(slot),
                Some(change) => {
                    let after_gap = change.naive_utc() + self.offset(change);
                    if self.is_fixed() && wall < after_gap {
                        return Some(change);
                    }
                    (from, ahead) = (change, TimeDelta::zero());
                }
            }
        }
    }

    /// The last slot at or before `at`.
    fn latest_at(self, mut at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        loop {
            let offset = self.offset(at);
            let wall = self.latest_wall(at.naive_utc() + offset)?;
            let slot = (wall - offset).and_utc();
            match self.change_before(at, slot) {
                None if self.is_second_time(slot, wall) => at = slot - SECOND,
                None => return Some(slot),
                Some(change) => {
                    // `wall` is now the last match before the change's end on the new clock: if the old clock never
                    // showed it, it fell into a gap.
                    let before_gap = change.naive_utc() + self.offset(change - SECOND);
                    if self.is_fixed() && wall >= before_gap {
                        return Some(change);
                    }
                    at = change - SECOND;
                }
            }
        }
    }

    fn is_fixed(self) -> bool {
        self.cron.determine_job_type() == JobType::FixedTime
    }

    /// A fixed time that the wall clock shows twice has had its turn at the first.
    fn is_second_time(self, slot: DateTime<Utc>, wall: NaiveDateTime) -> bool {
        self.is_fixed()
            && self
                .zone
                .from_local_datetime(&wall)
                .earliest()
                .is_some_and(|first| first < slot)
    }

    fn offset(self, at: DateTime<Utc>) -> TimeDelta {
        let offset = self.zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        TimeDelta::seconds(i64::from(offset.local_minus_utc()))
    }

    fn next_wall(self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let found = self.cron.find_next_occurrence(&from.and_utc(), true).ok()?;
        Some(found.naive_utc())
    }

    fn latest_wall(self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        let found = self
            .cron
            .find_previous_occurrence(&at.and_utc(), true)
            .ok()?;
        Some(found.naive_utc())
    }

    /// The first instant in (`from`, `to`] with another offset than `from`. Looks once a day: no zone changes its
    /// clock and back within one.
    fn change_after(self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = self.offset(from);
        let mut same = from;
        while same < to {
            let probe = (same + DAY).min(to);
            if self.offset(probe) != offset {
                return Some(bisect(same, probe, |at| self.offset(at) == offset));
            }
            same = probe;
        }
        None
    }

    /// The last instant in (`to`, `from`] at which the offset became that of `from`.
    fn change_before(self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = self.offset(from);
        let mut same = from;
        while same > to {
            let probe = (same - DAY).max(to);
            if self.offset(probe) != offset {
                return Some(bisect(probe, same, |at| self.offset(at) != offset));
            }
            same = probe;
        }
        None
    }
}

/// The first whole second after `low` at which `is_low` no longer holds; it holds at `low` and not at `high`.
fn bisect(
    mut low: DateTime<Utc>,
    mut high: DateTime<Utc>,
    is_low: impl Fn(DateTime<Utc>) -> bool,
) -> DateTime<Utc> {
    while high - low > SECOND {
        let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
        if is_low(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}
