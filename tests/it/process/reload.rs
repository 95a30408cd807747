//! SIGHUP: a good configuration is swapped in as a whole, a bad one changes nothing.

use std::time::{Duration, Instant};

use serde_json::Value;
use tesa_reconciler::sandbox::{Effect, Fault};

use super::daemon::Daemon;
use super::world::{NEVER, Settings, World, resend_job, wait_for};
use crate::support::postgres::Database;

const OK: &str = "config_last_reload_successful";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_configuration_takes_the_place_of_the_old_one() {
    let settings = Settings {
        mode: "observe",
        ..Settings::default()
    };
    let mut world = World::new(settings).await;
    world.stuck("ORD-1");
    let mut daemon = world.daemon().await;
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!((ended.code, world.writes().len()), (Some(0), 0));

    world.settings.mode = "enforce";
    let flag = format!("[[job]]\nname = \"flag-events\"\nkind = \"flag_events\"\n{NEVER}\n");
    world.settings.jobs = resend_job(NEVER) + &flag;
    world.write_configuration();
    daemon.signal("HUP");
    let line = daemon.logged("the configuration is reloaded").await;
    let changed = line["changed"].as_str().unwrap();
    assert!(
        changed.contains("safety") && changed.contains("job"),
        "{changed}"
    );
    assert_eq!(
        daemon.metric("mode", &[r#"mode="enforce""#]).await,
        1.0,
        "the new mode is told"
    );
    assert_eq!(daemon.metric(OK, &[]).await, 1.0);
    // The new job has its zeros, and runs.
    let runs = [r#"job_name="flag-events""#];
    assert_eq!(daemon.metric("job_runs_total", &runs).await, 0.0);
    let ended = world.run(&["trigger", "flag-events", "--wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!((ended.code, world.effects()), (Some(0), 1));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_configuration_keeps_the_old_one_and_says_so() {
    let mut world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    let mut daemon = world.daemon().await;
    assert_eq!(daemon.metric(OK, &[]).await, 1.0);

    world.settings.safety = "max_writes_per_rnu = 3".to_owned();
    world.settings.mode = "observe";
    world.write_configuration();
    daemon.signal("HUP");
    let kept = "the configuration is not reloaded: the old one stays in force";
    let line = daemon.logged(kept).await;
    let error = line["error"].as_str().unwrap();
    assert!(
        error.contains("max_writes_per_rnu") && error.contains("max_writes_per_run"),
        "{error}"
    );
    assert_eq!(daemon.metric(OK, &[]).await, 0.0);
    assert_eq!(daemon.metric("mode", &[r#"mode="enforce""#]).await, 1.0);
    assert_eq!(daemon.get("/readyz").await.0, 200);

    // Mended, it is taken.
    world.settings = Settings::default();
    world.write_configuration();
    daemon.signal("HUP");
    daemon.logged("the configuration is reloaded").await;
    assert_eq!(daemon.metric(OK, &[]).await, 1.0);
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!((ended.code, world.effects()), (Some(0), 1));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_meant_is_said_at_the_start_and_when_a_reload_changes_anything() {
    let (reloaded, missing) = (
        "the configuration is reloaded",
        "configuration: no job of kind flag_events: inconsistent events are not flagged",
    );
    let mut world = World::new(Settings::default()).await;
    let mut daemon = world.daemon().await;
    assert_eq!(daemon.times_logged(missing), 1);
    daemon.signal("HUP");
    daemon.logged(reloaded).await;
    world.settings.safety += "\nmax_writes_per_run = 3";
    world.write_configuration();
    daemon.signal("HUP");
    daemon.logged_again(missing, 2).await;
    let line = |message: &str| {
        daemon
            .log()
            .iter()
            .rposition(|line| line["message"] == message)
    };
    assert!(
        line(reloaded) < line(missing),
        "after the reload that changed something"
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_removed_while_it_runs_leaves_nothing_that_an_alert_waits_for() {
    let flag = format!("[[job]]\nname = \"flag-events\"\nkind = \"flag_events\"\n{NEVER}\n");
    let mut world = World::new(Settings {
        tesamanager: "request_timeout = \"10m\"".to_owned(),
        jobs: resend_job("every = \"1s\"") + &flag,
        ..Settings::default()
    })
    .await;
    world.stuck("ORD-1");
    world.faults(vec![
        Fault::new(Effect::Hang { applied: false }).on(&["writes"]),
    ]);
    let mut daemon = world.daemon().await;
    wait_for("its write", || !world.writes().is_empty()).await;
    let removed = [r#"job_name="retry-stuck""#];
    let told = [
        "job_interval_seconds",
        "job_next_run_timestamp_seconds",
        "job_last_run_timestamp_seconds",
    ];
    // The gauges from the store follow within five seconds.
    for name in told {
        while daemon.metric(name, &removed).await == 0.0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    world.settings.jobs = flag;
    world.write_configuration();
    daemon.signal("HUP");
    daemon.logged("the configuration is reloaded").await;
    while daemon.metric(told[2], &removed).await > 0.0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // By then the schedule has come around several times, the old run still in it.
    assert_eq!(daemon.metric("job_running", &removed).await, 1.0);
    for name in told {
        assert_eq!(daemon.metric(name, &removed).await, 0.0, "{name}");
    }
    let kept = [r#"job_name="flag-events""#];
    assert!(daemon.metric(told[0], &kept).await > 0.0);
    assert!(daemon.metric(told[1], &kept).await > 0.0);
    daemon.stop_now().await;
}

/// A world in which a run takes seconds to write all that it wants.
async fn with_a_long_run(orders: usize, state_url: Option<String>) -> (World, Daemon) {
    let world = World::new(Settings {
        tesamanager: "reads_per_second = 5000\nwrites_per_second = 10".to_owned(),
        state_url,
        ..Settings::default()
    })
    .await;
    for order in 0..orders {
        world.stuck(&format!("ORD-{order:02}"));
    }
    let daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck"]).await;
    wait_for("some writes", || world.writes().len() > 2).await;
    (world, daemon)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_to_observe_ends_the_writes_of_a_run_that_began_in_enforce() {
    let database = Database::migrated().await;
    for state_url in [None, Some(database.url())] {
        let (mut world, mut daemon) = with_a_long_run(20, state_url).await;
        world.settings.mode = "observe";
        world.write_configuration();
        daemon.signal("HUP");
        daemon.logged("the configuration is reloaded").await;
        let (reloaded, before) = (Instant::now(), world.writes().len());
        daemon.logged("a run ended").await;
        assert!(reloaded.elapsed() < Duration::from_secs(2));
        // The one whose row was committed right before may still leave.
        assert!(before < 20 && world.writes().len() <= before + 1);
        let status = world.run(&["status", "--output", "json"]).await.stdout;
        let status: Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["replicas"][0]["mode"], "observe", "{status}");

        let runs = world.rows(&["runs"]).await;
        assert_eq!(runs[0]["outcome"], "aborted", "{runs:?}");
        let trouble = runs[0]["summary"]["trouble"].as_str().unwrap();
        assert!(trouble.contains("reloaded"), "{trouble}");
        let left = [r#"decision="configuration_changed""#];
        assert!(daemon.metric("decisions_total", &left).await >= 1.0);
        let sent = world.writes().len();
        let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
        assert_eq!((ended.code, world.writes().len()), (Some(0), sent));
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_changes_nothing_by_which_a_run_acts_lets_it_go_on() {
    let (mut world, mut daemon) = with_a_long_run(12, None).await;
    world.settings.daemon = "log_level = \"debug\"".to_owned();
    world.write_configuration();
    daemon.signal("HUP");
    daemon.logged("the configuration is reloaded").await;
    assert!(world.writes().len() < 12);
    let ended = daemon.logged("a run ended").await;
    assert_eq!(
        (world.effects(), &ended["outcome"]),
        (12, &"succeeded".into())
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_says_what_the_daemon_goes_by_and_not_what_the_file_says() {
    let mut world = World::new(Settings::default()).await;
    let daemon = world.daemon().await;
    world.settings.mode = "observe";
    world.write_configuration();
    let screen = world.run(&["status"]).await.stdout;
    assert!(
        !screen.contains("nothing is written") && screen.contains("the daemon goes by enforce"),
        "{screen}"
    );
    daemon.signal("HUP");
    let begun = Instant::now();
    while !world
        .run(&["status"])
        .await
        .stdout
        .contains("nothing is written in observe")
    {
        assert!(begun.elapsed() < super::world::PATIENCE);
    }
    daemon.stop().await;
}
