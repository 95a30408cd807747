//! A command's word to a daemon on SQLite, between processes: heard at once, and without it within a second or two. That
//! nothing else is heard is tested where the word is made.

use chrono::{DateTime, TimeDelta, Utc};

use super::world::{Settings, World};

/// Triggers a run, and answers how long after the command's commit it began.
async fn trigger(world: &World) -> TimeDelta {
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let instant = |value: &serde_json::Value| -> DateTime<Utc> {
        value.as_str().expect("an instant").parse().unwrap()
    };
    let asked = &world.rows(&["audit", "--action", "trigger"]).await[0]["at"];
    let began = &world.rows(&["runs", "--limit", "1"]).await[0]["started_at"];
    instant(began) - instant(asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_from_another_process_is_seen_at_once() {
    let world = World::new(Settings::default()).await;
    let daemon = world.daemon().await;
    // The look of every two seconds begins anew with each trigger that was heard, so without a word most would wait for
    // nearly all of it.
    let mut waited = Vec::new();
    for _ in 0..5 {
        waited.push(trigger(&world).await);
    }
    waited.sort();
    assert!(waited[2] < TimeDelta::milliseconds(250), "{waited:?}");
    daemon.stop().await;
    assert!(!world.path("state.db.bell").exists(), "it is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_bell_the_look_every_two_seconds_still_finds_it() {
    let world = World::new(Settings {
        daemon: "log_level = \"debug\"".to_owned(),
        ..Settings::default()
    })
    .await;
    // A bell beside no database would be what is left of one, so there is a database first.
    world.daemon().await.stop().await;
    // No socket can be where a directory is.
    std::fs::create_dir(world.path("state.db.bell")).unwrap();
    let mut daemon = world.daemon().await;
    let said = "no bell beside the database: commands are seen at the look every two seconds";
    daemon.logged(said).await;
    for _ in 0..3 {
        trigger(&world).await;
    }
    assert_eq!(daemon.times_logged(said), 1);
    daemon.stop().await;
}
