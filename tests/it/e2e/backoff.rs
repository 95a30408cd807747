//! Trying again, with patience and an end.

use tesa_reconciler::domain::finding::Attention;
use tesa_reconciler::domain::{AttemptState, RunOutcome, Status, Trigger};
use tesa_reconciler::sandbox::{Effect, Fault};
use tokio_util::sync::CancellationToken;

use super::{DAY, HOUR, MINUTE, RESEND, RETRY, World, empty, tally};

const SAFETY: &str = "max_attempts = 3\nbackoff = { initial = \"10m\", max = \"6h\" }";

fn refused(status: u16) -> Effect {
    Effect::Error {
        status,
        applied: false,
        shape: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gives_up_after_max_attempts() {
    let world = World::new(empty(), SAFETY, RESEND).await;
    let id = world.unsent("ORDER-1", "2h");
    world.faults([Fault::new(Effect::Drop { applied: false }).on(&["writes"])]);
    for _ in 0..30 {
        world.run(RETRY).await;
        world.settle().await;
        world.advance(HOUR);
    }
    assert_eq!(world.states().await, [AttemptState::Ineffective; 3]);
    assert_eq!(world.ledger().len(), 3);
    assert_eq!(world.verdict(RETRY, &id).await, "given_up");
    let findings = world.findings().await;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].attention, Some(Attention::GivenUp));
    // The pauses grew, each at least half of its full length.
    let attempts = world.attempts().await;
    for (pair, least) in attempts.windows(2).zip([5, 10]) {
        let pause = pair[1].intended_at - pair[0].changed_at;
        assert!(pause >= chrono::TimeDelta::minutes(least), "{pause}");
    }
    // Given up is given up, even when the upstream is well again.
    world.faults([]);
    world.advance(DAY);
    world.run_well(RETRY).await;
    assert_eq!(world.ledger().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manual_trigger_leaves_backoff_alone() {
    let mut world = World::new(empty(), SAFETY, RESEND).await;
    let id = world.unsent("ORDER-1", "2h");
    world.faults([Fault::new(Effect::Drop { applied: false })
        .on(&["writes"])
        .times(1)]);
    world.run(RETRY).await;
    world.settle().await;
    world.run_well(RETRY).await;
    let said = async |world: &World| {
        let decisions = world.store().decisions_about(&super::org(), &id).await;
        decisions.unwrap()[0].explanation.clone()
    };
    let before = said(&world).await;
    assert!(before.contains("next try from"), "{before}");
    let stop = CancellationToken::new();
    for _ in 0..5 {
        let order = world.daemon.order(RETRY, Trigger::Manual);
        world.daemon.run_as(&order, &stop).await.unwrap();
        world.restart().await;
    }
    assert_eq!(said(&world).await, before, "neither earlier nor later");
    assert_eq!(world.ledger().len(), 1);
    world.advance(10 * MINUTE);
    world.run_well(RETRY).await;
    assert_eq!(world.ledger().len(), 2);
    tally::no_order_twice(&world.ledger());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_item_is_seen_again_next_run() {
    let world = World::new(empty(), SAFETY, RESEND).await;
    let sick = world.unsent("ORDER-1", "3h");
    let well = world.unsent("ORDER-2", "2h");
    world.faults([Fault::new(refused(503))
        .on(&["get_request"])
        .about(sick.as_str())]);
    let (outcome, summary) = world.run(RETRY).await;
    assert_eq!((outcome, summary.failed), (RunOutcome::Partial, 1));
    assert_eq!(world.verdict(RETRY, &sick).await, "read_failed");
    assert_eq!(tally::orders(&world.ledger()), ["ORDER-2"]);
    world.faults([]);
    world.advance(5 * MINUTE);
    world.run_well(RETRY).await;
    assert_eq!(tally::orders(&world.ledger()), ["ORDER-2", "ORDER-1"]);
    for id in [sick, well] {
        assert_eq!(world.status(&id), Status::Validating);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_not_repeated_until_the_request_changes() {
    for status in [400, 404, 406] {
        let world = World::new(empty(), SAFETY, RESEND).await;
        let id = world.unsent("ORDER-1", "2h");
        world.faults([Fault::new(refused(status)).on(&["writes"]).times(1)]);
        let (outcome, _) = world.run(RETRY).await;
        assert_eq!(outcome, RunOutcome::Partial);
        for _ in 0..12 {
            world.advance(HOUR);
            world.run_well(RETRY).await;
            world.verify().await;
        }
        assert_eq!(world.states().await, [AttemptState::Rejected]);
        assert_eq!(world.verdict(RETRY, &id).await, "given_up");
        assert_eq!(
            world.findings().await[0].attention,
            Some(Attention::GivenUp)
        );
        assert_eq!(world.ledger().len(), 1, "{status}");
        // Somebody mended it: a new state of things is decided on afresh.
        world.unsent("ORDER-1", "0s");
        world.advance(31 * MINUTE);
        world.run_well(RETRY).await;
        assert_eq!(world.ledger().len(), 2);
        assert_eq!(world.status(&id), Status::Validating);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn being_told_to_slow_down_costs_no_attempt() {
    let world = World::new(empty(), SAFETY, RESEND).await;
    let id = world.unsent("ORDER-1", "2h");
    let patience = Effect::Throttle { retry_after: None };
    world.faults([Fault::new(patience).on(&["writes"]).times(4)]);
    for _ in 0..8 {
        world.run(RETRY).await;
        world.advance(7 * HOUR);
    }
    world.settle().await;
    assert_eq!(world.status(&id), Status::Validating);
    assert_eq!(world.ledger().len(), 5);
    tally::no_order_twice(&world.ledger());
}
