//! How much we ask of the upstream: reads and writes per second and org, reads at once.
//!
//! A read takes a slot first and its place in the rate second, and gives the slot back while it waits for the
//! rate: so an org that is throttled can't keep the slots from another one, and a call that is let through by the
//! rate leaves at once. After a 429 the whole org pauses, not only the call that got it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::domain::ids::Org;
use crate::telemetry::record;

/// One of the reads that may be in flight; given back on drop.
#[derive(Debug)]
pub struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
}

/// All limits of one client.
#[derive(Debug)]
pub struct Limits {
    reads: Lane,
    writes: Lane,
    slots: Arc<Semaphore>,
    replicas: AtomicU32,
    paused_until: Mutex<HashMap<Org, Instant>>,
}

impl Limits {
    /// Rates are per second and org, for all replicas together; until told otherwise, we are alone.
    pub fn new(reads_per_second: u32, writes_per_second: u32, max_in_flight: usize) -> Self {
        Self {
            reads: Lane::new(reads_per_second),
            writes: Lane::new(writes_per_second),
            slots: Arc::new(Semaphore::new(
                max_in_flight.clamp(1, Semaphore::MAX_PERMITS),
            )),
            replicas: AtomicU32::new(1),
            paused_until: Mutex::default(),
        }
    }

    /// Takes this replica's share of the rates: the `replicas`th part. Whoever waits goes on under the new rate.
    pub fn set_share(&self, replicas: u32) {
        let replicas = replicas.max(1);
        // Building a limiter anew forgets what was used, so only a real change may do it.
        if self.replicas.swap(replicas, Ordering::SeqCst) != replicas {
            self.reads.set_share(replicas);
            self.writes.set_share(replicas);
        }
    }

    /// Waits for a slot and for the org's read rate. Cancel safe.
    pub async fn admit_read(&self, org: &Org) -> Slot {
        let mut throttled = Duration::ZERO;
        let slot = loop {
            // Nobody closes the semaphore; if someone did, an unbounded read would do no harm.
            let permit = Arc::clone(&self.slots).acquire_owned().await.ok();
            let Some(wait) = self.wait(&self.reads, org) else {
                break Slot { _permit: permit };
            };
            drop(permit);
            tokio::time::sleep(wait).await;
            throttled += wait;
        };
        report(throttled);
        slot
    }

    /// Waits for the org's write rate. Cancel safe.
    pub async fn admit_write(&self, org: &Org) {
        let mut throttled = Duration::ZERO;
        while let Some(wait) = self.wait(&self.writes, org) {
            tokio::time::sleep(wait).await;
            throttled += wait;
        }
        report(throttled);
    }

    /// Lets nothing more out for `org` until `duration` is over.
    pub fn pause(&self, org: &Org, duration: Duration) {
        let until = Instant::now() + duration;
        let mut paused = self.lock_paused();
        paused
            .entry(org.clone())
            .and_modify(|at| *at = until.max(*at))
            .or_insert(until);
    }

    /// None: go, and it is counted. Otherwise: how long to wait before asking again.
    fn wait(&self, lane: &Lane, org: &Org) -> Option<Duration> {
        self.pause_left(org).or_else(|| lane.wait(org))
    }

    fn pause_left(&self, org: &Org) -> Option<Duration> {
        let mut paused = self.lock_paused();
        let left = paused.get(org)?.checked_duration_since(Instant::now());
        let left = left.filter(|left| !left.is_zero());
        if left.is_none() {
            paused.remove(org);
        }
        left
    }

    fn lock_paused(&self) -> std::sync::MutexGuard<'_, HashMap<Org, Instant>> {
        self.paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(throttled: Duration) {
    if !throttled.is_zero() {
        record::upstream_throttled(throttled);
    }
}

#[derive(Debug)]
struct Lane {
    per_second: u32,
    limiter: RwLock<Arc<DefaultKeyedRateLimiter<Org>>>,
    clock: DefaultClock,
}

impl Lane {
    fn new(per_second: u32) -> Self {
        Self {
            per_second,
            limiter: RwLock::new(Arc::new(RateLimiter::keyed(quota(per_second, 1)))),
            clock: DefaultClock::default(),
        }
    }

