//! `report`: on whole populations, and computed again by somebody else.

use std::fs;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tesa_reconciler::domain::run::Mode;
use tesa_reconciler::domain::{Observation, PersistenceType, Status, TerritoryOwner, Trigger};
use tesa_reconciler::store::runs::{NewRun, Started};
use tesa_reconciler::store::{self, Actor, StoreOptions};

use super::world::{NEVER, ORG, Settings, World};

const CONTRACT: &str = r#"
[parties]
INCIDENCE_OPERATOR = "operator"
holidays_file = "holidays.txt"
[[service_level]]
name = "alta NEBA local"
persistence_type = "ACTIVATION"
territory_owners = ["VULA_COMMERCIAL", "VULA_REGULATED"]
within = "10 working days"
[[service_level]]
name = "all"
within = "5d"
parties = ["tesa", "installer"]
[[job]]
name = "retry-stuck"
kind = "retry_stuck"
"#;

/// So many orders.
const ORDERS: i64 = 400;

/// After all of it.
const UNTIL: &str = "2026-07-01T00:00:00Z";

fn at(hours: i64) -> DateTime<Utc> {
    let begin: DateTime<Utc> = "2026-02-25T10:20:30Z".parse().unwrap();
    begin + TimeDelta::hours(hours)
}

/// The nth order's life: how it stood, when the upstream says so, and when we saw it, in hours.
fn life(n: i64) -> Vec<(Status, i64, i64)> {
    let begin = 3 * n % 1_500;
    let steps = [
        (Status::Processing, 7 * n % 40),
        (Status::IncidenceOperator, 11 * n % 90),
        (Status::Processing, 13 * n % 160),
        (Status::Installing, 5 * n % 70),
        (Status::Installed, 17 * n % 30),
        (Status::Finished, n % 9),
    ];
    let told = 2 + (n % 6) as usize;
    let mut hour = begin;
    let mut life = Vec::new();
    for (step, (status, takes)) in steps.into_iter().take(told.min(6)).enumerate() {
        hour += takes + 1;
        life.push((status, hour, hour + (n + step as i64) % 4));
    }
    life
}

