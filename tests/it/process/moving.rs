//! `state copy`: a daemon moves from SQLite to PostgreSQL, and what was in doubt stays in doubt.

use serde_json::Value;
use tesa_reconciler::sandbox::{Effect, Fault};

use super::world::{Ended, NEVER, Settings, World, resend_job};
use crate::support::postgres::Database;

/// Verification far away: what is in doubt stays so for the length of a test.
fn settings() -> Settings {
    let flag = format!("[[job]]\nname = \"flag-events\"\nkind = \"flag_events\"\n{NEVER}\n");
    Settings {
        safety: "verify_after = [\"1h\"]\nbackoff = { initial = \"1s\", max = \"1s\" }".to_owned(),
        jobs: resend_job(NEVER) + &flag,
        ..Settings::default()
    }
}

async fn copy(world: &World, to: &str) -> Ended {
    let from = format!("sqlite:{}", world.store_file().display());
    let args = [
        "state",
        "copy",
        "--from",
        &from,
        "--to",
        to,
        "--reason",
        "more replicas",
        "--output",
        "json",
    ];
    world.run(&args).await
}

fn rows(copied: &[Value], table: &str) -> u64 {
    let row = copied.iter().find(|row| row["table"] == table);
    row.unwrap_or_else(|| panic!("no {table} in {copied:?}"))["rows"]
        .as_u64()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_moves_house_and_sends_nothing_again() {
    let database = Database::empty().await;
    let mut world = World::new(settings()).await;
    for order in ["ORD-1", "ORD-2", "ORD-3"] {
        world.stuck(order);
    }
    // One answer is lost on the way back, and one request never arrives: nobody here can tell which.
    world.faults(vec![
        Fault::new(Effect::Drop { applied: true })
            .on(&["writes"])
            .about("ORD-1"),
        Fault::new(Effect::Drop { applied: false })
            .on(&["writes"])
            .about("ORD-2"),
    ]);
    let daemon = world.daemon().await;
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(3), "two are in doubt: {ended:?}");
    world.await_states(3, &["accepted", "unknown"]).await;
    let paused = world
        .run(&["pause", "flag-events", "--reason", "moving"])
        .await;
    assert_eq!(paused.code, Some(0), "{paused:?}");
    let before = (
        world.attempts().await,
        world.rows(&["findings"]).await,
        world.rows(&["audit"]).await,
    );
    assert_eq!(before.0.len(), 3);
    assert!(!before.1.is_empty(), "something is stuck");
    let sent = world.writes().len();

    // Whoever is still at work would write into what is being left.
    let busy = copy(&world, &database.url()).await;
    assert_eq!(busy.code, Some(75), "{busy:?}");
    assert!(busy.stderr.contains("daemon"), "{busy:?}");
    daemon.stop().await;
    let stopped = world.rows(&["audit"]).await;

    let ended = copy(&world, &database.url()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let copied: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(rows(&copied, "attempts"), 3);
    assert_eq!(rows(&copied, "runs"), 1);
    assert_eq!(rows(&copied, "findings"), before.1.len() as u64);
    assert_eq!(rows(&copied, "pauses"), 1);
    assert_eq!(rows(&copied, "audit"), stopped.len() as u64);

    // A second time there is something to be lost.
    let again = copy(&world, &database.url()).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("was copied to"), "{again:?}");
    assert!(again.stderr.contains("nothing was changed"), "{again:?}");
    // Nor is it started on, or steered, by mistake.
    let mut mistake = world.start_daemon();
    assert_eq!(mistake.exit().await, Some(78), "{}", mistake.output());
    assert!(
        mistake.output().contains("set state.url to it"),
        "{}",
        mistake.output()
    );
    let late = world.run(&["pause", "--all", "--reason", "too late"]).await;
    assert_eq!(late.code, Some(78), "{late:?}");
    assert!(late.stderr.contains("was copied to"), "{late:?}");

    world.settings.state_url = Some(database.url());
    world.write_configuration();
    assert_eq!(world.attempts().await, before.0);
    assert_eq!(world.rows(&["findings"]).await, before.1);
    let audit = world.rows(&["audit"]).await;
    assert_eq!(audit[0]["action"], "copy");
    assert_eq!(audit[0]["reason"], "more replicas");
    assert_eq!(audit[1..], stopped[..], "and only once");

    world.faults(vec![]);
    let daemon = world.daemon().await;
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        world.writes().len(),
        sent,
        "nothing is sent while it is in doubt"
    );
    assert_eq!(world.attempts().await.len(), 3);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_postgresql_is_moved_to() {
    let world = World::new(Settings::default()).await;
    let migrated = world.run(&["migrate"]).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let ended = copy(&world, "sqlite:other.db").await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("postgres://USER@HOST/DATABASE"),
        "{ended:?}"
    );
    assert!(!world.path("other.db").exists());
}
