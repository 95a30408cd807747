//! The guard as a whole: hold, release, pause, circuit breaker, caps, as the upstream gets to see them.

use std::sync::Arc;
use std::time::Duration;

use tesa_reconciler::domain::ids::JobName;
use tesa_reconciler::domain::{RunOutcome, Trigger};
use tesa_reconciler::sandbox::{Effect, Fault, SandboxConfig};
use tokio_util::sync::CancellationToken;

use super::{HOUR, MINUTE, ORG, RESEND, RETRY, World, empty, org, person, seeded, tally};

fn retry() -> JobName {
    JobName::new(RETRY)
}

async fn release(world: &World) {
    let actor = person("the gateway's outage is over");
    let released = world
        .store()
        .release_guard(&retry(), &org(), &actor, world.now())
        .await;
    assert!(released.unwrap(), "it was latched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn correlated_failure_holds_by_default() {
    let sandbox = SandboxConfig {
        stuck_unsent: Some(5_000),
        ..seeded(10_000)
    };
    let mut world = World::new(sandbox, "", RESEND).await;
    for _ in 0..2 {
        let (outcome, summary) = world.run(RETRY).await;
        assert_eq!(outcome, RunOutcome::Held);
        assert!(
            summary.trouble.contains("until it is released"),
            "{summary:?}"
        );
        assert_eq!(summary.skipped, 5_000);
        world.advance(5 * MINUTE);
        world.restart().await;
    }
    assert_eq!(world.ledger(), []);
    let latches = world.store().latches().await.unwrap();
    assert_eq!(latches.len(), 1);
    assert!(latches[0].reason.starts_with("5000 of "), "{latches:?}");

    release(&world).await;
    // More than what would hold them, were it not for the release.
    for (runs, sent) in [(6, 100), (5, 200), (1, 220)] {
        for _ in 0..runs {
            let before = world.ledger().len();
            let (outcome, _) = world.run(RETRY).await;
            assert_eq!(outcome, RunOutcome::Succeeded);
            assert!(world.ledger().len() - before <= 20);
        }
        assert_eq!(world.ledger().len(), sent);
        world.advance(HOUR);
        world.verify().await;
    }
    let ledger = world.ledger();
    tally::no_order_twice(&ledger);
    tally::never_above_per_hour(&ledger, 100);
    // Oldest first: nothing that is left is older than what went.
    let attempts = world.attempts().await;
    let went: Vec<_> = attempts
        .iter()
        .map(|attempt| attempt.before.last_updated.unwrap())
        .collect();
    assert!(went.is_sorted());
    let (_, plan) = world.plan(RETRY).await;
    let left = plan.iter().filter(|item| item.intent.is_some());
    let left: Vec<_> = left
        .filter_map(|item| item.request.as_ref()?.last_updated)
        .collect();
    assert_eq!(left.len(), 20);
    let capped = plan
        .iter()
        .filter(|item| item.decision.verdict.label() == "cap_reached");
    assert!(capped.count() > 4_000);
    assert!(left.iter().all(|updated| *updated >= went[went.len() - 1]));
    assert_eq!(world.store().latches().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_due_by_a_release_goes_whenever_it_is_first_seen() {
    let safety = "hold_above_count = 10\nhold_above_fraction = 0.1\nmax_writes_per_run = 50";
    let world = World::new(empty(), safety, RESEND).await;
    for n in 0..12 {
        world.unsent(&format!("SEEN-{n}"), "2h");
    }
    assert_eq!(world.run(RETRY).await.0, RunOutcome::Held);
    release(&world).await;
    // No list had named these yet, but they were due.
    for n in 0..15 {
        world.unsent(&format!("UNSEEN-{n}"), "2h");
    }
    world.advance(MINUTE);
    assert_eq!(world.run(RETRY).await.0, RunOutcome::Succeeded);
    assert_eq!(world.ledger().len(), 27);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_wave_after_a_release_holds_again() {
    let safety = "hold_above_count = 10\nhold_above_fraction = 0.1\nmax_writes_per_run = 3";
    let world = World::new(empty(), safety, RESEND).await;
    for n in 0..15 {
        world.unsent(&format!("FIRST-{n}"), "2h");
    }
    assert_eq!(world.run(RETRY).await.0, RunOutcome::Held);
    release(&world).await;
    assert_eq!(world.run(RETRY).await.0, RunOutcome::Succeeded);
    assert_eq!(world.ledger().len(), 3);
    // A few more are no wave, a wave is.
    for n in 0..10 {
        world.unsent(&format!("SECOND-{n}"), "0s");
    }
    world.advance(31 * MINUTE);
    assert_eq!(world.run(RETRY).await.0, RunOutcome::Succeeded);
    assert_eq!(world.ledger().len(), 6);
    world.unsent("SECOND-10", "0s");
    world.advance(31 * MINUTE);
    assert_eq!(world.run(RETRY).await.0, RunOutcome::Held);
    assert_eq!(world.ledger().len(), 6);
    release(&world).await;
    for _ in 0..10 {
        world.advance(MINUTE);
        world.run_well(RETRY).await;
    }
    assert_eq!(world.ledger().len(), 26);
    tally::no_order_twice(&world.ledger());
}

/// Starts a run whose writes are slow, and waits until the first one came in.
async fn in_the_middle_of_a_run(world: &World) -> tokio::task::JoinHandle<RunOutcome> {
    world.faults([Fault::new(Effect::Latency {
        ms: 300,
        jitter_ms: 0,
    })
    .on(&["writes"])]);
    let live = world.daemon.live();
    let order = world.daemon.order(RETRY, Trigger::Schedule);
    let run = tokio::spawn(async move {
        let stop = CancellationToken::new();
        match live.reconciler.run(&order, &stop).await.unwrap() {
            tesa_reconciler::reconcile::runner::RunResult::Done { outcome, .. } => outcome,
            other => panic!("{other:?}"),
        }
    });
    while world.ledger().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_in_the_middle_of_a_run_stops_the_rest() {
    let world = World::new(empty(), "", RESEND).await;
    let ids: Vec<_> = (10..30)
        .map(|n| world.unsent(&format!("ORDER-{n}"), &format!("{}m", 100 - n)))
        .collect();
    let run = in_the_middle_of_a_run(&world).await;
    let actor = person("the installer called");
    let now = world.now();
    world.store().pause(None, None, &actor, now).await.unwrap();
    let at_pause = world.ledger().len();
    assert_eq!(run.await.unwrap(), RunOutcome::Succeeded);
    let ledger = world.ledger();
    // One may have been committed before the pause was.
    assert!(
        ledger.len() <= at_pause + 1 && ledger.len() < 20,
        "{}",
        ledger.len()
    );
    assert_eq!(world.attempts().await.len(), ledger.len());
    for id in &ids[ledger.len()..] {
        assert_eq!(world.verdict(RETRY, id).await, "paused");
    }
    world.faults([]);
    world.run_well(RETRY).await;
    assert_eq!(world.ledger().len(), ledger.len());
    world.store().resume(None, &actor, now).await.unwrap();
    world.run_well(RETRY).await;
    assert_eq!(world.ledger().len(), 20);
    tally::no_order_twice(&world.ledger());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_between_decision_and_write_is_left_alone() {
    let world = World::new(empty(), "", RESEND).await;
    world.unsent("ORDER-1", "3h");
    let second = world.unsent("ORDER-2", "2h");
    let third = world.unsent("ORDER-3", "1h");
    let run = in_the_middle_of_a_run(&world).await;
    let taken_up = serde_json::json!({"external_reference": "ORDER-2", "status": "VALIDATING"});
    world.patch(taken_up);
    // The same status, but something happened to it.
    world.unsent("ORDER-3", "45m");
    run.await.unwrap();
    assert_eq!(tally::orders(&world.ledger()), ["ORDER-1"]);
    for id in [second, third] {
        assert_eq!(world.verdict(RETRY, &id).await, "changed_meanwhile");
    }
    world.faults([]);
    world.run_well(RETRY).await;
    assert_eq!(tally::orders(&world.ledger()), ["ORDER-1", "ORDER-3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_stops_between_two_writes_and_costs_nothing() {
    let world = World::new(empty(), "", RESEND).await;
    for n in 0..5 {
        world.unsent(&format!("ORDER-{n}"), "2h");
    }
    let stop = CancellationToken::new();
    stop.cancel();
    let order = world.daemon.order(RETRY, Trigger::Schedule);
    let (outcome, _) = world.daemon.run_as(&order, &stop).await.unwrap();
    assert_eq!(outcome, RunOutcome::Aborted);
    assert_eq!(world.ledger(), []);
    world.run_well(RETRY).await;
    assert_eq!(world.ledger().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_circuit_opens_on_5xx_and_a_read_closes_it() {
    let mut world = World::new(empty(), "", RESEND).await;
    world.unsent("ORDER-1", "2h");
    let ill = Effect::Error {
        status: 502,
        applied: false,
        shape: Default::default(),
    };
    world.faults([Fault::new(ill).on(&["reads"])]);
    for _ in 0..5 {
        let (outcome, summary) = world.run(RETRY).await;
        assert_eq!(outcome, RunOutcome::Failed);
        assert!(!summary.trouble.is_empty());
    }
    let state = async |world: &World| {
        let circuits = world.store().circuits(world.now()).await.unwrap();
        assert_eq!(circuits[0].org.as_str(), ORG);
        circuits[0].state.clone()
    };
    assert_eq!(state(&world).await, "open");
    // It stays open over a restart, and nothing is asked while it is.
    world.restart().await;
    let calls = world.calls();
    let (outcome, summary) = world.run(RETRY).await;
    assert_eq!(outcome, RunOutcome::Failed);
    assert!(summary.trouble.contains("circuit breaker"), "{summary:?}");
    assert_eq!(world.calls(), calls);
    // A probe that fails opens it anew, one that succeeds closes it; then writes go again.
    world.advance(MINUTE);
    assert_eq!(world.run(RETRY).await.0, RunOutcome::Failed);
    assert_eq!(state(&world).await, "open");
    world.faults([]);
    world.advance(10 * MINUTE);
    world.run_well(RETRY).await;
    assert_eq!(state(&world).await, "closed");
    world.run_well(RETRY).await;
    assert_eq!(tally::orders(&world.ledger()), ["ORDER-1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circuit_that_a_dead_process_left_open_is_healed_by_whoever_lives() {
    let mut world = World::new(empty(), "", RESEND).await;
    world.unsent("ORDER-1", "2h");
    // Another one on the same store, which has seen nothing of it.
    let store = Arc::clone(world.daemon.store());
    let heir = world.daemon.around(store, None).await;
    let first = std::mem::replace(&mut world.daemon, heir);
    let ill = Effect::Error {
        status: 503,
        applied: false,
        shape: Default::default(),
    };
    world.faults([Fault::new(ill).on(&["reads"])]);
    for _ in 0..5 {
        assert_eq!(first.run(RETRY).await.unwrap().0, RunOutcome::Failed);
    }
    drop(first);
    world.faults([]);
    world.advance(Duration::from_secs(2));
    let calls = world.calls();
    let (outcome, summary) = world.run(RETRY).await;
    assert_eq!(outcome, RunOutcome::Failed, "its pause is everyone's");
    assert!(summary.trouble.contains("http_5xx"), "{summary:?}");
    assert_eq!(world.calls(), calls);
    // The first run after the pause probes, heals, and writes.
    world.advance(MINUTE);
    let summary = world.run_well(RETRY).await;
    assert_eq!(summary.sent, 1, "{summary:?}");
    let circuits = world.store().circuits(world.now()).await.unwrap();
    assert_eq!(circuits[0].state, "closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_writes_open_the_circuit_although_reads_are_well() {
    let world = World::new(empty(), "", RESEND).await;
    for n in 0..15 {
        world.unsent(&format!("ORDER-{n}"), "2h");
    }
    let ill = Effect::Error {
        status: 500,
        applied: true,
        shape: Default::default(),
    };
    world.faults([Fault::new(ill).on(&["writes"])]);
    world.run(RETRY).await;
    assert_eq!(world.ledger().len(), 5, "five in a row, then no more");
    // A write after each pause, until one is answered.
    world.advance(MINUTE);
    world.run(RETRY).await;
    world.run(RETRY).await;
    assert_eq!(world.ledger().len(), 6);
    world.faults([]);
    for _ in 0..2 {
        world.advance(HOUR);
        world.run(RETRY).await;
    }
    world.settle().await;
    tally::no_order_twice(&world.ledger());
    assert_eq!(world.ledger().len(), 15);
}
