//! Answers that lack what a decision needs, or say what can't be: they are told, asked again, and replace nothing.

use serde_json::{Value, json};
use tesa_reconciler::domain::ids::ReferenceId;
use tesa_reconciler::domain::{Observation, RunOutcome};

use super::{EVENTS, HOUR, ISSUES, MINUTE, RESEND, RETRY, World, empty, org};

/// What is remembered of a request.
async fn known(world: &World, id: &ReferenceId) -> Option<Observation> {
    let known = world
        .store()
        .observations(&org(), std::slice::from_ref(id))
        .await;
    known.unwrap().into_iter().next()
}

fn with(patch: &Value, omits: &Value) -> Value {
    let mut patch = patch.clone();
    patch["omits"] = omits.clone();
    patch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_answer_that_lacks_something_blinds_nobody_to_its_request() {
    let stuck = json!({"external_reference": "ORDER-1", "status": "NOT_SENT", "age": "2h"});
    for omits in [
        json!(["*"]),
        json!(["status"]),
        json!(["last_updated"]),
        json!(["external_reference"]),
    ] {
        let mut world = World::new(empty(), "", RESEND).await;
        let id: ReferenceId = world.patch(with(&stuck, &omits)).reference_id.into();
        let (outcome, summary) = world.run(RETRY).await;
        assert_eq!(outcome, RunOutcome::Partial, "{omits}: {summary:?}");
        assert_eq!(
            world.verdict(RETRY, &id).await,
            "contract_violation",
            "{omits}"
        );
        assert_eq!(known(&world, &id).await, None, "{omits}");
        assert_eq!(world.ledger().len(), 0, "{omits}");
        // Whole again, it is acted on by the next run, whatever process that is.
        world.patch(stuck.clone());
        world.advance(5 * MINUTE);
        world.restart().await;
        world.run_well(RETRY).await;
        assert_eq!(world.ledger().len(), 1, "{omits}");
        let open = world.findings().await;
        let open: Vec<_> = open
            .iter()
            .map(|finding| finding.key.kind.as_str())
            .collect();
        assert!(!open.contains(&"contract_violation"), "{omits}: {open:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_known_of_a_request_outlives_an_answer_that_lacks_something() {
    // Something is wrong with each, so that the request itself is read.
    let fine = json!({
        "external_reference": "ORDER-1", "status": "PROCESSING", "age": "2h",
        "events": [{"sequence_number": 1}, {"sequence_number": 3}], "issues": [{"issue_code": "CLI-012"}],
    });
    for omits in [json!(["*"]), json!(["status"]), json!(["last_updated"])] {
        for (job, jobs) in [("flag-events", EVENTS), ("resolve-issues", ISSUES)] {
            let world = World::new(empty(), "", jobs).await;
            let mut fine = fine.clone();
            if job == "resolve-issues" {
                fine["status"] = json!("INCIDENCE_OPERATOR");
            }
            let id: ReferenceId = world.patch(fine.clone()).reference_id.into();
            world.run_well(job).await;
            let before = known(&world, &id).await;
            assert!(before.is_some());
            fine["age"] = json!("0s");
            world.advance(HOUR);
            world.patch(with(&fine, &omits));
            world.advance(HOUR);
            assert_eq!(world.run(job).await.0, RunOutcome::Partial, "{omits}");
            assert_eq!(known(&world, &id).await, before, "{omits}");
            // The next run asks again, and the one after that need not.
            fine["age"] = json!("1h");
            world.patch(fine.clone());
            world.advance(MINUTE);
            assert_eq!(world.run_well(job).await.observed, 1, "{omits}");
            let after = known(&world, &id).await.unwrap();
            assert!(after.observed_at > before.unwrap().observed_at, "{omits}");
        }
    }
}
