//! A permit is worthless late: between the ledger's row and the first byte there may be a process that stands still, or
//! a connect that takes long. The write stays here then, and nobody pays for it. Judged by what came to the upstream.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tesa_reconciler::clock::{Clock as _, SystemClock};

use super::daemon::Daemon;
use super::world::{Settings, World, wait_for};
use crate::support::gate::Gate;

/// The last read before a create: when it is answered, the row is written and the write sets out.
const LOOK_UP: &str = "externalReference=";
const WRITE: &str = "POST ";

/// One stuck order behind a gate whose doors shut right before the write. One attempt is all that an order has, and
/// a pause after it lasts longer than any test: what costs either is not sent again.
async fn scene() -> (World, Gate, Daemon) {
    let mut settings = Settings {
        safety: "max_attempts = 1\nbackoff = { initial = \"1h\", max = \"1h\" }".to_owned(),
        ..Settings::default()
    };
    settings.tesamanager += "\nconnect_timeout = \"60s\"\nrequest_timeout = \"60s\"";
    let world = World::new(settings).await;
    let gate = behind_a_gate(&world);
    world.stuck("ORD-1");
    let daemon = world.daemon().await;
    gate.shut_behind(LOOK_UP);
    let ended = world.run(&["trigger", "retry-stuck"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    wait_for("a connect", || {
        gate.passed(LOOK_UP) == 1 && gate.knocking() > 0
    })
    .await;
    (world, gate, daemon)
}

/// Puts a gate before the upstream, for calls but not for tokens.
fn behind_a_gate(world: &World) -> Gate {
    let gate = Gate::before(world.sandbox.address());
    let path = world.path("tesa-reconciler.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (direct, gated) = (world.sandbox.address(), gate.address());
    let text = text.replace(&direct.to_string(), &gated.to_string());
    std::fs::write(path, text).unwrap();
    gate
}

fn instant(row: &Value, column: &str) -> DateTime<Utc> {
    row[column].as_str().unwrap().parse().unwrap()
}

async fn is_sent_by_the_next_run(world: &World, gate: &Gate) {
    assert_eq!(gate.passed(WRITE), 0, "a byte left");
    assert!(world.writes().is_empty());
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(world.effects(), 1);
    assert_eq!(world.writes().len(), 1);
    let states = world.states().await;
    assert_eq!(states.len(), 2, "{states:?}");
    assert_eq!(states[0], "not_sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_frozen_between_row_and_write_sends_nothing_when_it_goes_on() {
    let (world, gate, daemon) = scene().await;
    daemon.signal("STOP");
    assert_eq!(world.states().await, ["intended"]);
    // The way is free now, and the connection is made: only the process stands still.
    gate.open();
    wait_for("a connection", || {
        gate.knocking() == 0 && gate.standing() > 0
    })
    .await;
    let intended_at = instant(&world.attempts().await[0], "intended_at");
    let late = || SystemClock.now() - intended_at > TimeDelta::seconds(2);
    wait_for("two seconds since the row", late).await;
    assert_eq!(world.states().await, ["intended"]);
    daemon.signal("CONT");
    world.await_states(1, &["not_sent"]).await;
    is_sent_by_the_next_run(&world, &gate).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connect_that_takes_longer_than_a_second_sends_nothing_and_costs_nothing() {
    let (world, gate, mut daemon) = scene().await;
    // Nobody lets it in: it gives up by itself, long before the connect's own time-out.
    let recorded = daemon.logged("the write's answer is recorded").await;
    assert_eq!(recorded["state"], "not_sent", "{recorded}");
    let intended_at = instant(&world.attempts().await[0], "intended_at");
    let took = instant(&recorded, "timestamp") - intended_at;
    assert!(
        took < TimeDelta::from_std(Duration::from_secs(2)).unwrap(),
        "{took}"
    );
    gate.open();
    is_sent_by_the_next_run(&world, &gate).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_while_a_write_connects_keeps_it_here() {
    let (world, gate, mut daemon) = scene().await;
    let paused = ["pause", "--all", "--reason", "a test says so"];
    let ended = world.run(&paused).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let paused_at = SystemClock.now();
    gate.open();
    daemon.logged("the write's answer is recorded").await;
    // It may have left within its second. Whatever else is due stays.
    for order in 2..5 {
        world.stuck(&format!("ORD-{order}"));
    }
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let late = world
        .writes()
        .iter()
        .filter(|entry| entry.time - paused_at > TimeDelta::seconds(2))
        .count();
    assert_eq!((late, world.writes().len() < 2), (0, true));
    daemon.stop().await;
}
