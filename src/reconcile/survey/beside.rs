//! What the store knows beside a batch of requests, as their decisions ask for it: the ledger of their orders, and
//! what people said of them.

use std::collections::HashMap;

use super::{Survey, SurveyError};
use crate::domain::ids::{ExternalReference, ReferenceId};
use crate::domain::{Issue, Observation};
use crate::reconcile::acknowledged;
use crate::reconcile::plan::Known;
use crate::rules::{Action, Rule};
use crate::store::StoreError;
use crate::store::acknowledgements::Acknowledgement;
use crate::store::orders::{Marks, OrderFacts};

static NOTHING_KNOWN: OrderFacts = OrderFacts {
    attempts: Vec::new(),
    marks: Marks {
        retry: None,
        requests: Vec::new(),
    },
};

/// See the module.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Beside {
    orders: HashMap<ExternalReference, OrderFacts>,
    said_of_request: HashMap<ReferenceId, Acknowledgement>,
    said_of_order: HashMap<ExternalReference, Acknowledgement>,
}

impl Beside {
    /// What is known of one of the requests.
    pub(in crate::reconcile) fn known<'k>(&'k self, request: &'k Observation) -> Known<'k> {
        let order = request.external_reference.as_ref();
        let facts = order.and_then(|order| self.orders.get(order));
        let of_request = self.said_of_request.get(&request.reference_id);
        Known {
            request,
            issue: None,
            order: facts.unwrap_or(&NOTHING_KNOWN),
            acknowledged: of_request.or_else(|| self.said_of_order.get(order?)),
        }
    }
}

impl Survey<'_> {
    /// Looks it up for these requests, each with its issues where they were read.
    pub(in crate::reconcile) async fn beside<'r>(
        &self,
        requests: impl IntoIterator<Item = (&'r Observation, Option<&'r [Issue]>)>,
    ) -> Result<Beside, SurveyError> {
        let requests: HashMap<&ReferenceId, _> = requests
            .into_iter()
            .map(|seen| (&seen.0.reference_id, seen))
            .collect();
        let orders = requests.values().map(|(request, _)| *request);
        let orders: Vec<ExternalReference> = orders
            .filter_map(|request| request.external_reference.clone())
            .collect();
        let mut beside = Beside::default();
        if requests.is_empty() {
            return Ok(beside);
        }
        self.what_people_said(&requests, &orders, &mut beside)
            .await?;
        // Orders are asked for only where a rule sends anything.
        let sends = |rule: &Rule| matches!(rule.action, Action::Send(_));
        if !orders.is_empty() && self.context.rules.iter().any(sends) {
            beside.orders = self.facts_by_order(&orders).await?;
        }
        Ok(beside)
    }

    /// What these requests mean for what people said of them: what was not known then is filled in, and what they have
    /// outgrown ends.
    pub(in crate::reconcile) async fn hear(&self, seen: &[Observation]) -> Result<(), StoreError> {
        let requests = seen
            .iter()
            .map(|request| (&request.reference_id, (request, None)));
        let mut beside = Beside::default();
        self.what_people_said(&requests.collect(), &[], &mut beside)
            .await
    }

    /// What holds of it; what a request has outgrown is written down as ended.
    async fn what_people_said(
        &self,
        requests: &HashMap<&ReferenceId, (&Observation, Option<&[Issue]>)>,
        orders: &[ExternalReference],
        beside: &mut Beside,
    ) -> Result<(), StoreError> {
        let ids: Vec<ReferenceId> = requests.keys().map(|id| (*id).clone()).collect();
        let org = self.context.org;
        let mut changes = Vec::new();
        for said in self.store.acknowledgements_about(org, &ids, orders).await? {
            let looked_at = requests.get(&said.key.reference_id);
            let change = looked_at
                .and_then(|(request, issues)| acknowledged::judge(&said, request, *issues));
            let over = change
                .as_ref()
                .is_some_and(|change| change.ended_why.is_some());
            changes.extend(change);
            if over {
                continue;
            }
            // Of several the first speaks for all.
            if let Some(order) = &said.external_reference {
                let said_of_order = beside.said_of_order.entry(order.clone());
                said_of_order.or_insert_with(|| said.clone());
            }
            let id = said.key.reference_id.clone();
            beside.said_of_request.entry(id).or_insert(said);
        }
        if let Some(lease) = self.lease.filter(|_| !changes.is_empty()) {
            self.store
                .keep_acknowledgements(lease, &changes, self.clock.now())
                .await?;
        }
        Ok(())
    }
}
