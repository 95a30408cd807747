//! What is marked about orders.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::domain::ids::{ExternalReference, Org, ReferenceId};
use tesa_reconciler::domain::{AttemptId, What};
use tesa_reconciler::store::orders::{KnownRequest, Marks, Orders, Retry};
use tesa_reconciler::store::{Actor, StoreError};

use super::{MemoryStore, State};

type OrderOfOrg = (Org, ExternalReference);

#[derive(Default)]
pub(super) struct Table {
    pub(super) retries: BTreeMap<(OrderOfOrg, DateTime<Utc>), AttemptId>,
    pub(super) duplicates: BTreeMap<(OrderOfOrg, ReferenceId), Duplicate>,
}

/// A request that was seen beside another one of its order.
pub(super) struct Duplicate {
    pub(super) seen_at: DateTime<Utc>,
    let_go: bool,
}

impl State {
    /// The order's requests as they are remembered.
    fn observed(&self, of: &OrderOfOrg) -> Vec<ReferenceId> {
        let observations = self.requests.observations.iter();
        observations
            .filter(|((org, _), seen)| {
                *org == of.0 && seen.external_reference.as_ref() == Some(&of.1)
            })
            .map(|((_, id), _)| id.clone())
            .collect()
    }

    pub(super) fn marks_of(&self, org: &Org, order: &ExternalReference) -> Marks {
        let of = (org.clone(), order.clone());
        let duplicates = self
            .orders
            .duplicates
            .iter()
            .filter(|((to, _), _)| *to == of);
        let duplicates = duplicates.map(|((_, id), duplicate)| (id.clone(), duplicate.let_go));
        let mut known: BTreeMap<ReferenceId, bool> = duplicates.collect();
        for id in self.observed(&of) {
            known.entry(id).or_default();
        }
        let mut retries = self.orders.retries.iter().filter(|((to, _), _)| *to == of);
        let mut marks = Marks {
            retry: retries
                .next_back()
                .map(|(&(_, at), &last_attempt)| Retry { at, last_attempt }),
            requests: Vec::new(),
        };
        if known.len() > 1 {
            let request = |(reference_id, let_go): (ReferenceId, bool)| {
                let key = (org.clone(), reference_id);
                let seen = self.requests.observations.get(&key);
                KnownRequest {
                    status: seen.map(|seen| seen.status.clone()),
                    persistence_type: seen.and_then(|seen| seen.persistence_type),
                    reference_id: key.1,
                    let_go,
                }
            };
            marks.requests = known.into_iter().map(request).collect();
        }
        marks
    }
}

#[async_trait]
impl Orders for MemoryStore {
    async fn order_marks(
        &self,
        org: &Org,
        orders: &[ExternalReference],
    ) -> Result<Vec<(ExternalReference, Marks)>, StoreError> {
        self.read("order_marks", |state, _| {
            let asked: BTreeSet<&ExternalReference> = orders.iter().collect();
            let marks = asked
                .into_iter()
                .map(|order| (order.clone(), state.marks_of(org, order)));
            Ok(marks
                .filter(|(_, marks)| *marks != Marks::default())
                .collect())
        })
        .await
    }

    async fn note_duplicates(
        &self,
        org: &Org,
        order: &ExternalReference,
        requests: &[ReferenceId],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("note_duplicates", |state, _| {
            let of = (org.clone(), order.clone());
            for id in requests {
                let key = (of.clone(), id.clone());
                let seen = Duplicate {
                    seen_at: now,
                    let_go: false,
                };
                state.orders.duplicates.entry(key).or_insert(seen);
            }
            Ok(())
        })
        .await
    }

    async fn retry_order(
        &self,
        org: &Org,
        order: &ExternalReference,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Result<(), AttemptId>, StoreError> {
        self.write("retry_order", |state, _| {
            let attempts = state.attempts_of(org, order);
            if let Some(open) = attempts.iter().find(|attempt| attempt.state.is_open()) {
                return Ok(Err(open.id));
            }
            let of = (org.clone(), order.clone());
            // What is known is kept, and let go, before it is forgotten.
            for id in state.observed(&of) {
                let seen = Duplicate {
                    seen_at: now,
                    let_go: true,
                };
                let key = (of.clone(), id.clone());
                state.orders.duplicates.entry(key).or_insert(seen);
                state.forget(org, &id, now, What::LetGo);
            }
            for ((to, _), duplicate) in &mut state.orders.duplicates {
                duplicate.let_go |= *to == of;
            }
            let last = attempts.last().map_or(AttemptId(0), |last| last.id);
            state.orders.retries.insert((of, now), last);
            state.note("retry", &format!("{org}/{order}"), actor, now);
            Ok(Ok(()))
        })
        .await
    }
}
