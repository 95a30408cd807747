//! Skipping what did not change must change no decision: a property, over worlds that change at random.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tesa_reconciler::domain::Decision;
use tesa_reconciler::reconcile::plan::Item;
use tesa_reconciler::store::findings::FindingFilter;
use tesa_reconciler::store::{self, Page, StoreOptions};

use super::daemon::Daemon;
use super::{EVENTS, ISSUES, Items, MINUTE, RESEND, RETRY, World, empty};

/// Orders in the world.
const ORDERS: usize = 8;

/// One thing that happens between two sweeps.
#[derive(Debug, Clone)]
enum Change {
    Status(usize, &'static str),
    Issues(usize, Vec<(&'static str, bool)>),
    Events(usize, Vec<i64>),
    Cancelling(usize, bool),
    Gone(usize),
    Minutes(u64),
}

fn change() -> impl Strategy<Value = Change> {
    let order = 0..ORDERS;
    let status = prop::sample::select(vec![
        "NOT_SENT",
        "VALIDATING",
        "INCIDENCE_OPERATOR",
        "INCIDENCE_TESA",
        "FINISHED",
        "ON_THE_MOON",
    ]);
    let issue = (
        prop::sample::select(vec!["CLI-012", "CTO-003", "PER-001", "NEW-9"]),
        any::<bool>(),
    );
    prop_oneof![
        4 => (order.clone(), status).prop_map(|(order, status)| Change::Status(order, status)),
        3 => (order.clone(), prop::collection::vec(issue, 0..4))
            .prop_map(|(order, issues)| Change::Issues(order, issues)),
        2 => (order.clone(), prop::collection::vec(1..6_i64, 0..5))
            .prop_map(|(order, numbers)| Change::Events(order, numbers)),
        1 => (order.clone(), any::<bool>()).prop_map(|(order, on)| Change::Cancelling(order, on)),
        1 => order.prop_map(Change::Gone),
        4 => prop::sample::select(vec![0, 1, 7, 29, 31, 90]).prop_map(Change::Minutes),
    ]
}

fn happens(world: &World, change: &Change) {
    let order = |n: &usize| format!("ORDER-{n}");
    match change {
        Change::Status(n, status) => {
            world.patch(json!({"external_reference": order(n), "status": status}));
        }
        Change::Issues(n, issues) => {
            let issues: Vec<_> = issues
                .iter()
                .map(|(code, resolved)| json!({"issue_code": code, "resolved": resolved}))
                .collect();
            world.patch(json!({"external_reference": order(n), "issues": issues}));
        }
        Change::Events(n, numbers) => {
            let events: Vec<_> = numbers
                .iter()
                .map(|number| json!({"sequence_number": number, "inconsistent": *number == 5}))
                .collect();
            world.patch(json!({"external_reference": order(n), "events": events}));
        }
        Change::Cancelling(n, on) => {
            world.patch(json!({"external_reference": order(n), "cancelling": on}));
        }
        Change::Gone(n) => {
            for id in world.sandbox().references(super::ORG, &order(n)) {
                world.sandbox().remove(super::ORG, &id);
            }
        }
        Change::Minutes(minutes) => world.advance(Duration::from_secs(60 * minutes)),
    }
}

/// What a daemon makes of the world: its plans of the jobs that decide about everything, and its findings.
async fn view(daemon: &Daemon) -> (Vec<String>, Vec<String>) {
    let mut decisions = Vec::new();
    for job in ["retry-stuck", "resolve-issues"] {
        let mut items = Items::default();
        daemon.plan(job, &mut items).await.unwrap();
        // The order's number is shown where it is known, and that is what a memory knows more of.
        let line = |item: &Item| {
            let decision = Decision {
                external_reference: None,
                ..item.decision.clone()
            };
            match decision.verdict.label() {
                // Of what is in order, more or less was read.
                "nothing_wrong" => {
                    format!(
                        "{job}: reference_id: {:?} is in order",
                        decision.reference_id.as_str()
                    )
                }
                _ => format!("{job}: {decision:?}"),
            }
        };
        decisions.extend(items.0.iter().map(line));
    }
    for job in ["retry-stuck", "resolve-issues", "flag-events"] {
        daemon.run(job).await.unwrap();
    }
    let page = Page::first(10_000);
    let all = FindingFilter::default();
    let findings = daemon.store().findings(&all, page);
    let mut findings: Vec<String> = findings
        .await
        .unwrap()
        .iter()
        .map(|finding| format!("{:?}: {}", finding.key, finding.evidence))
        .collect();
    decisions.sort();
    findings.sort();
    (decisions, findings)
}

/// The same daemon without a memory.
async fn naive(world: &World) -> (tempfile::TempDir, Daemon) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("naive.db").display());
    let store = store::open(&url, &StoreOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    let daemon = world.daemon.around(store, None).await;
    (dir, daemon)
}

/// What an upstream whose clock went back leads to: a request dated earlier than before, which contradicts only a memory;
/// and one dated later than now, which only who reads it at that time sees.
const OF_A_CLOCK_THAT_WENT_BACK: [&str; 2] = [
    "detail: \"last_updated\"",
    "is not a date that lies in the past",
];

/// The request that a finding's line is about.
fn about(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("reference_id: \"")?;
    rest.split('"').next()
}

/// Before each sweep: how many minutes the upstream's clock is ahead from then on, and what happens.
type Step = (i64, Vec<Change>);

async fn lives_through(sweeps: Vec<Step>) {
    let jobs = format!("{RESEND}{ISSUES}{EVENTS}");
    let world = World::new(empty(), "mode = \"observe\"", &jobs).await;
    for n in 0..ORDERS {
        happens(&world, &Change::Status(n, "VALIDATING"));
    }
    for (ahead, changes) in sweeps {
        world.upstream.set_minutes(ahead);
        for change in &changes {
            happens(&world, change);
        }
        let (_dir, naive) = naive(&world).await;
        let (decided, found) = view(&world.daemon).await;
        let (decided_anew, found_anew) = view(&naive).await;
        let contradicts = |line: &&String| {
            let signs = OF_A_CLOCK_THAT_WENT_BACK.iter();
            signs.into_iter().any(|sign| line.contains(sign))
        };
        let contradicted = found.iter().chain(&found_anew).filter(contradicts);
        let ids: Vec<&str> = contradicted.filter_map(|line| about(line)).collect();
        let agreed = |lines: &[String]| -> Vec<String> {
            // One that is gone keeps its findings until two looks a minute apart have not found it.
            let is_gone = |id: &str| world.sandbox().request(super::ORG, id).is_none();
            let of_others =
                |line: &&String| !about(line).is_some_and(|id| ids.contains(&id) || is_gone(id));
            lines.iter().filter(of_others).cloned().collect()
        };
        assert_eq!(
            agreed(&decided),
            agreed(&decided_anew),
            "{ahead} min, {changes:?}"
        );
        assert_eq!(
            agreed(&found),
            agreed(&found_anew),
            "{ahead} min, {changes:?}"
        );
        naive.store().close().await;
        world.advance(MINUTE);
    }
}

#[test]
fn skipping_what_did_not_change_changes_no_decision() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: 16,
        failure_persistence: None,
        max_shrink_iters: 64,
        ..Config::default()
    };
    let ahead = prop::sample::select(vec![0, 0, 0, 3, -3, 25, -25]);
    let sweeps = prop::collection::vec((ahead, prop::collection::vec(change(), 0..6)), 1..6);
    TestRunner::new(config)
        .run(&sweeps, |sweeps| {
            runtime.block_on(lives_through(sweeps));
            Ok(())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rule_change_what_is_stuck_is_judged_afresh_without_reading() {
    let mut world = World::new(empty(), "mode = \"observe\"", RESEND).await;
    for n in 0..20 {
        world.unsent(&format!("ORDER-{n}"), "2h");
    }
    world.run_well(RETRY).await;
    assert_eq!(world.findings().await.len(), 20);
    world.advance(5 * MINUTE);
    let flags = RESEND.replace("\"resend\"", "\"flag\"");
    world.reload("mode = \"observe\"", &flags);
    let reads = world.reads();
    assert_eq!(world.run_well(RETRY).await.flagged, 20);
    world.reload(
        "mode = \"observe\"",
        &RESEND.replace("\"resend\"", "\"ignore\""),
    );
    world.run_well(RETRY).await;
    assert!(world.findings().await.is_empty());
    assert!(
        world.reads() - reads <= 6,
        "only samples: {}",
        world.reads() - reads
    );
}
