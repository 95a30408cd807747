//! `causes`: what a person reads of a shared cause, what a program does, and that none is told where there is none.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tesa_reconciler::domain::run::Mode;
use tesa_reconciler::domain::{
    Beside, FindingKind, Issue, Observation, PersistenceType, Sight, Status, Trigger,
};
use tesa_reconciler::store::findings::{FindingChanges, FindingKey, Sighting};
use tesa_reconciler::store::runs::{NewRun, Started};
use tesa_reconciler::store::{self, Actor, StoreOptions};

use super::world::{NEVER, ORG, Settings, World};

/// So many open requests; the first are stuck.
const OPEN: usize = 300;
const STUCK: usize = 20;

/// Of the stuck ones, so many wait for the same thing.
const SHARED: usize = 12;

fn began() -> DateTime<Utc> {
    "2026-11-20T21:04:00Z".parse().unwrap()
}

/// A world whose store has seen them all.
async fn with_stuck(shared: usize) -> World {
    let world = World::new(Settings {
        jobs: format!("[[job]]\nname = \"retry-stuck\"\nkind = \"retry_stuck\"\n{NEVER}\n"),
        ..Settings::default()
    })
    .await;
    let url = format!("sqlite:{}", world.store_file().display());
    let store = store::open(&url, &StoreOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    let (org, job) = (ORG.into(), "retry-stuck".into());
    let run = NewRun {
        job_name: "retry-stuck".into(),
        org: ORG.into(),
        trigger: Trigger::Manual,
        slot: None,
        replica: "filler".into(),
        mode: Mode::Observe,
        actor: Actor::daemon("a test"),
    };
    let Started::Yes(lease) = store.start(&run, began()).await.unwrap() else {
        panic!("it did not start");
    };
    let seen: Vec<Observation> = (0..OPEN)
        .map(|n| Observation {
            reference_id: format!("TS{n:05}").into(),
            external_reference: Some(format!("ORD-{n}").into()),
            persistence_type: Some(PersistenceType::Activation),
            status: Status::Processing,
            cancelling: false,
            auto_installation: None,
            territory_owner: None,
            request_number: None,
            subrequest_number: None,
            attributes: Default::default(),
            created: None,
            // Each in an hour of its own, but those that stopped together.
            last_updated: Some(match n {
                0..SHARED if shared > 0 => began() + TimeDelta::minutes(n as i64),
                _ => began() - TimeDelta::hours(n as i64),
            }),
            observed_at: began() + TimeDelta::hours(9),
        })
        .collect();
    let sights: Vec<Sight> = seen[..shared]
        .iter()
        .map(|seen| Sight {
            reference_id: seen.reference_id.clone(),
            at: seen.observed_at,
            beside: Beside::Issues(vec![Issue {
                id: None,
                reference_id: seen.reference_id.clone(),
                issue_sequence: Some(1),
                issue_code: "CLI-012".into(),
                resolved: false,
                repeated: false,
                last_updated: None,
            }]),
        })
        .collect();
    let older = store.remember_seen(&lease, &org, &seen, &sights).await;
    assert_eq!(older.unwrap(), []);
    let sightings = seen[..STUCK].iter().map(|seen| Sighting {
        key: FindingKey {
            reference_id: seen.reference_id.clone(),
            kind: FindingKind::StuckRequest,
            detail: "PROCESSING".to_owned(),
        },
        external_reference: seen.external_reference.clone(),
        since: seen.last_updated,
        attention: None,
        evidence: "stuck".to_owned(),
    });
    let changes = FindingChanges {
        seen: sightings.collect(),
        ..FindingChanges::default()
    };
    let now = began() + TimeDelta::hours(9);
    store
        .apply_findings(&lease, &org, &job, &changes, now)
        .await
        .unwrap();
    store.close().await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_cause_is_told_with_its_numbers_and_when_it_began() {
    let world = with_stuck(SHARED).await;
    let told = world.run(&["causes"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    for words in [
        "1. issue_code CLI-012",
        "inseparable: the same requests have began in the hour from",
        "12 of the 20 stuck requests have it (60 %)",
        "of all 300 open requests 12 have it (4.00 %): 15 times as often",
        "the first stopped at 2026-11-20 21:04:00 UTC, in a burst",
        "the other 8 of 20 stuck requests have nothing in common",
    ] {
        let stdout = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(stdout.contains(words), "{words}: {stdout}");
    }
    let args = [
        "causes",
        "--org",
        ORG,
        "--job",
        "retry-stuck",
        "--output",
        "json",
    ];
    let answer: Value = serde_json::from_str(&world.run(&args).await.stdout).unwrap();
    assert_eq!(
        (&answer["selected"], &answer["explained"]),
        (&STUCK.into(), &SHARED.into())
    );
    let causes = answer["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 1, "{causes:?}");
    let cause = &causes[0];
    assert_eq!(cause["facts"][0]["dimension"], "issue_code");
    assert_eq!(cause["facts"][0]["value"], "CLI-012");
    assert_eq!(cause["of_open"], OPEN);
    assert_eq!(cause["burst"], true);
    assert_eq!(cause["requests"].as_array().unwrap().len(), SHARED);
    let groups = world.rows(&["findings", "--group-by", "cause"]).await;
    let shared = groups[0]["group"].as_str().unwrap();
    assert!(
        shared.starts_with("issue_code CLI-012 = began 2026-11-20T21"),
        "{shared}"
    );
    let counts: Vec<&Value> = groups.iter().map(|group| &group["count"]).collect();
    assert_eq!(counts, [SHARED, STUCK - SHARED]);
    let csv = world.run(&["causes", "--output", "csv"]).await;
    assert!(
        csv.stdout.starts_with("cause,facts,selected,of_selected"),
        "{csv:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_is_shared_no_cause_is_told() {
    let world = with_stuck(0).await;
    let told = world.run(&["causes"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains("no cause is seen"), "{told:?}");
    let none = world.run(&["causes", "--of", "failed"]).await;
    let words = "there are no requests with failed attempts";
    assert!(none.stdout.contains(words), "{none:?}");
    let none = world.run(&["causes", "--of", "held"]).await;
    assert!(
        none.stdout.contains("there are no requests that wait"),
        "{none:?}"
    );
    for args in [
        &["causes", "--of", "stuk"][..],
        &["causes", "--org", "masmobil"],
    ] {
        assert_eq!(world.run(args).await.code, Some(2), "{args:?}");
    }
}
