//! `rehearse`: what a person and a program read of the rules that decided, and of others.

use std::fs;

use serde_json::Value;

use super::world::{NEVER, Settings, World, resend_job};

async fn answer(world: &World, args: &[&str]) -> Value {
    let args = [&["rehearse", "--output", "json"][..], args].concat();
    let ended = world.run(&args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_that_decided_and_others_are_rehearsed_on_what_was_recorded() {
    let world = World::new(Settings {
        jobs: resend_job(NEVER),
        ..Settings::default()
    })
    .await;
    world.stuck("ORD-1");
    let daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    world.await_states(1, &["confirmed"]).await;
    daemon.stop().await;
    let same = answer(&world, &[]).await;
    assert_eq!(same["differing"], 0, "{same}");
    assert_eq!(same["outcomes"]["as_done"], 1, "{same}");
    assert_eq!(same["differences"], Value::Array(vec![]), "{same}");

    let present = fs::read_to_string(world.path("tesa-reconciler.toml")).unwrap();
    let patient = present.replace("not_updated_for = \"30m\"", "not_updated_for = \"300d\"");
    assert_ne!(patient, present);
    fs::write(world.path("new.toml"), patient).unwrap();
    let other = answer(&world, &["--config", "new.toml", "--since", "1d"]).await;
    assert_eq!(other["outcomes"]["would_not"], 1, "{other}");
    assert_eq!(
        other["differences"][0]["operation"], "create_activation",
        "{other}"
    );
    let told = world.run(&["rehearse", "--config", "new.toml"]).await;
    for words in [
        "WHAT BECAME OF WRITES",
        "would_not",
        "retry-stuck",
        "1 requests, history from",
    ] {
        assert!(told.stdout.contains(words), "{words}: {}", told.stdout);
    }
    let csv = world
        .run(&["rehearse", "--config", "new.toml", "--output", "csv"])
        .await;
    assert!(
        csv.stdout
            .starts_with("at,org,reference_id,job_name,rule,operation,outcome"),
        "{csv:?}"
    );
    assert_eq!(world.writes().len(), 1, "nothing was sent by it");
    assert_eq!(
        world.run(&["rehearse", "--since", "soon"]).await.code,
        Some(2)
    );
}
