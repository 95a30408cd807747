//! What is to be done about a job's slots, as a pure function of its schedule, what is known, and now.
//!
//! Every slot gets exactly one fate: it runs, or it is recorded as skipped or missed. The state that decides this
//! is one instant, the last slot accounted for: all later ones up to now still want their fate, and it is given in
//! ascending order, so a crash at any point leaves the rest to be decided by whoever comes next. Hence:
//! - a lost or doubled wake-up changes nothing;
//! - a clock that jumps back a little never repeats a slot (nothing is later than the last one accounted for until the
//!   clock is there again; where that is more than a minute away, the driver has the store forget what lies ahead), and
//!   one that jumps forward is a downtime like any other;
//! - a gap of any length leads to at most one run, and its cost does not depend on the gap.
//!
//! Jitter delays the firing, never the slot, and never beyond the next slot. A slot older than this process's own
//! start fires within its jitter after the start, so that catching up is staggered too.

#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::spec::{CatchUp, Overlap, Spec, When};
use crate::domain::Trigger;
use crate::domain::ids::JobName;
use crate::domain::run::SlotResult;

/// A slot is on time for at least so long, whatever its interval: the alarm's own coarseness.
const ON_TIME_AT_LEAST: Duration = Duration::from_secs(2);
/// And for at most so long (half the interval, where that is shorter).
const ON_TIME_AT_MOST: Duration = Duration::from_secs(60);

/// What is known of one job and org.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Since when this process looks at the schedule.
    pub since: DateTime<Utc>,
    /// The last slot accounted for; none on the very first start.
    pub last_slot: Option<DateTime<Utc>>,
    /// A run is going on.
    pub running: bool,
    /// The slot kept to run right after, under [`Overlap::QueueOne`].
    pub queued: Option<DateTime<Utc>>,
    /// The job is paused, or nobody can tell whether it is.
    pub paused: bool,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// First: slots to record as not run, ascending.
    pub unrun: Vec<Unrun>,
    /// Then: the slot to keep until the run that goes on has ended.
    pub queue: Option<DateTime<Utc>>,
    /// Or: the slot to run now.
    pub due: Option<Due>,
    /// Last: when to look again, even if nothing else happens. Always after now.
    pub wake: Option<DateTime<Utc>>,
}

impl Decision {
    /// There is nothing to do but wait.
    pub fn is_quiet(&self) -> bool {
        self.unrun.is_empty() && self.queue.is_none() && self.due.is_none()
    }
}

/// A slot to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Its nominal instant.
    pub slot: DateTime<Utc>,
    /// On time, or caught up.
    pub trigger: Trigger,
    /// How much later than meant (jitter is meant).
    pub late: Duration,
}

/// Slots that did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unrun {
    /// Why.
    pub result: SlotResult,
    /// The first.
    pub first: DateTime<Utc>,
    /// The last.
    pub last: DateTime<Utc>,
    /// How many; none when there are too many to count.
    pub count: Option<u64>,
}

/// Decides. See the module.
pub fn decide(job: &JobName, spec: &Spec, state: &State, now: DateTime<Utc>) -> Decision {
    let slots = Slots {
        job,
        spec,
        state,
        now,
    };
    let fired = slots.fired().filter(|&slot| slots.is_open(slot));
    let mut decision = fired.map_or_else(Decision::default, |slot| slots.fate(slot));
    decision.wake = slots.wake(fired);
    decision
}

/// How long after its slot a run fires: the same on every replica and in every life of the process, spread over
/// [0, jitter), and never as far as the next slot.
pub fn delay(job: &JobName, spec: &Spec, slot: DateTime<Utc>) -> Duration {
    let limit = match spec.when.next_after(slot) {
        Some(next) => spec.jitter.min(positive(next, slot)),
        None => spec.jitter,
    };
    match u64::try_from(limit.as_micros()) {
        Ok(limit) if limit > 0 => Duration::from_micros(stable_hash(job, slot) % limit),
        _ => Duration::ZERO,
    }
}

struct Slots<'a> {
    job: &'a JobName,
    spec: &'a Spec,
    state: &'a State,
    now: DateTime<Utc>,
}

