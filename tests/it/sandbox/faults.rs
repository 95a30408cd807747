//! Each fault does to a call what it says, and the ledger knows what the client can't.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tesa_reconciler::domain::Operation;
use tesa_reconciler::sandbox::{Answered, Effect, ErrorShape, Fault, SandboxConfig};

use super::{Bench, ORG, body, still};

const CANCEL: Operation = Operation::CancelRequest;

/// A bench with one request `A` to cancel.
async fn bench(fault: Fault) -> Bench {
    let bench = Bench::new(still()).await;
    bench.with_status("A", "PROCESSING", false);
    bench.sandbox().set_faults(vec![fault]).unwrap();
    bench
}

fn cancel(bench: &Bench) -> reqwest::RequestBuilder {
    bench
        .request("cancel_request", ORG, "")
        .json(&body(CANCEL, "A"))
}

fn cancelling(bench: &Bench) -> bool {
    let id = bench.sandbox().references(ORG, "A").remove(0);
    bench.sandbox().request(ORG, &id).unwrap().cancelling
}

/// What the ledger says of the only write.
fn told(bench: &Bench) -> (Answered, bool) {
    let ledger = bench.sandbox().ledger();
    assert_eq!(ledger.len(), 1);
    (ledger[0].answered, ledger[0].effect)
}

#[tokio::test]
async fn a_lost_answer_leaves_no_byte_but_its_effect() {
    for applied in [true, false] {
        let bench = bench(Fault::new(Effect::Drop { applied })).await;
        let error = cancel(&bench).send().await.expect_err("no answer comes");
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(cancelling(&bench), applied);
        assert_eq!(told(&bench), (Answered::Lost, applied));
    }
}

#[tokio::test]
async fn a_lost_answer_of_a_refused_write_had_no_effect() {
    let bench = bench(Fault::new(Effect::Drop { applied: true })).await;
    let request = bench
        .request("cancel_request", ORG, "")
        .json(&body(CANCEL, "NOBODY"));
    assert!(request.send().await.is_err());
    assert_eq!(told(&bench), (Answered::Lost, false));
}

#[tokio::test]
async fn an_error_comes_before_or_after_the_effect() {
    for applied in [true, false] {
        let shape = ErrorShape::Object;
        let bench = bench(Fault::new(Effect::Error {
            status: 502,
            applied,
            shape,
        }))
        .await;
        assert_eq!(
            bench.answer("cancel_request", cancel(&bench)).await.status,
            502
        );
        assert_eq!(cancelling(&bench), applied);
        assert_eq!(told(&bench), (Answered::Status(502), applied));
    }
}

#[tokio::test]
async fn errors_come_in_every_known_form() {
    use ErrorShape as S;
    for (shape, pointer) in [
        (S::Object, Some("/details")),
        (S::Array, Some("/0/details")),
        (S::Errors, Some("/errors/0/details")),
        (S::Short, Some("/title")),
        (S::Gateway, Some("/detailMsg")),
        (S::Text, None),
    ] {
        let bench = bench(Fault::new(Effect::Error {
            status: 500,
            applied: false,
            shape,
        }))
        .await;
        let text = cancel(&bench).send().await.unwrap().text().await.unwrap();
        let json = serde_json::from_str::<Value>(&text);
        match pointer {
            Some(pointer) => assert!(json.unwrap().pointer(pointer).is_some(), "{text}"),
            None => assert!(json.is_err(), "{text}"),
        }
    }
}

#[tokio::test]
async fn throttling_says_how_long_to_wait_and_has_no_effect() {
    let bench = bench(Fault::new(Effect::Throttle {
        retry_after: Some(30),
    }))
    .await;
    let response = cancel(&bench).send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "30");
    assert!(!cancelling(&bench));
}

#[tokio::test]
async fn a_hanging_call_never_answers_and_does_not_keep_the_sandbox_from_stopping() {
    let bench = bench(Fault::new(Effect::Hang { applied: true })).await;
    let hanging = tokio::spawn(cancel(&bench).send());
    while !cancelling(&bench) {
        tokio::task::yield_now().await;
    }
    assert_eq!(told(&bench), (Answered::Hung, true));
    assert!(!hanging.is_finished());
    tokio::time::timeout(Duration::from_secs(5), bench.running.shutdown())
        .await
        .unwrap()
        .unwrap();
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn a_cut_answer_begins_and_does_not_end() {
    let bench = bench(Fault::new(Effect::Cut)).await;
    let id = bench.sandbox().references(ORG, "A").remove(0);
    let requests = [
        cancel(&bench),
        bench.request("get_request", ORG, &id),
        bench.request("list_reference_ids", ORG, ""),
    ];
    for request in requests {
        let mut response = request.send().await.unwrap();
        assert!(response.status().is_success());
        let mut got = Vec::new();
        let error = loop {
            match response.chunk().await {
                Ok(Some(bytes)) => got.extend_from_slice(&bytes),
                Ok(None) => panic!("a whole body: {}", String::from_utf8_lossy(&got)),
                Err(error) => break error,
            }
        };
        assert!(!error.is_timeout());
        assert!(got.starts_with(b"{") && !got.ends_with(b"}"));
    }
    assert_eq!(told(&bench), (Answered::Cut, true));
}

#[tokio::test]
async fn one_requests_body_is_undecodable_and_the_others_are_not() {
    let bench = Bench::new(still()).await;
    let ids = bench.list(&[]).await;
    bench
        .sandbox()
        .set_faults(vec![Fault::new(Effect::Undecodable).about(&ids[0])])
        .unwrap();
    let response = bench
        .request("get_request", ORG, &ids[0])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.json::<Value>().await.is_err());
    assert_eq!(bench.read("get_request", &ids[1]).await.status, 200);
}

