//! The circuit breaker around the upstream: the same trait, with a memory of the upstream's health for each org.
//!
//! Its state is in the store too, so that a restart (or another replica's start) does not begin by hammering an
//! upstream that is down. The reconciler sees an open circuit as a transient failure and goes on with what it can.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::guard::WritePermit;
use super::guard::circuit::{Circuit, CircuitPolicy, Leave, Open};
use crate::clock::SharedClock;
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{Event, Issue, ReadOperation, Request};
use crate::store::controls::CircuitRow;
use crate::store::{Store, StoreError};
use crate::tesamanager::{Accepted, IdStream, ListFilter, ReadError, Tesamanager, WriteError};

/// The breakers' states: one memory for the process, whatever clients come and go by reloads.
#[derive(Debug)]
pub struct Circuits {
    policy: CircuitPolicy,
    circuits: Mutex<HashMap<Org, Circuit>>,
}

impl Circuits {
    /// Changes an org's circuit; answers its states before and after.
    fn change(&self, org: &Org, change: impl FnOnce(Circuit) -> Circuit) -> (Circuit, Circuit) {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        let before = circuits.get(org).copied().unwrap_or_default();
        let after = change(before);
        if after != before {
            circuits.insert(org.clone(), after);
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
    /// What the store remembers of the circuits.
    pub async fn remembered(
        store: &dyn Store,
        policy: CircuitPolicy,
    ) -> Result<Circuits, StoreError> {
        let remembered = store.circuits().await?;
        let circuits = remembered
            .into_iter()
            .map(|row| {
                let open = match (row.opened_at, row.probe_at) {
                    // A probe that was on its way when the process ended will not report any more.
                    (Some(since), Some(probe_at)) => Some(Open {
                        since,
                        probe_at,
                        probing: false,
                    }),
                    _ => None,
                };
                (
                    row.org,
                    Circuit {
                        failures: row.failures,
                        // Not remembered: at worst a few more writes fail before it opens again.
                        failed_writes: 0,
                        open,
                    },
                )
            })
            .collect();
        Ok(Circuits {
            policy,
            circuits: Mutex::new(circuits),
        })
    }

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

    async fn leave(&self, org: &Org, operation: ReadOperation) -> Result<(), ReadError> {
        let mut leave = Leave::Go;
        let (before, after) = self.circuits.change(org, |circuit| {
            // As nearly always: the time doesn't matter.
            if circuit.open.is_none() {
                return circuit;
            }
            let (now, policy) = (self.clock.now(), self.circuits.policy);
            leave = circuit.leave(now);
            if leave == Leave::Probe {
                circuit.probing(policy, now)
            } else {
                circuit
            }
        });
        self.remember(org, before, after).await;
        match leave {
            Leave::Go | Leave::Probe => Ok(()),
            Leave::NotBefore(at) => Err(ReadError::Transient {
                operation: operation.as_str(),
                detail: format!(
                    "the circuit breaker is open until {}",
                    super::plan::instant(at)
                ),
            }),
        }
    }

    async fn report(&self, org: &Org, read: bool, well: bool) {
        let policy = self.circuits.policy;
        let (before, after) = self.circuits.change(org, |circuit| match (read, well) {
            (true, true) => circuit.succeeded(),
            (true, false) => circuit.failed(policy, self.clock.now()),
            (false, true) => circuit.wrote(),
            (false, false) => circuit.failed_write(policy, self.clock.now()),
        });
        self.remember(org, before, after).await;
    }

    /// Writes a change of state down; a mere count of failures stays in memory.
    async fn remember(&self, org: &Org, before: Circuit, after: Circuit) {
        if before.open == after.open {
            return;
        }
        if before.word() != after.word() {
            tracing::warn!(%org, from = before.word(), to = after.word(), "a circuit breaker changed");
        }
        let row = CircuitRow {
            org: org.clone(),
            state: after.word().to_owned(),
            failures: after.failures,
            opened_at: after.open.map(|open| open.since),
            probe_at: after.open.map(|open| open.probe_at),
        };
        // The breaker works without its memory; the store's own failure is counted and logged there.
        let _ = self.store.save_circuit(&row).await;
    }

    async fn judge<T>(&self, org: &Org, result: Result<T, ReadError>) -> Result<T, ReadError> {
        match &result {
            Err(error) if error.is_ill_health() => self.report(org, true, false).await,
            // The upstream was not asked, so it said nothing.
            Err(ReadError::NoLeave { .. }) => {}
            // Any other answer, even a refusal, is an answer.
            Ok(_) | Err(_) => self.report(org, true, true).await,
        }
        result
    }
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

    async fn await_write_quota(&self, org: &Org) -> Result<(), ReadError> {
        self.inner.await_write_quota(org).await
    }

    fn writes_are_refused(&self, org: &Org) -> bool {
        self.inner.writes_are_refused(org)
    }

    /// Goes only through a closed circuit: a write never probes.
    async fn write(&self, permit: WritePermit) -> Result<Accepted, WriteError> {
        let org = permit.org().clone();
        let (circuit, _) = self.circuits.change(&org, |circuit| circuit);
        if let Some(open) = circuit.open {
            let at = super::plan::instant(open.probe_at);
            return Err(WriteError::NotSent {
                detail: format!("the circuit breaker is open until {at}"),
            });
        }
        let result = self.inner.write(permit).await;
        let well = match &result {
            Ok(_) => true,
            Err(WriteError::Rejected { http_status, .. }) => *http_status != 429,
            // Without even a connection it is as ill as it gets.
            Err(WriteError::Unknown { .. } | WriteError::NotSent { .. }) => false,
        };
        self.report(&org, false, well).await;
        result
    }
}
