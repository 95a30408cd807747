//! `confirmed` is a barrier, whatever the upstream reads or lists afterwards; and a person may lift it.

use serde_json::json;
use tesa_reconciler::domain::finding::Attention;
use tesa_reconciler::domain::ids::ReferenceId;
use tesa_reconciler::domain::run::Mode;
use tesa_reconciler::domain::{AttemptState, FindingKind, RunOutcome, Status, Trigger};
use tesa_reconciler::sandbox::{Effect, Fault, RepeatedCreate, SandboxConfig};

use tesa_reconciler::store::runs::{NewRun, RunSummary, Started};

use super::{HOUR, MINUTE, ORG, RESEND, RETRY, World, empty, org, person, tally};

const IMPATIENT: &str = "backoff = { initial = \"1s\", max = \"1s\" }";
const ORDERS: [&str; 3] = ["ORDER-1", "ORDER-2", "ORDER-3"];

/// Three orders, each sent and confirmed.
async fn confirmed() -> (World, Vec<ReferenceId>) {
    let world = World::new(empty(), IMPATIENT, RESEND).await;
    let ids: Vec<ReferenceId> = ORDERS
        .iter()
        .map(|order| world.unsent(order, "2h"))
        .collect();
    world.run_well(RETRY).await;
    world.settle().await;
    assert_eq!(world.states().await, [AttemptState::Confirmed; 3]);
    (world, ids)
}

/// What a 404 does, or the end of what is kept.
async fn forget(world: &World, id: &ReferenceId) {
    let run = NewRun {
        job_name: "forgetting".into(),
        org: org(),
        trigger: Trigger::Manual,
        slot: None,
        replica: "another".into(),
        mode: Mode::Enforce,
        actor: person("to see what is left"),
    };
    let (store, now) = (world.store(), world.now());
    let Started::Yes(lease) = store.start(&run, now).await.unwrap() else {
        panic!("it did not start");
    };
    store
        .forget_observation(&lease, &org(), id, now)
        .await
        .unwrap();
    let summary = RunSummary::default();
    store
        .finish(&lease, RunOutcome::Succeeded, &summary, now)
        .await
        .unwrap();
}