/// A world whose store has seen them all, and one that only a list named.
async fn with_a_population() -> World {
    let world = World::new(Settings {
        jobs: format!("{CONTRACT}{NEVER}\n"),
        ..Settings::default()
    })
    .await;
    fs::write(
        world.path("holidays.txt"),
        "# Semana Santa\n2026-04-02\n2026-04-03 # viernes\n",
    )
    .unwrap();
    let url = format!("sqlite:{}", world.store_file().display());
    let store = store::open(&url, &StoreOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    let run = NewRun {
        job_name: "filling".into(),
        org: ORG.into(),
        trigger: Trigger::Manual,
        slot: None,
        replica: "filler".into(),
        mode: Mode::Observe,
        actor: Actor::daemon("a test"),
    };
    let Started::Yes(lease) = store.start(&run, at(0)).await.unwrap() else {
        panic!("it did not start");
    };
    let org = ORG.into();
    let owners = [
        None,
        Some(TerritoryOwner::Neba),
        Some(TerritoryOwner::VulaRegulated),
    ];
    for n in 0..ORDERS {
        for (status, stamp, seen) in life(n) {
            let observation = Observation {
                reference_id: format!("TS{n:05}").into(),
                external_reference: Some(format!("ORD-{n}").into()),
                persistence_type: Some(match n % 3 {
                    0 => PersistenceType::Termination,
                    _ => PersistenceType::Activation,
                }),
                status,
                cancelling: false,
                auto_installation: None,
                territory_owner: owners[(n % 3) as usize],
                request_number: None,
                subrequest_number: None,
                attributes: Default::default(),
                created: (n % 5 != 0).then(|| at(3 * n % 1_500)),
                last_updated: Some(at(stamp)),
                observed_at: at(seen),
            };
            let seen = [observation];
            let older = store.remember_observations(&lease, &org, &seen).await;
            assert_eq!(older.unwrap(), []);
        }
    }
    store.close().await;
    world
}

/// What another program makes of the rows is what the report says.
async fn is_computed_again(world: &World, kind: &str) -> Value {
    let report = ["report", kind, "--until", UNTIL, "--output"];
    let told = |format| {
        let args = [&report[..], &[format]].concat();
        async move {
            let ended = world.run(&args).await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            ended
        }
    };
    let (rows, json) = (told("csv").await, told("json").await.stdout);
    assert!(rows.stderr.contains("orders selected"), "{}", rows.stderr);
    let (rows_file, json_file) = (world.path("rows.csv"), world.path("report.json"));
    fs::write(&rows_file, rows.stdout).unwrap();
    fs::write(&json_file, &json).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/recompute.py");
    let again = Command::new("python3")
        .arg(script)
        .arg(kind)
        .args([&rows_file, &json_file])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success(), "{said}");
    serde_json::from_str(&json).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_computes_every_figure_again_from_the_rows() {
    let world = with_a_population().await;
    let parties = is_computed_again(&world, "parties").await;
    assert_eq!(parties["selected"], ORDERS);
    assert_eq!(parties["counted"], ORDERS);
    let groups = parties["summary"].as_array().unwrap();
    assert!(groups.len() > 20, "{groups:?}");
    let delivery = is_computed_again(&world, "delivery").await;
    assert_eq!(delivery["selected"], ORDERS);
    let verdicts: Vec<u64> = ["met", "late", "open", "open_late"]
        .iter()
        .map(|verdict| {
            let groups = delivery["summary"].as_array().unwrap().iter();
            groups.map(|group| group[verdict].as_u64().unwrap()).sum()
        })
        .collect();
    assert!(verdicts.iter().all(|count| *count > 0), "{verdicts:?}");
    let table = world.run(&["report", "delivery", "--until", UNTIL]).await;
    assert!(table.stdout.contains("SHARE MET"), "{}", table.stdout);
    assert!(
        table.stdout.contains("400 orders selected, 400 counted"),
        "{}",
        table.stdout
    );
    // Of a month that was over before any of it.
    let none = ["report", "parties", "--until", "2026-01-01T00:00:00Z"];
    let none = world.run(&none).await;
    assert!(none.stdout.contains("0 orders selected"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stuck_the_night_and_what_was_only_listed_are_told() {
    let world = World::new(Settings {
        jobs: format!("[[job]]\nname = \"retry-stuck\"\nkind = \"retry_stuck\"\n{NEVER}\n"),
        ..Settings::default()
    })
    .await;
    world.stuck("ORD-1");
    world.patch(
        serde_json::json!({"external_reference": "ORD-2", "status": "VALIDATING", "age": "72h"}),
    );
    let daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    world.await_states(1, &["confirmed"]).await;
    daemon.stop().await;
    let stuck = world.rows(&["report", "stuck"]).await;
    let slow = &stuck[0];
    assert_eq!(slow["external_reference"], "ORD-2", "{stuck:?}");
    assert_eq!(
        (&slow["status"], &slow["party"]),
        (&"VALIDATING".into(), &"tesa".into())
    );
    assert!(
        slow["unknown_seconds"].as_i64().unwrap() >= 72 * 3_600,
        "{slow}"
    );
    let night = world.rows(&["report", "night"]).await;
    let count = |what: &str, of: &str| {
        let found = night
            .iter()
            .find(|row| row["what"] == what && row["of"] == of);
        found.map(|row| row["count"].as_u64().unwrap())
    };
    assert_eq!(count("sent", "create_activation"), Some(1), "{night:?}");
    assert_eq!(count("confirmed", "confirmed"), Some(1), "{night:?}");
    assert_eq!(count("found", "stuck_request"), Some(2), "{night:?}");
    let parties = world
        .run(&["report", "parties", "--output", "json"])
        .await
        .stdout;
    let parties: Value = serde_json::from_str(&parties).unwrap();
    assert_eq!(parties["selected"], 2, "{parties}");
    // Nothing was promised, so nothing can be told.
    let delivery = world.run(&["report", "delivery"]).await;
    assert_eq!(delivery.code, Some(78), "{delivery:?}");
    assert!(
        delivery.stderr.contains("[[service_level]]"),
        "{delivery:?}"
    );
}