impl Slots<'_> {
    fn when(&self) -> &When {
        &self.spec.when
    }

    /// Not accounted for yet. On the very first start a cron waits for its next slot, while an interval's current
    /// slot is due at once: who writes "every 5m" doesn't mean "in five minutes for the first time".
    fn is_open(&self, slot: DateTime<Utc>) -> bool {
        match (self.state.last_slot, self.when()) {
            (Some(last), _) => slot > last,
            (None, When::Cron { .. }) => slot > self.state.since,
            (None, When::Every(_)) => true,
        }
    }

    fn fires_at(&self, slot: DateTime<Utc>) -> DateTime<Utc> {
        slot.max(self.state.since) + delay(self.job, self.spec, slot)
    }

    /// The latest slot that has fired. Jitter never reaches the next slot, so only the very latest can be pending
    /// while the one before it has fired; slots from before the start are pending together.
    fn fired(&self) -> Option<DateTime<Utc>> {
        let latest = self.when().latest_at(self.now)?;
        if self.fires_at(latest) <= self.now {
            return Some(latest);
        }
        let before = (latest > self.state.since)
            .then(|| self.when().latest_before(latest))
            .flatten()?;
        (self.fires_at(before) <= self.now).then_some(before)
    }

    /// When the next slot fires that is still open after `fired` has got its fate.
    fn wake(&self, fired: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let latest = self.when().latest_at(self.now);
        let before = latest.and_then(|slot| self.when().latest_before(slot));
        let known = [latest, self.state.last_slot, Some(self.state.since)];
        let next = self
            .when()
            .next_after(known.into_iter().flatten().fold(self.now, Ord::max));
        [before, latest, next]
            .into_iter()
            .flatten()
            .filter(|&slot| self.is_open(slot) && fired.is_none_or(|fired| slot > fired))
            .map(|slot| self.fires_at(slot))
            .filter(|&instant| instant > self.now)
            .min()
    }

    /// What becomes of `slot` (open, and the latest that has fired) and of the open slots before it.
    fn fate(&self, slot: DateTime<Utc>) -> Decision {
        let mut decision = Decision::default();
        let queued = self.state.queued.filter(|&queued| self.is_open(queued));
        let (first, superseded) = match queued {
            Some(queued) => (Some(queued), SlotResult::SkippedOverlap),
            None => (self.first_open(), SlotResult::Missed),
        };
        let trigger = match queued {
            Some(_) => Some(Trigger::Schedule),
            None => self.trigger(slot),
        };
        let kept = queued == Some(slot);
        let mut earlier = first
            .filter(|&first| first < slot)
            .zip(self.when().latest_before(slot))
            .map(|(first, last)| self.unrun(superseded, first, last));

        let skipped = match trigger {
            None => Some(SlotResult::Missed),
            Some(_) if self.state.paused => Some(SlotResult::SkippedPaused),
            Some(_) if self.state.running => match self.spec.overlap {
                Overlap::Skip => Some(SlotResult::SkippedOverlap),
                Overlap::QueueOne => {
                    decision.queue = Some(slot).filter(|_| !kept);
                    None
                }
            },
            Some(trigger) => {
                decision.due = Some(Due {
                    slot,
                    trigger,
                    late: self.late(slot),
                });
                None
            }
        };
        if let Some(result) = skipped {
            match &mut earlier {
                Some(earlier) if earlier.result == result => {
                    *earlier = self.unrun(result, earlier.first, slot);
                }
                _ => {
                    decision.unrun.extend(earlier.take());
                    decision.unrun.push(self.unrun(result, slot, slot));
                }
            }
        }
        decision.unrun.extend(earlier);
        decision
    }

    /// The first open slot; none where only the latest counts (an interval's very first start).
    fn first_open(&self) -> Option<DateTime<Utc>> {
        match (self.state.last_slot, self.when()) {
            (Some(last), _) => self.when().next_after(last),
            (None, When::Cron { .. }) => self.when().next_after(self.state.since),
            (None, When::Every(_)) => None,
        }
    }

    /// Why `slot` may run: it is on time, or the catch-up policy lets it. None: it is missed.
    fn trigger(&self, slot: DateTime<Utc>) -> Option<Trigger> {
        let interval = self
            .when()
            .next_after(slot)
            .map_or(ON_TIME_AT_MOST, |next| positive(next, slot));
        let tolerance = (interval / 2).clamp(ON_TIME_AT_LEAST, ON_TIME_AT_MOST);
        if self.late(slot) <= tolerance {
            return Some(Trigger::Schedule);
        }
        let caught_up = match self.spec.catch_up {
            CatchUp::Skip => false,
            CatchUp::Latest => positive(self.now, slot) <= self.spec.catch_up_window,
        };
        caught_up.then_some(Trigger::CatchUp)
    }

    fn late(&self, slot: DateTime<Utc>) -> Duration {
        if self.state.last_slot.is_none() && matches!(self.when(), When::Every(_)) {
            return Duration::ZERO;
        }
        positive(self.now, slot).saturating_sub(delay(self.job, self.spec, slot))
    }

    fn unrun(&self, result: SlotResult, first: DateTime<Utc>, last: DateTime<Utc>) -> Unrun {
        Unrun {
            result,
            first,
            last,
            count: self.when().count(first, last),
        }
    }
}

/// From `earlier` to `later`; zero if it is the other way round.
fn positive(later: DateTime<Utc>, earlier: DateTime<Utc>) -> Duration {
    (later - earlier).to_std().unwrap_or_default()
}

/// FNV-1a over the job's name and the slot, then a finishing mix (FNV alone leaves the low bits of neighbouring
/// slots alike). Not std's hasher: that one may change with the compiler, and replicas may differ in that.
fn stable_hash(job: &JobName, slot: DateTime<Utc>) -> u64 {
    let instant = slot.timestamp_micros().to_le_bytes();
    let bytes = job.as_str().as_bytes().iter().chain(&[0]).chain(&instant);
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}
