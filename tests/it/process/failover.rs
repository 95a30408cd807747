//! The database goes away under a running daemon, for seconds or into a silence: nothing is written meanwhile, the
//! process lives on, and all is well by itself afterwards.

use std::time::{Duration, Instant};

use super::daemon::Daemon;
use super::world::{Settings, World, resend_job, wait_for};
use crate::support::cluster::Cluster;
use crate::support::proxy::Proxy;

const PATIENCE: Duration = Duration::from_secs(120);
/// Work that is due at every moment of the test.
const STUCK: usize = 60;

async fn world(state_url: String) -> World {
    let settings = Settings {
        tesamanager: "reads_per_second = 5000\nwrites_per_second = 10".to_owned(),
        safety: Settings::default().safety
            + "\nmax_writes_per_run = 1000\nmax_writes_per_hour = 1000",
        jobs: resend_job("every = \"1s\""),
        state_url: Some(state_url),
        ..Settings::default()
    };
    let world = World::new(settings).await;
    for order in 0..STUCK {
        world.stuck(&format!("ORD-{order:02}"));
    }
    world
}

async fn answers_in_the_end(daemon: &Daemon, path: &str, status: u16) {
    let begun = Instant::now();
    while daemon.get(path).await.0 != status {
        assert!(begun.elapsed() < PATIENCE, "{path} never answers {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The store is away since just now: the write whose row was committed may still leave, nothing else, for as long as
/// `while_away` takes.
async fn nothing_is_written(world: &World, daemon: &Daemon) {
    answers_in_the_end(daemon, "/readyz", 503).await;
    let before = world.writes().len();
    assert!(before < STUCK, "there is nothing left to write");
    for _ in 0..20 {
        assert_eq!(daemon.get("/livez").await.0, 200);
        assert_eq!(daemon.get("/readyz").await.0, 503);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.writes().len(), before, "written without a ledger");
}

async fn all_is_done(world: &World, mut daemon: Daemon) {
    answers_in_the_end(&daemon, "/readyz", 200).await;
    let begun = Instant::now();
    while world.effects() < STUCK {
        assert!(begun.elapsed() < PATIENCE, "{} of {STUCK}", world.effects());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.writes().len(), STUCK, "nothing twice");
    assert!(daemon.lives(), "without a restart");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_back_is_worked_with_again_without_a_restart() {
    let cluster = Cluster::start().await;
    let world = world(cluster.url()).await;
    let daemon = world.daemon().await;
    wait_for("some writes", || world.writes().len() > 3).await;
    cluster.stop().await;
    nothing_is_written(&world, &daemon).await;
    cluster.start_again().await;
    all_is_done(&world, daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_falls_silent_is_worked_with_again_over_new_connections() {
    let cluster = Cluster::start().await;
    let network = Proxy::start(cluster.home());
    let world = world(network.url(&cluster.url())).await;
    let daemon = world.daemon().await;
    wait_for("some writes", || world.writes().len() > 3).await;
    network.swallow();
    nothing_is_written(&world, &daemon).await;
    network.heal();
    all_is_done(&world, daemon).await;
}
