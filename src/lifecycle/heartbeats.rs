//! Which loops still come around. `/livez`, the watchdog and a metric ask here, and nobody asks the store or the
//! upstream: a process that can't reach them is alive, and restarting it would help nobody.
//!
//! Measured on the monotonic clock, so that a wall clock that is set kills nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The loops and their last beats. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Heartbeats {
    loops: Arc<Mutex<BTreeMap<&'static str, Pulse>>>,
}

#[derive(Debug)]
struct Pulse {
    max_age: Duration,
    last: Instant,
}

impl Heartbeats {
    /// From now on `name` is to beat at least every `max_age`. The registration counts as its first beat. Naming a
    /// loop again replaces it.
    pub fn register(&self, name: &'static str, max_age: Duration) {
        let last = Instant::now();
        self.lock().insert(name, Pulse { max_age, last });
    }

    /// `name` has come around. Says nothing about a loop that isn't registered.
    pub fn beat(&self, name: &'static str) {
        if let Some(pulse) = self.lock().get_mut(name) {
            pulse.last = Instant::now();
        }
    }

    /// `name` has ended in good order and is no longer expected to beat. A loop that ends otherwise (a panic) must not
    /// say so, and is then missed.
    pub fn retire(&self, name: &'static str) {
        self.lock().remove(name);
    }

    /// The loops that haven't beaten within their age, by name.
    pub fn stale(&self, now: Instant) -> Vec<&'static str> {
        let loops = self.lock();
        let stale = loops
            .iter()
            .filter(|(_, pulse)| now.saturating_duration_since(pulse.last) > pulse.max_age);
        stale.map(|(&name, _)| name).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Pulse>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_loop_is_stale_once_it_is_older_than_its_own_age() {
        let heartbeats = Heartbeats::default();
        heartbeats.register("quick", 10 * SECOND);
        heartbeats.register("slow", 60 * SECOND);
        let begin = Instant::now();
        for (after, beaten, stale) in [
            (10, false, vec![]),
            (11, false, vec!["quick"]),
            (12, true, vec![]),
            (22, false, vec![]),
            (61, false, vec!["quick", "slow"]),
        ] {
            tokio::time::sleep_until(begin + after * SECOND).await;
            if beaten {
                heartbeats.beat("quick");
            }
            assert_eq!(heartbeats.stale(Instant::now()), stale, "after {after} s");
        }
        heartbeats.retire("quick");
        heartbeats.beat("quick");
        assert_eq!(heartbeats.stale(Instant::now()), ["slow"]);
    }
}
