//! How far the upstream's clock and ours are apart, as the `Date` headers of its answers tell.
//!
//! Two things are asked of it. What the distance is *now* is for people (`doctor`). How far the clocks *have been*
//! apart is for the reconciler, which compares instants of the past with stamps that the upstream made then: a clock
//! that was wrong this morning has left wrong stamps, even if it is right by now. So the worst of a day or two is kept.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderValue;

/// What was measured longer ago than this (and less than twice this) is forgotten.
const WINDOW: TimeDelta = TimeDelta::days(1);

/// What stands between two instants even where the clocks agree: the second that a `Date` header is cut to, an answer
/// on its way.
const IN_BETWEEN: Duration = Duration::from_secs(60);

/// How far apart the clocks are taken to be while no answer has told: more than machines that tell the time at all.
const UNMEASURED: Duration = Duration::from_secs(3_600);

/// Clocks further apart than this are not measured any more: arithmetic on instants stays far from its limits.
const FURTHEST: TimeDelta = TimeDelta::days(366);

/// What the answers so far have told.
#[derive(Debug, Default)]
pub struct Skew {
    /// The last header read: within one second there is nothing to be learned from another one.
    header: Option<HeaderValue>,
    latest: Option<TimeDelta>,
    window: Option<Window>,
    /// The worst of the window before.
    before: Duration,
}

#[derive(Debug)]
struct Window {
    began: DateTime<Utc>,
    worst: Duration,
}

impl Skew {
    /// An answer with this `Date` came in at `now`. One that can't be read tells nothing.
    pub fn note(&mut self, header: &HeaderValue, now: DateTime<Utc>) {
        if self.header.as_ref() == Some(header) {
            return;
        }
        let date = header.to_str().ok().map(DateTime::parse_from_rfc2822);
        let Some(Ok(theirs)) = date else {
            return;
        };
        self.header = Some(header.clone());
        let ahead = theirs.to_utc() - now;
        self.measured(ahead.clamp(-FURTHEST, FURTHEST), now);
    }

    fn measured(&mut self, skew: TimeDelta, now: DateTime<Utc>) {
        self.latest = Some(skew);
        let apart = skew.abs().to_std().unwrap_or_default();
        match &mut self.window {
            Some(window) if now - window.began < WINDOW => window.worst = window.worst.max(apart),
            window => {
                let last = window.replace(Window {
                    began: now,
                    worst: apart,
                });
                self.before = last.map(|last| last.worst).unwrap_or_default();
            }
        }
    }

    /// How far the upstream's clock was ahead of ours at its last answer.
    pub fn latest(&self) -> Option<TimeDelta> {
        self.latest
    }

    /// How much later than now the upstream may have stamped what it did, by its clock.
    pub fn margin(&self) -> Duration {
        self.worst().unwrap_or(UNMEASURED) + IN_BETWEEN
    }

    /// The largest distance of the last day at least, ahead or behind. None until an answer told.
    pub fn worst(&self) -> Option<Duration> {
        let window = self.window.as_ref()?;
        Some(window.worst.max(self.before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        "2026-01-15T12:00:00Z".parse().unwrap()
    }

    fn header(at: DateTime<Utc>) -> HeaderValue {
        let text = at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        HeaderValue::from_str(&text).unwrap()
    }

    #[test]
    fn a_clock_that_was_wrong_is_remembered_for_a_day_or_two() {
        let minute = TimeDelta::minutes(1);
        // (hours since noon, minutes that the upstream is ahead, the worst by then in minutes)
        let answers = [
            (0, 0, 0),
            (1, -5, 5),
            (2, 0, 5),
            (23, 1, 5),
            (24, 0, 5),
            (40, 2, 5),
            (48, 0, 2),
            (72, 0, 0),
        ];
        let mut skew = Skew::default();
        assert_eq!((skew.latest(), skew.worst()), (None, None));
        for (hours, ahead, worst) in answers {
            let now = noon() + TimeDelta::hours(hours);
            skew.note(&header(now + minute * ahead), now);
            assert_eq!(skew.latest(), Some(minute * ahead), "after {hours} h");
            let expected = Duration::from_secs(60 * worst);
            assert_eq!(skew.worst(), Some(expected), "after {hours} h");
        }
    }

    #[test]
    fn what_is_no_date_tells_nothing() {
        let mut skew = Skew::default();
        for text in ["", "soon", "2026-01-15"] {
            skew.note(&HeaderValue::from_static(text), noon());
        }
        assert_eq!(skew.worst(), None);
    }

    #[test]
    fn the_same_second_is_measured_once_where_it_is_most_exact() {
        let mut skew = Skew::default();
        let said = header(noon());
        skew.note(&said, noon());
        skew.note(&said, noon() + TimeDelta::milliseconds(990));
        assert_eq!(skew.worst(), Some(Duration::ZERO));
    }
}
