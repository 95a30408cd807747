//! A replica that stands still for longer than its lease (stopped, its machine frozen or moved) and then goes on in the
//! middle of its run: the run is another's by then, and what the old one wants to write is refused.

use std::time::Instant;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tesa_reconciler::sandbox::{Effect, Fault};

use super::world::{PATIENCE, Settings, World, jobs_of_each_kind, wait_for};
use crate::support::postgres::Database;

/// What runs write, each row as text and in order.
async fn written(database: &mut PgConnection) -> Vec<String> {
    let mut all = Vec::new();
    for table in [
        "observations",
        "decisions",
        "findings",
        "looks",
        "sweeps",
        "latches",
        "attempts",
    ] {
        let rows = format!("SELECT t::text FROM {table} AS t ORDER BY 1");
        let rows = sqlx::query(AssertSqlSafe(rows)).fetch_all(&mut *database);
        let rows = rows.await.unwrap();
        all.extend(
            rows.iter()
                .map(|row| format!("{table} {}", row.get::<String, _>(0))),
        );
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_frozen_beyond_its_lease_changes_nothing_when_it_goes_on() {
    const JOBS: [&str; 2] = ["retry-stuck", "flag-events"];
    let database = Database::migrated().await;
    let world = World::new(Settings {
        jobs: jobs_of_each_kind(),
        state_url: Some(database.url()),
        ..Settings::default()
    })
    .await;
    let orders: Vec<_> = (0..6)
        .map(|order| world.stuck(&format!("ORD-{order}")))
        .collect();
    let slow = Effect::Latency {
        ms: 4_000,
        jitter_ms: 0,
    };
    world.faults(vec![
        Fault::new(slow).on(&["get_request", "get_request_events"]),
    ]);
    let mut frozen = world.daemon().await;
    for job in JOBS {
        world.run(&["trigger", job]).await;
    }
    // Both have listed what they are about, and wait for what they read.
    let reads = |of: &str| world.sandbox.handle().stats().calls[of];
    let both = || reads("get_request_events") >= orders.len() as u64 && reads("get_request") >= 1;
    wait_for("reads of both", both).await;
    frozen.signal("STOP");
    // Twenty seconds of silence, at once.
    let mut sql = PgConnection::connect(&database.url()).await.unwrap();
    for table in ["runs", "replicas"] {
        let silent = format!("UPDATE {table} SET last_beat = last_beat - interval '1 minute'");
        let silent = sqlx::query(AssertSqlSafe(silent)).execute(&mut sql);
        silent.await.unwrap();
    }
    // The world goes on, and another one looks at it.
    world.faults(vec![]);
    let second = world.daemon().await;
    assert_eq!(
        second.times_logged("a run is lost: its process died; what it sent is verified"),
        2
    );
    for order in &orders {
        let (id, status) = (&order.reference_id, "VALIDATING");
        world.patch(json!({"reference_id": id, "status": status, "age": "1s"}));
    }
    for job in JOBS {
        let ended = world.run(&["trigger", job, "--wait"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let stands = written(&mut sql).await;
    assert!(stands.len() > orders.len(), "{stands:?}");
    frozen.signal("CONT");
    let ended = "the run was declared lost while it ran";
    frozen.logged_again(ended, JOBS.len()).await;
    assert_eq!(written(&mut sql).await, stands);
    assert!(world.writes().is_empty());
    // It is as good as new, as soon as it has said that it lives.
    second.stop().await;
    let begun = Instant::now();
    while world.run(&["trigger", "retry-stuck", "--wait"]).await.code != Some(0) {
        assert!(begun.elapsed() < PATIENCE);
    }
    frozen.stop().await;
}
