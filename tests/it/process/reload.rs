//! SIGHUP: a good configuration is swapped in as a whole, a bad one changes nothing.

use super::world::{NEVER, Settings, World, resend_job};

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