    fn set_share(&self, replicas: u32) {
        let limiter = Arc::new(RateLimiter::keyed(quota(self.per_second, replicas)));
        *self.limiter.write().unwrap_or_else(PoisonError::into_inner) = limiter;
    }

    fn wait(&self, org: &Org) -> Option<Duration> {
        let limiter = Arc::clone(&self.limiter.read().unwrap_or_else(PoisonError::into_inner));
        let refused = limiter.check_key(org).err()?;
        // Never zero, so that a waiter always yields.
        let wait = refused.wait_time_from(self.clock.now());
        Some(wait.max(Duration::from_millis(1)))
    }
}

/// The `replicas`th part of a rate. A share below one a second is a longer period, never nothing; the burst is a
/// tenth of a second's worth, so that no second sees much more than its rate.
fn quota(per_second: u32, replicas: u32) -> Quota {
    let share = f64::from(per_second.max(1)) / f64::from(replicas.max(1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a tenth of a u32 is a u32"
    )]
    let burst = NonZeroU32::new((share / 10.0) as u32).unwrap_or(NonZeroU32::MIN);
    let period = Duration::from_secs_f64(1.0 / share).max(Duration::from_nanos(1));
    Quota::with_period(period)
        .unwrap_or(Quota::per_second(NonZeroU32::MIN))
        .allow_burst(burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_divide_the_rate_down_to_a_trickle() {
        for (per_second, replicas, period_ms, burst) in [
            (50, 1, 20, 5),
            (50, 2, 40, 2),
            (2, 1, 500, 1),
            (2, 3, 1500, 1),
            (0, 1, 1000, 1),
            (2, 0, 500, 1),
        ] {
            let quota = quota(per_second, replicas);
            assert_eq!(
                (
                    quota.replenish_interval().as_millis(),
                    quota.burst_size().get()
                ),
                (period_ms, burst),
                "{per_second} / {replicas}"
            );
        }
    }

    #[tokio::test]
    async fn the_rate_holds_and_is_each_orgs_own() {
        let limits = Limits::new(100, 1, 4);
        let (one, other) = (Org::from("one"), Org::from("other"));
        let start = Instant::now();
        for _ in 0..20 {
            limits.admit_read(&one).await;
        }
        // Ten leave at once, the other ten every 10 ms.
        assert!(
            start.elapsed() >= Duration::from_millis(95),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(limits.wait(&limits.reads, &other), None);
    }

    #[tokio::test]
    async fn a_throttled_org_does_not_hold_the_slots_of_another() {
        let limits = Arc::new(Limits::new(1000, 1, 1));
        let (slow, quick) = (Org::from("slow"), Org::from("quick"));
        limits.pause(&slow, Duration::from_secs(3600));
        let waiter = tokio::spawn({
            let (limits, slow) = (Arc::clone(&limits), slow.clone());
            async move { limits.admit_read(&slow).await }
        });
        for _ in 0..50 {
            limits.admit_read(&quick).await;
            tokio::task::yield_now().await;
        }
        assert!(!waiter.is_finished());
        waiter.abort();
    }

    #[tokio::test]
    async fn a_new_share_takes_effect_once_and_an_unchanged_one_forgets_nothing() {
        let limits = Limits::new(10, 1, 4);
        let org = Org::from("one");
        limits.set_share(1);
        assert_eq!(limits.wait(&limits.reads, &org), None);
        limits.set_share(1);
        assert!(limits.wait(&limits.reads, &org).is_some());
        limits.set_share(10);
        assert_eq!(limits.wait(&limits.reads, &org), None);
        let wait = limits.wait(&limits.reads, &org);
        assert!(wait > Some(Duration::from_millis(500)), "{wait:?}");
    }

    #[tokio::test]
    async fn a_pause_ends_and_the_longer_one_wins() {
        let limits = Limits::new(10, 1, 4);
        let org = Org::from("one");
        limits.pause(&org, Duration::from_millis(90));
        limits.pause(&org, Duration::from_millis(20));
        let start = Instant::now();
        limits.admit_write(&org).await;
        assert!(start.elapsed() >= Duration::from_millis(90));
        assert!(limits.lock_paused().is_empty());
    }
}
