//! The circuit breaker around the upstream: the same trait, with a memory of the upstream's health for each org.
//!
//! It belongs to the org and stands in the store, so all replicas leave an unwell upstream alone together, over restarts
//! too, and whoever lives heals it: each looks the row up again once a second, and when its pause is over one of them
//! takes the probe, in the row. A probe whose process died is another's after a while. What is counted on the way to
//! opening stays with each process. The reconciler sees an open circuit as a transient failure and goes on with what it can.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::guard::WritePermit;
use super::guard::circuit::{Circuit, CircuitPolicy, Open};
use super::plan::instant;
use crate::clock::SharedClock;
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{Event, IllHealth, Issue, ReadOperation, Request};
use crate::store::Store;
use crate::store::controls::{CircuitRow, Opening};
use crate::tesamanager::{
    Accepted, IdStream, ListFilter, ReadError, Ready, Tesamanager, WriteError,
};

/// How old what is known of the row may be.
const LOOK_EVERY: TimeDelta = TimeDelta::seconds(1);

/// The breakers' states: one memory for the process, whatever clients come and go by reloads.
#[derive(Debug, Default)]
pub struct Circuits {
    policy: CircuitPolicy,
    known: Mutex<HashMap<Org, Known>>,
}

/// What this process knows of an org's circuit.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    circuit: Circuit,
    /// A probe may go, by the store's clock.
    due: bool,
    looked_at: Option<DateTime<Utc>>,
    /// How often it changed here: a look that began before a change tells nothing new.
    changes: u64,
}

impl Known {
    /// Takes over what the row says.
    fn learn(&mut self, row: Option<CircuitRow>, now: DateTime<Utc>) {
        match row.filter(CircuitRow::is_open) {
            Some(row) => {
                let probe_at = row.probe_at.unwrap_or(now);
                // As long as nobody else took it.
                let ours = |open: Open| open.probing && open.probe_at == probe_at;
                self.due = row.due;
                self.circuit.failures = row.failures;
                self.circuit.open = Some(Open {
                    since: row.opened_at.unwrap_or(now),
                    probe_at,
                    probing: self.circuit.open.is_some_and(ours),
                    cause: row.cause.unwrap_or(IllHealth::Other),
                });
            }
            // Healed, by whomever.
            None if self.circuit.open.is_some() => self.circuit = self.circuit.succeeded(),
            None => {}
        }
    }
}

impl Circuits {
    fn lock(&self) -> MutexGuard<'_, HashMap<Org, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes an org's circuit; answers its states before and after.
    fn change(&self, org: &Org, change: impl FnOnce(Circuit) -> Circuit) -> (Circuit, Circuit) {
        let mut all = self.lock();
        let before = all
            .get(org)
            .map_or_else(Circuit::default, |known| known.circuit);
        let after = change(before);
        if after != before {
            let known = all.entry(org.clone()).or_default();
            known.circuit = after;
            known.changes += 1;
        }
        (before, after)
    }
}

/// An upstream behind a circuit breaker.
pub struct Breaker {
    inner: Arc<dyn Tesamanager>,
    store: Arc<dyn Store>,
    clock: SharedClock,
    circuits: Arc<Circuits>,
}

impl Breaker {
    /// Around `inner`.
    pub fn new(
        inner: Arc<dyn Tesamanager>,
        store: Arc<dyn Store>,
        clock: SharedClock,
        circuits: Arc<Circuits>,
    ) -> Self {
        Self {
            inner,
            store,
            clock,
            circuits,
        }
    }

    /// What is known of an org's circuit, a second old at most, and whether its probe may go.
    async fn known(&self, org: &Org) -> (Option<Open>, bool) {
        let now = self.clock.now();
        let looks = {
            let mut all = self.circuits.lock();
            if !all.contains_key(org) {
                all.insert(org.clone(), Known::default());
            }
            all.get_mut(org).and_then(|known| {
                let age = known.looked_at.map(|at| now - at);
                let is_fresh = age.is_some_and(|age| age >= TimeDelta::zero() && age < LOOK_EVERY);
                // By one of those who ask at once.
                (!is_fresh).then(|| {
                    known.looked_at = Some(now);
                    known.changes
                })
            })
        };
        // While the store is away what is known here goes on; its failure is counted and logged there.
        if let Some(changes) = looks
            && let Ok(rows) = self.store.circuits(now).await
        {
            let row = rows.into_iter().find(|row| row.org == *org);
            let mut all = self.circuits.lock();
            if let Some(known) = all.get_mut(org).filter(|known| known.changes == changes) {
                known.learn(row, now);
            }
        }
        let all = self.circuits.lock();
        all.get(org)
            .map_or((None, false), |known| (known.circuit.open, known.due))
    }

