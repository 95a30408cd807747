//! `kill -9` between the ledger's row and the upstream's answer: the one moment in which nobody knows.

use serde_json::Value;
use tesa_reconciler::sandbox::{Effect, Fault};

use super::world::{PATIENCE, Settings, World, wait_for};

/// A world with one unsent order whose write never gets an answer, and a daemon killed while it waits for it.
async fn killed_in_the_middle(applied: bool) -> World {
    // Looks count from the last instant at which the write may have been on its way, so that is made short.
    let mut settings = Settings::default();
    settings.tesamanager += "\nrequest_timeout = \"1s\"";
    let world = World::new(settings).await;
    world.stuck("ORD-1");
    let hang = Fault::new(Effect::Hang { applied }).on(&["writes"]);
    world.faults(vec![hang]);
    let daemon = world.daemon().await;
    assert_eq!(world.run(&["trigger", "retry-stuck"]).await.code, Some(0));
    wait_for("the write", || world.writes().len() == 1).await;
    daemon.kill().await;
    assert_eq!(world.states().await, ["intended"], "the ledger came first");
    world.faults(vec![]);
    world
}

/// What the ledger says of the only order, oldest first.
async fn history(world: &World) -> Vec<String> {
    let explained = world.rows(&["explain", "ORD-1"]).await;
    let attempts = explained[0]["attempts"].as_array().unwrap();
    let steps = |attempt: &Value| attempt["steps"].as_array().unwrap().clone();
    let mut attempts: Vec<_> = attempts.iter().collect();
    attempts.sort_by_key(|attempt| attempt["id"].as_i64());
    let states = attempts.into_iter().flat_map(steps);
    let mut states: Vec<String> = states
        .map(|step| step["state"].as_str().unwrap().to_owned())
        .collect();
    // A look that settles nothing keeps the state.
    states.dedup();
    states
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_had_its_effect_before_the_kill_is_never_sent_twice() {
    let world = killed_in_the_middle(true).await;
    let daemon = world.daemon().await;
    world.await_states(1, &["confirmed"]).await;
    for _ in 0..2 {
        let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert_eq!((world.writes().len(), world.effects()), (1, 1));
    assert_eq!(
        history(&world).await,
        ["intended", "unknown", "confirmed"],
        "nothing is overwritten"
    );
    let runs = world.rows(&["runs"]).await;
    assert_eq!(runs.last().unwrap()["outcome"], "lost");
    assert_eq!(daemon.metric("runs_lost_total", &[]).await, 1.0);
    let unknown = &[r#"outcome="unknown""#];
    assert_eq!(daemon.metric("attempts_total", unknown).await, 1.0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_had_no_effect_before_the_kill_is_sent_again_only_after_the_last_look() {
    let world = killed_in_the_middle(false).await;
    let daemon = world.daemon().await;
    // While it is in doubt, a person's trigger changes nothing.
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    if world.states().await == ["unknown"] {
        assert_eq!(world.writes().len(), 1, "nothing is sent out of doubt");
    }
    world.await_states(1, &["ineffective"]).await;
    assert_eq!(world.writes().len(), 1, "it was read, not sent");
    // The backoff is a second; then the next run sends it, and it works.
    let begun = std::time::Instant::now();
    while world.writes().len() < 2 {
        assert!(begun.elapsed() < PATIENCE, "it is not sent again");
        world.run(&["trigger", "retry-stuck", "--wait"]).await;
    }
    world.await_states(2, &["ineffective", "confirmed"]).await;
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!((world.writes().len(), world.effects()), (2, 1));
    let expected = [
        "intended",
        "unknown",
        "ineffective",
        "intended",
        "accepted",
        "confirmed",
    ];
    assert_eq!(history(&world).await, expected);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_once_after_a_kill_settles_first_and_sends_nothing_twice() {
    let world = killed_in_the_middle(true).await;
    let begun = std::time::Instant::now();
    while world.states().await != ["confirmed"] {
        assert!(begun.elapsed() < PATIENCE, "it is never settled");
        let ended = world.run(&["run", "--once"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert_eq!((world.writes().len(), world.effects()), (1, 1));
}