#[tokio::test]
async fn latency_delays_the_answer() {
    let bench = bench(Fault::new(Effect::Latency {
        ms: 120,
        jitter_ms: 0,
    }))
    .await;
    let begun = Instant::now();
    assert_eq!(
        bench.answer("cancel_request", cancel(&bench)).await.status,
        200
    );
    assert!(begun.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn a_client_that_gives_up_on_a_late_answer_has_had_its_effect() {
    let bench = bench(Fault::new(Effect::Latency {
        ms: 60_000,
        jitter_ms: 0,
    }))
    .await;
    let impatient = tokio::spawn(cancel(&bench).send());
    while !cancelling(&bench) {
        tokio::task::yield_now().await;
    }
    impatient.abort();
    assert!(
        impatient.await.unwrap_err().is_cancelled(),
        "the answer had not come"
    );
    assert_eq!(told(&bench), (Answered::Status(200), true));
}

#[tokio::test]
async fn a_slow_list_trickles_and_is_whole_in_the_end() {
    let bench = Bench::new(still()).await;
    let whole = bench.list(&[]).await;
    bench
        .sandbox()
        .set_faults(vec![Fault::new(Effect::SlowList {
            places: 50,
            pause_ms: 20,
        })])
        .unwrap();
    let begun = Instant::now();
    assert_eq!(bench.list(&[]).await, whole);
    assert!(
        begun.elapsed() >= Duration::from_millis(60),
        "200 places are four parts with three pauses"
    );
}

#[tokio::test]
async fn a_revoked_token_is_refused_from_then_on() {
    let bench = bench(Fault::new(Effect::RevokeToken).times(1)).await;
    for _ in 0..2 {
        let answer = bench.answer("cancel_request", cancel(&bench)).await;
        assert_eq!(
            (answer.status, &answer.body["detailMsg"]),
            (401, &json!("The token was revoked"))
        );
    }
    assert!(!cancelling(&bench));
}

#[tokio::test]
async fn faults_are_set_counted_and_cleared_from_outside() {
    let bench = bench(Fault::new(Effect::Cut).on(&["token"])).await;
    let url = format!("{}/_sandbox/faults", bench.running.origin());
    let rules = json!({"faults": [
        {"do": {"error": {"status": 503}}, "operations": ["cancel_request"], "count": 1},
    ]});
    assert_eq!(
        bench
            .http
            .post(&url)
            .json(&rules)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        bench.answer("cancel_request", cancel(&bench)).await.status,
        503
    );
    assert_eq!(
        bench.answer("cancel_request", cancel(&bench)).await.status,
        200
    );
    let seen: Value = bench
        .http
        .get(&url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(seen["faults"][0]["count"], 0);

    let bad = json!({"faults": [{"do": "cut", "operations": ["cancel"]}]});
    assert_eq!(
        bench
            .http
            .post(&url)
            .json(&bad)
            .send()
            .await
            .unwrap()
            .status(),
        400
    );
    assert_eq!(
        bench.sandbox().faults().len(),
        1,
        "a bad rule changes nothing"
    );
    bench.http.delete(&url).send().await.unwrap();
    assert!(bench.sandbox().faults().is_empty());
}

#[tokio::test]
async fn requests_are_shaped_from_outside() {
    let bench = Bench::new(still()).await;
    let url = format!("{}/_sandbox/requests", bench.running.origin());
    let patch = json!({
        "org": ORG, "external_reference": "SHAPED", "status": "ON_THE_MOON", "age": "2h",
        "events": [{"inconsistent": true}, {"sequence_number": 7, "message_type": "M"}],
    });
    let shaped = bench.http.post(&url).json(&patch).send().await.unwrap();
    let shaped: Value = shaped.json().await.unwrap();
    assert_eq!(shaped["created"], true);
    let id = shaped["reference_id"].as_str().unwrap();
    let request = bench.sandbox().request(ORG, id).unwrap();
    assert_eq!(request.status.as_str(), "ON_THE_MOON");
    assert_eq!(
        request.last_updated,
        super::noon() - chrono::Duration::hours(2)
    );
    let events = bench.read("get_request_events", id).await.body;
    assert_eq!(events[0]["inconsistent"], true);
    assert_eq!(
        (&events[1]["sequence_number"], &events[1]["message_type"]),
        (&json!(7), &json!("M"))
    );

    let misspelled = json!({"org": ORG, "statuss": "FINISHED"});
    let refused = bench
        .http
        .post(&url)
        .json(&misspelled)
        .send()
        .await
        .unwrap();
    assert!(refused.status().is_client_error());
    let gone = bench
        .http
        .delete(&url)
        .query(&[("org", ORG), ("reference_id", id)]);
    assert_eq!(gone.send().await.unwrap().status(), 204);
    assert_eq!(bench.read("get_request", id).await.status, 404);
}

#[tokio::test]
async fn faults_repeat_with_the_seed() {
    let pattern = async || {
        let shape = ErrorShape::Object;
        let fault = Fault::new(Effect::Error {
            status: 503,
            applied: false,
            shape,
        })
        .rate(0.4);
        let bench = Bench::new(SandboxConfig {
            faults: vec![fault],
            ..still()
        })
        .await;
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(bench.read("get_request", "TS00000000").await.status);
        }
        statuses
    };
    let first = pattern().await;
    assert!(first.contains(&503) && first.contains(&404));
    assert_eq!(pattern().await, first);
}
