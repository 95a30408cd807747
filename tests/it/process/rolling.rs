//! A new version is rolled out under load: the daemons are replaced one after the other, and the schedule does not notice.

use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tesa_reconciler::sandbox::{Effect, Fault, SandboxConfig};

use super::books;
use super::world::{Settings, World, empty_sandbox, resend_job};
use crate::support::postgres::Database;

const PATIENCE: Duration = Duration::from_secs(90);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
const EVERY: i32 = 3;

async fn ran(connection: &mut PgConnection) -> i64 {
    books::slots(connection, "retry-stuck", EVERY).await.ran
}

/// Waits until `more` further slots have run.
async fn slots_go_on(connection: &mut PgConnection, more: i64) {
    let (begun, before) = (Instant::now(), ran(connection).await);
    while ran(connection).await < before + more {
        assert!(begun.elapsed() < PATIENCE, "no slot runs any more");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_loses_no_slot_and_no_run() {
    let database = Database::migrated().await;
    let sandbox = SandboxConfig {
        requests: 600,
        stuck_unsent: Some(300),
        ..empty_sandbox()
    };
    let settings = Settings {
        jobs: resend_job(&format!("every = \"{EVERY}s\"")),
        daemon: format!("drain_timeout = \"{}s\"", DRAIN_TIMEOUT.as_secs()),
        safety: Settings::default().safety
            + "\nmax_writes_per_run = 25\nmax_writes_per_hour = 100000\nhold_above_count = 100000",
        state_url: Some(database.url()),
        ..Settings::default()
    };
    let world = World::with(sandbox, settings).await;
    // A run takes longer than the pause to the next slot, so each replica is stopped within one or beside one.
    let late = Effect::Latency {
        ms: 100,
        jitter_ms: 0,
    };
    world.faults(vec![Fault::new(late).on(&["writes"])]);
    let mut connection = database.connect().await;
    let mut daemons = Vec::new();
    for _ in 0..3 {
        daemons.push(world.daemon().await);
    }
    slots_go_on(&mut connection, 1).await;
    for _ in 0..3 {
        let mut old = daemons.remove(0);
        old.signal("TERM");
        let begun = Instant::now();
        assert_eq!(old.exit().await, Some(0), "{}", old.output());
        let took = begun.elapsed();
        assert!(took < DRAIN_TIMEOUT, "{took:?}");
        assert_eq!(old.times_logged("not everything ended in time"), 0);
        daemons.push(world.daemon().await);
        slots_go_on(&mut connection, 1).await;
    }
    for daemon in daemons {
        daemon.stop().await;
    }
    let slots = books::slots(&mut connection, "retry-stuck", EVERY).await;
    assert_eq!(slots.missed, 0, "{slots:?}");
    let outcomes = books::outcomes(&mut connection).await;
    for (outcome, count) in &outcomes {
        let well = ["succeeded", "partial", "aborted"].contains(&outcome.as_str());
        assert!(well, "{count} runs ended as {outcome}: {outcomes:?}");
    }
    let writes = world.writes();
    assert!(writes.len() > 20, "{} writes are no load", writes.len());
    assert!(writes.iter().all(|entry| entry.effect), "each was needed");
}
