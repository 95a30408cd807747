//! The calls of one org, kind and haste in this process that wait for the rate.
//!
//! Whoever is first reserves for all who wait, and for those who will come within [`AHEAD`] if they go on as they did: a
//! reservation is a transaction in the store, and one for every few calls would be most of what a quick sweep waits for.
//! It is never more than a quarter of a second's rate, and that is what a crash wastes at most. Each call takes one share
//! and goes at its instant. A share that is a second old (the process stood still) is dropped: used late, it would be on
//! top of what others reserved since.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{NoLeave, Pace, Rates};
use crate::domain::ids::Org;
use crate::domain::rate::{Ask, Grant, Haste, RateKind};

/// See the module.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// So much is reserved ahead, at the pace at which the last reservation was used up. Short, so that little is lost when
/// the calls end.
const AHEAD: Duration = Duration::from_millis(100);

/// Whoever is refused waits at least so long, so that it always yields.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// So long an answer is believed: a person may have ended the pause that it told of.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What the rate says to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is the call's to go then.
    At(Instant),
    /// Asking again is not worth it before.
    NotBefore(Instant),
}

#[derive(Debug)]
pub(super) struct Queue {
    org: Org,
    kind: RateKind,
    haste: Haste,
    pub(super) waiting: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    shares: VecDeque<Instant>,
    refused: Option<Refusal>,
    last: Option<Reservation>,
}

/// What was reserved last.
#[derive(Debug, Clone, Copy)]
struct Reservation {
    at: Instant,
    count: u32,
    /// Of the rate, for all of it.
    lasts: Duration,
}

impl Reservation {
    /// How many calls come within [`AHEAD`], if they come as they came since this reservation, which they used up. None
    /// comes quicker than the rate allows.
    fn ahead(self, now: Instant) -> u32 {
        let took = now.saturating_duration_since(self.at).max(self.lasts);
        let ahead = AHEAD.as_micros() * u128::from(self.count) / took.as_micros().max(1);
        u32::try_from(ahead).unwrap_or(u32::MAX)
    }
}

/// An answer that holds for a while.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    not_before: Instant,
    told_at: Instant,
}

impl Queue {
    pub(super) fn new(org: Org, kind: RateKind, haste: Haste) -> Self {
        Self {
            org,
            kind,
            haste,
            waiting: AtomicU32::new(0),
            state: Mutex::default(),
        }
    }

    /// The next call's turn. Held by the lock meanwhile, the others wait for the same answer. Cancel safe.
    pub(super) async fn next(&self, rates: &dyn Rates, pace: Pace) -> Result<Turn, NoLeave> {
        let waiting = Waiting::one_more(&self.waiting);
        let mut state = self.state.lock().await;
        let now = Instant::now();
        while let Some(at) = state.shares.pop_front() {
            if now < at + GOOD_FOR {
                return Ok(Turn::At(at));
            }
        }
        if let Some(refusal) = state.refused
            && now < refusal.not_before.min(refusal.told_at + LOOK_AGAIN)
        {
            return Ok(Turn::NotBefore(refusal.not_before));
        }
        let ahead = state.last.map_or(0, |last| last.ahead(now));
        let ask = Ask {
            count: waiting.now().max(ahead).clamp(1, pace.quarter_second),
            interval: pace.interval,
            horizon: self.haste.horizon(),
        };
        let granted = rates.reserve(&self.org, self.kind, ask).await;
        // After the answer: it counts from an instant before that, so a call goes too late rather than too early.
        let now = Instant::now();
        match granted.map_err(NoLeave::Unknown)? {
            Grant::Granted(wait) => {
                let first = now + wait;
                let others = (1..ask.count).map(|nth| first + pace.interval * nth);
                state.shares.extend(others);
                state.last = Some(Reservation {
                    at: now,
                    count: ask.count,
                    lasts: pace.interval * ask.count,
                });
                Ok(Turn::At(first))
            }
            Grant::Refused(wait) => {
                let not_before = now + wait.max(SHORTEST_WAIT);
                let told_at = now;
                state.refused = Some(Refusal {
                    not_before,
                    told_at,
                });
                Ok(Turn::NotBefore(not_before))
            }
        }
    }

    /// Gives nothing out before `until`, not even what was reserved.
    pub(super) async fn hold_back(&self, until: Instant) {
        let mut state = self.state.lock().await;
        state.shares.clear();
        let not_before = state
            .refused
            .map_or(until, |told| told.not_before.max(until));
        state.refused = Some(Refusal {
            not_before,
            told_at: Instant::now(),
        });
    }
}

/// Counts a caller as long as it lives, also when it is dropped.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn one_more(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }

    fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
