//! A pause holds within two seconds whatever is slow just then: the token, or the store. Judged by when writes came to
//! the upstream. What a slow connect does is among the permits.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection};
use tesa_reconciler::clock::{Clock as _, SystemClock};
use tesa_reconciler::sandbox::{Effect, Fault, SandboxConfig};

use super::daemon::Daemon;
use super::world::{Settings, World, empty_sandbox, wait_for};
use crate::support::postgres::Database;

const ORDERS: usize = 5;

fn slow(ms: u64) -> Effect {
    Effect::Latency { ms, jitter_ms: 0 }
}

fn calls(world: &World, of: &str) -> u64 {
    world.sandbox.handle().stats().calls[of]
}

/// Pauses everything, and answers since when that is so at the latest.
async fn pause(world: &World) -> DateTime<Utc> {
    let args = ["pause", "--all", "--reason", "a test says so"];
    let ended = world.run(&args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    SystemClock.now()
}

/// The run ends, and what it had not sent by two seconds after the pause it did not send.
async fn holds(world: &World, daemon: &mut Daemon, paused_at: DateTime<Utc>) {
    daemon.logged("a run ended").await;
    let sent = world.writes();
    let late = sent
        .iter()
        .filter(|write| write.time > paused_at + TimeDelta::seconds(2));
    assert_eq!(late.count(), 0, "paused at {paused_at}: {sent:?}");
    assert!(sent.len() < ORDERS, "all were sent before the pause held");
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let withheld = format!("{} writes are withheld: paused", ORDERS - sent.len());
    assert!(ended.stderr.contains(&withheld), "{withheld}: {ended:?}");
    assert_eq!(world.writes().len(), sent.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_although_a_write_waited_for_its_token() {
    // A token has ended by the time that a read is answered, so each write waits for a new one.
    let sandbox = SandboxConfig {
        token_ttl: Duration::from_secs(2),
        ..empty_sandbox()
    };
    let world = World::with(sandbox, Settings::default()).await;
    for order in 0..ORDERS {
        world.stuck(&format!("ORD-{order}"));
    }
    let mut daemon = world.daemon().await;
    world.faults(vec![
        Fault::new(slow(2_200)).on(&["get_request"]),
        Fault::new(slow(1_500)).on(&["token"]),
    ]);
    world.run(&["trigger", "retry-stuck"]).await;
    wait_for("a read", || calls(&world, "get_request") > 0).await;
    let tokens = calls(&world, "token");
    wait_for("another token", || calls(&world, "token") > tokens).await;
    let paused_at = pause(&world).await;
    world.faults(vec![]);
    holds(&world, &mut daemon, paused_at).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_although_the_store_held_up_the_ledger() {
    let database = Database::migrated().await;
    let world = World::new(Settings {
        state_url: Some(database.url()),
        ..Settings::default()
    })
    .await;
    for order in 0..ORDERS {
        world.stuck(&format!("ORD-{order}"));
    }
    let mut daemon = world.daemon().await;
    let mut sql = PgConnection::connect(&database.url()).await.unwrap();
    let mut holding = sql.begin().await.unwrap();
    sqlx::query("LOCK TABLE attempts IN SHARE MODE")
        .execute(&mut *holding)
        .await
        .unwrap();
    world.run(&["trigger", "retry-stuck"]).await;
    // The ledger's first row waits: it asked for its place before there was a pause.
    let mut waiting = 0_i64;
    while waiting == 0 {
        let asked = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'attempts'::regclass",
        );
        waiting = asked.fetch_one(&mut *holding).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let paused_at = pause(&world).await;
    holding.commit().await.unwrap();
    holds(&world, &mut daemon, paused_at).await;
    daemon.stop().await;
}
