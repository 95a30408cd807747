//! Bodies that come a byte at a time, or never end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tesa_reconciler::domain::Operation;
use tesa_reconciler::sandbox::{Answered, Effect, Fault};

use super::{Bench, ORG, body, still};

async fn bench(fault: Effect) -> (Bench, String) {
    let bench = Bench::new(still()).await;
    let id = bench.with_status("A", "NOT_SENT", false).reference_id;
    bench.sandbox().set_faults(vec![Fault::new(fault)]).unwrap();
    (bench, id)
}

/// The beginning of an answer.
async fn beginning(request: reqwest::RequestBuilder, bytes: usize) -> Vec<u8> {
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut got = Vec::new();
    while got.len() < bytes {
        got.extend_from_slice(&response.chunk().await.unwrap().expect("more"));
    }
    got
}

#[tokio::test]
async fn a_dripping_answer_comes_a_byte_at_a_time_and_is_whole_in_the_end() {
    let (bench, _) = bench(Effect::Drip { pause_ms: 1 }).await;
    let request = bench
        .request("list_reference_ids", ORG, "")
        .query(&[("externalReference", "A")]);
    let begun = Instant::now();
    let mut response = request.send().await.unwrap();
    let mut got = Vec::new();
    let mut chunks = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        got.extend_from_slice(&chunk);
        chunks += 1;
    }
    assert!(serde_json::from_slice::<Value>(&got).unwrap()["reference_ids"].is_array());
    assert!(begun.elapsed() >= Duration::from_millis(got.len() as u64 - 1));
    assert!(chunks > got.len() / 4, "{chunks} chunks");

    let cancel = Operation::CancelRequest;
    bench.write(cancel, &body(cancel, "A")).await;
    let entry = &bench.sandbox().ledger()[0];
    assert_eq!((entry.answered, entry.effect), (Answered::Slow, true));
}

#[tokio::test]
async fn an_endless_list_names_ids_for_ever() {
    let (bench, _) = bench(Effect::Endless { pause_ms: 0 }).await;
    for query in [&[][..], &[("externalReference", "A")]] {
        let request = bench.request("list_reference_ids", ORG, "").query(query);
        let text = String::from_utf8(beginning(request, 1_000_000).await).unwrap();
        let whole = format!("{}\"]}}", &text[..text.rfind("\",\"").unwrap()]);
        let list: Value = serde_json::from_str(&whole).unwrap();
        assert!(list["reference_ids"].as_array().unwrap().len() > 50_000);
    }
}

#[tokio::test]
async fn an_endless_answer_may_drip_and_does_not_keep_the_sandbox_from_stopping() {
    let (bench, id) = bench(Effect::Endless { pause_ms: 1 }).await;
    let got = beginning(bench.request("get_request", ORG, &id), 20).await;
    assert_eq!(got, [b"{".as_slice(), &[b' '; 19]].concat());
    let request = bench.request("list_reference_ids", ORG, "").send();
    let mut response = request.await.unwrap();
    response.chunk().await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), bench.running.shutdown())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn every_fault_can_be_set_from_outside() {
    let (bench, _) = bench(Effect::Cut).await;
    let url = format!("{}/_sandbox/faults", bench.running.origin());
    for (place, fault) in [
        json!("no_effect"),
        json!({"late_effect": {"ms": 5}}),
        json!("undated_effect"),
        json!({"stale": {"ms": 5}}),
        json!("no_date"),
        json!({"omit_second": {"after_ms": 5}}),
        json!({"filter_ignored": {"filter": "autoInstallation"}}),
        json!({"omit": {"share": 0.5}}),
        json!({"page": {"share": 0.5, "says": "has_more"}}),
        json!("empty_object"),
        json!({"short_list": {"share": 0.5}}),
        json!({"drip": {"pause_ms": 5}}),
        json!({"endless": {"pause_ms": 5}}),
    ]
    .into_iter()
    .enumerate()
    {
        let rules = json!({"faults": [{"do": fault, "operations": ["all"], "rate": 0.5}]});
        let answer = bench.http.post(&url).json(&rules).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{place} {rules}");
        let seen: Value = answer.json().await.unwrap();
        assert_eq!(seen["faults"][0]["do"], fault);
    }
}
