//! What must be so once the trouble has been over for long enough: everything that can be repaired is, or waits for a
//! person, and nothing is left hanging.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use tesa_reconciler::domain::ids::Org;
use tesa_reconciler::domain::{AttemptState, FindingKind, FindingState, Status};
use tesa_reconciler::store::findings::{Finding, FindingFilter};
use tesa_reconciler::store::runs::RunFilter;
use tesa_reconciler::store::{
    Acknowledgements as _, Controls as _, Findings as _, Page, Runs as _,
};

use crate::plan::Plan;
use crate::replica::ORG;
use crate::world::World;
use crate::{people, replayed};

/// A run takes no longer.
const RUNS_END_WITHIN: TimeDelta = TimeDelta::minutes(5);

/// The hour of the cap, with the time until the next run.
const AN_HOUR: TimeDelta = TimeDelta::minutes(63);

pub async fn everything_is_settled(world: &World, plan: &Plan) -> Result<(), String> {
    let (store, now) = (&world.store, world.now());
    let told = |error: tesa_reconciler::store::StoreError| error.to_string();
    replayed::leads_to_what_is_remembered(store, &Org::new(ORG)).await?;
    let attempts = people::attempts(store).await.map_err(told)?;
    for attempt in &attempts {
        if attempt.state.is_open() && attempt.state != AttemptState::NeedsHuman {
            return Err(format!("never settled: {attempt:?}"));
        }
    }
    let runs = store
        .runs(&RunFilter::default(), Page::first(1_000))
        .await
        .map_err(told)?;
    let left = runs
        .iter()
        .find(|run| run.finished_at.is_none() && run.started_at < now - RUNS_END_WITHIN);
    if let Some(run) = left {
        return Err(format!("a run that never ended: {run:?}"));
    }
    let circuits = store.circuits(now).await.map_err(told)?;
    if let Some(open) = circuits.iter().find(|circuit| circuit.is_open()) {
        return Err(format!("a circuit that stays open: {open:?}"));
    }
    let said = store
        .acknowledgements(Some(&Org::new(ORG)))
        .await
        .map_err(told)?;
    let findings = store
        .findings(&FindingFilter::default(), Page::first(1_000))
        .await
        .map_err(told)?;
    findings_are_true(world, plan, &findings)?;
    if plan.upstream_is_honest() {
        no_false_alarm(world).await?;
    }
    // Whom a person has told, or has been told of.
    let mut known: BTreeSet<&str> = BTreeSet::new();
    known.extend(said.iter().map(|word| word.key.reference_id.as_str()));
    known.extend(
        findings
            .iter()
            .filter(|finding| finding.attention.is_some())
            .map(|finding| finding.key.reference_id.as_str()),
    );
    known.extend(
        attempts
            .iter()
            .filter(|attempt| attempt.state == AttemptState::NeedsHuman)
            .map(|attempt| attempt.reference_id.as_str()),
    );
    // Hands off an order is hands off all its requests.
    let hands_off = |order: &str| {
        said.iter().any(|word| {
            let of = word.external_reference.as_ref();
            of.is_some_and(|of| of.as_str() == order)
        })
    };
    // What is still to be repaired waits for the hour's cap, where that is used up.
    let since = now - AN_HOUR;
    let ledger = world.sandbox.ledger();
    let of_hour = ledger.iter().filter(|entry| entry.time > since);
    if of_hour.count() as u64 >= plan.limits.per_hour {
        return Ok(());
    }
    let repairable = plan.orders.iter().filter(|order| order.is_repairable);
    for order in repairable {
        for id in world.sandbox.references(ORG, &order.name) {
            let is_known = known.contains(id.as_str()) || hands_off(&order.name);
            if is_broken(world, &id) && !is_known {
                let request = world.sandbox.request(ORG, &id);
                return Err(format!(
                    "{} ({id}) is broken and nobody knows: {request:?}",
                    order.name
                ));
            }
        }
    }
    Ok(())
}

/// Nobody ever said that the upstream contradicts itself.
async fn no_false_alarm(world: &World) -> Result<(), String> {
    for state in [None, Some(FindingState::Resolved)] {
        let filter = FindingFilter {
            kind: Some(FindingKind::ContractViolation),
            state,
            ..FindingFilter::default()
        };
        let said = world.store.findings(&filter, Page::first(1)).await;
        if let Some(alarm) = said.map_err(|error| error.to_string())?.first() {
            return Err(format!("a false alarm: {alarm:?}"));
        }
    }
    Ok(())
}

/// Of what is stuck there is a finding, and of what is not there is none.
fn findings_are_true(world: &World, plan: &Plan, findings: &[Finding]) -> Result<(), String> {
    let stuck = |finding: &&Finding| finding.key.kind == FindingKind::StuckRequest;
    let settled_for = |at: chrono::DateTime<chrono::Utc>| world.now() - at;
    for finding in findings.iter().filter(stuck) {
        let id = finding.key.reference_id.as_str();
        let Some(request) = world.sandbox.request(ORG, id) else {
            continue;
        };
        let stands = match request.cancelling {
            true => "CANCELLING",
            false => request.status.as_str(),
        };
        let is_old_news = settled_for(request.last_updated) > TimeDelta::minutes(20);
        if stands != finding.key.detail && is_old_news {
            return Err(format!(
                "a finding of what is over: {finding:?} {request:?}"
            ));
        }
    }
    for order in &plan.orders {
        let Some(id) = world
            .sandbox
            .references(ORG, &order.name)
            .into_iter()
            .next()
        else {
            continue;
        };
        let request = world.sandbox.request(ORG, &id);
        let is_stuck = request.is_some_and(|request| {
            request.status == Status::Validating
                && !request.cancelling
                && settled_for(request.last_updated) > TimeDelta::minutes(80)
        });
        let mut of_it = findings
            .iter()
            .filter(|finding| finding.key.reference_id.as_str() == id);
        if is_stuck && !of_it.any(|finding| stuck(&finding)) {
            return Err(format!("{} is stuck and there is no finding", order.name));
        }
    }
    Ok(())
}

/// It is as the rules say that it must not stay.
fn is_broken(world: &World, id: &str) -> bool {
    let Some(request) = world.sandbox.request(ORG, id) else {
        return false;
    };
    let age = world.now() - request.last_updated;
    let is_old = age > TimeDelta::minutes(60);
    is_old
        && !request.cancelling
        && matches!(request.status, Status::NotSent | Status::IncidenceOperator)
}