async fn retry(world: &World, order: &str) {
    let actor = person("looked at it with the wholesaler");
    let done = world
        .store()
        .retry_order(&org(), &order.into(), &actor, world.now())
        .await;
    assert_eq!(done.unwrap(), Ok(()), "{order}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_lag_behind_lead_to_no_second_write() {
    let (world, ids) = confirmed().await;
    // An older status with its older date, after a newer one was seen.
    for order in ORDERS {
        world.unsent(order, "3h");
    }
    for _ in 0..5 {
        world.advance(MINUTE);
        let (outcome, summary) = world.run(RETRY).await;
        assert_eq!((outcome, summary.sent), (RunOutcome::Partial, 0));
        world.verify().await;
    }
    assert_eq!(world.ledger().len(), 3, "{:?}", world.ledger());
    for id in &ids {
        assert_eq!(world.verdict(RETRY, id).await, "contract_violation");
        let known = world
            .store()
            .observations(&org(), std::slice::from_ref(id))
            .await
            .unwrap();
        assert_eq!(
            known[0].status,
            Status::Validating,
            "an older one replaces nothing"
        );
    }
    let findings = world.findings().await;
    let told = findings
        .iter()
        .filter(|found| found.key.kind == FindingKind::ContractViolation);
    assert_eq!(told.count(), 3);
    // Even where nothing is remembered of the requests themselves.
    for id in &ids {
        forget(&world, id).await;
    }
    for _ in 0..5 {
        world.advance(MINUTE);
        world.run_well(RETRY).await;
    }
    assert_eq!(world.ledger().len(), 3);
    for id in &ids {
        assert_eq!(world.verdict(RETRY, id).await, "given_up");
    }
    let said = world
        .store()
        .decisions_about(&org(), &ids[0])
        .await
        .unwrap();
    let said = &said[0].explanation;
    assert!(said.contains("is confirmed"), "{said}");
    assert!(
        said.contains("attempts retry ORDER-1 --org masmovil"),
        "{said}"
    );
    // Reads that are right again are acted on again.
    for order in ORDERS {
        world.unsent(order, "0s");
    }
    world.advance(HOUR);
    world.run_well(RETRY).await;
    assert_eq!(world.ledger().len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persons_word_lifts_the_barrier_once_and_goes_through_guard_and_caps() {
    let (world, ids) = confirmed().await;
    for order in ORDERS {
        world.unsent(order, "3h");
    }
    world.advance(MINUTE);
    world.run(RETRY).await;
    assert_eq!(world.ledger().len(), 3);
    retry(&world, "ORDER-2").await;
    world
        .store()
        .pause(None, None, &person("not now"), world.now())
        .await
        .unwrap();
    world.run(RETRY).await;
    assert_eq!(world.ledger().len(), 3, "a pause is a pause");
    world
        .store()
        .resume(None, &person("now"), world.now())
        .await
        .unwrap();
    world.run(RETRY).await;
    assert_eq!(tally::orders(&world.ledger())[3..], ["ORDER-2"]);
    world.settle().await;
    assert_eq!(world.status(&ids[1]), Status::Validating);
    for _ in 0..3 {
        world.advance(MINUTE);
        world.run(RETRY).await;
    }
    assert_eq!(
        world.ledger().len(),
        4,
        "what was confirmed since is a barrier again"
    );
}

/// An order whose create made a second request beside the first; the first was touched since, so that by its own date
/// it may be sent again. Lists leave the second one out.
async fn doubled() -> (World, ReferenceId, ReferenceId) {
    let sandbox = SandboxConfig {
        repeated_create: RepeatedCreate::SecondBeside,
        ..empty()
    };
    let world = World::new(sandbox, IMPATIENT, RESEND).await;
    let first = world.unsent("ORDER-1", "2h");
    let lost = Fault::new(Effect::Drop { applied: true });
    world.faults([lost.on(&["create_activation"]).times(1)]);
    world.run(RETRY).await;
    world.settle().await;
    assert_eq!(world.states().await, [AttemptState::Confirmed]);
    let references = world.sandbox().references(ORG, "ORDER-1");
    let second = references
        .iter()
        .find(|id| **id != first.as_str())
        .expect("there are two");
    let second = ReferenceId::from(second.as_str());
    world.faults([Fault::new(Effect::OmitSecond { after_ms: 0 })]);
    world.advance(HOUR);
    world.patch(json!({"reference_id": first.as_str(), "status": "NOT_SENT", "age": "0s"}));
    world.advance(HOUR);
    (world, first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_no_longer_names_the_second_request_leads_to_no_third() {
    let (mut world, first, second) = doubled().await;
    for _ in 0..3 {
        world.run_well(RETRY).await;
        assert_eq!(world.verdict(RETRY, &first).await, "duplicate_reference");
        world.advance(HOUR);
        world.restart().await;
    }
    assert_eq!(world.ledger().len(), 1);
    assert_eq!(world.sandbox().references(ORG, "ORDER-1").len(), 2);
    let said = world.store().decisions_about(&org(), &first).await.unwrap();
    let said = &said[0].explanation;
    assert!(said.contains(second.as_str()), "it names the other: {said}");
    assert!(said.contains("attempts retry ORDER-1"), "{said}");
    let waits = |found: &tesa_reconciler::store::findings::Finding| {
        found.attention == Some(Attention::GivenUp)
    };
    assert!(world.findings().await.iter().any(waits));
    // When one of them is final, the other is the order's one request again.
    world.patch(json!({"reference_id": second.as_str(), "status": "CANCELED", "age": "0s"}));
    world.run_well(RETRY).await;
    assert_eq!(world.ledger().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubled_order_is_tried_again_on_a_persons_word_even_where_the_list_names_both() {
    let (world, first, second) = doubled().await;
    world.faults([]);
    world.run_well(RETRY).await;
    assert_eq!(world.verdict(RETRY, &first).await, "duplicate_reference");
    retry(&world, "ORDER-1").await;
    world.run_well(RETRY).await;
    assert_eq!(world.ledger().len(), 2);
    world.settle().await;
    // The third one proves the write; the second, which was there before, would not have.
    let attempts = world.attempts().await;
    assert_eq!(attempts[1].state, AttemptState::Confirmed);
    let third = world.sandbox().references(ORG, "ORDER-1");
    let third = third
        .iter()
        .find(|id| **id != first.as_str() && **id != second.as_str());
    assert!(
        attempts[1]
            .detail
            .contains(third.expect("SecondBeside makes one more")),
        "{attempts:?}"
    );
    for _ in 0..3 {
        world.advance(HOUR);
        world.run_well(RETRY).await;
    }
    assert_eq!(
        world.ledger().len(),
        2,
        "the word was for what was known by then"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_replicas_of_the_upstream_lead_to_no_second_write() {
    let (world, _) = confirmed().await;
    world.faults([Fault::new(Effect::Stale { ms: 7_200_000 })]);
    for _ in 0..5 {
        world.advance(MINUTE);
        world.run(RETRY).await;
        world.verify().await;
    }
    assert_eq!(world.ledger().len(), 3, "{:?}", world.ledger());
}
