//! `history`: what a person reads of an order's life, and what a program does.

use serde_json::Value;

use super::world::{NEVER, Settings, World};

const JOBS: &str = r#"
[parties]
issue_codes = { "CLI-*" = "customer" }
[[job]]
name = "retry-stuck"
kind = "retry_stuck"
"#;

async fn repaired() -> World {
    let settings = Settings {
        jobs: format!("{JOBS}{NEVER}\n"),
        ..Settings::default()
    };
    let world = World::new(settings).await;
    world.stuck("ORD-1");
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_is_told_with_whose_time_it_was_and_what_comes_next() {
    let world = repaired().await;
    let daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    world.await_states(1, &["confirmed"]).await;
    let told = world.run(&["history", "ORD-1"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    for words in [
        "first seen: NOT_SENT",
        "create_activation",
        "intended",
        "confirmed",
        "NOT_SENT →",
        "WHOSE TIME",
        "waiting for Telefónica",
        "next: ",
        "UTC",
    ] {
        assert!(told.stdout.contains(words), "{words}: {}", told.stdout);
    }
    let begun = world.run(&["history", "ord-"]).await;
    assert!(begun.stdout.contains("first seen: NOT_SENT"), "{begun:?}");
    let lives = world.rows(&["history", "ORD-1"]).await;
    let life = &lives[0];
    let lines = life["lines"].as_array().unwrap();
    let at: Vec<&str> = lines
        .iter()
        .map(|line| line["at"].as_str().unwrap())
        .collect();
    assert!(at.is_sorted(), "{at:?}");
    assert_eq!(life["turn"]["party"], "tesa", "{life}");
    assert_eq!(life["closed"], Value::Null);
    // To the second, because every figure is cut to one.
    let parties = life["parties"].as_array().unwrap();
    let sum: i64 = parties
        .iter()
        .map(|party| party["calendar_seconds"].as_i64().unwrap())
        .sum();
    let gross = life["gross_seconds"].as_i64().unwrap();
    assert!((gross - sum).abs() <= parties.len() as i64, "{life}");
    daemon.stop().await;

    let nobody = world.run(&["history", "ORD-NONE"]).await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("ORD-NONE"), "{nobody:?}");
}
