//! Requests move by themselves: with the clock alone, the same way every time, and not when told to stand still.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tesa_reconciler::domain::Operation;
use tesa_reconciler::sandbox::SandboxConfig;

use super::{Bench, ORG, body, still};

const DAY: Duration = Duration::from_secs(86_400);

async fn snapshot(bench: &Bench) -> BTreeMap<String, [Value; 3]> {
    let mut all = BTreeMap::new();
    for id in bench.list(&[]).await {
        let parts = [
            bench.read("get_request", &id).await.body,
            bench.read("get_request_events", &id).await.body,
            bench.read("get_request_issues", &id).await.body,
        ];
        all.insert(id, parts);
    }
    all
}

fn moving(speed: f64) -> SandboxConfig {
    SandboxConfig {
        speed,
        requests: 80,
        ..still()
    }
}

#[tokio::test]
async fn movement_is_the_same_however_often_one_looks() {
    let (often, once) = (Bench::new(moving(1.0)).await, Bench::new(moving(1.0)).await);
    let start = snapshot(&once).await;
    for _ in 0..4 {
        often.clock.advance(3 * DAY);
        snapshot(&often).await;
    }
    once.clock.advance(12 * DAY);
    let end = snapshot(&once).await;
    assert_eq!(snapshot(&often).await, end);
    let moved = end
        .iter()
        .filter(|(id, parts)| start[*id] != **parts)
        .count();
    assert!(
        (10..80).contains(&moved),
        "{moved}: open ones move, final and stuck ones stay"
    );
}

#[tokio::test]
async fn each_move_tells_its_event_and_its_issue() {
    let bench = Bench::new(moving(1.0)).await;
    let start = snapshot(&bench).await;
    bench.clock.advance(20 * DAY);
    for (id, [request, events, issues]) in snapshot(&bench).await {
        let ([was, told, _], events) = (&start[&id], events.as_array().unwrap());
        let moved = was["last_updated"] != request["last_updated"];
        assert_eq!(events.len() > told.as_array().unwrap().len(), moved);
        if moved {
            assert_eq!(
                events.last().unwrap()["event_date"],
                request["last_updated"]
            );
            let open = issues
                .as_array()
                .unwrap()
                .iter()
                .any(|issue| issue["resolved"] == false);
            let incident = request["status"]
                .as_str()
                .unwrap()
                .starts_with("INCIDENCE_");
            assert!(
                open == incident || request["status"] == "CANCELED",
                "{request}"
            );
        }
    }
}

#[tokio::test]
async fn at_speed_nought_nothing_moves_and_more_speed_moves_more() {
    let mut moved = Vec::new();
    for speed in [0.0, 1.0, 20.0] {
        let bench = Bench::new(moving(speed)).await;
        let start = bench.sandbox().stats().requests;
        bench.clock.advance(DAY);
        let end = bench.sandbox().stats().requests;
        let finished = |stats: &BTreeMap<String, BTreeMap<String, u64>>| stats[ORG]["FINISHED"];
        moved.push(finished(&end) - finished(&start));
    }
    assert!(moved[0] == 0 && moved[1] < moved[2], "{moved:?}");
}

#[tokio::test]
async fn a_cancellation_comes_true_with_time_and_then_is_refused() {
    let bench = Bench::new(moving(1.0)).await;
    let id = bench.with_status("A", "PROCESSING", false).reference_id;
    let write = body(Operation::CancelRequest, "A");
    assert_eq!(
        bench.write(Operation::CancelRequest, &write).await.status,
        200
    );
    let request = bench.sandbox().request(ORG, &id).unwrap();
    assert!(request.cancelling && request.status.as_str() == "PROCESSING");
    bench.clock.advance(DAY);
    let request = bench.sandbox().request(ORG, &id).unwrap();
    assert!(!request.cancelling && request.status.as_str() == "CANCELED");
    assert_eq!(
        bench.write(Operation::CancelRequest, &write).await.status,
        406
    );
}

#[tokio::test]
async fn what_is_stuck_stays_until_somebody_acts() {
    let bench = Bench::new(SandboxConfig {
        stuck_unsent: Some(7),
        ..moving(1.0)
    })
    .await;
    bench.clock.advance(3 * DAY);
    let stuck = bench.list(&[("statuses", "NOT_SENT")]).await;
    assert_eq!(stuck.len(), 7);
    let external = bench
        .sandbox()
        .request(ORG, &stuck[0])
        .unwrap()
        .external_reference;
    bench
        .write(
            Operation::CreateActivation,
            &body(Operation::CreateActivation, &external),
        )
        .await;
    bench.clock.advance(2 * DAY);
    let status = bench.sandbox().request(ORG, &stuck[0]).unwrap().status;
    assert!(
        !["NOT_SENT", "VALIDATING"].contains(&status.as_str()),
        "{status} moved on after the retry"
    );
}
