//! When many are sick at once, the fault is elsewhere: act on none. Pure.
//!
//! A person's release lets go what was due when they looked: from then on only what became due *after* the last
//! release is counted. So the released ones go, at the capped rate and over as many runs as that takes, without
//! latching again; and the next wave latches like the first. Of what is released, nothing is ever forgotten by a
//! clock: a request that changes meanwhile becomes due anew, and counts again.

use chrono::{DateTime, Utc};

/// Whether a request that wants a write counts towards the hold. `due_since` is when it began to want it, as far as
/// the upstream's dates tell; one that nobody can date counts, because nobody can say that it was let go.
pub fn counts(due_since: Option<DateTime<Utc>>, last_release: Option<DateTime<Utc>>) -> bool {
    match (due_since, last_release) {
        (Some(due), Some(released)) => due > released,
        _ => true,
    }
}

/// When the guard holds a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HoldLimits {
    /// More requests than this …
    pub count: u32,
    /// … and more than this share of the org's open ones.
    pub fraction: f64,
}

impl HoldLimits {
    /// So few can't be a correlated failure, whatever their share; the open ones need not be counted.
    pub fn count_is_harmless(&self, wanted: u64) -> bool {
        wanted <= u64::from(self.count)
    }

    /// Both limits are exceeded: nothing may be sent.
    pub fn holds(&self, wanted: u64, open: u64) -> bool {
        // As a product, so that an org without open requests (they were counted an instant later) holds too.
        !self.count_is_harmless(wanted) && wanted as f64 > self.fraction * open as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_lets_go_what_was_due_by_then_and_nothing_else() {
        let minute = |minute: i64| Some(DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(minute));
        let cases = [
            (minute(1), None, true),
            (None, None, true),
            (minute(1), minute(2), false),
            (minute(2), minute(2), false),
            (minute(3), minute(2), true),
            (None, minute(2), true),
        ];
        for (due, released, expected) in cases {
            assert_eq!(counts(due, released), expected, "{due:?}, {released:?}");
        }
    }

    #[test]
    fn both_count_and_share_must_be_exceeded() {
        let limits = HoldLimits {
            count: 200,
            fraction: 0.1,
        };
        let cases = [
            (0, 0, false),
            (200, 200, false),
            (201, 200, true),
            (201, 2_010, false),
            (201, 2_009, true),
            (300, 10_000, false),
            (5_000, 10_000, true),
            (201, 0, true),
        ];
        for (wanted, open, expected) in cases {
            assert_eq!(limits.holds(wanted, open), expected, "{wanted} of {open}");
        }
    }
}
