//! The main job: unsent requests that are stuck are sent again, once each, oldest first, within the caps.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use tesa_reconciler::domain::{AttemptState, Status, Verdict};

use super::{HOUR, MINUTE, ORG, RETRY, SandboxConfig, World, seeded, tally};

const STUCK: usize = 300;
const CAPS: &str = "max_writes_per_run = 20\nmax_writes_per_hour = 70\nhold_above_count = 400";

/// The default jobs.
const DEFAULTS: &str = "";

fn ten_thousand() -> SandboxConfig {
    SandboxConfig {
        stuck_unsent: Some(STUCK),
        ..seeded(10_000)
    }
}

/// Every stuck order with the date of its last change, oldest first.
fn stuck(world: &World) -> Vec<(DateTime<Utc>, String)> {
    let mut stuck = Vec::new();
    for n in 1..=10_000 {
        let order = format!("SBX-{n:07}");
        for id in world.sandbox().references(ORG, &order) {
            let request = world.sandbox().request(ORG, &id).unwrap();
            if request.status == Status::NotSent {
                stuck.push((request.last_updated, order.clone()));
            }
        }
    }
    stuck.sort();
    stuck
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stuck_request_is_sent_once_within_the_caps_oldest_first() {
    let world = World::new(ten_thousand(), CAPS, DEFAULTS).await;
    let stuck = stuck(&world);
    assert_eq!(stuck.len(), STUCK);
    let mut runs = 0;
    while world.ledger().len() < STUCK {
        runs += 1;
        assert!(runs < 60, "only {} are sent", world.ledger().len());
        let before = world.ledger().len();
        let summary = world.run_well(RETRY).await;
        let sent = world.ledger().len() - before;
        assert!(sent <= 20, "{sent} writes in one run");
        assert_eq!(summary.sent, sent as u64);
        tally::never_above_per_hour(&world.ledger(), 70);
        world.advance(5 * MINUTE);
        world.verify().await;
    }
    let ledger = world.ledger();
    let wanted: Vec<&str> = stuck.iter().map(|(_, order)| order.as_str()).collect();
    assert_eq!(tally::orders(&ledger), wanted);
    tally::no_order_twice(&ledger);
    tally::every_write_has_its_own_correlation_id(&ledger);
    world.settle().await;
    let states: HashSet<AttemptState> = world.states().await.into_iter().collect();
    assert_eq!(states, HashSet::from([AttemptState::Confirmed]));

    // The details of what grew old meanwhile are read once; after that the world stands still, but for a few samples.
    world.run_well(RETRY).await;
    let calls = world.calls();
    let summary = world.run_well(RETRY).await;
    assert_eq!(summary.sent, 0, "{summary:?}");
    assert!(
        summary.observed <= 3 && summary.unchanged > 0,
        "{summary:?}"
    );
    let mut asked = world.calls();
    asked.retain(|operation, count| calls.get(operation) != Some(count));
    let asked: Vec<&String> = asked.keys().collect();
    assert!(
        asked
            .iter()
            .all(|it| ["list_reference_ids", "get_request"].contains(&it.as_str())),
        "{asked:?}"
    );
    assert_eq!(world.ledger().len(), STUCK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observe_and_plan_never_write() {
    let safety = "mode = \"observe\"\nhold_above_count = 400";
    let mut world = World::new(ten_thousand(), safety, DEFAULTS).await;
    for _ in 0..2 {
        for job in [RETRY, "resolve-issues", "flag-events"] {
            world.run_well(job).await;
        }
        world.advance(HOUR);
    }
    world.reload(CAPS, DEFAULTS);
    let before = world.findings().await.len();
    let (tally, items) = world.plan(RETRY).await;
    let acts = items
        .iter()
        .filter(|item| matches!(item.decision.verdict, Verdict::Act { .. }))
        .count();
    let capped = items
        .iter()
        .filter(|item| item.decision.verdict.label() == "cap_reached")
        .count();
    assert_eq!((acts, acts + capped), (20, STUCK), "{tally:?}");
    assert_eq!(world.sandbox().stats().writes, 0);
    assert_eq!(world.ledger(), []);
    assert!(world.attempts().await.is_empty());
    assert_eq!(
        world.findings().await.len(),
        before,
        "a plan changes nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_between_runs_changes_nothing() {
    let mut world = World::new(
        SandboxConfig {
            stuck_unsent: Some(12),
            ..seeded(200)
        },
        "max_writes_per_run = 5",
        DEFAULTS,
    )
    .await;
    for _ in 0..5 {
        world.run_well(RETRY).await;
        world.advance(2 * MINUTE);
        world.restart().await;
        world.verify().await;
    }
    assert_eq!(world.ledger().len(), 12);
    tally::no_order_twice(&world.ledger());
}
