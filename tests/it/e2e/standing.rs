//! What stands from run to run, and what is over.

use super::{EVENTS, ISSUES, MINUTE, RESEND, RETRY, World, empty};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_stands_no_longer_than_its_rule() {
    let world = World::new(empty(), OBSERVE, AGEING).await;
    world.validating("ORDER-1", "90m");
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
        assert_eq!(summary.flagged, u64::from(verdict == "flag"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finding_is_over_where_an_earlier_rule_leaves_the_request_alone() {
    let other_way_round = AGEING
        .replace("flag", "?")
        .replace("ignore", "flag")
        .replace('?', "ignore");
    let world = World::new(empty(), OBSERVE, &other_way_round).await;
    world.validating("ORDER-1", "90m");
    for (minutes, standing) in [(0, 1), (29, 1), (2, 0), (20, 0)] {
        world.advance(minutes * MINUTE);
        world.run_well(RETRY).await;
        assert_eq!(world.findings().await.len(), standing, "{minutes} min on");
    }
    let doubts = world.store().contradictions(&super::org()).await.unwrap();
    assert!(doubts.is_empty(), "no list was wrong: {doubts:?}");
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
    // One 404 says nothing, two within a day do.
    let mut once = expected.clone();
    once.push(("stuck_request", ids[1].clone()));
    once.sort();
    assert_eq!(flagged().await, once, "a change makes it young again");
    world.advance(5 * MINUTE);
    assert_eq!(flagged().await, expected);
    // The stream is in order again, and another request goes.
    world.sandbox().remove(super::ORG, ids[0].as_str());
    let events = serde_json::json!([{"sequence_number": 1}, {"sequence_number": 2}]);
    world.patch(serde_json::json!({"external_reference": "ORDER-2", "events": events}));
    flagged().await;
    world.advance(2 * MINUTE);
    assert_eq!(flagged().await, stuck(&[3, 5]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_read_tells_is_over_when_a_read_says_so() {
    let jobs = RESEND
        .replace("action", "territory_owners = [\"NEBA\"]\naction")
        .replace("\"resend\"", "\"flag\"");
    let world = World::new(empty(), OBSERVE, &jobs).await;
    let request = |owner: &str| {
        world.patch(serde_json::json!({
            "external_reference": "ORDER-1", "status": "NOT_SENT", "age": "2h", "territory_owner": owner,
        }));
    };
    request("NEBA");
    assert_eq!(world.run_well(RETRY).await.flagged, 1);
    request("VULA_COMMERCIAL");
    // Trusted for a day at most.
    world.advance(25 * 60 * MINUTE);
    world.run_well(RETRY).await;
    assert_eq!(world.findings().await.len(), 0);
}
