//! What the driver remembers of one job and org. All of it may be lost: the store has what counts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::backoff::Backoff;
use crate::domain::Trigger;
use crate::domain::ids::{JobName, Org, TriggerId};
use crate::schedule::decide::{Decision, Due, State, decide};
use crate::schedule::ports::RunRequest;
use crate::schedule::spec::Spec;
use crate::store::Actor;
use crate::store::controls::TriggerRow;
use crate::store::runs::CLOCKS_DIFFER_BY;

/// A job and an org.
pub(super) type Key = (JobName, Org);

#[derive(Debug)]
pub(super) struct JobState {
    pub(super) spec: Spec,
    /// A changed schedule waits here until the old one has nothing left to account for.
    pub(super) next_spec: Option<Spec>,
    /// The job is no longer configured; the job_state stays until its run has ended.
    pub(super) gone: bool,
    /// Since when this process looks at it.
    since: DateTime<Utc>,
    /// Slots up to here are none of this schedule's: it came or changed while the process ran.
    counts_from: Option<DateTime<Utc>>,
    /// The last slot accounted for, as far as we know. None: not asked yet.
    last_slot: Option<Option<DateTime<Utc>>>,
    pub(super) running: bool,
    pub(super) queued: Option<DateTime<Utc>>,
    /// People's requests that no run has answered.
    pub(super) triggers: BTreeMap<TriggerId, TriggerRow>,
    /// SIGUSR1.
    pub(super) signalled: bool,
    /// A run of it goes on elsewhere: no use in asking again before then.
    pub(super) busy_elsewhere_until: Option<Instant>,
    /// The memory is ahead of this clock, and the store's clock says that it is good: said once.
    pub(super) behind: bool,
    pub(super) backoff: Backoff,
    /// When it fires next.
    pub(super) wake: Option<DateTime<Utc>>,
}

impl JobState {
    pub(super) fn new(
        spec: Spec,
        since: DateTime<Utc>,
        counts_from: Option<DateTime<Utc>>,
    ) -> Self {
        Self {
            spec,
            next_spec: None,
            gone: false,
            since,
            counts_from,
            last_slot: None,
            running: false,
            queued: None,
            triggers: BTreeMap::new(),
            signalled: false,
            busy_elsewhere_until: None,
            behind: false,
            backoff: Backoff::default(),
            wake: None,
        }
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.last_slot.is_some()
    }

    /// The store says, or we know, that slots up to `last` are accounted for.
    pub(super) fn learn(&mut self, last: Option<DateTime<Utc>>) {
        let known = self.last_slot.flatten();
        self.last_slot = Some(known.max(last));
        self.queued = self.queued.filter(|&queued| Some(queued) > last);
    }

    /// Slots are accounted for so far into the future that a clock was ahead.
    pub(super) fn is_ahead_of(&self, now: DateTime<Utc>) -> bool {
        let last = self.last_slot.flatten();
        last.is_some_and(|last| last > now + CLOCKS_DIFFER_BY)
    }

    /// The store forgot what lay ahead of now: slots up to `last` are accounted for.
    pub(super) fn set_back(&mut self, last: Option<DateTime<Utc>>) {
        self.last_slot = Some(last);
        self.queued = None;
    }

    /// Nothing was begun or changed later than now, whatever the clock said then.
    pub(super) fn heed_the_clock(&mut self, now: DateTime<Utc>) {
        self.since = self.since.min(now);
        self.counts_from = self.counts_from.map(|from| from.min(now));
    }

    pub(super) fn decide(&self, job: &JobName, paused: bool, now: DateTime<Utc>) -> Decision {
        let last_slot = self.last_slot.flatten();
        let state = State {
            since: self.since,
            last_slot: last_slot.map(|last| self.counts_from.map_or(last, |from| last.max(from))),
            running: self.running,
            queued: self.queued,
            paused,
        };
        decide(job, &self.spec, &state, now)
    }

    /// The run to start now, if any: the slot's, or else people's, or else the signal's. One run serves all of them,
    /// because a run takes no input but the world as it is. A pause holds back the schedule and the signal; a person
    /// who names the job gets a run, whose writes the store refuses as long as the pause lasts.
    pub(super) fn request(&self, key: &Key, due: Option<Due>, paused: bool) -> Option<RunRequest> {
        if self.running {
            return None;
        }
        let fresh_slot = due.filter(|due| self.queued != Some(due.slot));
        let busy = self
            .busy_elsewhere_until
            .is_some_and(|until| Instant::now() < until);
        if busy && fresh_slot.is_none() {
            return None;
        }
        let (trigger, actor) = match (due, self.asked_by()) {
            (Some(due), None) => (due.trigger, Actor::daemon("its slot was due")),
            (Some(due), Some(actor)) => (due.trigger, actor),
            (None, Some(actor)) => (Trigger::Manual, actor),
            (None, None) if self.signalled && !paused => {
                (Trigger::Signal, Actor::daemon("SIGUSR1"))
            }
            (None, None) => return None,
        };
        Some(RunRequest {
            job: key.0.clone(),
            org: key.1.clone(),
            trigger,
            slot: due.map(|due| due.slot),
            triggers: self.triggers.keys().copied().collect(),
            actor,
        })
    }

    fn asked_by(&self) -> Option<Actor> {
        let first = self.triggers.values().next()?;
        Some(Actor {
            who: first.who.clone(),
            reason: first.reason.clone(),
        })
    }

    /// The old schedule is accounted for, so a changed one takes over: its slots count from now on.
    pub(super) fn adopt_next_spec(&mut self, now: DateTime<Utc>) {
        if self.queued.is_none()
            && let Some(spec) = self.next_spec.take()
        {
            self.spec = spec;
            self.since = now;
            self.counts_from = Some(now);
        }
    }
}
