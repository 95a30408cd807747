//! One bad item never ends a run, a bad token always does.

use serde_json::json;
use tesa_reconciler::domain::finding::FindingState;
use tesa_reconciler::domain::{FindingKind, RunOutcome};
use tesa_reconciler::sandbox::{Effect, Fault};
use tesa_reconciler::store::findings::FindingFilter;

use super::{HOUR, MINUTE, RESEND, RETRY, TOKEN, World, empty, seeded, tally};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undecodable_item_costs_only_that_item_and_its_finding_heals() {
    let world = World::new(empty(), "", RESEND).await;
    let bad = world.unsent("ORDER-1", "3h");
    world.unsent("ORDER-2", "2h");
    world.faults([Fault::new(Effect::Undecodable)
        .on(&["get_request"])
        .about(bad.as_str())]);
    for _ in 0..2 {
        let (outcome, summary) = world.run(RETRY).await;
        assert_eq!((outcome, summary.failed), (RunOutcome::Partial, 1));
        world.advance(5 * MINUTE);
    }
    assert_eq!(tally::orders(&world.ledger()), ["ORDER-2"]);
    assert_eq!(world.verdict(RETRY, &bad).await, "contract_violation");
    let violation = FindingFilter {
        kind: Some(FindingKind::ContractViolation),
        ..FindingFilter::default()
    };
    let open = world.findings_of(violation.clone()).await;
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].key.reference_id, bad);
    world.faults([]);
    world.run_well(RETRY).await;
    assert!(world.findings_of(violation.clone()).await.is_empty());
    let resolved = FindingFilter {
        state: Some(FindingState::Resolved),
        ..violation
    };
    assert_eq!(world.findings_of(resolved).await.len(), 1);
    assert_eq!(tally::orders(&world.ledger()), ["ORDER-2", "ORDER-1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_list_fails_the_run_and_resolves_nothing() {
    let world = World::new(empty(), "mode = \"observe\"", RESEND).await;
    for n in 0..3 {
        world.unsent(&format!("ORDER-{n}"), "2h");
    }
    world.run_well(RETRY).await;
    assert_eq!(world.findings().await.len(), 3);
    for what in [Effect::Undecodable, Effect::Cut] {
        world.faults([Fault::new(what).on(&["list_reference_ids"])]);
        let (outcome, summary) = world.run(RETRY).await;
        assert_eq!(outcome, RunOutcome::Failed);
        assert!(
            summary.trouble.contains("list_reference_ids"),
            "{summary:?}"
        );
        assert_eq!(world.findings().await.len(), 3, "absence proves nothing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_gone_is_no_failure() {
    let world = World::new(empty(), "", RESEND).await;
    let gone = world.unsent("ORDER-1", "3h");
    world.unsent("ORDER-2", "2h");
    let unknown = Effect::Error {
        status: 404,
        applied: false,
        shape: Default::default(),
    };
    world.faults([Fault::new(unknown)
        .on(&["get_request"])
        .about(gone.as_str())]);
    let summary = world.run_well(RETRY).await;
    assert_eq!((summary.sent, summary.failed), (1, 0));
    assert_eq!(world.verdict(RETRY, &gone).await, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undocumented_status_is_flagged_and_never_acted_on() {
    let jobs = format!("{RESEND}{}", super::EVENTS);
    let world = World::new(empty(), "", &jobs).await;
    let moon = json!({"external_reference": "ORDER-1", "status": "ON_THE_MOON", "age": "90d"});
    let id = world.patch(moon).reference_id.into();
    for _ in 0..3 {
        world.run_well(RETRY).await;
        world.run_well("flag-events").await;
        world.advance(HOUR);
    }
    let findings = world.findings().await;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].key.kind, FindingKind::UnknownStatus);
    assert_eq!(findings[0].key.reference_id, id);
    assert_eq!(world.ledger(), []);
    world.patch(json!({"external_reference": "ORDER-1", "status": "FINISHED"}));
    world.run_well("flag-events").await;
    assert!(world.findings().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_fails_the_run_and_nothing_else() {
    let mut world = World::new(empty(), "", RESEND).await;
    world.unsent("ORDER-1", "2h");
    let token = world.dir.path().join("token");
    for broken in [Some("nobody-knows-this-one"), None] {
        match broken {
            Some(text) => std::fs::write(&token, text).unwrap(),
            None => std::fs::remove_file(&token).unwrap(),
        }
        let (outcome, summary) = world.run(RETRY).await;
        assert_eq!(outcome, RunOutcome::Failed);
        assert!(summary.trouble.contains("not authorised"), "{summary:?}");
        assert!(!summary.trouble.contains("nobody-knows"), "{summary:?}");
    }
    assert_eq!(world.ledger(), []);
    std::fs::write(&token, TOKEN).unwrap();
    world.restart().await;
    world.run_well(RETRY).await;
    assert_eq!(world.ledger().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_selection_selects_nothing() {
    // The one rule is about another tenant, so for this one nothing is to be selected: not everything.
    let jobs = RESEND.replace("action", "orgs = [\"masmovil\"]\naction");
    let mut world = World::new(seeded(50), "", &jobs).await;
    let mut order = world
        .daemon
        .order(RETRY, tesa_reconciler::domain::Trigger::Schedule);
    let mut job = (*order.job).clone();
    job.rules[0].matcher.orgs = Some(vec!["yoigo".into()]);
    order.job = job.clone().into();
    let stop = tokio_util::sync::CancellationToken::new();
    let (outcome, summary) = world.daemon.run_as(&order, &stop).await.unwrap();
    assert_eq!((outcome, summary.selected), (RunOutcome::Succeeded, 0));
    job.rules[0].matcher.orgs = None;
    job.rules[0].matcher.statuses = Some(vec![]);
    order.job = job.clone().into();
    let (_, summary) = world.daemon.run_as(&order, &stop).await.unwrap();
    assert_eq!(summary.selected, 0);
    job.rules.clear();
    order.job = job.into();
    let (_, summary) = world.daemon.run_as(&order, &stop).await.unwrap();
    assert_eq!(summary.selected, 0);
    assert_eq!(world.sandbox().stats().reads, 0, "nothing to ask");
    world.restart().await;
    assert!(world.run_well(RETRY).await.selected < 50);
}
