//! The only reader of the wall clock and of randomness.
//!
//! Everything else gets a [`Clock`] (or an instant) handed in, so that a test can live through a week in a
//! second, and so that every decision can be repeated from its inputs. `clippy.toml` forbids the direct ways.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

/// Tells the time and rolls the dice.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now, in UTC, cut to microseconds: what both databases can keep, so that an instant read back is equal.
    fn now(&self) -> DateTime<Utc>;

    /// How long the machine has been up. Never jumps, and runs on while the machine or this process is suspended.
    fn uptime(&self) -> Duration;

    /// Sixty-four random bits.
    fn random(&self) -> u64;

    /// A random identifier (correlation ids, replica ids).
    fn uuid(&self) -> Uuid {
        Uuid::from_u64_pair(self.random(), self.random())
    }
}

/// A clock that is handed around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock and random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }

    fn uptime(&self) -> Duration {
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // Negative only before the machine was switched on.
        Duration::try_from(up).unwrap_or_default()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads randomness"
    )]
    fn random(&self) -> u64 {
        rand::random()
    }
}

/// A clock that moves only when told to, with a repeatable random sequence.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<DateTime<Utc>>,
    up: Mutex<Duration>,
    seed: Mutex<u64>,
}

impl ManualClock {
    /// Stands at `now`; `seed` decides the random sequence.
    pub fn new(now: DateTime<Utc>, seed: u64) -> Self {
        Self {
            now: Mutex::new(now.trunc_subsecs(6)),
            up: Mutex::default(),
            seed: Mutex::new(seed),
        }
    }

    /// Moves on by `by`.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now += by;
        *self.up.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// Jumps, back too, as real clocks do.
    pub fn set(&self, to: DateTime<Utc>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = to.trunc_subsecs(6);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn uptime(&self) -> Duration {
        *self.up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // SplitMix64: a counter and a mixer, so one number of state is enough and the sequence is the same anywhere.
    fn random(&self) -> u64 {
        let mut seed = self.seed.lock().unwrap_or_else(PoisonError::into_inner);
        *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let start = DateTime::UNIX_EPOCH;
        let clock = ManualClock::new(start, 7);
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_secs(90));
        assert_eq!((clock.now() - start).num_seconds(), 90);
        let up = clock.uptime();
        clock.set(start);
        assert_eq!(
            (clock.now(), clock.uptime()),
            (start, up),
            "only the wall clock jumps"
        );
    }

    #[test]
    fn a_manual_clock_repeats_its_randomness() {
        let roll = |seed| {
            let clock = ManualClock::new(DateTime::UNIX_EPOCH, seed);
            (clock.uuid(), clock.random())
        };
        assert_eq!(roll(7), roll(7));
        assert_ne!(roll(7), roll(8));
    }
}
