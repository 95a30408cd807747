//! The store goes away under a running daemon: no ledger, no write; alive, not ready, and well again by itself.

use std::process::Command;

use sqlx::{Connection, Executor, SqliteConnection};
use tesa_reconciler::sandbox::{Effect, Fault};

use super::daemon::Daemon;
use super::world::{Settings, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn livez_ok_while_store_is_down() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    let mut daemon = world.daemon().await;
    assert_eq!(daemon.get("/readyz").await.0, 200);
    let aside = world.path("aside.db");
    std::fs::rename(world.store_file(), &aside).unwrap();
    daemon.answers("/readyz", 503).await;
    assert_eq!(daemon.get("/livez").await.0, 200);
    let (_, why) = daemon.get("/readyz").await;
    assert!(why.contains("store"), "{why}");
    // Asked to run, it can't begin: what it did could not be accounted for.
    daemon.signal("USR1");
    daemon.logged("the store is away").await;
    assert_eq!(daemon.get("/metrics").await.0, 200);
    assert!(daemon.metric("store_errors_total", &[]).await > 0.0);
    let ended = world.run(&["pause", "--all", "--reason", "x"]).await;
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(world.writes().is_empty());

    std::fs::rename(&aside, world.store_file()).unwrap();
    daemon.answers("/readyz", 200).await;
    daemon.logged("the store is back").await;
    // The signal was not forgotten.
    daemon.logged("a run ended").await;
    assert_eq!(world.effects(), 1);
    assert!(daemon.lives());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_lost_in_the_middle_of_a_run_stops_its_writes() {
    let settings = Settings {
        tesamanager: "reads_per_second = 5000\nwrites_per_second = 20".to_owned(),
        ..Settings::default()
    };
    let world = World::new(settings).await;
    for order in 0..20 {
        world.stuck(&format!("ORD-{order:02}"));
    }
    let late = Effect::Latency {
        ms: 50,
        jitter_ms: 0,
    };
    world.faults(vec![Fault::new(late).on(&["writes"])]);
    let mut daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck"]).await;
    super::world::wait_for("some writes", || world.writes().len() > 2).await;
    let aside = world.path("aside.db");
    std::fs::rename(world.store_file(), &aside).unwrap();
    let before = world.writes().len();
    daemon.answers("/readyz", 503).await;
    // The one whose intent was committed already may still leave.
    let after = world.writes().len();
    assert!(after <= before + 1, "{before} → {after}");
    std::fs::rename(&aside, world.store_file()).unwrap();
    daemon.answers("/readyz", 200).await;
    daemon.logged("a run ended").await;
    world.faults(vec![]);

    // Whatever was in doubt is settled, the rest is sent, nothing twice.
    let begun = std::time::Instant::now();
    while world.effects() < 20 {
        assert!(begun.elapsed() < super::world::PATIENCE);
        world.run(&["trigger", "retry-stuck", "--wait"]).await;
    }
    world.await_states(20, &["confirmed"]).await;
    assert_eq!(world.writes().len(), 20);
    daemon.stop().await;
}

/// A program to which a file that may not grow is an error, as a full disk is, and not its end.
pub fn deaf_to_limits(command: &Command) -> Command {
    let mut deaf = Command::new("sh");
    deaf.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .env_clear();
    for (name, value) in command.get_envs() {
        deaf.env(name, value.unwrap_or_default());
    }
    deaf
}

/// No file of the daemon's may grow beyond so many bytes.
pub fn limit_files(daemon: &Daemon, bytes: &str) {
    let status = Command::new("prlimit")
        .arg(format!("--pid={}", daemon.pid()))
        .arg(format!("--fsize={bytes}:unlimited"))
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_room_is_not_ready_and_the_runs_go_on_when_there_is_some() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    let program = deaf_to_limits(&world.program(&["run"]));
    let mut daemon = Daemon::start(program, world.dir.path());
    daemon.ready().await;
    assert_eq!(daemon.get("/readyz").await.0, 200);
    let log = world.path("state.db-wal").metadata().unwrap().len();
    limit_files(&daemon, &log.to_string());
    daemon.answers("/readyz", 503).await;
    let (_, why) = daemon.get("/readyz").await;
    assert!(why.contains("store"), "{why}");
    assert_eq!(daemon.get("/livez").await.0, 200);
    daemon.signal("USR1");
    daemon.logged("the store is away").await;
    assert!(world.writes().is_empty());

    limit_files(&daemon, "unlimited");
    daemon.answers("/readyz", 200).await;
    daemon.logged("the store is back").await;
    // The signal was not forgotten.
    daemon.logged("a run ended").await;
    assert_eq!(world.effects(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_that_lies_in_the_future_is_said_counted_shown_and_set_back() {
    let settings = Settings {
        jobs: super::world::resend_job("every = \"1s\""),
        ..Settings::default()
    };
    let world = World::new(settings).await;
    world.run(&["migrate"]).await;
    // What a clock leaves behind that was a day ahead once.
    let ahead = "INSERT INTO job_memory (job_name, org, last_slot)
                 VALUES ('retry-stuck', 'masmovil', (unixepoch() + 86400) * 1000000)";
    let file = format!("sqlite:{}", world.store_file().display());
    let mut store = SqliteConnection::connect(&file).await.unwrap();
    store.execute(ahead).await.unwrap();
    store.close().await.unwrap();
    world.stuck("ORD-1");
    let mut daemon = world.daemon().await;
    daemon.logged("a run ended").await;
    assert_eq!(world.effects(), 1);
    let said = daemon.output();
    assert!(said.contains("a clock was ahead"), "{said}");
    let counted = daemon.metric("schedule_set_back_total", &["job_name=\"retry-stuck\""]);
    assert!((counted.await - 1.0).abs() < f64::EPSILON);
    for command in ["jobs", "status", "audit"] {
        let shown = world.run(&[command]).await;
        assert!(shown.stdout.contains("a clock was ahead"), "{shown:?}");
    }
    daemon.stop().await;
}
