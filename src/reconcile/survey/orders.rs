//! What decisions ask about the orders of the requests at hand, and about what contradicts it.

use std::collections::{HashMap, HashSet};

use super::{Portion, Rest, Survey, SurveyError};
use crate::domain::ids::{ExternalReference, ReferenceId};
use crate::domain::{Observation, SkipReason, Status};
use crate::reconcile::plan;
use crate::reconcile::reread::contradiction;
use crate::store::orders::OrderFacts;

impl Survey<'_> {
    /// What the store knows of these orders, and the upstream of those that were ever seen doubled.
    pub(super) async fn facts_by_order(
        &self,
        orders: &[ExternalReference],
    ) -> Result<HashMap<ExternalReference, OrderFacts>, SurveyError> {
        let mut facts: HashMap<ExternalReference, OrderFacts> = HashMap::new();
        let org = self.context.org;
        for attempt in self.store.attempts_for(org, orders).await? {
            let order = facts.entry(attempt.external_reference.clone()).or_default();
            order.attempts.push(attempt);
        }
        for (order, marks) in self.store.order_marks(org, orders).await? {
            facts.entry(order).or_default().marks = marks;
        }
        for order in facts.values_mut() {
            self.look_at_each(order).await?;
        }
        Ok(facts)
    }

    /// Reads each request of an order that has several: nobody else may, and what stands in the way of the order ends
    /// when one of them does. One that can't be read stands as it was.
    async fn look_at_each(&self, order: &mut OrderFacts) -> Result<(), SurveyError> {
        let org = self.context.org;
        for known in &mut order.marks.requests {
            if known.let_go || known.status.as_ref().is_some_and(Status::is_final) {
                continue;
            }
            let seen = match self.api.get_request(org, &known.reference_id).await {
                Ok(request) => request.seen,
                Err(error) if error.ends_the_run() => return Err(error.into()),
                Err(_) => continue,
            };
            let seen = std::slice::from_ref(&seen);
            if let Some(lease) = self.lease
                && !self
                    .store
                    .remember_observations(lease, org, seen)
                    .await?
                    .is_empty()
            {
                continue;
            }
            known.status = Some(seen[0].status.clone());
            known.persistence_type = seen[0].persistence_type;
        }
        Ok(())
    }

    /// Takes out what reads as older than it was known to be: nothing can be decided on it, for one of the two reads
    /// was wrong.
    pub(super) fn set_apart(
        &self,
        older: &[ReferenceId],
        fresh: &mut Vec<Observation>,
        rests: &mut Vec<Rest>,
        portion: &mut Portion,
    ) {
        let older: HashSet<&ReferenceId> = older.iter().collect();
        let mut keep = fresh.iter().map(|seen| !older.contains(&seen.reference_id));
        let kept: Vec<bool> = keep.by_ref().collect();
        drop(keep);
        let mut at = kept.iter();
        rests.retain(|_| at.next().copied().unwrap_or(true));
        fresh.retain(|seen| {
            if !older.contains(&seen.reference_id) {
                return true;
            }
            let (why, found) = contradiction(seen);
            let reason = SkipReason::ContractViolation;
            portion.tally.failed += 1;
            portion.not_looked_at.push(seen.reference_id.clone());
            let item = plan::unreadable(&seen.reference_id, reason, why, vec![found]);
            portion.items.push(item);
            false
        });
    }
}
