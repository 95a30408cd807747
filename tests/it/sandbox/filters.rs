//! The list call's filters answer exactly what they say.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;
use tesa_reconciler::domain::{Operation, Status};
use tesa_reconciler::sandbox::SandboxConfig;

use super::{Bench, ORG, body, noon, still};

fn updated(request: &Value) -> DateTime<Utc> {
    request["last_updated"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn each_filter_and_their_sum_answer_exactly_what_matches() {
    let bench = Bench::new(SandboxConfig {
        requests: 600,
        ..still()
    })
    .await;
    let mut all = Vec::new();
    for id in bench.list(&[]).await {
        all.push(bench.read("get_request", &id).await.body);
    }
    let since = noon() - Duration::days(2);
    let text = since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let offset = since.with_timezone(&chrono_tz::Europe::Madrid).to_rfc3339();
    type Test = Box<dyn Fn(&Value) -> bool>;
    let cases: Vec<(Vec<(&str, &str)>, Test)> = vec![
        (
            vec![("statuses", "NOT_SENT")],
            Box::new(|r| r["status"] == "NOT_SENT"),
        ),
        (
            vec![("statuses", "PROCESSING,FINISHED")],
            Box::new(|r| r["status"] == "PROCESSING" || r["status"] == "FINISHED"),
        ),
        (
            vec![("autoInstallation", "true")],
            Box::new(|r| r["auto_installation"] == true),
        ),
        (
            vec![("autoInstallation", "false")],
            Box::new(|r| r["auto_installation"] == false),
        ),
        (
            vec![("cancelling", "true")],
            Box::new(|r| r["cancelling"] == true),
        ),
        (
            vec![("persistence_type", "TERMINATION")],
            Box::new(|r| r["persistence_type"] == "TERMINATION"),
        ),
        (
            vec![("notUpdatedSince", &text)],
            Box::new(move |r| updated(r) < since),
        ),
        (
            vec![("notUpdatedSince", &offset)],
            Box::new(move |r| updated(r) < since),
        ),
        (
            vec![
                ("statuses", "VALIDATING,INSTALLING"),
                ("cancelling", "false"),
                ("notUpdatedSince", &text),
            ],
            Box::new(move |r| {
                (r["status"] == "VALIDATING" || r["status"] == "INSTALLING")
                    && r["cancelling"] == false
                    && updated(r) < since
            }),
        ),
    ];
    for (query, matches) in cases {
        let wanted: BTreeSet<_> = all
            .iter()
            .filter(|request| matches(request))
            .map(|request| request["reference_id"].as_str().unwrap().to_owned())
            .collect();
        let got = bench.list(&query).await;
        assert!(
            !wanted.is_empty() && wanted.len() < all.len(),
            "{query:?} must tell something"
        );
        assert_eq!(
            got.into_iter().collect::<BTreeSet<_>>(),
            wanted,
            "{query:?}"
        );
    }
}

#[tokio::test]
async fn an_external_reference_bridges_to_its_ids_under_the_other_filters() {
    let bench = Bench::new(still()).await;
    let id = bench.sandbox().references(ORG, "SBX-0000042").remove(0);
    let status = bench.sandbox().request(ORG, &id).unwrap().status;
    let reference = ("externalReference", "SBX-0000042");
    assert_eq!(bench.list(&[reference]).await, std::slice::from_ref(&id));
    assert_eq!(
        bench
            .list(&[reference, ("statuses", status.as_str())])
            .await,
        [id]
    );
    let other = Status::KNOWN
        .into_iter()
        .find(|other| *other != status)
        .unwrap();
    assert_eq!(
        bench.list(&[reference, ("statuses", other.as_str())]).await,
        [""; 0]
    );
    assert_eq!(
        bench.list(&[("externalReference", "NOBODY")]).await,
        [""; 0]
    );
}

#[tokio::test]
async fn a_list_has_each_id_once_in_a_stable_order_that_means_nothing() {
    let bench = Bench::new(still()).await;
    let ids = bench.list(&[]).await;
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 200);
    assert_eq!(bench.list(&[]).await, ids);
    let mut sorted = ids.clone();
    sorted.sort();
    assert_ne!(sorted, ids);
}

#[tokio::test]
async fn lists_follow_writes_additions_and_removals() {
    let bench = Bench::new(still()).await;
    let stuck = [
        ("statuses", "NOT_SENT"),
        ("notUpdatedSince", "2026-01-15T11:30:00Z"),
    ];
    let before = bench.list(&stuck).await;
    let external = bench
        .sandbox()
        .request(ORG, &before[0])
        .unwrap()
        .external_reference;
    let write = body(Operation::CreateActivation, &external);
    assert_eq!(
        bench
            .write(Operation::CreateActivation, &write)
            .await
            .status,
        201
    );
    let added = bench.with_status("NEW", "NOT_SENT", false).reference_id;
    assert!(bench.sandbox().remove(ORG, &before[1]));
    let after = bench.list(&stuck).await;
    assert!(after.contains(&added));
    assert!(!after.contains(&before[0]) && !after.contains(&before[1]));
    assert_eq!(after.len(), before.len() - 1);
    assert_eq!(bench.read("get_request", &before[1]).await.status, 404);
}

#[tokio::test]
async fn a_malformed_or_unknown_filter_is_refused() {
    let bench = Bench::new(still()).await;
    for (name, value) in [
        ("statuses", "NOT_SENT,ON_THE_MOON"),
        ("statuses", ""),
        ("cancelling", "yes"),
        ("autoInstallation", "1"),
        ("persistence_type", "activation"),
        ("notUpdatedSince", "yesterday"),
        ("not_updated_since", "2026-01-01T00:00:00Z"),
    ] {
        let request = bench
            .request("list_reference_ids", ORG, "")
            .query(&[(name, value)]);
        let answer = bench.answer("list_reference_ids", request).await;
        assert_eq!(answer.status, 400, "{name}={value}");
        assert!(answer.body["details"].as_str().unwrap().contains(name));
    }
}
