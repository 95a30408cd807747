//! What a decision rests on is read again right before its write: the issue and the events, not only the request.

use serde_json::json;
use tesa_reconciler::domain::AttemptState;

use super::{EVENTS, ISSUES, MINUTE, World, empty, person};

const RESOLVE: &str = "resolve-issues";
const FLAG: &str = "flag-events";

/// The same rule with another write, whose repetition could do harm.
fn with_access() -> String {
    let resolving =
        "action = \"resolve_incident\"\nobservations = \"Cita confirmada de nuevo ({issue_code})\"";
    let access = "action = \"create_access\"\ntechnician_code = \"T-1\"";
    assert!(ISSUES.contains(resolving));
    ISSUES.replace(resolving, access)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_for_an_issue_that_was_resolved_meanwhile_although_the_request_is_dated_as_before()
{
    for jobs in [ISSUES.to_owned(), with_access()] {
        let world = World::new(empty(), "", &jobs).await;
        let issue = |resolved| {
            world.patch(json!({
                "external_reference": "ORDER-1", "status": "INCIDENCE_OPERATOR", "age": "2h",
                "issues": [{"issue_code": "CLI-001", "resolved": resolved}],
            }))
        };
        let id = issue(false).reference_id.into();
        world
            .store()
            .pause(None, None, &person("first look"), world.now())
            .await
            .unwrap();
        world.run_well(RESOLVE).await;
        assert_eq!(world.verdict(RESOLVE, &id).await, "paused");
        // Somebody else solves it, and the upstream does not date the request for it. The next sweep finds the request
        // unchanged, and so decides on the issues that it saw.
        issue(true);
        world
            .store()
            .resume(None, &person("go on"), world.now())
            .await
            .unwrap();
        let (_, summary) = world.run(RESOLVE).await;
        assert_eq!(summary.unchanged, 1, "decided on what was seen before");
        assert_eq!(
            world.verdict(RESOLVE, &id).await,
            "changed_meanwhile",
            "{jobs}"
        );
        assert!(world.ledger().is_empty(), "{:?}", world.ledger());
        assert!(world.attempts().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_for_an_event_that_is_no_longer_inconsistent() {
    let rule = "[[job.rule]]\nname = \"ask-for-the-box\"\nstatuses = [\"PROCESSING\"]\n";
    let jobs = format!("{EVENTS}{rule}action = \"create_status_cto\"\n");
    let world = World::new(empty(), "", &jobs).await;
    let event = |inconsistent| {
        world.patch(json!({
            "external_reference": "ORDER-1", "status": "PROCESSING", "age": "2h",
            "events": [{"sequence_number": 1, "inconsistent": inconsistent}],
        }))
    };
    let id = event(true).reference_id.into();
    world
        .store()
        .pause(None, None, &person("first look"), world.now())
        .await
        .unwrap();
    world.run_well(FLAG).await;
    assert_eq!(world.verdict(FLAG, &id).await, "paused");
    event(false);
    world
        .store()
        .resume(None, &person("go on"), world.now())
        .await
        .unwrap();
    world.run(FLAG).await;
    assert_eq!(world.verdict(FLAG, &id).await, "changed_meanwhile");
    assert!(world.ledger().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_says_how_the_issue_stood_right_before_the_write() {
    let world = World::new(empty(), "", ISSUES).await;
    world.patch(json!({
        "external_reference": "ORDER-1", "status": "INCIDENCE_OPERATOR", "age": "2h",
        "issues": [{"issue_code": "CLI-001"}],
    }));
    world.run_well(RESOLVE).await;
    let attempts = world.attempts().await;
    let before = attempts[0].before_issue.expect("it is about an issue");
    assert!(!before.resolved && before.last_updated.is_some());
    world.advance(MINUTE);
    world.verify().await;
    let attempts = world.attempts().await;
    assert_eq!(attempts[0].state, AttemptState::Confirmed);
    let confirmed = attempts[0]
        .confirmed
        .as_ref()
        .expect("what confirmed it is kept");
    assert!(confirmed.last_updated > attempts[0].before.last_updated);
}
