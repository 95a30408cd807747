//! `status` and `doctor`: how things stand, what is wrong, and what to do about it.

use std::time::Duration;

use serde_json::Value;
use tesa_reconciler::clock::{Clock, SystemClock};
use tesa_reconciler::domain::{Filter, IllHealth};
use tesa_reconciler::sandbox::{Effect, ErrorShape, Fault};
use tesa_reconciler::store::controls::Opening;
use tesa_reconciler::store::{self, StoreOptions};

use super::world::{Ended, ORG, Settings, World, empty_sandbox};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_tells_on_one_screen_what_stands_and_what_comes_next() {
    let mut settings = Settings::default();
    settings.safety += "\nhold_above_count = 1\nhold_above_fraction = 0.0";
    let world = World::new(settings).await;
    world.stuck("ORD-1");
    let hang = Effect::Drop { applied: true };
    world.faults(vec![Fault::new(hang).on(&["writes"])]);
    let daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    world.stuck("ORD-2");
    world.stuck("ORD-3");
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    world
        .run(&["pause", "retry-stuck", "--reason", "a drill"])
        .await;
    let screen = world.run(&["status"]).await;
    assert_eq!(screen.code, Some(3), "{screen:?}");
    let first = screen.stdout.lines().next().unwrap();
    assert!(
        first.starts_with("stopped: 1 hold: retry-stuck in masmovil"),
        "{first}"
    );
    for said in [
        "1 pause: retry-stuck until resumed (a drill, cli:tester)",
        "alive: ",
        &format!("process {}", daemon.pid()),
        "mode      enforce",
        "held",
        "guard: 2 of",
        "paused: a drill (cli:tester",
        "tesa-reconciler release JOB",
        "tesa-reconciler resume JOB",
    ] {
        assert!(screen.stdout.contains(said), "{said}:\n{}", screen.stdout);
    }
    assert!(screen.stdout.lines().count() <= 24, "{}", screen.stdout);
    daemon.stop().await;

    let screen = world.run(&["status"]).await;
    assert_eq!(screen.code, Some(3), "{screen:?}");
    assert!(
        screen.stdout.starts_with("blind: no daemon is running\n"),
        "{}",
        screen.stdout
    );
    assert!(screen.stdout.contains("not running"), "{}", screen.stdout);
    assert!(
        screen
            .stdout
            .contains("start it with `tesa-reconciler run`"),
        "{}",
        screen.stdout
    );
    let json = world.run(&["status", "--output", "json"]).await.stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["alive"], false);
    assert_eq!(json["jobs"][0]["last_outcome"], "held");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_ends_with_0_while_all_is_well_and_with_3_once_it_is_not() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    let daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    let screen = world.run(&["status"]).await;
    assert_eq!(screen.code, Some(0), "{screen:?}");
    assert!(screen.stdout.starts_with("all well\n"), "{screen:?}");
    world.run(&["pause", "--all", "--reason", "a drill"]).await;
    let screen = world.run(&["status", "--output", "json"]).await;
    assert_eq!(screen.code, Some(3), "{screen:?}");
    let json: Value = serde_json::from_str(&screen.stdout).unwrap();
    assert_eq!(json["verdict"]["word"], "stopped");
    let cause = "1 pause: all jobs until resumed (a drill, cli:tester)";
    assert_eq!(json["verdict"]["causes"][0]["cause"], cause);
    daemon.stop().await;
}

/// The result of a check, as JSON tells it.
async fn doctor(world: &World) -> (Ended, Vec<Value>) {
    let ended = world.run(&["doctor", "--output", "json"]).await;
    let checks = serde_json::from_str(&ended.stdout).expect("JSON");
    (ended, checks)
}

