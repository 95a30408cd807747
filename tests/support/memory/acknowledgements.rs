//! What people said: hands off. Each call that changes it sets the state of the findings it was said of.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::domain::Status;
use tesa_reconciler::domain::finding::{FindingKind, FindingState};
use tesa_reconciler::domain::ids::{
    AcknowledgementId, ExternalReference, FindingId, Org, ReferenceId,
};
use tesa_reconciler::rules::classes::CANCELLING;
use tesa_reconciler::store::acknowledgements::{
    Acknowledgement, AcknowledgementChange, Acknowledgements, Given, frozen,
};
use tesa_reconciler::store::findings::{Finding, FindingKey};
use tesa_reconciler::store::runs::RunLease;
use tesa_reconciler::store::{Actor, StoreError};

use super::findings::{Row, place};
use super::{MemoryStore, State};

#[derive(Default)]
pub(super) struct Table {
    last: i64,
    pub(super) rows: BTreeMap<AcknowledgementId, Acknowledgement>,
}

impl Table {
    fn holding(&self) -> impl Iterator<Item = &Acknowledgement> {
        self.rows.values().filter(|row| row.ended_at.is_none())
    }

    /// Something was said of this finding, and holds.
    pub(super) fn holds_of(&self, org: &Org, key: &FindingKey) -> bool {
        self.holding().any(|row| row.org == *org && row.key == *key)
    }
}

/// Refuses all if one is missing.
fn none_missing(
    operation: &'static str,
    ids: &[FindingId],
    which: &str,
    is_there: impl Fn(&FindingId) -> bool,
) -> Result<(), StoreError> {
    let missing = ids.iter().filter(|id| !is_there(id));
    let missing: Vec<String> = missing.map(ToString::to_string).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what = format!("finding {} {which}", missing.join(", "));
    Err(StoreError::NotFound { operation, what })
}

impl State {
    pub(super) fn is_hands_off(
        &self,
        org: &Org,
        request: &ReferenceId,
        order: &ExternalReference,
    ) -> bool {
        self.acknowledgements.holding().any(|row| {
            let is_about =
                row.key.reference_id == *request || row.external_reference.as_ref() == Some(order);
            row.org == *org && is_about
        })
    }

    /// What is not known of the request itself is taken from the finding, whose detail says where it is stuck.
    fn say(
        &self,
        id: AcknowledgementId,
        of: &Finding,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Acknowledgement {
        let key = (of.org.clone(), of.key.reference_id.clone());
        let seen = self.requests.observations.get(&key);
        let stuck = of.key.kind == FindingKind::StuckRequest;
        let detail = Some(of.key.detail.as_str()).filter(|_| stuck);
        let at = detail.filter(|&detail| detail != CANCELLING);
        let given = Given {
            status: seen
                .map(|seen| seen.status.clone())
                .or_else(|| at.map(Status::parse)),
            cancelling: seen
                .map(|seen| seen.cancelling)
                .or_else(|| detail.map(|detail| detail == CANCELLING)),
            last_updated: seen
                .and_then(|seen| seen.last_updated)
                .or_else(|| of.since.filter(|_| stuck)),
            repeated: None,
        };
        let order = seen.and_then(|seen| seen.external_reference.clone());
        Acknowledgement {
            id,
            org: of.org.clone(),
            key: of.key.clone(),
            external_reference: order.or_else(|| of.external_reference.clone()),
            given,
            who: actor.who.clone(),
            reason: actor.reason.clone(),
            given_at: now,
            ended_at: None,
            ended_why: None,
        }
    }
}

/// The finding shows another state, if it shows this one.
fn show(row: &mut Row, from: FindingState, to: FindingState) {
    if row.finding.state == from {
        row.finding.state = to;
    }
}

#[async_trait]
impl Acknowledgements for MemoryStore {
    async fn acknowledge_findings(
        &self,
        ids: &[FindingId],
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let operation = "acknowledge_findings";
        self.write(operation, |state, _| {
            none_missing(operation, ids, "that isn't resolved", |id| {
                state.findings.rows.get(id).is_some_and(Row::is_live)
            })?;
            let each: BTreeSet<&FindingId> = ids.iter().collect();
            for id in each {
                let next = AcknowledgementId(state.acknowledgements.last + 1);
                let said = state.say(next, &state.findings.rows[id].finding, actor, now);
                state.acknowledgements.last = next.0;
                state.acknowledgements.rows.insert(next, said);
                if let Some(row) = state.findings.rows.get_mut(id) {
                    show(row, FindingState::Open, FindingState::Acknowledged);
                }
            }
            if !ids.is_empty() {
                state.note("acknowledge", &frozen(ids), actor, now);
            }
            Ok(())
        })
        .await
    }

