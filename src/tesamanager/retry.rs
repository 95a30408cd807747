//! When a read is asked again, and when not any more.
//!
//! Retries help against a hiccup and harm against an outage, so there is a budget over all calls: one retry for
//! ten calls, and a few for the start. Writes never come here.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::ExponentialBuilder;
use chrono::{DateTime, Utc};

/// A `Retry-After` up to here is waited for within the call; beyond it the caller decides.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A `Retry-After` beyond this is taken for this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Shares of a retry that a call brings in.
const PER_CALL: u32 = 1;
/// Shares that a retry costs: ten calls' worth.
const PER_RETRY: u32 = 10;
/// At most ten retries are ever saved up; that many are there at the start.
const FULL: u32 = 100;

/// The pauses before the second and the third try, as upper bounds for [`full_jitter`].
pub fn ceilings() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_factor(4.0)
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(2)
}

/// Anything between nothing and `ceiling`: spreads callers that failed together.
pub fn full_jitter(ceiling: Duration, random: u64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "a die needs no 64 bits")]
    let fraction = random as f64 / u64::MAX as f64;
    ceiling.mul_f64(fraction.clamp(0.0, 1.0))
}

/// `Retry-After`: seconds, or an HTTP date. Capped; None if it can't be read.
pub fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    let wait = match header.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = DateTime::parse_from_rfc2822(header).ok()?.to_utc();
            (at - now).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// The token bucket over all reads.
#[derive(Debug)]
pub struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(FULL))
    }
}

impl Budget {
    /// A call begins.
    pub fn deposit(&self) {
        let add = |shares: u32| Some((shares + PER_CALL).min(FULL));
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// May one retry be made?
    pub fn withdraw(&self) -> bool {
        let take = |shares: u32| shares.checked_sub(PER_RETRY);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_tenth_of_the_calls_and_a_few_more() {
        let budget = Budget::default();
        let mut retries = 0;
        for _ in 0..1000 {
            budget.deposit();
            while budget.withdraw() {
                retries += 1;
            }
        }
        assert_eq!(retries, 100 + 9);
    }

    #[test]
    fn a_quiet_time_saves_no_more_than_the_floor() {
        let budget = Budget::default();
        (0..10_000).for_each(|_| budget.deposit());
        assert_eq!((0..1000).filter(|_| budget.withdraw()).count(), 10);
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_capped() {
        let now = DateTime::from_timestamp(784_111_777, 0).unwrap();
        for (header, expected) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("999999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", Some(20)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:49:37 GMT", Some(3600)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(
                retry_after(header, now),
                expected.map(Duration::from_secs),
                "{header:?}"
            );
        }
    }

    #[test]
    fn jitter_covers_the_whole_span() {
        let ceiling = Duration::from_secs(4);
        for (random, expected) in [(0, 0), (u64::MAX, 4000), (u64::MAX / 2, 2000)] {
            assert_eq!(full_jitter(ceiling, random).as_millis(), expected);
        }
    }
}