fn failed(checks: &[Value]) -> Vec<&str> {
    let failed = checks.iter().filter(|check| check["result"] == "fail");
    failed
        .inspect(|check| assert!(check["mend"].is_string(), "{check}"))
        .map(|check| check["check"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_finds_nothing_wrong_with_a_good_setup_and_leaves_nothing() {
    let world = World::before_the_first_start(empty_sandbox(), Settings::default()).await;
    let (ended, checks) = doctor(&world).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let names: Vec<_> = checks.iter().map(|check| check["check"].as_str()).collect();
    let expected = [
        "configuration",
        "zones",
        "dns",
        "tcp",
        "http",
        "token",
        "list call",
        "filter",
        "filter",
        "filter",
        "filter",
        "filter",
        "clock",
        "store",
        "disk",
        "listen",
    ];
    assert_eq!(names, expected.map(Some));
    let store = checks.iter().find(|check| check["check"] == "store");
    let mend = store.unwrap()["mend"].as_str().unwrap();
    assert!(mend.contains("start first with safety.mode"), "{mend}");
    assert!(!world.store_file().exists() && world.writes().is_empty());
    // Beside a daemon, too.
    world.run(&["state", "adopt", "--reason", "x"]).await;
    let daemon = world.daemon().await;
    let (ended, checks) = doctor(&world).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let store = checks.iter().find(|check| check["check"] == "store");
    let detail = store.unwrap()["detail"].as_str().unwrap();
    assert!(detail.contains("a daemon works on it"), "{detail}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_names_what_is_wrong_and_ends_with_its_class() {
    let world = World::new(Settings::default()).await;
    let refused = |status| Effect::Error {
        status,
        applied: false,
        shape: ErrorShape::Gateway,
    };
    world.faults(vec![Fault::new(refused(401)).on(&["token"])]);
    let (ended, checks) = doctor(&world).await;
    assert_eq!((ended.code, failed(&checks)), (Some(69), vec!["token"]));
    world.faults(vec![Fault::new(refused(403)).on(&["reads"])]);
    let (ended, checks) = doctor(&world).await;
    assert_eq!((ended.code, failed(&checks)), (Some(69), vec!["list call"]));
    world.faults(vec![]);

    // The store is no database.
    std::fs::write(world.store_file(), "x".repeat(4096)).unwrap();
    let (ended, checks) = doctor(&world).await;
    assert_eq!((ended.code, failed(&checks)), (Some(75), vec!["store"]));
    std::fs::remove_file(world.store_file()).unwrap();

    // The address is somebody else's.
    let taken = world.sandbox.address().to_string();
    let ended = world.run(&["doctor", "--listen-http", &taken]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stdout.contains("FAIL  listen"), "{}", ended.stdout);

    // Nobody is there.
    let World { sandbox, dir, .. } = world;
    sandbox.shutdown().await.unwrap();
    let command = super::world::program(dir.path(), &["doctor"]);
    let ended = super::world::run(command).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.stdout.contains("FAIL  tcp"), "{}", ended.stdout);

    let command = super::world::program(dir.path(), &["doctor", "--config", "none.toml"]);
    let ended = super::world::run(command).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stdout.contains("FAIL  configuration"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_circuit_is_shown_with_its_cause_and_the_instant_of_its_next_probe() {
    let world = World::new(Settings::default()).await;
    world.run(&["migrate"]).await;
    let url = format!("sqlite:{}", world.store_file().display());
    let store = store::open(&url, &StoreOptions::default()).await.unwrap();
    let opening = Opening {
        cause: IllHealth::Timeouts,
        failures: 5,
        pause: Duration::from_secs(600),
        after_probe: false,
    };
    let now = SystemClock.now();
    store
        .open_circuit(&ORG.into(), &opening, now)
        .await
        .unwrap();
    store.close().await;
    let at = (now + opening.pause).format("%H:%M:%S").to_string();
    for command in ["status", "jobs", "doctor"] {
        let shown = world.run(&[command]).await.stdout;
        for said in ["timeouts", "next probe at", &at] {
            assert!(shown.contains(said), "{command}, {said}:\n{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_names_a_filter_that_is_not_trusted_and_what_the_caps_withhold() {
    let mut settings = Settings::default();
    settings.safety += "\nmax_writes_per_run = 1\nhold_above_count = 100";
    let mut world = World::new(settings).await;
    for order in 0..4 {
        world.stuck(&format!("ORD-{order}"));
    }
    let once = ["run", "--once", "--job", "retry-stuck"];
    world.run(&once).await;
    let screen = world.run(&["status"]).await.stdout;
    let capped = "3 writes of retry-stuck in masmovil wait for its next run (max_writes_per_run)";
    for said in [capped, "raise `max_writes_per_run`"] {
        assert!(screen.contains(said), "{said}:\n{screen}");
    }
    world.settings.safety += "\nmax_writes_per_hour = 1";
    world.write_configuration();
    let screen = world.run(&["status"]).await.stdout;
    let capped = "wait for the hour (max_writes_per_hour), which has room from 20";
    assert!(screen.contains(capped), "{screen}");
    // From now on requests that are being cancelled are all there are, if the list is to be believed.
    let filter = Filter::Cancelling;
    world.faults(vec![
        Fault::new(Effect::FilterIgnored { filter }).on(&["list_reference_ids"]),
    ]);
    for _ in 0..4 {
        world.run(&once).await;
    }
    let screen = world.run(&["status"]).await.stdout;
    assert!(screen.contains("the filter cancelling of"), "{screen}");
    assert!(screen.contains("unsupported_filters"), "{screen}");
    let json = world.run(&["status", "--output", "json"]).await.stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["distrusted"][0]["filter"], "cancelling");
}
