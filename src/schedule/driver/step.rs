//! One job and org's turn: account for slots, claim, start, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::job_state::JobState;
use super::{Driver, Key, STORE_TIMEOUT, bounded};
use crate::domain::run::SlotResult;
use crate::schedule::decide::{Decision, Due, Unrun};
use crate::schedule::ports::{RunRequest, Runner, ScheduleStore};
use crate::schedule::slots::COUNTED_AT_MOST;
use crate::schedule::spec::Overlap;
use crate::store::StoreError;
use crate::store::controls::TriggerRow;
use crate::store::runs::{RunLease, Started, UnrunSlots};
use crate::telemetry::record;

/// How long to leave a job and org alone that runs elsewhere.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);

impl<S, R> Driver<S, R>
where
    S: ScheduleStore + ?Sized + 'static,
    R: Runner + ?Sized,
{
    /// Decides and acts for one job and org.
    pub(super) async fn step(&mut self, key: &Key) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        let paused = self.is_paused(key);
        let Some(job_state) = self.job_states.get_mut(key) else {
            return Ok(());
        };
        if job_state.gone || job_state.backoff.waits() {
            return Ok(());
        }
        if !job_state.is_loaded() {
            let last = bounded("last_slot", self.parts.store.last_slot(&key.0, &key.1)).await?;
            job_state.learn(last);
        }
        job_state.heed_the_clock(now);
        self.mend_memory(key, now).await?;
        let Some(job_state) = self.job_states.get_mut(key) else {
            return Ok(());
        };
        if job_state.signalled && paused {
            job_state.signalled = false;
            tracing::info!(job_name = %key.0, org = %key.1, "is paused, so the signal does not run it");
        }
        let mut decision = job_state.decide(&key.0, paused, now);
        if !decision.is_quiet() {
            // Another replica may have been faster: only what the store says now is acted on.
            let last = bounded("last_slot", self.parts.store.last_slot(&key.0, &key.1)).await?;
            job_state.learn(last);
            if decision.due.is_some_and(|due| Some(due.slot) <= last) {
                record::slot(&key.0, SlotResult::Deduplicated, 1);
            }
            decision = job_state.decide(&key.0, paused, now);
        }
        let local = job_state.spec.when.is_local();
        if local && !decision.is_quiet() && self.others_know_more_of_zones(now).await? {
            // Of one slot they may know another instant, and nobody but the store tells two instants apart.
            decision = Decision {
                wake: decision.wake,
                ..Decision::default()
            };
        }
        let Some(job_state) = self.job_states.get_mut(key) else {
            return Ok(());
        };
        job_state.wake = decision.wake;
        for unrun in &decision.unrun {
            self.account_for(key, unrun).await?;
        }
        let Some(job_state) = self.job_states.get_mut(key) else {
            return Ok(());
        };
        job_state.queued = decision.queue.or(job_state.queued);
        if let Some(request) = job_state.request(key, decision.due, paused) {
            self.claim(key, request, decision.due).await?;
        }
        if let Some(job_state) = self.job_states.get_mut(key) {
            job_state.adopt_next_spec(now);
        }
        Ok(())
    }

    /// A living process goes by newer zone data.
    async fn others_know_more_of_zones(&mut self, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let newest = bounded("newest_zones", self.parts.store.newest_zones(now)).await?;
        let own = &self.parts.zones;
        let newer = newest.filter(|newest| newest > own);
        let old = newer.is_some();
        if std::mem::replace(&mut self.zones_are_old, old) != old {
            match newer {
                Some(newer) => tracing::warn!(
                    own,
                    newer,
                    "slots in local time are left to those with newer zone data: update tzdata here and restart"
                ),
                None => tracing::info!(own, "no living process knows more of time zones any more"),
            }
        }
        Ok(old)
    }

    /// A memory that lies in the future would start nothing until then.
    async fn mend_memory(&mut self, key: &Key, now: DateTime<Utc>) -> Result<(), StoreError> {
        let (job, org) = key;
        let is_ahead = |job_state: &JobState| job_state.is_ahead_of(now);
        if !self.job_states.get(key).is_some_and(is_ahead) {
            return Ok(());
        }
        let reached = bounded("set_back", self.parts.store.set_back(job, org, now)).await?;
        let last = bounded("last_slot", self.parts.store.last_slot(job, org)).await?;
        let Some(job_state) = self.job_states.get_mut(key) else {
            return Ok(());
        };
        job_state.set_back(last);
        if let Some(reached) = reached {
            tracing::error!(
                job_name = %job, %org, %reached, ?last,
                "slots were accounted for into the future: a clock was ahead. They are forgotten and the job goes on; \
                 check the clocks"
            );
            record::set_back(job);
        } else if job_state.is_ahead_of(now) && !std::mem::replace(&mut job_state.behind, true) {
            tracing::warn!(
                job_name = %job, %org, ?last,
                "slots are accounted for up to then, rightly by the store's clock: this machine's is behind; set it right"
            );
        }
        Ok(())
    }

    /// Records slots that don't run.
    async fn account_for(&mut self, key: &Key, unrun: &Unrun) -> Result<(), StoreError> {
        let (job, org) = key;
        let slots = UnrunSlots {
            job_name: job.clone(),
            org: org.clone(),
            result: unrun.result,
            first: unrun.first,
            last: unrun.last,
            count: unrun.count,
        };
        let now = self.parts.clock.now();
        bounded("record_unrun", self.parts.store.record_unrun(&slots, now)).await?;
        tracing::info!(
            job_name = %job, %org, result = %unrun.result, first = %unrun.first, last = %unrun.last, count = unrun.count,
            "slots did not run"
        );
        record::slot(job, unrun.result, unrun.count.unwrap_or(COUNTED_AT_MOST));
        if let Some(job_state) = self.job_states.get_mut(key) {
            job_state.learn(Some(unrun.last));
        }
        Ok(())
    }

    async fn claim(
        &mut self,
        key: &Key,
        request: RunRequest,
        due: Option<Due>,
    ) -> Result<(), StoreError> {
        match bounded("start", self.parts.runner.claim(&request)).await? {
            Started::Yes(lease) => self.begin(key, request, due, lease),
            Started::SlotTaken => {
                record::slot(&key.0, SlotResult::Deduplicated, 1);
                if let Some(job_state) = self.job_states.get_mut(key) {
                    job_state.learn(request.slot);
                }
            }
            Started::AlreadyRunning(run) => {
                tracing::info!(job_name = %key.0, org = %key.1, %run, "goes on elsewhere");
                if let Some(job_state) = self.job_states.get_mut(key) {
                    job_state.busy_elsewhere_until = Some(Instant::now() + ASK_AGAIN_AFTER);
                }
                if let Some(slot) = request.slot {
                    self.overlaps_elsewhere(key, slot).await?;
                }
            }
        }
        Ok(())
    }

    /// A slot is due while a run of its job and org goes on in another process: maybe that very slot's.
    async fn overlaps_elsewhere(
        &mut self,
        key: &Key,
        slot: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let last = bounded("last_slot", self.parts.store.last_slot(&key.0, &key.1)).await?;
        let Some(job_state) = self.job_states.get_mut(key) else {
            return Ok(());
        };
        job_state.learn(last);
        if Some(slot) <= last {
            record::slot(&key.0, SlotResult::Deduplicated, 1);
            return Ok(());
        }
        match job_state.spec.overlap {
            Overlap::QueueOne => {
                job_state.queued = Some(slot);
                Ok(())
            }
            Overlap::Skip => {
                let skipped = Unrun {
                    result: SlotResult::SkippedOverlap,
                    first: slot,
                    last: slot,
                    count: Some(1),
                };
                self.account_for(key, &skipped).await
            }
        }
    }

    /// The run is ours: it goes on a task of its own.
    fn begin(&mut self, key: &Key, request: RunRequest, due: Option<Due>, lease: RunLease) {
        let Some(job_state) = self.job_states.get_mut(key) else {
            return;
        };
        job_state.running = true;
        job_state.signalled = false;
        job_state.busy_elsewhere_until = None;
        job_state.triggers.clear();
        let answers = request.triggers.iter().map(|&id| (id, lease.run_id));
        self.answered.extend(answers);
        if let Some(due) = due {
            job_state.learn(Some(due.slot));
            record::slot(&key.0, SlotResult::Run, 1);
            record::slot_delay(&key.0, due.late);
        }
        let runner = Arc::clone(&self.parts.runner);
        let task = {
            let (runner, lease) = (Arc::clone(&runner), lease.clone());
            self.parts
                .tracker
                .spawn(async move { runner.execute(request, lease).await })
        };
        let key = key.clone();
        self.runs.push(Box::pin(async move {
            // The panic's own words are left to the panic hook: they may quote data.
            if let Err(error) = task.await
                && error.is_panic()
            {
                tracing::error!(job_name = %key.0, org = %key.1, run = %lease.run_id, "the run panicked; the job goes on");
                let ending = runner.panicked(&lease);
                if tokio::time::timeout(STORE_TIMEOUT, ending).await.is_err() {
                    tracing::warn!(run = %lease.run_id, "the store did not note the end of a run that panicked");
                }
            }
            key
        }));
    }

    pub(super) fn run_ended(&mut self, key: &Key) {
        if let Some(job_state) = self.job_states.get_mut(key) {
            job_state.running = false;
        }
    }

    /// Hands people's triggers to their job_states.
    pub(super) fn adopt_triggers(&mut self, triggers: Vec<TriggerRow>) {
        let seen_before = std::mem::take(&mut self.strays);
        for trigger in triggers {
            if self.answered.contains_key(&trigger.id) {
                continue;
            }
            let key = (trigger.job_name.clone(), trigger.org.clone());
            if let Some(job_state) = self
                .job_states
                .get_mut(&key)
                .filter(|job_state| !job_state.gone)
            {
                job_state.triggers.insert(trigger.id, trigger);
                continue;
            }
            if !seen_before.contains(&trigger.id) {
                tracing::warn!(
                    trigger = %trigger.id, job_name = %key.0, org = %key.1,
                    "a trigger for a job or org that is not configured here is left alone"
                );
            }
            self.strays.insert(trigger.id);
        }
    }

    /// Tells the store which runs answer which triggers. Until it has noted that, they are remembered here, so that
    /// none of them causes a second run.
    pub(super) async fn answer_triggers(&mut self) {
        if self.answer_backoff.waits() {
            return;
        }
        while let Some((_, &run)) = self.answered.first_key_value() {
            let ids: Vec<_> = self
                .answered
                .iter()
                .filter(|&(_, other)| *other == run)
                .map(|(&id, _)| id)
                .collect();
            match bounded(
                "answer_triggers",
                self.parts.store.answer_triggers(&ids, run),
            )
            .await
            {
                Ok(()) => {
                    self.answer_backoff.succeeded();
                    self.answered.retain(|_, other| *other != run);
                }
                Err(error) => {
                    if self.answer_backoff.failed() {
                        tracing::error!(%run, %error, "triggers were run, but the store did not note it yet");
                    }
                    return;
                }
            }
        }
    }
}
