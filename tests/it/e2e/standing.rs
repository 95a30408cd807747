//! Decisions that stand from run to run: taken over where nothing else can have had a hand in it, and only there.
//!
//! A decision that is made anew is written down anew where it differs. So a false one, put into the store behind the
//! daemon's back, tells: it stays while the right one stands in memory, and is put right when all is looked up.

use std::time::Duration;

use tesa_reconciler::domain::ids::{FindingId, ReferenceId};
use tesa_reconciler::domain::{Decision, Trigger, Verdict};

use crate::store::values::a_run;

use super::{EVENTS, ISSUES, MINUTE, RESEND, RETRY, World, empty, org, person};

const OBSERVE: &str = "mode = \"observe\"";

/// A rule that takes over from another one with age, and one that leaves alone.
const AGEING: &str = r#"
[[job]]
name = "retry-stuck"
kind = "retry_stuck"
every = "5m"
[[job.rule]]
name = "very-old"
statuses = ["VALIDATING"]
not_updated_for = "2h"
action = "flag"
[[job.rule]]
name = "old"
statuses = ["VALIDATING"]
not_updated_for = "1h"
action = "ignore"
"#;

impl World {
    async fn put_a_false_decision(&self, job: &str, id: &ReferenceId) {
        let false_one = Decision {
            reference_id: id.clone(),
            external_reference: None,
            status: None,
            rule: None,
            verdict: Verdict::Flag,
            explanation: "put in behind the daemon's back".to_owned(),
        };
        self.store()
            .remember_decisions(
                &a_run(self.store()).await,
                &org(),
                &job.into(),
                self.now(),
                &[false_one],
            )
            .await
            .unwrap();
    }

    async fn is_false(&self, job: &str, id: &ReferenceId) -> bool {
        let decisions = self.store().decisions_about(&org(), id).await.unwrap();
        let mine = decisions.iter().find(|one| one.job_name.as_str() == job);
        mine.is_some_and(|one| one.explanation.contains("behind the daemon's back"))
    }

