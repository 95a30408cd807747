//! How it ends: what is in flight is finished within the drain, and never for longer.

use std::time::{Duration, Instant};

use tesa_reconciler::sandbox::{Effect, Fault};

use super::daemon::Daemon;
use super::world::{Settings, World, wait_for};

/// A daemon with a write on its way whose answer is late or never comes.
async fn with_a_write_in_flight(world: &World, fault: Effect) -> Daemon {
    world.stuck("ORD-1");
    world.stuck("ORD-2");
    world.faults(vec![Fault::new(fault).on(&["writes"])]);
    let daemon = world.daemon().await;
    let ended = world.run(&["trigger", "retry-stuck"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    wait_for("the write", || !world.writes().is_empty()).await;
    daemon
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_waits_for_the_answer_of_a_write_in_flight_and_begins_no_other() {
    let world = World::new(Settings::default()).await;
    let late = Effect::Latency {
        ms: 800,
        jitter_ms: 0,
    };
    let mut daemon = with_a_write_in_flight(&world, late).await;
    daemon.signal("TERM");
    assert_eq!(daemon.exit().await, Some(0));
    assert_eq!(
        world.states().await,
        ["accepted"],
        "the answer was recorded"
    );
    assert_eq!(world.writes().len(), 1, "nothing new was begun");
    let runs = world.rows(&["runs"]).await;
    assert_eq!(runs[0]["outcome"], "aborted", "a drain is no failure");
    let actions: Vec<_> = world.rows(&["audit"]).await;
    assert_eq!(actions[0]["action"], "stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_unknown_when_the_drain_lasts_long_enough_for_that() {
    let mut settings = Settings::default();
    settings.tesamanager += "\nrequest_timeout = \"1s\"";
    let world = World::new(settings).await;
    let mut daemon = with_a_write_in_flight(&world, Effect::Hang { applied: true }).await;
    daemon.signal("TERM");
    assert_eq!(daemon.exit().await, Some(0));
    assert_eq!(world.states().await, ["unknown"]);
    assert_eq!(world.writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_ends_by_its_deadline() {
    let settings = Settings {
        daemon: "drain_timeout = \"1s\"".to_owned(),
        ..Settings::default()
    };
    let world = World::new(settings).await;
    let mut daemon = with_a_write_in_flight(&world, Effect::Hang { applied: true }).await;
    let begun = Instant::now();
    daemon.signal("TERM");
    assert_eq!(daemon.exit().await, Some(0));
    // The drain, the grace after it, and a moment to close.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(
        world.states().await,
        ["intended"],
        "what is not known is not claimed"
    );
    // The next life finds it and settles it.
    world.faults(vec![]);
    let daemon = world.daemon().await;
    world.await_states(1, &["confirmed"]).await;
    assert_eq!(world.effects(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    for second in ["TERM", "INT"] {
        let world = World::new(Settings::default()).await;
        let mut daemon = with_a_write_in_flight(&world, Effect::Hang { applied: true }).await;
        daemon.signal("TERM");
        daemon
            .logged("stopping: nothing new is begun, what is in flight is finished")
            .await;
        assert!(daemon.lives(), "it waits for the answer");
        let begun = Instant::now();
        daemon.signal(second);
        daemon.exit().await;
        // The drain would have lasted until the answer's time-out, ten seconds.
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(4), "{second}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_once_stops_between_two_writes_too() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    world.stuck("ORD-2");
    let late = Effect::Latency {
        ms: 800,
        jitter_ms: 0,
    };
    world.faults(vec![Fault::new(late).on(&["writes"])]);
    let mut once = Daemon::start(world.program(&["run", "--once"]), world.dir.path());
    wait_for("the write", || !world.writes().is_empty()).await;
    once.signal("TERM");
    assert_eq!(once.exit().await, Some(1), "not everything was done");
    assert_eq!(world.states().await, ["accepted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_reload_does_not_block_sigterm() {
    let world = World::new(Settings::default()).await;
    let mut daemon = world.daemon().await;
    // A configuration that never ends: a pipe that nobody writes to.
    let file = world.path("tesa-reconciler.toml");
    std::fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    daemon.signal("HUP");
    daemon.logged("signal").await;
    let begun = Instant::now();
    daemon.signal("TERM");
    assert_eq!(daemon.exit().await, Some(0));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}
