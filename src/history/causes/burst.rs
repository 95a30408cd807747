//! Whether many stopped at once: the hour in which a cause began, held against the same hour of the four weeks before.
//!
//! The hour of the day matters, because work comes in by day and batches by night. Twenty-eight hours are few, so the 99th
//! percentile is the most that any of them had.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::AT_LEAST;
use crate::history::report::percentile;

/// Days that are looked back upon.
const DAYS: i64 = 28;

/// The hour of an instant, counted from 1970.
pub(super) fn hour(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(3_600)
}

/// How many standstills began in each hour, over at least four weeks: those that are over among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beginnings(BTreeMap<i64, u32>);

impl Beginnings {
    /// How far back they should reach.
    pub const REACH: chrono::TimeDelta = chrono::TimeDelta::days(DAYS);

    /// One more began then.
    pub fn add(&mut self, at: DateTime<Utc>) {
        *self.0.entry(hour(at)).or_default() += 1;
    }

    /// More than usual in the hour of `began`. `own` are the beginnings of those that have the cause: a few don't make
    /// a burst, however quiet that hour is else.
    pub(super) fn is_burst(
        &self,
        began: DateTime<Utc>,
        own: impl IntoIterator<Item = DateTime<Utc>>,
    ) -> bool {
        let then = hour(began);
        let own = own.into_iter().filter(|at| hour(*at) == then).count() as u64;
        let usual = (1..=DAYS).map(|day| i64::from(self.in_hour(then - 24 * day)));
        let most = percentile(usual.collect(), 99).unwrap_or_default();
        let now = self
            .in_hour(then)
            .max(u32::try_from(own).unwrap_or(u32::MAX));
        own >= AT_LEAST && i64::from(now) > most
    }

    fn in_hour(&self, hour: i64) -> u32 {
        self.0.get(&hour).copied().unwrap_or_default()
    }
}
