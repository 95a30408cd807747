//! Pauses, latches, triggers, circuits. Their ends are told by the store's clock.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::domain::IllHealth;
use tesa_reconciler::domain::ids::{JobName, Org, ReplicaId, RunId, TriggerId};
use tesa_reconciler::store::controls::{
    CircuitRow, Controls, Latch, Opening, Pause, TAKER_LIVES, TriggerRow, ended, scope, subject,
    would_shorten,
};
use tesa_reconciler::store::runs::RunLease;
use tesa_reconciler::store::{Actor, StoreError};

use super::{MemoryStore, State};

#[derive(Default)]
pub(super) struct Table {
    /// The pause of all jobs has no name.
    pauses: BTreeMap<Option<JobName>, Pause>,
    pub(super) latches: BTreeMap<(JobName, Org), Latch>,
    releases: BTreeMap<(JobName, Org), DateTime<Utc>>,
    last_trigger: i64,
    pub(super) triggers: BTreeMap<TriggerId, Asked>,
    circuits: BTreeMap<Org, Circuit>,
}

pub(super) struct Asked {
    pub(super) row: TriggerRow,
    taken_by: Option<ReplicaId>,
}

struct Circuit {
    state: &'static str,
    cause: Option<IllHealth>,
    failures: u32,
    opened_at: Option<DateTime<Utc>>,
    probe_at: Option<DateTime<Utc>>,
}

impl Circuit {
    const CLOSED: Self = Self {
        state: "closed",
        cause: None,
        failures: 0,
        opened_at: None,
        probe_at: None,
    };

    fn is_open(&self) -> bool {
        self.state != "closed"
    }

    fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.probe_at.is_none_or(|at| at <= now)
    }

    fn row(&self, org: &Org, due: bool) -> CircuitRow {
        CircuitRow {
            org: org.clone(),
            state: self.state.to_owned(),
            cause: self.cause,
            failures: self.failures,
            opened_at: self.opened_at,
            probe_at: self.probe_at,
            due,
        }
    }
}

fn is_over(pause: &Pause, now: DateTime<Utc>) -> bool {
    pause.until.is_some_and(|until| until <= now)
}

/// A span that is not a span of our time is a year.
fn span(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::days(365))
}

impl State {
    pub(super) fn is_paused(&self, job: &JobName, now: DateTime<Utc>) -> bool {
        let pauses = &self.controls.pauses;
        let of_scope = [pauses.get(&None), pauses.get(&Some(job.clone()))];
        let mut pauses = of_scope.into_iter().flatten();
        pauses.any(|pause| !is_over(pause, now))
    }

    pub(super) fn is_latched(&self, job: &JobName, org: &Org) -> bool {
        let latches = &self.controls.latches;
        latches.contains_key(&(job.clone(), org.clone()))
    }

    /// Ends those that are over by the store's clock; the audit says when by the caller's.
    fn end_pauses(&mut self, at: DateTime<Utc>, now: DateTime<Utc>) -> Vec<Pause> {
        let pauses = &mut self.controls.pauses;
        let over = pauses.values().filter(|pause| is_over(pause, now));
        let over: Vec<Pause> = over.cloned().collect();
        pauses.retain(|_, pause| !is_over(pause, now));
        for pause in &over {
            let subject = scope(pause.job_name.as_ref());
            self.note("pause_ended", subject, &ended(pause), at);
        }
        over
    }
}