    /// May a read go? Where the circuit is open, one of all replicas' reads may, as its probe.
    async fn leave(&self, org: &Org, operation: ReadOperation) -> Result<(), ReadError> {
        let (Some(open), due) = self.known(org).await else {
            return Ok(());
        };
        if due && self.takes_probe(org).await {
            return Ok(());
        }
        Err(ReadError::Transient {
            operation: operation.as_str(),
            cause: open.cause,
            detail: refusal(open),
        })
    }

    /// The probe is this process's: in the row, so nobody else's. Should it never report, another may go after the first
    /// pause.
    async fn takes_probe(&self, org: &Org) -> bool {
        let (now, hold) = (self.clock.now(), self.circuits.policy.pause);
        let Ok(claimed) = self.store.claim_probe(org, hold, now).await else {
            return false;
        };
        let mut all = self.circuits.lock();
        let known = all.entry(org.clone()).or_default();
        known.due = false;
        known.changes += 1;
        let Some(row) = claimed else {
            return false;
        };
        known.learn(Some(row), now);
        if let Some(open) = &mut known.circuit.open {
            open.probing = true;
        }
        true
    }

    async fn report(&self, org: &Org, read: bool, ill: Option<IllHealth>) {
        let (policy, now) = (self.circuits.policy, self.clock.now());
        let (before, after) = self.circuits.change(org, |circuit| match (read, ill) {
            (true, None) => circuit.succeeded(),
            (true, Some(cause)) => circuit.failed(policy, cause, now),
            (false, None) => circuit.wrote(),
            (false, Some(cause)) => circuit.failed_write(policy, cause, now),
        });
        self.remember(org, before, after, now).await;
    }

    /// Writes a change of state down; a mere count of failures stays in memory.
    async fn remember(&self, org: &Org, before: Circuit, after: Circuit, now: DateTime<Utc>) {
        if before.open == after.open {
            return;
        }
        let cause = after.open.or(before.open).map(|open| open.cause.as_str());
        tracing::warn!(%org, from = before.word(), to = after.word(), cause, "a circuit breaker changed");
        // The breaker works without its memory; the store's own failure is counted and logged there.
        let _ = match after.open {
            None => self.store.close_circuit(org).await,
            Some(open) => {
                let opening = Opening {
                    cause: open.cause,
                    failures: after.failures,
                    pause: (open.probe_at - now).to_std().unwrap_or_default(),
                    after_probe: before.open.is_some_and(|open| open.probing),
                };
                self.store.open_circuit(org, &opening, now).await
            }
        };
    }

    async fn judge<T>(&self, org: &Org, result: Result<T, ReadError>) -> Result<T, ReadError> {
        // The upstream was not asked, so it said nothing.
        if matches!(result, Err(ReadError::NoLeave { .. })) {
            return result;
        }
        // Any other answer, even a refusal, is an answer.
        let ill = result.as_ref().err().and_then(ReadError::ill_health);
        self.report(org, true, ill).await;
        result
    }
}

fn refusal(open: Open) -> String {
    format!(
        "the circuit breaker is open ({}); its next probe is due at {}",
        open.cause,
        instant(open.probe_at)
    )
}

#[async_trait]
impl Tesamanager for Breaker {
    async fn list_reference_ids(
        &self,
        org: &Org,
        filter: &ListFilter,
    ) -> Result<IdStream, ReadError> {
        self.leave(org, ReadOperation::ListReferenceIds).await?;
        let result = self.inner.list_reference_ids(org, filter).await;
        self.judge(org, result).await
    }

    async fn get_request(&self, org: &Org, id: &ReferenceId) -> Result<Request, ReadError> {
        self.leave(org, ReadOperation::GetRequest).await?;
        let result = self.inner.get_request(org, id).await;
        self.judge(org, result).await
    }

    async fn get_request_events(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<Event>, ReadError> {
        self.leave(org, ReadOperation::GetRequestEvents).await?;
        let result = self.inner.get_request_events(org, id).await;
        self.judge(org, result).await
    }

    async fn get_request_issues(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<Issue>, ReadError> {
        self.leave(org, ReadOperation::GetRequestIssues).await?;
        let result = self.inner.get_request_issues(org, id).await;
        self.judge(org, result).await
    }

    fn clocks_apart(&self) -> Option<Duration> {
        self.inner.clocks_apart()
    }

    async fn prepare_write(&self, org: &Org) -> Result<Ready, ReadError> {
        self.inner.prepare_write(org).await
    }

    fn writes_are_refused(&self, org: &Org) -> bool {
        self.inner.writes_are_refused(org)
    }

    /// Goes only through a closed circuit: a write never probes.
    async fn write(&self, permit: WritePermit, ready: Ready) -> Result<Accepted, WriteError> {
        let org = permit.org().clone();
        if let (Some(open), _) = self.known(&org).await {
            return Err(WriteError::NotSent {
                detail: refusal(open),
                unreached: Some(open.cause),
            });
        }
        let result = self.inner.write(permit, ready).await;
        let ill = result.as_ref().err().and_then(WriteError::ill_health);
        self.report(&org, false, ill).await;
        result
    }
}
