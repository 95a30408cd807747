//! `explain`: what is known of a request and from where, and what will really happen to it next.

use chrono::DateTime;
use serde_json::{Value, json};
use tesa_reconciler::sandbox::{Effect, Fault, SandboxConfig};

use super::world::{NEVER, Settings, World, empty_sandbox, jobs_of_each_kind, resend_job};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_names_the_rule_and_its_conditions_and_all_that_is_in_the_way() {
    let world = sending("hold_above_count = 100").await;
    world.stuck("ORD-1");
    world.run(&["migrate"]).await;
    for pause in [
        &["pause", "--all"][..],
        &["pause", "retry-stuck", "--until", "2h"],
    ] {
        world.run(&[pause, &["--reason", "a drill"]].concat()).await;
    }
    let explained = &world.rows(&["explain", "ORD-1"]).await[0];
    let decision = &explained["would_decide"][0];
    assert_eq!(decision["rule"], "resend-unsent");
    assert_eq!(decision["conditions"], "in NOT_SENT, unchanged for 30 min");
    let blockers = explained["blockers"].as_array().unwrap();
    assert_eq!(blockers.len(), 2, "{blockers:?}");
    let ways = ["resume --all", "resume retry-stuck"];
    for way in ways {
        let names = |blocker: &Value| blocker["way_out"].as_str().unwrap().contains(way);
        assert!(blockers.iter().any(names), "{way}: {blockers:?}");
    }
    let text = world.run(&["explain", "ORD-1"]).await.stdout;
    for said in [
        "rule resend-unsent for those in NOT_SENT, unchanged for 30 min",
        "in the way   paused (retry-stuck): by cli:tester: a drill",
    ] {
        assert!(text.contains(said), "{said}:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_explained_by_the_beginning_of_a_reference_unless_many_begin_so() {
    let jobs = jobs_of_each_kind();
    let world = World::new(Settings {
        jobs,
        ..Settings::default()
    })
    .await;
    for order in 0..8 {
        let order = format!("ORD-{order}");
        world.patch(json!({"external_reference": order, "status": "VALIDATING", "age": "72h"}));
    }
    world.run(&ONCE).await;
    let explained = world.rows(&["explain", "ord-7"]).await;
    assert_eq!(explained.len(), 1, "{explained:?}");
    assert_eq!(explained[0]["upstream"]["external_reference"], "ORD-7");
    let many = world.run(&["explain", "ord-"]).await;
    assert_eq!(many.code, Some(2), "{many:?}");
    assert!(many.stderr.contains("8 requests begin with"), "{many:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_open_order_of_a_made_up_world_has_a_next_step_that_is_known() {
    let sandbox = SandboxConfig {
        requests: 24,
        seed: 11,
        stuck_unsent: Some(4),
        ..empty_sandbox()
    };
    let settings = Settings {
        jobs: jobs_of_each_kind(),
        ..Settings::default()
    };
    let world = World::with(sandbox, settings).await;
    world.faults(vec![
        Fault::new(Effect::Drop { applied: true })
            .on(&["writes"])
            .rate(0.5),
    ]);
    for job in ["retry-stuck", "resolve-issues", "flag-events"] {
        world.run(&["run", "--once", "--job", job]).await;
    }
    world.faults(vec![]);
    let daemon = world.daemon().await;
    let open: std::collections::BTreeSet<String> = world
        .rows(&["plan", "--all"])
        .await
        .iter()
        .filter(|row| row["verdict"] != "final_status")
        .map(|row| row["reference_id"].as_str().unwrap().to_owned())
        .collect();
    assert!(open.len() > 5, "{open:?}");
    for id in &open {
        let explained = &world.rows(&["explain", id]).await[0];
        let next = explained["next"].as_str().unwrap();
        let is_dated = next
            .split([' ', ',', ';', ')'])
            .any(|word| DateTime::parse_from_rfc3339(word).is_ok());
        assert!(
            is_dated || next.contains("`tesa-reconciler "),
            "{id}: {next}"
        );
        assert!(
            !next.contains("unknown") && !next.contains("not known"),
            "{id}: {next}"
        );
        assert!(!next.contains("can't be told"), "{id}: {next}");
        for decision in explained["would_decide"].as_array().unwrap() {
            assert_ne!(decision["explanation"], "", "{id}: {decision}");
            let named = decision["rule"].is_null() == decision["conditions"].is_null();
            assert!(named, "{id}: {decision}");
        }
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_upstream_away_nothing_is_said_of_a_request_that_only_it_could_know() {
    let world = World::new(Settings::default()).await;
    let unknown = world.run(&["explain", "ORD-9"]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    let nowhere = "no request answers to \"ORD-9\"";
    assert!(unknown.stderr.contains(nowhere), "{unknown:?}");
    let away = Fault::new(Effect::Drop { applied: false });
    world.faults(vec![away.on(&["reads"])]);
    let unasked = world.run(&["explain", "ORD-9"]).await;
    assert_eq!(unasked.code, Some(69), "{unasked:?}");
    let why = "the upstream could not be asked";
    assert!(unasked.stderr.contains(why), "{unasked:?}");
    assert!(!unasked.stderr.contains(nowhere), "{unasked:?}");
}