impl MemoryStore {
    async fn put_pause(
        &self,
        job: Option<&JobName>,
        until: Option<DateTime<Utc>>,
        replaces: bool,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("pause", |state, now| {
            let scoped = state.controls.pauses.get(&job.cloned());
            let in_force = scoped.filter(|pause| !replaces && !is_over(pause, now));
            let is_longer = |pause: &&Pause| {
                until.is_some_and(|until| pause.until.is_none_or(|end| end > until))
            };
            if let Some(longer) = in_force.filter(is_longer) {
                return Err(would_shorten(longer));
            }
            state.end_pauses(at, now);
            let pause = Pause {
                job_name: job.cloned(),
                who: actor.who.clone(),
                reason: actor.reason.clone(),
                since: at,
                until,
            };
            state.controls.pauses.insert(job.cloned(), pause);
            state.note("pause", scope(job), actor, at);
            state.steers = true;
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Controls for MemoryStore {
    async fn pause(
        &self,
        job: Option<&JobName>,
        until: Option<DateTime<Utc>>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.put_pause(job, until, false, actor, now).await
    }

    async fn replace_pause(
        &self,
        job: Option<&JobName>,
        until: Option<DateTime<Utc>>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.put_pause(job, until, true, actor, now).await
    }

    async fn end_pauses(&self, at: DateTime<Utc>) -> Result<Vec<Pause>, StoreError> {
        self.call(
            "end_pauses",
            |state, now| {
                state
                    .controls
                    .pauses
                    .values()
                    .any(|pause| is_over(pause, now))
            },
            |state, now| Ok(state.end_pauses(at, now)),
        )
        .await
    }

    async fn resume(
        &self,
        job: Option<&JobName>,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.write("resume", |state, now| {
            state.end_pauses(at, now);
            if state.controls.pauses.remove(&job.cloned()).is_none() {
                return Ok(false);
            }
            state.note("resume", scope(job), actor, at);
            state.steers = true;
            Ok(true)
        })
        .await
    }

    async fn pauses(&self, _now: DateTime<Utc>) -> Result<Vec<Pause>, StoreError> {
        self.read("pauses", |state, now| {
            let pauses = state.controls.pauses.values();
            let in_force = pauses.filter(|pause| !is_over(pause, now));
            Ok(in_force.cloned().collect())
        })
        .await
    }

    async fn latch_guard(
        &self,
        lease: &RunLease,
        job: &JobName,
        org: &Org,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.write("latch_guard", |state, _| {
            state.hold("latch_guard", lease)?;
            if state.is_latched(job, org) {
                return Ok(false);
            }
            let latch = Latch {
                job_name: job.clone(),
                org: org.clone(),
                since: at,
                reason: actor.reason.clone(),
            };
            let key = (job.clone(), org.clone());
            state.controls.latches.insert(key, latch);
            state.note("latch", &subject(job, org), actor, at);
            state.steers = true;
            Ok(true)
        })
        .await
    }

    async fn release_guard(
        &self,
        job: &JobName,
        org: &Org,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.write("release_guard", |state, _| {
            let key = (job.clone(), org.clone());
            if state.controls.latches.remove(&key).is_none() {
                return Ok(false);
            }
            state.controls.releases.insert(key, at);
            state.note("release", &subject(job, org), actor, at);
            state.steers = true;
            Ok(true)
        })
        .await
    }

    async fn latches(&self) -> Result<Vec<Latch>, StoreError> {
        self.read("latches", |state, _| {
            Ok(state.controls.latches.values().cloned().collect())
        })
        .await
    }

    async fn last_release(
        &self,
        job: &JobName,
        org: &Org,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.read("last_release", |state, _| {
            let key = (job.clone(), org.clone());
            Ok(state.controls.releases.get(&key).copied())
        })
        .await
    }

    async fn request_trigger(
        &self,
        job: &JobName,
        org: &Org,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<TriggerId, StoreError> {
        self.write("request_trigger", |state, _| {
            let controls = &mut state.controls;
            controls.last_trigger += 1;
            let id = TriggerId(controls.last_trigger);
            let row = TriggerRow {
                id,
                job_name: job.clone(),
                org: org.clone(),
                who: actor.who.clone(),
                reason: actor.reason.clone(),
                requested_at: at,
                run_id: None,
            };
            let taken_by = None;
            controls.triggers.insert(id, Asked { row, taken_by });
            state.note("trigger", &subject(job, org), actor, at);
            state.steers = true;
            Ok(id)
        })
        .await
    }

    async fn take_triggers(
        &self,
        replica: &ReplicaId,
        _now: DateTime<Utc>,
    ) -> Result<Vec<TriggerRow>, StoreError> {
        let waits = |asked: &Asked| asked.row.run_id.is_none();
        self.call(
            "take_triggers",
            |state, _| state.controls.triggers.values().any(waits),
            |state, now| {
                let waiting = state
                    .controls
                    .triggers
                    .values()
                    .filter(|asked| waits(asked));
                let free = waiting.filter(|asked| {
                    let other = asked.taken_by.as_ref().filter(|&by| by != replica);
                    !other.is_some_and(|other| state.is_alive(other, TAKER_LIVES, now))
                });
                let free: Vec<TriggerId> = free.map(|asked| asked.row.id).collect();
                let mut taken = Vec::with_capacity(free.len());
                for id in free {
                    if let Some(asked) = state.controls.triggers.get_mut(&id) {
                        asked.taken_by = Some(replica.clone());
                        taken.push(asked.row.clone());
                    }
                }
                Ok(taken)
            },
        )
        .await
    }

    async fn answer_triggers(&self, ids: &[TriggerId], run: RunId) -> Result<(), StoreError> {
        self.write("answer_triggers", |state, _| {
            for id in ids {
                if let Some(asked) = state.controls.triggers.get_mut(id) {
                    asked.row.run_id.get_or_insert(run);
                }
            }
            Ok(())
        })
        .await
    }

    async fn trigger(&self, id: TriggerId) -> Result<Option<TriggerRow>, StoreError> {
        self.read("trigger", |state, _| {
            let asked = state.controls.triggers.get(&id);
            Ok(asked.map(|asked| asked.row.clone()))
        })
        .await
    }

    async fn circuits(&self, _now: DateTime<Utc>) -> Result<Vec<CircuitRow>, StoreError> {
        self.read("circuits", |state, now| {
            let circuits = state.controls.circuits.iter();
            let rows = circuits.map(|(org, circuit)| circuit.row(org, circuit.is_due(now)));
            Ok(rows.collect())
        })
        .await
    }

    async fn open_circuit(
        &self,
        org: &Org,
        opening: &Opening,
        _now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("open_circuit", |state, now| {
            let circuits = &mut state.controls.circuits;
            let circuit = circuits.entry(org.clone()).or_insert(Circuit::CLOSED);
            if circuit.is_open() && !opening.after_probe {
                return Ok(());
            }
            if !circuit.is_open() {
                circuit.opened_at = Some(now);
            }
            circuit.state = "open";
            circuit.cause = Some(opening.cause);
            circuit.failures = opening.failures;
            circuit.probe_at = Some(now + span(opening.pause));
            Ok(())
        })
        .await
    }

    async fn claim_probe(
        &self,
        org: &Org,
        hold: Duration,
        _now: DateTime<Utc>,
    ) -> Result<Option<CircuitRow>, StoreError> {
        self.write("claim_probe", |state, now| {
            let circuit = state.controls.circuits.get_mut(org);
            let free = circuit.filter(|circuit| circuit.is_open() && circuit.is_due(now));
            Ok(free.map(|circuit| {
                circuit.state = "half_open";
                circuit.probe_at = Some(now + span(hold));
                circuit.row(org, false)
            }))
        })
        .await
    }

    async fn close_circuit(&self, org: &Org) -> Result<(), StoreError> {
        self.write("close_circuit", |state, _| {
            if let Some(circuit) = state.controls.circuits.get_mut(org) {
                *circuit = Circuit::CLOSED;
            }
            Ok(())
        })
        .await
    }
}