    async fn unacknowledge_findings(
        &self,
        ids: &[FindingId],
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Vec<Acknowledgement>, StoreError> {
        let operation = "unacknowledge_findings";
        self.write(operation, |state, _| {
            let said = |id: &FindingId| state.findings.rows.get(id).map(|row| &row.finding);
            none_missing(operation, ids, "that is acknowledged", |id| {
                let of = said(id);
                of.is_some_and(|of| state.acknowledgements.holds_of(&of.org, &of.key))
            })?;
            let of = ids.iter().filter_map(said);
            let of: BTreeSet<_> = of.map(|of| place(&of.org, &of.key)).collect();
            let mut taken = Vec::new();
            for row in state.acknowledgements.rows.values_mut() {
                if row.ended_at.is_none() && of.contains(&place(&row.org, &row.key)) {
                    row.ended_at = Some(now);
                    let why = format!("taken back by {}: {}", actor.who, actor.reason);
                    row.ended_why = Some(why);
                    taken.push(row.clone());
                }
            }
            for id in ids {
                if let Some(row) = state.findings.rows.get_mut(id) {
                    show(row, FindingState::Acknowledged, FindingState::Open);
                }
            }
            if !ids.is_empty() {
                state.note("unacknowledge", &frozen(ids), actor, now);
            }
            Ok(taken)
        })
        .await
    }

    async fn acknowledgements_about(
        &self,
        org: &Org,
        requests: &[ReferenceId],
        orders: &[ExternalReference],
    ) -> Result<Vec<Acknowledgement>, StoreError> {
        self.read("acknowledgements_about", |state, _| {
            let about = state.acknowledgements.holding().filter(|row| {
                let order = row.external_reference.as_ref();
                let is_about = requests.contains(&row.key.reference_id)
                    || order.is_some_and(|order| orders.contains(order));
                row.org == *org && is_about
            });
            Ok(about.cloned().collect())
        })
        .await
    }

    async fn acknowledgements(
        &self,
        org: Option<&Org>,
    ) -> Result<Vec<Acknowledgement>, StoreError> {
        self.read("acknowledgements", |state, _| {
            let holding = state.acknowledgements.holding();
            let of_org = holding.filter(|row| org.is_none_or(|org| *org == row.org));
            Ok(of_org.cloned().collect())
        })
        .await
    }

    async fn acknowledged_ids(&self, org: &Org) -> Result<Vec<ReferenceId>, StoreError> {
        self.read("acknowledged_ids", |state, _| {
            let holding = state.acknowledgements.holding();
            let of_org = holding.filter(|row| row.org == *org);
            let ids: BTreeSet<&ReferenceId> = of_org.map(|row| &row.key.reference_id).collect();
            Ok(ids.into_iter().cloned().collect())
        })
        .await
    }

    async fn acknowledgements_of(
        &self,
        org: &Org,
        request: &ReferenceId,
    ) -> Result<Vec<Acknowledgement>, StoreError> {
        self.read("acknowledgements_of", |state, _| {
            let rows = state.acknowledgements.rows.values();
            let of_request = rows.filter(|row| row.org == *org && row.key.reference_id == *request);
            Ok(of_request.cloned().collect())
        })
        .await
    }

    async fn keep_acknowledgements(
        &self,
        lease: &RunLease,
        changes: &[AcknowledgementChange],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("keep_acknowledgements", |state, _| {
            state.hold("keep_acknowledgements", lease)?;
            for change in changes {
                state.keep(change, now);
            }
            Ok(())
        })
        .await
    }
}

impl State {
    /// Fills in what was not known, ends what is over. One that has ended stays as it is.
    fn keep(&mut self, change: &AcknowledgementChange, now: DateTime<Utc>) {
        let row = self.acknowledgements.rows.get_mut(&change.id);
        let Some(row) = row.filter(|row| row.ended_at.is_none()) else {
            return;
        };
        let (known, new) = (&mut row.given, &change.given);
        known.status = known.status.take().or_else(|| new.status.clone());
        known.cancelling = known.cancelling.or(new.cancelling);
        known.last_updated = known.last_updated.or(new.last_updated);
        known.repeated = known.repeated.or(new.repeated);
        let order = row.external_reference.take();
        row.external_reference = order.or_else(|| change.external_reference.clone());
        let Some(why) = &change.ended_why else {
            return;
        };
        row.ended_at = Some(now);
        row.ended_why = Some(why.clone());
        let (org, key) = (row.org.clone(), row.key.clone());
        if !self.acknowledgements.holds_of(&org, &key)
            && let Some(finding) = self.findings.get_mut(&place(&org, &key))
        {
            show(finding, FindingState::Acknowledged, FindingState::Open);
        }
        let subject = format!("{org}/{} {}", key.reference_id, key.kind);
        let actor = Actor::daemon(why);
        self.note("acknowledgement_ended", &subject, &actor, now);
    }
}
