//! Working time: the part of a stretch that lies in working days, by a place's own days.
//!
//! A working day counts whole, from midnight to midnight where the contract is kept: what a contract calls "ten working days"
//! is ten of them. Stretches that touch add up exactly, whatever the clocks do in spring and autumn.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};

use crate::zone::Zone;

/// Gaps and doubled hours of a zone end within so much.
const AFTER_A_GAP: TimeDelta = TimeDelta::hours(3);

/// Which days count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkingTime {
    /// Where.
    pub zone: Zone,
    /// From Monday on.
    pub week: [bool; 7],
    /// Days of the week that don't count all the same.
    pub holidays: BTreeSet<NaiveDate>,
}

impl Default for WorkingTime {
    fn default() -> Self {
        Self {
            zone: Zone::UTC,
            week: [true, true, true, true, true, false, false],
            holidays: BTreeSet::new(),
        }
    }
}

impl WorkingTime {
    /// The working time from one instant to another; none if they come the other way round.
    pub fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> TimeDelta {
        let mut worked = TimeDelta::zero();
        let mut at = from;
        let mut day = from.with_timezone(&self.zone).date_naive();
        while at < to {
            let Some(tomorrow) = day.checked_add_days(Days::new(1)) else {
                break;
            };
            let end = self.midnight(tomorrow).clamp(at, to);
            if self.counts(day) {
                worked += end - at;
            }
            (at, day) = (end, tomorrow);
        }
        worked
    }

    /// A day on which work is done.
    pub fn counts(&self, day: NaiveDate) -> bool {
        let weekday = day.weekday().num_days_from_monday() as usize;
        self.week.get(weekday).copied().unwrap_or(false) && !self.holidays.contains(&day)
    }

    /// The instant at which a day begins. Where clocks are put forward at midnight, it is the first after that.
    fn midnight(&self, day: NaiveDate) -> DateTime<Utc> {
        let local = day.and_time(NaiveTime::MIN);
        let begins = self.zone.from_local_datetime(&local).earliest();
        let begins = begins.or_else(|| {
            let later = self.zone.from_local_datetime(&(local + AFTER_A_GAP));
            later.earliest()
        });
        begins.map_or_else(|| local.and_utc(), |begins| begins.to_utc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn madrid() -> WorkingTime {
        WorkingTime {
            zone: Zone::named("Europe/Madrid").unwrap(),
            holidays: BTreeSet::from(["2026-01-06".parse().unwrap()]),
            ..WorkingTime::default()
        }
    }

    #[test]
    fn weekends_and_holidays_do_not_count() {
        let work = madrid();
        // From Friday noon to Monday noon, local time: half of each.
        let weekend = work.between(at("2026-01-09T11:00:00Z"), at("2026-01-12T11:00:00Z"));
        assert_eq!(weekend, TimeDelta::hours(24));
        // The sixth is a Tuesday, and a holiday.
        let week = work.between(at("2026-01-04T23:00:00Z"), at("2026-01-08T23:00:00Z"));
        assert_eq!(week, TimeDelta::days(3));
        let backwards = work.between(at("2026-01-08T00:00:00Z"), at("2026-01-05T00:00:00Z"));
        assert_eq!(backwards, TimeDelta::zero());
    }

    #[test]
    fn a_day_counts_as_long_as_it_is() {
        let all = WorkingTime {
            week: [true; 7],
            ..madrid()
        };
        // The clocks are put forward on 29 March 2026 and back on 25 October.
        let (spring, autumn) = (at("2026-03-28T23:00:00Z"), at("2026-10-24T22:00:00Z"));
        assert_eq!(
            all.between(spring, spring + TimeDelta::hours(23)),
            TimeDelta::hours(23)
        );
        let weekdays = madrid();
        let (from, to) = (autumn - TimeDelta::days(2), autumn + TimeDelta::hours(26));
        assert_eq!(weekdays.between(from, to), TimeDelta::hours(25));
    }

    proptest::proptest! {
        #[test]
        fn stretches_that_touch_add_up(seconds in proptest::collection::vec(0..3_000_000_i64, 3)) {
            let mut instants: Vec<_> = seconds
                .iter()
                .map(|second| at("2026-03-20T00:00:00Z") + TimeDelta::seconds(*second))
                .collect();
            instants.sort();
            let work = madrid();
            let parts = work.between(instants[0], instants[1]) + work.between(instants[1], instants[2]);
            proptest::prop_assert_eq!(parts, work.between(instants[0], instants[2]));
        }
    }
}
