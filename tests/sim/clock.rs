//! Time in the simulation: the runtime's own, which jumps to the next instant at which anything happens.
//!
//! Everybody has a clock of his own over it: the world's is true, the store's and each process's may be wrong, and
//! be set while they run. Only wall clocks are ever wrong; the time a machine has been up is right everywhere.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tesa_reconciler::clock::Clock;
use tokio::time::Instant;

use crate::dice::mix;

/// When every simulation begins.
pub fn beginning() -> DateTime<Utc> {
    // A Thursday; no zone changes its time near it.
    DateTime::from_timestamp(1_768_478_400, 0).unwrap()
}

/// Lives through this on a runtime of its own, whose time is made up.
pub fn in_made_up_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

#[derive(Debug)]
pub struct SimClock {
    began: Instant,
    /// Microseconds that it is ahead of the truth.
    ahead: AtomicI64,
    random: AtomicU64,
}

impl SimClock {
    /// A clock that is right. `began` is when the simulation did.
    pub fn new(began: Instant, seed: u64) -> Self {
        Self {
            began,
            ahead: AtomicI64::new(0),
            random: AtomicU64::new(mix(seed)),
        }
    }

    /// Sets it so far ahead of the truth; below zero, behind it.
    pub fn set_ahead(&self, by: TimeDelta) {
        let by = by.num_microseconds().unwrap_or_default();
        self.ahead.store(by, Ordering::Relaxed);
    }

    /// The dice of another life.
    pub fn reseed(&self, seed: u64) {
        self.random.store(seed, Ordering::Relaxed);
    }

    /// How long the simulation has lasted.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Clock for SimClock {
    fn now(&self) -> DateTime<Utc> {
        let ahead = TimeDelta::microseconds(self.ahead.load(Ordering::Relaxed));
        (beginning() + self.elapsed() + ahead).trunc_subsecs(6)
    }

    fn uptime(&self) -> Duration {
        self.elapsed()
    }

    fn random(&self) -> u64 {
        let next = self
            .random
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        mix(next)
    }
}
