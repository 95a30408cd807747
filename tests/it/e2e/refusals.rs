//! What the upstream refuses is not tried again by itself: a write, and a token.

use tesa_reconciler::domain::{AttemptState, RunOutcome, Status};
use tesa_reconciler::sandbox::{Effect, Fault, SandboxConfig};

use super::{HOUR, MINUTE, RESEND, RETRY, TOKEN, World, empty, org, person, tally};

const IMPATIENT: &str = "max_attempts = 3\nbackoff = { initial = \"1s\", max = \"1s\" }";

fn refused(status: u16) -> Effect {
    Effect::Error {
        status,
        applied: false,
        shape: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_stops_the_orgs_writes_until_a_read_succeeds_under_another() {
    let another = "renewed-for-tests";
    let sandbox = SandboxConfig {
        tokens: vec![TOKEN.to_owned(), another.to_owned()],
        ..empty()
    };
    let world = World::new(sandbox, IMPATIENT, RESEND).await;
    for order in ["ORDER-1", "ORDER-2", "ORDER-3"] {
        world.unsent(order, "2h");
    }
    // Good for reads, and not for writes.
    world.faults([Fault::new(refused(401)).on(&["writes"])]);
    let (outcome, summary) = world.run(RETRY).await;
    assert_eq!((outcome, summary.sent), (RunOutcome::Failed, 1));
    assert!(summary.trouble.contains("401"), "{summary:?}");
    for _ in 0..7 {
        world.advance(MINUTE);
        let (outcome, summary) = world.run(RETRY).await;
        assert_eq!((outcome, summary.sent), (RunOutcome::Failed, 0));
        assert!(summary.trouble.contains("401"), "{summary:?}");
    }
    assert_eq!(world.ledger().len(), 1);
    assert_eq!(world.states().await, [AttemptState::Rejected]);
    world.faults([]);
    std::fs::write(world.dir.path().join("token"), another).unwrap();
    world.advance(MINUTE);
    // The file is looked at once a second.
    let renewed = async { while world.run(RETRY).await.0 == RunOutcome::Failed {} };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, renewed)
        .await
        .expect("another token");
    assert_eq!(
        world.ledger().len(),
        4,
        "it cost the first order no attempt"
    );
    tally::no_order_twice(&world.ledger()[1..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_refusals_of_a_request_that_changes_in_between_are_a_persons() {
    let world = World::new(empty(), IMPATIENT, RESEND).await;
    let id = world.unsent("ORDER-1", "2h");
    world.faults([Fault::new(refused(409)).on(&["writes"])]);
    for _ in 0..6 {
        world.run(RETRY).await;
        world.unsent("ORDER-1", "0s");
        world.advance(HOUR);
    }
    assert_eq!(world.states().await, [AttemptState::Rejected; 3]);
    assert_eq!(world.ledger().len(), 3);
    assert_eq!(world.verdict(RETRY, &id).await, "given_up");
    let said = world.store().decisions_about(&org(), &id).await.unwrap();
    let said = &said[0].explanation;
    assert!(said.contains("409"), "its code is said: {said}");
    assert!(
        said.contains("attempts retry ORDER-1"),
        "and the way out: {said}"
    );

    let actor = person("the data are mended");
    let done = world
        .store()
        .retry_order(&org(), &"ORDER-1".into(), &actor, world.now())
        .await;
    done.unwrap().unwrap();
    world.faults([]);
    world.run_well(RETRY).await;
    assert_eq!(world.ledger().len(), 4);
    assert_eq!(world.status(&id), Status::Validating);
}
