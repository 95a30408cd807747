//! What an upstream claims by its lists and does not keep: filters that it ignores, dates that it compares its own way,
//! requests that it leaves out, and the beginning of a list in the place of the list.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tesa_reconciler::domain::{Filter, ReadOperation};
use tesa_reconciler::sandbox::{
    Ages, Call, Effect, ErrorShape, Fault, More, Precision, SandboxConfig,
};

use super::{Bench, ORG, noon, still};

fn faults(bench: &Bench, faults: Vec<Fault>) {
    bench.sandbox().set_faults(faults).unwrap();
}

/// One value of each filter that tells some requests of the small world apart.
const NARROW: [(Filter, &str); 5] = [
    (Filter::Statuses, "NOT_SENT"),
    (Filter::PersistenceType, "TERMINATION"),
    (Filter::Cancelling, "true"),
    (Filter::AutoInstallation, "true"),
    (Filter::NotUpdatedSince, "2026-01-13T12:00:00Z"),
];

#[tokio::test]
async fn a_filter_that_is_ignored_lists_what_there_is_and_the_others_still_hold() {
    let bench = Bench::new(still()).await;
    bench.with_status("A", "PROCESSING", true);
    let all = bench.list(&[]).await;
    for (filter, value) in NARROW {
        let narrow = [(filter.as_str(), value)];
        let honest = bench.list(&narrow).await;
        assert!(!honest.is_empty() && honest.len() < all.len(), "{filter}");
        faults(&bench, vec![Fault::new(Effect::FilterIgnored { filter })]);
        assert_eq!(bench.list(&narrow).await, all, "{filter}");
        let (other, value) = NARROW[usize::from(filter == Filter::Statuses)];
        let both = [narrow[0], (other.as_str(), value)];
        let by_the_other = bench.list(&[(other.as_str(), value)]).await;
        assert_eq!(bench.list(&both).await, by_the_other, "{filter}");
        faults(&bench, vec![]);
    }
}

#[tokio::test]
async fn dates_are_compared_as_the_world_is_set_up() {
    use Precision::{Day, Exact, Millisecond, Second};
    // Each: how the upstream compares; what it makes of an update no time, a millisecond, a second, and half a day
    // before `notUpdatedSince`, which is half a second past noon.
    let cases = [
        (Exact, false, [false, true, true, true]),
        (Exact, true, [true, true, true, true]),
        (Millisecond, false, [false, true, true, true]),
        (Second, false, [false, false, true, true]),
        (Second, true, [true, true, true, true]),
        (Day, false, [false, false, false, false]),
        (Day, true, [true, true, true, true]),
    ];
    for (to, inclusive, expected) in cases {
        let bench = Bench::new(SandboxConfig {
            requests: 0,
            ages: Ages { inclusive, to },
            ..still()
        })
        .await;
        bench.clock.advance(Duration::from_millis(500));
        let before = ["100ms", "101ms", "1s 100ms", "12h"];
        let ids = before.map(|age| {
            let patch =
                json!({"org": ORG, "external_reference": age, "status": "NOT_SENT", "age": age});
            bench.patch(patch).reference_id
        });
        let since = bench.read("get_request", &ids[0]).await.body["last_updated"].clone();
        let listed = bench
            .list(&[("notUpdatedSince", since.as_str().unwrap())])
            .await;
        let got = ids.map(|id| listed.contains(&id));
        assert_eq!(got, expected, "{to:?}, inclusive: {inclusive}");
    }
}

#[tokio::test]
async fn lists_may_leave_out_half_at_random_each_another() {
    let bench = Bench::new(still()).await;
    let all = bench.list(&[]).await;
    faults(&bench, vec![Fault::new(Effect::Omit { share: 0.5 })]);
    let (first, second) = (bench.list(&[]).await, bench.list(&[]).await);
    for some in [&first, &second] {
        assert!((60..140).contains(&some.len()), "{}", some.len());
        assert!(some.iter().all(|id| all.contains(id)));
    }
    assert_ne!(first, second);
}

async fn body_of(bench: &Bench, query: &[(&str, &str)]) -> Value {
    let request = bench.request("list_reference_ids", ORG, "").query(query);
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_page_of_a_list_says_that_there_is_more() {
    let bench = Bench::new(still()).await;
    bench.with_status("A", "NOT_SENT", false);
    let all = bench.list(&[]).await;
    let cases = [
        (More::Total, "total", json!(201)),
        (More::Count, "count", json!(201)),
        (More::Next, "next", json!("/v1/tesa/requests?page=2")),
        (More::HasMore, "has_more", json!(true)),
        (More::NextPage, "nextPage", json!(2)),
    ];
    for (says, name, value) in cases {
        faults(&bench, vec![Fault::new(Effect::Page { share: 0.5, says })]);
        let page = body_of(&bench, &[]).await;
        assert_eq!(page["reference_ids"], json!(all[..100]), "{name}");
        assert_eq!(page[name], value);
        let look_up = body_of(&bench, &[("externalReference", "A")]).await;
        assert_eq!(look_up["reference_ids"], json!([]));
        assert!(look_up.get(name).is_some(), "{look_up}");
    }
}

#[tokio::test]
async fn every_get_of_one_request_may_answer_404_while_lists_name_it() {
    let bench = Bench::new(still()).await;
    let all = bench.list(&[]).await;
    let missing = Effect::Error {
        status: 404,
        applied: false,
        shape: ErrorShape::Object,
    };
    faults(&bench, vec![Fault::new(missing).on(&["gets"])]);
    for read in ["get_request", "get_request_events", "get_request_issues"] {
        assert_eq!(bench.read(read, &all[0]).await.status, 404, "{read}");
    }
    assert_eq!(bench.list(&[]).await, all);
}

#[tokio::test]
async fn every_answer_but_the_tokens_takes_the_latency_whatever_the_faults() {
    let latency = Duration::from_millis(60);
    let bench = Bench::new(SandboxConfig { latency, ..still() }).await;
    faults(&bench, vec![]);
    let began = Instant::now();
    let ids = bench.list(&[]).await;
    assert!(began.elapsed() >= latency);
    bench.read("get_request", &ids[0]).await;
    assert!(began.elapsed() >= latency * 2);
}

#[tokio::test]
async fn calls_are_counted_by_operation_for_tests_and_from_outside() {
    let bench = Bench::new(still()).await;
    let ids = bench.list(&[]).await;
    bench.list(&[]).await;
    bench.read("get_request", &ids[0]).await;
    let calls = |read| bench.sandbox().calls(Call::Read(read));
    assert_eq!(calls(ReadOperation::ListReferenceIds), 2);
    assert_eq!(calls(ReadOperation::GetRequest), 1);
    assert_eq!(calls(ReadOperation::GetRequestEvents), 0);
    let url = format!("{}/_sandbox/stats", bench.running.origin());
    let stats: Value = bench
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(stats["calls"]["list_reference_ids"], 2);
    assert_eq!(stats["reads"], 3);
}

#[tokio::test]
async fn an_upstream_may_not_tell_the_time() {
    for (omit_date, told) in [(false, true), (true, false)] {
        let bench = Bench::new(SandboxConfig {
            omit_date,
            ..still()
        })
        .await;
        let answer = bench.request("list_reference_ids", ORG, "").send().await;
        let date = answer.unwrap().headers()["date"].clone();
        let date = chrono::DateTime::parse_from_rfc2822(date.to_str().unwrap());
        assert_eq!(date.ok().map(|date| date.to_utc()), told.then(noon));
    }
}
