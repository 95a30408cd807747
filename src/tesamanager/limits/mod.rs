//! How much we ask of the upstream: reads and writes a second and org, reads at once.
//!
//! The rate is the org's, wherever it is kept ([`Rates`]): this process reserves a fraction of a second of it for the
//! calls that wait, hands it to them call by call ([`queue`]), and reserves again. A read takes one of the process's
//! slots first ([`slots`]), so nothing is reserved for which there is no slot; while the rate says *not yet*, it gives the
//! slot back, so a throttled org can't keep the slots from another.

mod local;
mod queue;
mod slots;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

pub use self::local::LocalRates;
use self::queue::{LOOK_AGAIN, Queue, Turn};
use self::slots::Slots;
pub use self::slots::{LARGEST, Slot};
use super::retry::PATIENCE;
use crate::domain::ids::Org;
use crate::domain::rate::{Ask, Grant, Haste, LONGEST_HOLD_BACK, RateKind};
use crate::telemetry::record;

/// Where the orgs' rates are kept: in the store for a daemon, so that all replicas share them; in the process for those
/// who write nothing anywhere.
#[async_trait]
pub trait Rates: Send + Sync + 'static {
    /// Reserves some of an org's rate, or says when asking is worth it. An error says why neither can be told.
    async fn reserve(&self, org: &Org, kind: RateKind, ask: Ask) -> Result<Grant, String>;

    /// The upstream asked for patience: nothing more for this org for so long. A failure is logged where it happens; this
    /// process heeds the pause all the same.
    async fn hold_back(&self, org: &Org, pause: Duration);
}

/// Why a call was not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLeave {
    /// Longer than a call waits.
    #[error("the upstream asked for patience (Retry-After), for another {} s", .0.as_secs())]
    HeldBack(Duration),
    /// Whoever keeps the rates does not answer.
    #[error("the org's rate could not be reserved: {0}")]
    Unknown(String),
}

/// All limits of one client.
pub struct Limits {
    rates: Arc<dyn Rates>,
    reads: Pace,
    writes: Pace,
    slots: Slots,
    queues: Mutex<HashMap<(Org, RateKind, Haste), Arc<Queue>>>,
}

/// How far apart calls are, and how many are reserved together.
#[derive(Debug, Clone, Copy)]
struct Pace {
    interval: Duration,
    quarter_second: u32,
}

impl Pace {
    fn new(per_second: NonZeroU32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.get(),
            quarter_second: (per_second.get() / 4).max(1),
        }
    }
}

impl Limits {
    /// Rates are a second and org, for all replicas together. Without `max_in_flight`, as many reads at once as the rate
    /// of so many orgs needs.
    pub fn new(
        rates: Arc<dyn Rates>,
        reads_per_second: u32,
        writes_per_second: u32,
        max_in_flight: Option<usize>,
        orgs: usize,
    ) -> Self {
        let at_least_one = |rate| NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
        let reads_per_second = at_least_one(reads_per_second);
        Self {
            rates,
            reads: Pace::new(reads_per_second),
            writes: Pace::new(at_least_one(writes_per_second)),
            slots: Slots::new(max_in_flight, reads_per_second, orgs),
            queues: Mutex::default(),
        }
    }

    /// Waits for a slot and for the org's read rate. Cancel safe: what was reserved and not used is lost within a second.
    pub async fn admit_read(&self, org: &Org, haste: Haste) -> Result<Slot, NoLeave> {
        let queue = self.queue(org, RateKind::Reads, haste);
        let began = Instant::now();
        let mut slot = self.slots.take().await;
        let mut throttled = Duration::ZERO;
        loop {
            match queue.next(&*self.rates, self.reads).await? {
                Turn::At(at) => {
                    throttled += until(at).await;
                    break;
                }
                Turn::NotBefore(at) => {
                    drop(slot);
                    throttled += until(patient(at)?).await;
                    slot = self.slots.take().await;
                }
            }
        }
        report(throttled, began);
        slot.begin();
        Ok(slot)
    }

    /// Waits for the org's write rate. Cancel safe.
    pub async fn admit_write(&self, org: &Org, haste: Haste) -> Result<(), NoLeave> {
        let queue = self.queue(org, RateKind::Writes, haste);
        let began = Instant::now();
        let mut throttled = Duration::ZERO;
        loop {
            match queue.next(&*self.rates, self.writes).await? {
                Turn::At(at) => {
                    throttled += until(at).await;
                    break;
                }
                Turn::NotBefore(at) => {
                    throttled += until(patient(at)?).await;
                }
            }
        }
        report(throttled, began);
        Ok(())
    }

    /// Lets nothing more out for `org` until `pause` is over, here at once and everywhere else with the next
    /// reservation. An hour at most.
    pub async fn hold_back(&self, org: &Org, pause: Duration) {
        let pause = pause.min(LONGEST_HOLD_BACK);
        let queues: Vec<_> = self
            .lock()
            .iter()
            .filter(|((of, _, _), _)| of == org)
            .map(|(_, queue)| Arc::clone(queue))
            .collect();
        for queue in queues {
            queue.hold_back(Instant::now() + pause).await;
        }
        self.rates.hold_back(org, pause).await;
    }

    fn queue(&self, org: &Org, kind: RateKind, haste: Haste) -> Arc<Queue> {
        let mut queues = self.lock();
        let queue = queues
            .entry((org.clone(), kind, haste))
            .or_insert_with(|| Arc::new(Queue::new(org.clone(), kind, haste)));
        Arc::clone(queue)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Org, RateKind, Haste), Arc<Queue>>> {
        // Whole between any two operations, so a panic elsewhere leaves it usable.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits")
            .field("reads", &self.reads)
            .field("writes", &self.writes)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

/// When to ask again. A pause longer than a call waits is its caller's to know.
fn patient(at: Instant) -> Result<Instant, NoLeave> {
    let now = Instant::now();
    let wait = at.saturating_duration_since(now);
    if wait > PATIENCE {
        return Err(NoLeave::HeldBack(wait));
    }
    Ok(at.min(now + LOOK_AGAIN))
}

async fn until(at: Instant) -> Duration {
    let wait = at.saturating_duration_since(Instant::now());
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    wait
}

/// Where the rate made nobody wait, what the store took to say so is no throttling either.
fn report(throttled: Duration, began: Instant) {
    if !throttled.is_zero() {
        record::upstream_throttled(throttled.min(began.elapsed()));
    }
}

#[cfg(test)]
mod tests;
