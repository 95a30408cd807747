//! The sandbox holds at the sizes that are expected, and its ledger is exact when many call at once.

use std::collections::HashSet;

use futures::future::join_all;
use tesa_reconciler::domain::Operation;
use tesa_reconciler::sandbox::{Answered, Effect, Fault, RepeatedCreate, SandboxConfig};

use super::{Bench, ORG, body, still};

#[tokio::test]
async fn a_million_ids_stream_in_many_parts_each_id_once() {
    let bench = Bench::new(SandboxConfig {
        requests: 1_000_000,
        ..still()
    })
    .await;
    let request = bench.request("list_reference_ids", ORG, "");
    let mut response = request.send().await.unwrap();
    assert_eq!(
        response.content_length(),
        None,
        "not made before it is sent"
    );
    let (mut text, mut parts) = (Vec::new(), 0);
    while let Some(bytes) = response.chunk().await.unwrap() {
        text.extend_from_slice(&bytes);
        parts += 1;
    }
    assert!(parts > 100, "{parts}");
    #[derive(serde::Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        reference_ids: Vec<&'a str>,
    }
    let list: List<'_> = serde_json::from_slice(&text).unwrap();
    assert_eq!(list.reference_ids.len(), 1_000_000);
    assert_eq!(
        list.reference_ids.iter().collect::<HashSet<_>>().len(),
        1_000_000
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_equal_writes_at_once_one_has_the_effect_and_the_ledger_has_all() {
    let bench = Bench::new(still()).await;
    bench.with_status("A", "INCIDENCE_OPERATOR", false);
    let write = body(Operation::ResolveIncident, "A");
    let calls = (0..40).map(|_| bench.write(Operation::ResolveIncident, &write));
    let statuses: Vec<_> = join_all(calls)
        .await
        .iter()
        .map(|answer| answer.status)
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    let ledger = bench.sandbox().ledger();
    assert_eq!(ledger.iter().filter(|entry| entry.effect).count(), 1);
    let sequences: Vec<_> = ledger.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, (1..=40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_ledger_and_the_world_agree_when_answers_are_lost() {
    let faults = vec![
        Fault::new(Effect::Drop { applied: true })
            .on(&["writes"])
            .rate(0.3),
    ];
    let repeated_create = RepeatedCreate::SecondBeside;
    let bench = Bench::new(SandboxConfig {
        faults,
        repeated_create,
        ..still()
    })
    .await;
    let call = async |n: usize| {
        let write = body(Operation::CreateActivation, &format!("ORDER-{}", n % 20));
        let request = bench.request("create_activation", ORG, "").json(&write);
        request
            .send()
            .await
            .map(|answer| answer.status().as_u16())
            .ok()
    };
    let answers = join_all((0..100).map(call)).await;
    let lost = answers.iter().filter(|answer| answer.is_none()).count();
    assert!((10..60).contains(&lost), "{lost}");

    let ledger = bench.sandbox().ledger();
    assert_eq!(ledger.len(), 100);
    assert_eq!(
        ledger
            .iter()
            .filter(|entry| entry.answered == Answered::Lost)
            .count(),
        lost
    );
    for n in 0..20 {
        let external = format!("ORDER-{n}");
        let told: HashSet<_> = ledger
            .iter()
            .filter(|entry| entry.external_reference.as_deref() == Some(&external) && entry.effect)
            .filter_map(|entry| entry.reference_id.clone())
            .collect();
        let there: HashSet<_> = bench
            .sandbox()
            .references(ORG, &external)
            .into_iter()
            .collect();
        assert_eq!(told, there);
        assert_eq!(there.len(), 5, "each create made a request of its own");
    }
}
