//! It ends by its deadline, whoever is silent: the upstream, the database, or both.

use std::time::{Duration, Instant};

use tesa_reconciler::sandbox::{Effect, Fault};

use super::daemon::Daemon;
use super::world::{Settings, World, wait_for};
use crate::support::postgres::Database;
use crate::support::silence::Silence;

const DRAIN: Duration = Duration::from_secs(3);

/// An upstream that never answers a read, and would be waited for much longer than the drain.
async fn world(state_url: Option<String>) -> World {
    let mut settings = Settings {
        daemon: format!("drain_timeout = \"{}s\"", DRAIN.as_secs()),
        state_url,
        ..Settings::default()
    };
    settings.tesamanager += "\nrequest_timeout = \"60s\"";
    let world = World::new(settings).await;
    world.stuck("ORD-1");
    world.faults(vec![
        Fault::new(Effect::Hang { applied: false }).on(&["reads"]),
    ]);
    world
}

async fn asked(world: &World) {
    let reads = || world.sandbox.handle().stats().reads;
    wait_for("a read", || reads() > 0).await;
}

async fn ends_within(mut daemon: Daemon, most: Duration) {
    let begun = Instant::now();
    daemon.signal("TERM");
    assert_eq!(daemon.exit().await, Some(0));
    let took = begun.elapsed();
    assert!(took < most, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_under_way_are_dropped() {
    let world = world(None).await;
    let daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck"]).await;
    asked(&world).await;
    // Long before the deadline.
    ends_within(daemon, DRAIN / 2).await;
    let runs = world.rows(&["runs"]).await;
    assert_eq!(runs[0]["outcome"], "aborted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_pass_drops_its_reads_too() {
    let world = world(None).await;
    let mut once = Daemon::start(world.program(&["run", "--once"]), world.dir.path());
    asked(&world).await;
    let begun = Instant::now();
    once.signal("TERM");
    once.exit().await;
    let took = begun.elapsed();
    assert!(took < DRAIN / 2, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_database_is_not_waited_for_beyond_the_deadline() {
    let database = Database::migrated().await;
    let silence = Silence::before(&database.url());
    let world = world(Some(silence.url().to_owned())).await;
    let daemon = world.daemon().await;
    silence.falls();
    ends_within(daemon, DRAIN + Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_when_the_upstream_is_silent_too() {
    let database = Database::migrated().await;
    let silence = Silence::before(&database.url());
    let world = world(Some(silence.url().to_owned())).await;
    let daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck"]).await;
    asked(&world).await;
    silence.falls();
    ends_within(daemon, DRAIN + Duration::from_secs(1)).await;
}
