//! Several daemons on one PostgreSQL: one may die, and the others go on as if nothing had happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use tesa_reconciler::sandbox::{Effect, Fault, SandboxConfig};

use super::daemon::Daemon;
use super::world::{Settings, World, empty_sandbox, resend_job};
use crate::support::postgres::Database;

/// A replica that is killed within a run takes the run's lease with it; the job's slots are skipped until it is old.
const PATIENCE: Duration = Duration::from_secs(90);

/// A world whose store is a database, with a job every second.
async fn world(database: &Database, stuck: usize) -> World {
    let sandbox = SandboxConfig {
        requests: 300,
        stuck_unsent: Some(stuck),
        ..empty_sandbox()
    };
    let settings = Settings {
        jobs: resend_job("every = \"1s\""),
        state_url: Some(database.url()),
        ..Settings::default()
    };
    World::with(sandbox, settings).await
}

async fn three(world: &World) -> [Daemon; 3] {
    // One after the other: each takes the next free file for its output.
    [
        world.daemon().await,
        world.daemon().await,
        world.daemon().await,
    ]
}

/// The runs so far, once `enough` of them say so.
async fn runs_when(world: &World, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let runs = world.rows(&["runs", "--limit", "1000"]).await;
        if enough(&runs) {
            return runs;
        }
        assert!(begun.elapsed() < PATIENCE, "{runs:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn replicas(runs: &[Value]) -> BTreeSet<&str> {
    runs.iter()
        .filter_map(|run| run["replica"].as_str())
        .collect()
}

fn assert_each_slot_ran_once(runs: &[Value]) {
    let slots: Vec<&str> = runs.iter().filter_map(|run| run["slot"].as_str()).collect();
    let distinct: BTreeSet<&&str> = slots.iter().collect();
    assert_eq!(slots.len(), distinct.len(), "{slots:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn same_hostname_replicas_do_not_share_identity() {
    let database = Database::migrated().await;
    let world = world(&database, 0).await;
    let daemons = three(&world).await;
    let begun = Instant::now();
    while daemons[0].metric("replicas_live", &[]).await < 3.0 {
        assert!(begun.elapsed() < PATIENCE, "three are never seen to live");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let runs = runs_when(&world, |runs| runs.len() >= 5).await;
    assert_each_slot_ran_once(&runs);
    for daemon in daemons {
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slot_during_failover_runs_exactly_once() {
    let database = Database::migrated().await;
    let world = world(&database, 40).await;
    let lost = Effect::Drop { applied: true };
    world.faults(vec![Fault::new(lost).on(&["writes"]).rate(0.1)]);
    let [first, second, third] = three(&world).await;
    let before = runs_when(&world, |runs| runs.len() >= 2).await;
    first.kill().await;
    // The others go on: it can't have begun these.
    let after = runs_when(&world, |runs| runs.len() >= before.len() + 6).await;
    assert_each_slot_ran_once(&after);
    let mut effects: BTreeMap<String, usize> = BTreeMap::new();
    for entry in world.writes().iter().filter(|entry| entry.effect) {
        *effects
            .entry(entry.external_reference.clone().unwrap())
            .or_default() += 1;
    }
    assert!(effects.len() > 10, "{effects:?}");
    assert!(effects.values().all(|count| *count == 1), "{effects:?}");
    second.stop().await;
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_replica_takes_over() {
    let database = Database::migrated().await;
    let world = world(&database, 0).await;
    let first = world.daemon().await;
    let alone = runs_when(&world, |runs| runs.len() >= 2).await;
    let dead = replicas(&alone).first().unwrap().to_string();
    let second = world.daemon().await;
    first.kill().await;
    let runs = runs_when(&world, |runs| {
        runs.iter()
            .filter(|run| run["replica"] != dead.as_str())
            .count()
            >= 3
    })
    .await;
    assert_each_slot_ran_once(&runs);
    second.stop().await;
}
