//! Commands that steer a running daemon through the store.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tesa_reconciler::sandbox::{Effect, ErrorShape, Fault};

use super::world::{Settings, World, empty_sandbox, wait_for};

const REASON: &[&str] = &["--reason", "a test says so"];

async fn trigger(world: &World) -> Option<i32> {
    world.run(&["trigger", "retry-stuck", "--wait"]).await.code
}

/// The guard holds as soon as two requests want a write.
fn easily_held() -> Settings {
    let mut settings = Settings::default();
    settings.safety += "\nhold_above_count = 1\nhold_above_fraction = 0.0";
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trigger_ends_as_its_run_did_and_a_held_job_is_released_by_a_person() {
    let world = World::new(easily_held()).await;
    world.stuck("ORD-1");
    let daemon = world.daemon().await;
    assert_eq!(trigger(&world).await, Some(0), "succeeded");
    assert_eq!(world.effects(), 1);
    world.await_states(1, &["confirmed"]).await;

    let refused = Effect::Error {
        status: 401,
        applied: false,
        shape: ErrorShape::Gateway,
    };
    world.faults(vec![Fault::new(refused).on(&["reads"])]);
    assert_eq!(trigger(&world).await, Some(1), "failed");
    world.faults(vec![]);

    world.stuck("ORD-2");
    world.stuck("ORD-3");
    assert_eq!(trigger(&world).await, Some(3), "held");
    assert_eq!(trigger(&world).await, Some(3), "and stays so");
    assert_eq!(world.writes().len(), 1);
    let jobs = world.run(&["jobs"]).await;
    assert!(jobs.stdout.contains("guard: 2 of 3"), "{}", jobs.stdout);

    let release = ["release", "retry-stuck", "--org", "masmovil"];
    let ended = world.run(&[&release[..], REASON].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("what was due by now"), "{ended:?}");
    assert_eq!(trigger(&world).await, Some(0));
    assert_eq!(world.effects(), 3);
    let ended = world.run(&[&release[..], REASON].concat()).await;
    assert_eq!(ended.code, Some(1), "nothing is held any more");

    let audit = world.rows(&["audit"]).await;
    let rows = audit.iter().map(|row| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        (text("action"), text("who"), text("reason"))
    });
    let rows: Vec<_> = rows.collect();
    let released = (
        "release".to_owned(),
        "cli:tester".to_owned(),
        REASON[1].to_owned(),
    );
    assert!(rows.contains(&released), "{rows:?}");
    let latched = rows.iter().find(|row| row.0 == "latch").unwrap();
    assert_eq!(latched.1, "daemon");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_stops_new_writes_within_two_seconds_until_resumed() {
    let mut settings = Settings {
        tesamanager: "reads_per_second = 5000\nwrites_per_second = 20".to_owned(),
        ..Settings::default()
    };
    settings.safety += "\nmax_writes_per_run = 500\nmax_writes_per_hour = 1000";
    let world = World::new(settings).await;
    for order in 0..100 {
        world.stuck(&format!("ORD-{order}"));
    }
    let mut daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck"]).await;
    wait_for("some writes", || world.writes().len() > 2).await;
    let pause = world.run(&[&["pause", "--all"], REASON].concat()).await;
    assert_eq!(pause.code, Some(0), "{pause:?}");
    assert!(
        pause.stderr.contains("tesa-reconciler resume --all"),
        "{}",
        pause.stderr
    );
    // The run goes on to its end, but leaves what is left alone.
    daemon.logged("a run ended").await;
    let sent = world.writes();
    assert!(sent.len() < 100, "all were sent before the pause");
    let paused = &world.rows(&["audit", "--action", "pause"]).await[0];
    let paused_at: DateTime<Utc> = paused["at"].as_str().unwrap().parse().unwrap();
    let late = sent.last().unwrap().time - paused_at;
    assert!(late < chrono::TimeDelta::seconds(2), "{late}");
    assert_eq!(daemon.metric("job_paused", &[]).await, 1.0);

    // A person may run it all the same: it looks, and writes nothing.
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let withheld = format!("{} writes are withheld: paused", 100 - sent.len());
    assert!(ended.stderr.contains(&withheld), "{withheld}: {ended:?}");
    assert_eq!(world.writes().len(), sent.len());
    let skipped = [r#"decision="paused""#];
    assert!(daemon.metric("decisions_total", &skipped).await > 0.0);

    let ended = world.run(&[&["resume", "--all"], REASON].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(trigger(&world).await, Some(0));
    assert_eq!(world.effects(), 100);
    let ended = world.run(&[&["resume", "--all"], REASON].concat()).await;
    assert_eq!(ended.code, Some(1), "nothing is paused any more");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_of_one_job_ends_by_itself() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    let daemon = world.daemon().await;
    let pause = ["pause", "retry-stuck", "--until", "2s"];
    let ended = world.run(&[&pause[..], REASON].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(trigger(&world).await, Some(3));
    assert!(world.writes().is_empty());
    let begun = Instant::now();
    while world.writes().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(15), "still paused");
        trigger(&world).await;
    }
    let ended = ["audit", "--action", "pause_ended"];
    while world.rows(&ended).await.is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "its end is not audited"
        );
    }
    daemon.stop().await;
    assert_eq!(world.rows(&ended).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_longer_pause_ends_sooner_only_with_replace() {
    let world = World::new(Settings::default()).await;
    assert_eq!(world.run(&["migrate"]).await.code, Some(0));
    let all = [&["pause", "--all"], REASON].concat();
    assert_eq!(world.run(&all).await.code, Some(0));
    let timed = [&all[..], &["--until", "1h"]].concat();
    let ended = world.run(&timed).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("--replace"), "{ended:?}");
    let ended = world.run(&[&timed[..], &["--replace"]].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_steered_is_said_with_the_way_out() {
    let world = World::before_the_first_start(empty_sandbox(), Settings::default()).await;
    // No store yet.
    let ended = world.run(&["jobs"]).await;
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(
        ended.stderr.contains("tesa-reconciler run"),
        "{}",
        ended.stderr
    );
    assert_eq!(world.run(&["migrate"]).await.code, Some(0));
    // No daemon.
    let ended = world.run(&["trigger", "retry-stuck"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("run --once"), "{}", ended.stderr);
    for (args, said) in [
        (&["trigger", "retry-stick"][..], "retry-stuck"),
        (&["trigger", "retry-stuck", "--org", "yoigo"], "masmovil"),
        (&["pause", "--all", "--reason", " "], "--reason"),
        (&["pause", "--all"], "--reason"),
        (&["pause", "--reason", "x"], "--all"),
        (
            &[
                "pause",
                "--all",
                "--reason",
                "x",
                "--until",
                "2001-01-01T00:00:00Z",
            ],
            "in the past",
        ),
        (&["attempts", "--state", "knoown"], "intended"),
        (&["no-such-command"], "Usage"),
    ] {
        let ended = world.run(args).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
    let ended = world
        .run(&["attempts", "settle", "7", "--confirmed", "--reason", "x"])
        .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instants_are_told_and_typed_in_the_configured_zone_else_in_the_systems() {
    let mut world = World::before_the_first_start(empty_sandbox(), Settings::default()).await;
    world.run(&["migrate"]).await;
    let pause = ["pause", "--all", "--until", "2099-07-01 22:00", "--reason"];
    let ended = world.run(&[&pause[..], &["a drill"]].concat()).await;
    assert!(
        ended.stderr.contains("until 2099-07-01 22:00:00 UTC"),
        "{ended:?}"
    );
    world.settings.daemon = "timezone = \"Europe/Madrid\"".to_owned();
    world.write_configuration();
    let ended = world.run(&["status"]).await;
    assert!(
        ended.stdout.contains("until 2099-07-02 00:00:00 CEST"),
        "{ended:?}"
    );
    let json = world.run(&["status", "--output", "json"]).await.stdout;
    assert!(json.contains("2099-07-01T22:00:00Z"), "{json}");
    let audit = world.rows(&["audit", "--since", "yesterday"]).await;
    assert_eq!(audit.len(), 1, "{audit:?}");
    let ended = world.run(&["audit", "--since", "tomorrow"]).await;
    assert!(ended.stderr.contains("nothing to show"), "{ended:?}");
    let ended = world.run(&["audit", "--since", "last week"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("yesterday"), "{ended:?}");
}
