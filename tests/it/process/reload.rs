//! SIGHUP: a good configuration is swapped in as a whole, a bad one changes nothing.

use std::time::Duration;

use tesa_reconciler::sandbox::{Effect, Fault};

use super::world::{NEVER, Settings, World, resend_job, wait_for};

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