    fn validating(&self, order: &str, age: &str) -> ReferenceId {
        let patch =
            serde_json::json!({"external_reference": order, "status": "VALIDATING", "age": age});
        self.patch(patch).reference_id.into()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_is_not_decided_again_and_everything_is_once_an_hour() {
    // What was observed within a rule's age is proven by the list alone; so an age that is longer than the hour.
    let world = World::new(empty(), OBSERVE, &RESEND.replace("30m", "3h")).await;
    let ids: Vec<_> = (0..5)
        .map(|n| world.unsent(&format!("ORDER-{n}"), "4h"))
        .collect();
    let first = world.run_well(RETRY).await;
    assert_eq!((first.observed, first.unchanged, first.skipped), (5, 0, 5));
    world.put_a_false_decision(RETRY, &ids[3]).await;
    for _ in 0..5 {
        world.advance(10 * MINUTE);
        let next = world.run_well(RETRY).await;
        assert_eq!((next.selected, next.observed, next.unchanged), (5, 0, 5));
        assert_eq!(next.skipped, first.skipped, "what stands counts");
        assert!(world.is_false(RETRY, &ids[3]).await, "it was not looked up");
        assert_eq!(world.findings().await.len(), 5);
    }
    world.advance(11 * MINUTE);
    world.run_well(RETRY).await;
    assert!(!world.is_false(RETRY, &ids[3]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_else_had_a_hand_in_it_makes_all_be_looked_up() {
    let mut world = World::new(empty(), OBSERVE, RESEND).await;
    let id = world.unsent("ORDER-1", "2h");
    world.run_well(RETRY).await;
    for meanwhile in [
        "nothing",
        "restart",
        "another process's run",
        "reload",
        "pause",
        "acknowledgement",
        "an hour",
        "a clock set back",
    ] {
        world.put_a_false_decision(RETRY, &id).await;
        world.advance(MINUTE);
        match meanwhile {
            "restart" => world.restart().await,
            "reload" => world.reload(OBSERVE, RESEND),
            "pause" => {
                let (job, why) = (RETRY.into(), person("a look around"));
                let pause = world.store().pause(Some(&job), None, &why, world.now());
                pause.await.unwrap();
            }
            "acknowledgement" => {
                let ids: Vec<FindingId> = world.findings().await.iter().map(|one| one.id).collect();
                let (why, now) = (person("known"), world.now());
                world
                    .store()
                    .acknowledge_findings(&ids, &why, now)
                    .await
                    .unwrap();
            }
            "another process's run" => {
                let store = world.daemon.store().clone();
                let other = world.daemon.around(store, None).await;
                other.run(RETRY).await.unwrap();
                world.put_a_false_decision(RETRY, &id).await;
            }
            "an hour" => world.advance(Duration::from_secs(3_600)),
            "a clock set back" => world
                .clock
                .set(world.now() - chrono::TimeDelta::minutes(10)),
            _ => {}
        }
        world.run_well(RETRY).await;
        let untouched = world.is_false(RETRY, &id).await;
        assert_eq!(untouched, meanwhile == "nothing", "{meanwhile}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_broke_off_leaves_nothing() {
    let world = World::new(empty(), OBSERVE, RESEND).await;
    let id = world.unsent("ORDER-1", "2h");
    world.run_well(RETRY).await;
    world.put_a_false_decision(RETRY, &id).await;
    let stopped = tokio_util::sync::CancellationToken::new();
    stopped.cancel();
    let order = world.daemon.order(RETRY, Trigger::Schedule);
    let live = world.daemon.live();
    live.reconciler.run(&order, &stopped).await.unwrap();
    world.run_well(RETRY).await;
    assert!(!world.is_false(RETRY, &id).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_stands_no_longer_than_its_rule() {
    let world = World::new(empty(), OBSERVE, AGEING).await;
    let id = world.validating("ORDER-1", "90m");
    let steps = [
        (0, "ignore"),
        (20, "ignore"),
        (9, "ignore"),
        (2, "flag"),
        (20, "flag"),
    ];
    for (minutes, verdict) in steps {
        world.advance(minutes * MINUTE);
        let summary = world.run_well(RETRY).await;
        assert_eq!(world.verdict(RETRY, &id).await, verdict);
        assert_eq!(summary.flagged, u64::from(verdict == "flag"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_findings_of_what_is_no_longer_listed_are_over_and_the_others_stay() {
    let jobs = format!("{RESEND}{ISSUES}{EVENTS}");
    let world = World::new(empty(), OBSERVE, &jobs).await;
    let ids: Vec<_> = (0..6)
        .map(|n| world.unsent(&format!("ORDER-{n}"), "2h"))
        .collect();
    let gaps = |order: &str| {
        let events = serde_json::json!([{"sequence_number": 1}, {"sequence_number": 3}]);
        world.patch(serde_json::json!({"external_reference": order, "events": events}));
    };
    let flagged = async || {
        for job in [RETRY, "resolve-issues", "flag-events"] {
            world.run_well(job).await;
        }
        let mut flagged: Vec<_> = world
            .findings()
            .await
            .iter()
            .map(|one| (one.key.kind.as_str(), one.key.reference_id.clone()))
            .collect();
        flagged.sort();
        flagged
    };
    let stuck = |wanted: &[usize]| -> Vec<_> {
        let mut stuck: Vec<_> = wanted
            .iter()
            .map(|&n| ("stuck_request", ids[n].clone()))
            .collect();
        stuck.sort();
        stuck
    };
    assert_eq!(flagged().await, stuck(&[0, 1, 2, 3, 4, 5]));
    world.advance(5 * MINUTE);
    world.sandbox().remove(super::ORG, ids[1].as_str());
    world.validating("ORDER-4", "0s");
    gaps("ORDER-2");
    let mut expected = stuck(&[0, 3, 5]);
    expected.insert(0, ("event_sequence_gap", ids[2].clone()));
    assert_eq!(flagged().await, expected, "a change makes it young again");
    world.advance(5 * MINUTE);
    assert_eq!(flagged().await, expected);
    // The stream is in order again, and another request goes.
    world.sandbox().remove(super::ORG, ids[0].as_str());
    let events = serde_json::json!([{"sequence_number": 1}, {"sequence_number": 2}]);
    world.patch(serde_json::json!({"external_reference": "ORDER-2", "events": events}));
    assert_eq!(flagged().await, stuck(&[3, 5]));
}
