//! How many reads are in flight at once.
//!
//! As configured; or, where nothing is, what the rate needs at the latency that is measured, so that one process reaches
//! the whole rate of its orgs whether an answer takes a millisecond or a second.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Fewer are never needed: a latency that isn't known yet may be long.
const SMALLEST: usize = 16;

/// More at once than this are a load of their own for the upstream.
pub const LARGEST: usize = 128;

/// A share may lie so far ahead while its call already has its slot (see [`Haste::horizon`]).
///
/// [`Haste::horizon`]: crate::domain::rate::Haste::horizon
const WAITS: f64 = 0.25;

/// The weight of one answer in the measured latency.
const WEIGHT: f64 = 0.05;

#[derive(Debug)]
pub(super) struct Slots {
    places: Arc<Semaphore>,
    measured: Option<Arc<Mutex<Measured>>>,
}

#[derive(Debug)]
struct Measured {
    per_second: f64,
    /// In seconds.
    latency: f64,
    size: usize,
}

/// One of the reads that may be in flight; given back on drop.
#[derive(Debug)]
pub struct Slot {
    place: Option<OwnedSemaphorePermit>,
    began: Option<Instant>,
    measured: Option<Arc<Mutex<Measured>>>,
}

impl Slots {
    pub(super) fn new(configured: Option<usize>, per_second: NonZeroU32, orgs: usize) -> Self {
        let size = configured.unwrap_or(SMALLEST);
        let orgs = u32::try_from(orgs.max(1)).unwrap_or(u32::MAX);
        let measured = Measured {
            per_second: f64::from(per_second.get()) * f64::from(orgs),
            latency: 0.0,
            size,
        };
        Self {
            places: Arc::new(Semaphore::new(size.clamp(1, Semaphore::MAX_PERMITS))),
            measured: configured.is_none().then(|| Arc::new(Mutex::new(measured))),
        }
    }

    /// Cancel safe.
    pub(super) async fn take(&self) -> Slot {
        Slot {
            // Nobody closes the semaphore; if someone did, an unbounded read would do no harm.
            place: Arc::clone(&self.places).acquire_owned().await.ok(),
            began: None,
            measured: self.measured.clone(),
        }
    }
}

impl Slot {
    /// The call goes now: what it takes from here on is the upstream's.
    pub(super) fn begin(&mut self) {
        self.began = Some(Instant::now());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let (Some(measured), Some(began)) = (&self.measured, self.began) else {
            return;
        };
        let mut measured = measured.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, after) = measured.note(began.elapsed());
        let Some(place) = &self.place else { return };
        let places = place.semaphore();
        if after > before {
            places.add_permits(after - before);
            measured.size = after;
        } else if after < before {
            // Only what is free can go at once; the rest goes with later answers.
            measured.size = before - places.forget_permits(before - after);
        }
    }
}

impl Measured {
    /// Answers how many there are and how many there should be.
    fn note(&mut self, took: Duration) -> (usize, usize) {
        let took = took.as_secs_f64();
        self.latency = if self.latency == 0.0 {
            took
        } else {
            self.latency + WEIGHT * (took - self.latency)
        };
        let wanted = (self.per_second * (self.latency + WAITS)).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within the bounds, and never negative"
        )]
        let wanted = wanted.clamp(SMALLEST as f64, LARGEST as f64) as usize;
        (self.size, wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_the_rate_needs_at_the_measured_latency() {
        // (reads a second, latency in ms, slots)
        let cases = [
            (50, 1, 16),
            (50, 250, 25),
            (50, 1_000, 63),
            (50, 60_000, 128),
            (2, 1_000, 16),
            (100_000, 1, 128),
        ];
        for (per_second, ms, expected) in cases {
            let mut measured = Measured {
                per_second: f64::from(per_second),
                latency: 0.0,
                size: SMALLEST,
            };
            let (_, wanted) = measured.note(Duration::from_millis(ms));
            assert_eq!(wanted, expected, "{per_second} a second, {ms} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_answers_make_room_and_quick_ones_take_it_back() {
        let rate = NonZeroU32::new(50).unwrap();
        let slots = Slots::new(None, rate, 1);
        let one = async |took: Duration| {
            let mut slot = slots.take().await;
            slot.begin();
            tokio::time::sleep(took).await;
        };
        one(Duration::from_secs(1)).await;
        assert_eq!(slots.places.available_permits(), 63);
        for _ in 0..200 {
            one(Duration::from_millis(1)).await;
        }
        assert_eq!(slots.places.available_permits(), SMALLEST);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_configured_stays() {
        let slots = Slots::new(Some(3), NonZeroU32::MIN, 1);
        let mut slot = slots.take().await;
        slot.begin();
        tokio::time::sleep(Duration::from_secs(9)).await;
        drop(slot);
        assert_eq!(slots.places.available_permits(), 3);
    }
}
