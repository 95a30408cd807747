//! Who is connected, so that somebody can be shown out when the house is full: a prober must never wait for those who
//! only sit there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// No answer takes longer to make, so whoever is being answered for longer does not read.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// How soon a full house is looked at again, when nobody could be shown out.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Guest {
    /// A request of it is being answered.
    busy: bool,
    /// Since when it is that, or idle.
    since: Instant,
    leave: CancellationToken,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    guests: HashMap<u64, Guest>,
}

/// The connections that stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Guests(Arc<Mutex<Book>>);

/// One connection's place; dropped, it is free.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    guests: Guests,
    leave: CancellationToken,
}

impl Guests {
    /// A place for one more: at once, except where all are being answered.
    pub(super) async fn place(&self, most: usize) -> Place {
        loop {
            if let Some(place) = self.try_place(most) {
                return place;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn try_place(&self, most: usize) -> Option<Place> {
        let mut book = self.lock();
        if book.guests.len() >= most {
            let shown_out = book.who_may_go(Instant::now())?;
            if let Some(guest) = book.guests.remove(&shown_out) {
                guest.leave.cancel();
            }
        }
        let number = book.next;
        book.next += 1;
        let leave = CancellationToken::new();
        let guest = Guest {
            busy: false,
            since: Instant::now(),
            leave: leave.clone(),
        };
        book.guests.insert(number, guest);
        drop(book);
        Some(Place {
            number,
            guests: self.clone(),
            leave,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Whole between any two operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// The one that is idle for the longest time; else the one that does not take its answer.
    fn who_may_go(&self, now: Instant) -> Option<u64> {
        let may_go =
            |guest: &Guest| !guest.busy || now.duration_since(guest.since) >= ANSWERED_WITHIN;
        let candidates = self.guests.iter().filter(|(_, guest)| may_go(guest));
        // Of equals the one that came first.
        let first = candidates.min_by_key(|(number, guest)| (guest.busy, guest.since, **number));
        first.map(|(number, _)| *number)
    }
}

impl Place {
    /// Returns when somebody else needs the place more.
    pub(super) async fn shown_out(&self) {
        self.leave.cancelled().await;
    }

    /// Speaks of this place to whoever answers.
    pub(super) fn marker(&self) -> Marker {
        Marker {
            number: self.number,
            guests: self.guests.clone(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.guests.lock().guests.remove(&self.number);
    }
}

/// Notes whether a connection's request is being answered.
#[derive(Debug, Clone)]
pub(super) struct Marker {
    number: u64,
    guests: Guests,
}

impl Marker {
    /// A request came, or its answer is made.
    pub(super) fn set_busy(&self, busy: bool) {
        if let Some(guest) = self.guests.lock().guests.get_mut(&self.number) {
            guest.busy = busy;
            guest.since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_shown_out(place: &Place) -> bool {
        place.leave.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_is_idle_for_the_longest_time_goes_first() {
        let guests = Guests::default();
        let first = guests.place(2).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = guests.place(2).await;
        // The first speaks again, and is idle since a moment only.
        first.marker().set_busy(true);
        first.marker().set_busy(false);
        tokio::time::advance(Duration::from_secs(1)).await;
        first.marker().set_busy(true);
        first.marker().set_busy(false);
        let _third = guests.place(2).await;
        assert!(is_shown_out(&second) && !is_shown_out(&first));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_being_answered_stays_unless_it_does_not_take_the_answer() {
        let guests = Guests::default();
        let only = guests.place(1).await;
        only.marker().set_busy(true);
        assert!(guests.try_place(1).is_none());
        tokio::time::advance(ANSWERED_WITHIN).await;
        assert!(guests.try_place(1).is_some());
        assert!(is_shown_out(&only));
    }

    #[tokio::test]
    async fn a_place_given_back_is_free_and_one_taken_away_is_given_back_once() {
        let guests = Guests::default();
        drop(guests.place(1).await);
        let old = guests.place(1).await;
        let new = guests.place(1).await;
        drop(old);
        assert_eq!(guests.lock().guests.len(), 1);
        assert!(!is_shown_out(&new));
    }
}
