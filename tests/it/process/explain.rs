//! `explain`: what is known of a request and from where, and what will really happen to it next.

use serde_json::{Value, json};
use tesa_reconciler::sandbox::{Effect, Fault};

use super::world::{NEVER, Settings, World, resend_job};

/// What `explain` says comes next.
async fn next(world: &World, reference: &str) -> String {
    let explained = world.rows(&["explain", reference]).await;
    assert_eq!(explained.len(), 1, "{explained:?}");
    explained[0]["next"].as_str().unwrap().to_owned()
}

/// A world whose one job sends, under these words of `[safety]`.
async fn sending(safety: &str) -> World {
    let mut settings = Settings {
        jobs: resend_job("every = \"1d\""),
        ..Settings::default()
    };
    settings.safety.push('\n');
    settings.safety.push_str(safety);
    World::new(settings).await
}

/// Runs the job, as a daemon's schedule would.
const ONCE: [&str; 4] = ["run", "--once", "--job", "retry-stuck"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_known_from_lists_alone_is_found_and_its_list_named() {
    let jobs = format!("[[job]]\nname = \"retry-stuck\"\nkind = \"retry_stuck\"\n{NEVER}\n");
    let world = World::new(Settings {
        jobs,
        ..Settings::default()
    })
    .await;
    world.patch(json!({"external_reference": "ORD-SLOW", "status": "VALIDATING", "age": "72h"}));
    // Details and samples are read afterwards: nothing of the request is, and nothing is known but the list.
    world.faults(vec![
        Fault::new(Effect::Error {
            status: 404,
            applied: false,
            shape: Default::default(),
        })
        .on(&["get_request"]),
    ]);
    world.run(&ONCE).await;
    let found = world.rows(&["findings"]).await;
    let finding = found
        .iter()
        .find(|finding| finding["kind"] == "stuck_request")
        .expect("flagged by its list");
    assert_eq!(finding["read_at"], Value::Null);
    let table = world.run(&["findings"]).await.stdout;
    assert!(table.contains("not yet read"), "{table}");
    let id = finding["reference_id"].as_str().unwrap();
    let explained = &world.rows(&["explain", id]).await[0];
    assert_eq!(explained["remembered"], Value::Null);
    let listed = &explained["listed"][0];
    assert_eq!(listed["job_name"], "retry-stuck");
    assert_eq!(listed["status"], "VALIDATING");
    assert!(listed["rule"].is_string() && listed["listed_at"].is_string());
    let text = world.run(&["explain", id]).await.stdout;
    for said in ["remembered   not yet read", "listed       as VALIDATING by"] {
        assert!(text.contains(said), "{said}:\n{text}");
    }

    // Once its details are in, its order leads to it, though the upstream's look-up says nothing.
    world.faults(vec![]);
    world.run(&ONCE).await;
    world.faults(vec![
        Fault::new(Effect::Error {
            status: 503,
            applied: false,
            shape: Default::default(),
        })
        .on(&["reads"]),
    ]);
    let explained = &world.rows(&["explain", "ORD-SLOW"]).await[0];
    assert_eq!(explained["reference_id"], id);
    assert!(explained["remembered"].is_object(), "{explained}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn next_is_what_guard_caps_and_pauses_will_let_happen() {
    let world = sending("max_writes_per_run = 1\nmax_writes_per_hour = 1\nhold_above_count = 2\nhold_above_fraction = 0.0").await;
    world.stuck("ORD-1");
    let said = next(&world, "ORD-1").await;
    assert!(said.starts_with("retry-stuck at "), "{said}");
    assert!(said.contains("create_activation is sent"), "{said}");
    assert!(said.contains("no daemon is alive"), "{said}");

    // A younger one waits its turn, and after it the hour has no room.
    world.patch(json!({"external_reference": "ORD-2", "status": "NOT_SENT", "age": "31m"}));
    let said = next(&world, "ORD-2").await;
    assert!(said.contains("1 older ones want a write"), "{said}");
    world.run(&ONCE).await;
    let said = next(&world, "ORD-1").await;
    assert!(said.contains("is verified by reading"), "{said}");
    let said = next(&world, "ORD-2").await;
    assert!(
        said.starts_with("the cap (max_writes_per_hour) has no room before"),
        "{said}"
    );

    let pause = ["pause", "retry-stuck", "--reason", "a drill"];
    world.run(&pause).await;
    let said = next(&world, "ORD-2").await;
    assert!(
        said.starts_with("nothing until `tesa-reconciler resume retry-stuck"),
        "{said}"
    );
    world
        .run(&["resume", "retry-stuck", "--reason", "it is over"])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn next_foresees_the_guard_and_names_the_way_out_of_its_hold() {
    let world = sending("hold_above_count = 2\nhold_above_fraction = 0.0").await;
    for order in ["ORD-1", "ORD-2", "ORD-3"] {
        world.stuck(order);
    }
    let said = next(&world, "ORD-1").await;
    assert!(said.contains("the guard will hold the run"), "{said}");
    world.run(&ONCE).await;
    let said = next(&world, "ORD-1").await;
    assert!(
        said.starts_with("nothing until `tesa-reconciler release retry-stuck --org masmovil"),
        "{said}"
    );
}
