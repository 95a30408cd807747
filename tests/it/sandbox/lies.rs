//! Answers that are whole and not true: of writes without an effect, of reads that lag behind, of lists that leave out.
//! The ledger and the sandbox's own view know better.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tesa_reconciler::domain::Operation;
use tesa_reconciler::sandbox::{
    Answered, Effect, ErrorShape, Fault, RepeatedCreate, SandboxConfig,
};

use super::{Bench, ORG, body, noon, still};

const CANCEL: Operation = Operation::CancelRequest;
const CREATE: Operation = Operation::CreateActivation;

async fn second_beside() -> Bench {
    Bench::new(SandboxConfig {
        repeated_create: RepeatedCreate::SecondBeside,
        ..still()
    })
    .await
}

fn faults(bench: &Bench, faults: Vec<Fault>) {
    bench.sandbox().set_faults(faults).unwrap();
}

async fn json_of(request: RequestBuilder) -> Value {
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_write_without_effect_is_answered_as_if_it_had_one() {
    let bench = second_beside().await;
    let id = bench.with_status("A", "NOT_SENT", false).reference_id;
    let before = bench.read("get_request", &id).await.body;
    faults(&bench, vec![Fault::new(Effect::NoEffect).on(&["writes"])]);
    let cancelled = bench.write(CANCEL, &body(CANCEL, "A")).await;
    assert_eq!(
        (cancelled.status, &cancelled.body["reference_id"]),
        (200, &json!(id))
    );
    let created = bench.write(CREATE, &body(CREATE, "A")).await;
    assert_eq!(created.status, 201);
    let named = created.body["reference_id"].as_str().unwrap();
    assert_eq!(bench.read("get_request", named).await.status, 404);
    // What could not be carried out is refused all the same.
    let refused = bench.write(CANCEL, &body(CANCEL, "NOBODY")).await;
    assert_eq!(refused.status, 404);

    assert_eq!(bench.read("get_request", &id).await.body, before);
    let ledger = bench.sandbox().ledger();
    assert!(ledger.iter().all(|entry| !entry.effect), "{ledger:?}");
    assert_eq!(ledger[0].answered, Answered::Status(200));
    assert_eq!(ledger[0].effect_at, None);
}

#[tokio::test]
async fn a_late_effect_comes_when_it_is_due_and_the_ledger_knows_when() {
    let bench = Bench::new(still()).await;
    let id = bench.with_status("A", "PROCESSING", false).reference_id;
    let before = bench.read("get_request", &id).await.body;
    faults(
        &bench,
        vec![
            Fault::new(Effect::LateEffect { ms: 9_000 }).on(&["writes"]),
            Fault::new(Effect::Drop { applied: true }).on(&["writes"]),
        ],
    );
    let lost = bench
        .request("cancel_request", ORG, "")
        .json(&body(CANCEL, "A"));
    assert!(lost.send().await.is_err(), "its answer is lost as well");

    bench.clock.advance(Duration::from_millis(8_999));
    assert_eq!(bench.read("get_request", &id).await.body, before);
    let due = noon() + TimeDelta::seconds(9);
    let entry = &bench.sandbox().ledger()[0];
    assert_eq!((entry.effect, entry.effect_due), (false, Some(due)));

    bench.clock.advance(Duration::from_secs(60));
    let after = bench.read("get_request", &id).await.body;
    assert_eq!(after["cancelling"], true);
    assert_eq!(after["last_updated"], json!(due), "dated when it came");
    let entry = &bench.sandbox().ledger()[0];
    assert_eq!(
        (entry.time, entry.effect, entry.effect_at, entry.effect_due),
        (noon(), true, Some(due), None)
    );
    assert_eq!(entry.answered, Answered::Lost);
}

#[tokio::test]
async fn a_late_effect_shows_in_lists_too_and_may_come_out_of_turn() {
    let bench = Bench::new(still()).await;
    bench.with_status("A", "PROCESSING", false);
    bench.with_status("B", "NOT_SENT", false);
    let late = |ms| Fault::new(Effect::LateEffect { ms }).times(1);
    faults(&bench, vec![late(9_000), late(3_000)]);
    bench.write(CANCEL, &body(CANCEL, "A")).await;
    bench.write(CREATE, &body(CREATE, "B")).await;
    let validating = [("statuses", "VALIDATING"), ("externalReference", "B")];
    assert!(bench.list(&validating).await.is_empty());
    bench.clock.advance(Duration::from_secs(3));
    assert_eq!(bench.list(&validating).await.len(), 1);
    let effects: Vec<_> = bench
        .sandbox()
        .ledger()
        .iter()
        .map(|entry| entry.effect)
        .collect();
    assert_eq!(effects, [false, true]);
}

#[tokio::test]
async fn a_late_effect_that_the_request_does_not_take_any_more_never_comes() {
    let bench = Bench::new(still()).await;
    bench.with_status("A", "PROCESSING", false);
    let late = Fault::new(Effect::LateEffect { ms: 9_000 });
    faults(&bench, vec![late.times(1)]);
    for _ in 0..2 {
        bench.write(CANCEL, &body(CANCEL, "A")).await;
    }
    bench.clock.advance(Duration::from_secs(10));
    let effects: Vec<_> = bench
        .sandbox()
        .ledger()
        .iter()
        .map(|entry| (entry.effect, entry.effect_at, entry.effect_due))
        .collect();
    assert_eq!(
        effects,
        [(false, None, None), (true, Some(noon()), None)],
        "the second write was there first"
    );
}

#[tokio::test]
async fn a_stale_read_shows_an_older_status_with_its_older_date_after_a_newer_one_was_served() {
    let bench = Bench::new(still()).await;
    let id = bench.with_status("A", "NOT_SENT", false).reference_id;
    let older = bench.read("get_request", &id).await.body;
    bench.clock.advance(Duration::from_secs(5));
    bench.write(CREATE, &body(CREATE, "A")).await;
    let newer = bench.read("get_request", &id).await.body;
    assert_eq!(newer["status"], "VALIDATING");

    let events = bench.read("get_request_events", &id).await.body;
    bench.clock.advance(Duration::from_secs(1));
    faults(&bench, vec![Fault::new(Effect::Stale { ms: 3_000 })]);
    assert_eq!(bench.read("get_request", &id).await.body, older);
    let unsent = [("statuses", "NOT_SENT"), ("externalReference", "A")];
    assert_eq!(bench.list(&unsent).await, std::slice::from_ref(&id));
    let unsent = bench.list(&unsent[..1]).await;
    assert!(unsent.contains(&id), "in lists of all too");
    let fewer = bench.read("get_request_events", &id).await.body;
    assert!(fewer.as_array().unwrap().len() < events.as_array().unwrap().len());
    assert_eq!(
        bench.sandbox().request(ORG, &id).unwrap().status.as_str(),
        "VALIDATING",
        "the sandbox itself sees what is"
    );

    bench.clock.advance(Duration::from_secs(3));
    assert_eq!(
        bench.read("get_request", &id).await.body,
        newer,
        "it has caught up"
    );
}

#[tokio::test]
async fn a_seeded_request_has_a_past_too() {
    let bench = Bench::new(SandboxConfig {
        stuck_unsent: Some(1),
        ..still()
    })
    .await;
    let [id] = &bench.list(&[("statuses", "NOT_SENT")]).await[..] else {
        panic!("not one unsent request");
    };
    let older = bench.read("get_request", id).await.body;
    let external = older["external_reference"].as_str().unwrap();
    bench.write(CREATE, &body(CREATE, external)).await;
    bench.clock.advance(Duration::from_secs(1));
    let long = u64::MAX;
    faults(&bench, vec![Fault::new(Effect::Stale { ms: long })]);
    assert_eq!(bench.read("get_request", id).await.body, older);
}

#[tokio::test]
async fn an_undated_effect_changes_the_status_and_leaves_the_date() {
    let bench = Bench::new(still()).await;
    let id = bench.with_status("A", "NOT_SENT", false).reference_id;
    let before = bench.read("get_request", &id).await.body;
    faults(
        &bench,
        vec![Fault::new(Effect::UndatedEffect).on(&["writes"])],
    );
    bench.write(CREATE, &body(CREATE, "A")).await;
    let after = bench.read("get_request", &id).await.body;
    assert_eq!(after["status"], "VALIDATING");
    assert_eq!(after["last_updated"], before["last_updated"]);
    assert!(bench.sandbox().ledger()[0].effect);

    let moved =
        json!({"org": ORG, "external_reference": "A", "status": "PROCESSING", "undated": true});
    bench.patch(moved);
    let after = bench.read("get_request", &id).await.body;
    assert_eq!(after["status"], "PROCESSING", "by itself too");
    assert_eq!(after["last_updated"], before["last_updated"]);
}

#[tokio::test]
async fn a_request_may_not_say_when_it_last_changed() {
    let bench = Bench::new(still()).await;
    let id = bench.with_status("A", "NOT_SENT", false).reference_id;
    faults(&bench, vec![Fault::new(Effect::NoDate).on(&["reads"])]);
    let read = json_of(bench.request("get_request", ORG, &id)).await;
    assert_eq!(read.get("last_updated"), None);
    assert_eq!(read["status"], "NOT_SENT");
    let issues = json_of(bench.request("get_request_issues", ORG, &id)).await;
    assert_eq!(issues[0].get("last_updated"), None);
    assert_eq!(issues[0]["resolved"], false);
}

#[tokio::test]
async fn the_second_request_of_an_order_is_left_out_of_lists_and_look_ups_from_an_age_on() {
    let bench = second_beside().await;
    let first = bench.with_status("A", "NOT_SENT", false).reference_id;
    let answer = bench.write(CREATE, &body(CREATE, "A")).await;
    let second = answer.body["reference_id"].as_str().unwrap().to_owned();
    let omitted = Fault::new(Effect::OmitSecond { after_ms: 5_000 });
    faults(&bench, vec![omitted]);
    let look_up = [("externalReference", "A")];
    assert_eq!(bench.list(&look_up).await, [first.clone(), second.clone()]);
    assert!(bench.list(&[]).await.contains(&second));

    bench.clock.advance(Duration::from_secs(5));
    assert_eq!(bench.list(&look_up).await, std::slice::from_ref(&first));
    let all = bench.list(&[]).await;
    assert!(all.contains(&first) && !all.contains(&second));
    assert_eq!(
        bench.read("get_request", &second).await.status,
        200,
        "it is there for whoever knows it"
    );
}

#[tokio::test]
async fn a_request_may_be_an_empty_object() {
    let bench = Bench::new(still()).await;
    let id = bench.with_status("A", "NOT_SENT", false).reference_id;
    faults(&bench, vec![Fault::new(Effect::EmptyObject).times(1)]);
    let request = || bench.request("get_request", ORG, &id);
    assert_eq!(json_of(request()).await, json!({}));
    assert_eq!(json_of(request()).await["status"], "NOT_SENT");
}

#[tokio::test]
async fn a_list_may_end_early_and_look_whole() {
    let bench = Bench::new(still()).await;
    bench.with_status("A", "NOT_SENT", false);
    let whole = bench.list(&[]).await;
    for (share, expected) in [(0.0, 0), (0.5, whole.len() / 2)] {
        faults(&bench, vec![Fault::new(Effect::ShortList { share })]);
        assert_eq!(bench.list(&[]).await, whole[..expected]);
        let look_up = bench.list(&[("externalReference", "A")]).await;
        assert!(look_up.is_empty(), "{look_up:?}");
    }
}

#[tokio::test]
async fn a_storm_of_404s_passes() {
    let bench = Bench::new(still()).await;
    let id = bench.with_status("A", "NOT_SENT", false).reference_id;
    let gone = Effect::Error {
        status: 404,
        applied: false,
        shape: ErrorShape::Object,
    };
    faults(&bench, vec![Fault::new(gone).on(&["get_request"]).times(3)]);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(bench.read("get_request", &id).await.status);
    }
    assert_eq!(statuses, [404, 404, 404, 200]);
}
