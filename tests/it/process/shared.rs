//! What people decide holds on every replica, and caps are one for all of them.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tesa_reconciler::sandbox::SandboxConfig;

use super::daemon::Daemon;
use super::world::{NEVER, Settings, World, empty_sandbox, resend_job};
use crate::support::postgres::Database;

const PATIENCE: Duration = Duration::from_secs(90);
const ORGS: &[&str] = &["masmovil", "yoigo"];
const REASON: &[&str] = &["--reason", "a test says so"];

/// Many stuck requests for two orgs; runs begin only when they are asked for.
async fn world(database: &Database, stuck: usize, safety: &str) -> World {
    let sandbox = SandboxConfig {
        orgs: ORGS.iter().map(|org| (*org).to_owned()).collect(),
        requests: 1000,
        stuck_unsent: Some(stuck),
        ..empty_sandbox()
    };
    let settings = Settings {
        orgs: ORGS,
        tesamanager: "reads_per_second = 5000\nwrites_per_second = 20".to_owned(),
        safety: format!("{}\n{safety}", Settings::default().safety),
        jobs: resend_job(NEVER) + &resend_job(NEVER).replace("retry-stuck", "again"),
        state_url: Some(database.url()),
        ..Settings::default()
    };
    World::with(sandbox, settings).await
}

async fn three(world: &World) -> Vec<Daemon> {
    let mut daemons = Vec::new();
    for _ in 0..3 {
        daemons.push(world.daemon().await);
    }
    daemons
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn command(world: &World, args: &[&str]) {
    let ended = world.run(&[args, REASON].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// How many runs this one has ended.
fn runs(daemon: &Daemon) -> usize {
    daemon.times_logged("a run ended")
}

/// Each is asked to run everything, and has.
async fn each_runs(daemons: &[Daemon]) {
    for daemon in daemons {
        let before = runs(daemon);
        daemon.signal("USR1");
        // Two jobs for two orgs.
        until("its runs", async || runs(daemon) >= before + 4).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_stops_the_writes_of_all_replicas_within_two_seconds() {
    let database = Database::migrated().await;
    let caps = "max_writes_per_run = 5000\nmax_writes_per_hour = 5000\nhold_above_count = 100000";
    let world = world(&database, 400, caps).await;
    let daemons = three(&world).await;
    for daemon in &daemons {
        daemon.signal("USR1");
    }
    let both = || {
        let writes = world.writes();
        ORGS.iter()
            .all(|org| writes.iter().filter(|entry| entry.org == *org).count() > 2)
    };
    until("writes for both", async || both()).await;
    command(&world, &["pause", "--all"]).await;
    // The runs go on to their end, but leave what is left alone.
    until("the end of all runs", async || {
        let runs = world.rows(&["runs", "--limit", "1000"]).await;
        runs.iter().all(|run| !run["outcome"].is_null())
    })
    .await;
    let paused = &world.rows(&["audit", "--action", "pause"]).await[0];
    let paused_at: DateTime<Utc> = paused["at"].as_str().unwrap().parse().unwrap();
    let sent = world.writes();
    let late = sent.last().unwrap().time - paused_at;
    assert!(late < TimeDelta::seconds(2), "{late}");
    assert!(sent.len() < 800, "all were sent before the pause");
    // None of them runs anything now, and each says so.
    for daemon in &daemons {
        daemon.signal("USR1");
        let said = "is paused, so the signal does not run it";
        until(said, async || daemon.times_logged(said) >= 4).await;
    }
    assert_eq!(world.writes().len(), sent.len());
    command(&world, &["resume", "--all"]).await;
    until("writes again", async || {
        for daemon in &daemons {
            daemon.signal("USR1");
        }
        world.writes().len() > sent.len()
    })
    .await;
    for daemon in daemons {
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_begins_its_run_within_two_seconds_once_whoever_takes_it() {
    let database = Database::migrated().await;
    let world = world(&database, 0, "").await;
    let daemons = three(&world).await;
    for _ in 0..4 {
        let trigger = ["trigger", "retry-stuck", "--org", "yoigo", "--wait"];
        let ended = world.run(&trigger).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let newest = &world.rows(&["runs", "--limit", "1"]).await[0];
        let asked = &world.rows(&["audit", "--action", "trigger"]).await[0];
        let instant = |text: &Value| -> DateTime<Utc> { text.as_str().unwrap().parse().unwrap() };
        let took = instant(&newest["started_at"]) - instant(&asked["at"]);
        assert!(took < TimeDelta::seconds(2), "{took}");
    }
    let all = world.rows(&["runs", "--limit", "100"]).await;
    assert_eq!(all.len(), 4, "one run for each: {all:?}");
    for daemon in daemons {
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_latch_holds_all_replicas_and_a_release_frees_all() {
    let database = Database::migrated().await;
    let caps = "hold_above_count = 5\nhold_above_fraction = 0.0\nmax_writes_per_run = 3";
    let world = world(&database, 40, caps).await;
    let daemons = three(&world).await;
    each_runs(&daemons).await;
    assert!(world.writes().is_empty());
    let all = world.rows(&["runs", "--limit", "100"]).await;
    assert!(all.iter().all(|run| run["outcome"] == "held"), "{all:?}");
    for job in ["retry-stuck", "again"] {
        for org in ORGS {
            command(&world, &["release", job, "--org", org]).await;
        }
    }
    for daemon in daemons {
        let before = world.writes().len();
        each_runs(std::slice::from_ref(&daemon)).await;
        assert!(world.writes().len() > before, "it still thinks it is held");
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hour_s_cap_is_one_for_all_replicas_and_jobs() {
    let database = Database::migrated().await;
    let caps = "max_writes_per_run = 1000\nmax_writes_per_hour = 25\nhold_above_count = 100000";
    let world = world(&database, 100, caps).await;
    let daemons = three(&world).await;
    let writes_of = |org: &str| {
        let writes = world.writes();
        writes.iter().filter(|entry| entry.org == org).count()
    };
    until("the cap", async || {
        for daemon in &daemons {
            daemon.signal("USR1");
        }
        ORGS.iter().all(|org| writes_of(org) >= 25)
    })
    .await;
    each_runs(&daemons).await;
    for org in ORGS {
        assert_eq!(writes_of(org), 25, "{org}");
    }
    for daemon in daemons {
        daemon.stop().await;
    }
}
