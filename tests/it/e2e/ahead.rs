//! The upstream's own clock: ours, and so far ahead of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::clock::{Clock, ManualClock};

#[derive(Debug)]
pub struct Ahead {
    clock: Arc<ManualClock>,
    by: Mutex<TimeDelta>,
}

impl Ahead {
    /// Agrees with `clock` until told otherwise.
    pub fn of(clock: Arc<ManualClock>) -> Self {
        Self {
            clock,
            by: Mutex::default(),
        }
    }

    /// Negative: behind.
    pub fn set_minutes(&self, minutes: i64) {
        *self.by.lock().unwrap() = TimeDelta::minutes(minutes);
    }
}

impl Clock for Ahead {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now() + *self.by.lock().unwrap()
    }

    fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    fn random(&self) -> u64 {
        self.clock.random()
    }
}
