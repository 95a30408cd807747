//! Every operation gives each of its documented answers, and every answer keeps to the contract's schemas.

use std::collections::BTreeSet;

use reqwest::header::AUTHORIZATION;
use serde_json::json;
use tesa_reconciler::domain::{Operation, ReadOperation, Status};
use tesa_reconciler::sandbox::permits;

use super::{Bench, ORG, body, still};
use crate::support::contract::{contract, operation_id};

fn some_status(operation: Operation, permitted: bool) -> Option<Status> {
    Status::KNOWN
        .into_iter()
        .find(|status| permits(operation, status, false) == permitted)
}

#[tokio::test]
async fn every_write_gives_each_documented_answer() {
    let bench = Bench::new(still()).await;
    for operation in Operation::ALL.iter().copied() {
        let name = operation.as_str();
        let mut seen = BTreeSet::new();
        let good = body(operation, &format!("GOOD-{name}"));
        assert_eq!(
            contract().request_problems(&operation_id(name), &good),
            [""; 0]
        );
        if !operation.is_create_request() {
            let status = some_status(operation, true).unwrap();
            bench.with_status(&format!("GOOD-{name}"), status.as_str(), false);
            let status = some_status(operation, false).unwrap();
            bench.with_status(&format!("BAD-{name}"), status.as_str(), false);
            seen.insert(
                bench
                    .write(operation, &body(operation, &format!("BAD-{name}")))
                    .await
                    .status,
            );
            seen.insert(
                bench
                    .write(operation, &body(operation, "NOBODY"))
                    .await
                    .status,
            );
        }
        seen.insert(bench.write(operation, &good).await.status);
        let nobody = bench
            .request(name, ORG, "")
            .header(AUTHORIZATION, "")
            .json(&good);
        let nobody = nobody.build().map(|mut request| {
            request.headers_mut().remove(AUTHORIZATION);
            request
        });
        let nobody = reqwest::RequestBuilder::from_parts(bench.http.clone(), nobody.unwrap());
        seen.insert(bench.answer(name, nobody).await.status);
        let empty = bench.write(operation, &json!({})).await;
        assert!(
            empty.body["message"]
                .as_str()
                .unwrap()
                .contains("externalReference is missing")
        );
        seen.insert(empty.status);
        let documented: BTreeSet<_> = contract()
            .documented(&operation_id(name))
            .into_iter()
            .collect();
        assert_eq!(seen, documented, "{name}");
    }
}

#[tokio::test]
async fn an_empty_text_is_refused_where_the_contract_says_so_and_nowhere_else() {
    let bench = Bench::new(still()).await;
    for operation in Operation::ALL.iter().copied() {
        let name = operation.as_str();
        let good = body(operation, "NOBODY");
        let texts = good.as_object().unwrap().iter();
        let texts = texts.filter(|(_, value)| value.is_string());
        for (field, nothing) in texts.flat_map(|(field, _)| [(field, ""), (field, " ")]) {
            let mut body = good.clone();
            body[field] = json!(nothing);
            let answer = bench.write(operation, &body).await;
            let problems = contract().request_problems(&operation_id(name), &body);
            assert_eq!(
                answer.status == 400,
                !problems.is_empty(),
                "{name} {field}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn every_read_gives_each_documented_answer() {
    let bench = Bench::new(still()).await;
    let id = bench.list(&[]).await.remove(0);
    for operation in ReadOperation::ALL
        .iter()
        .map(|operation| operation.as_str())
    {
        let mut seen = BTreeSet::from([bench.read(operation, &id).await.status]);
        if operation != "list_reference_ids" {
            seen.insert(bench.read(operation, "TS00000000").await.status);
        }
        let expired = bench
            .request(operation, ORG, &id)
            .build()
            .map(|mut request| {
                request
                    .headers_mut()
                    .insert(AUTHORIZATION, "Bearer nobodys".parse().unwrap());
                request
            });
        let expired = reqwest::RequestBuilder::from_parts(bench.http.clone(), expired.unwrap());
        let answer = bench.answer(operation, expired).await;
        for field in ["code", "status", "message", "detailMsg"] {
            assert!(
                answer.body[field].is_string(),
                "the gateway's own form: {}",
                answer.body
            );
        }
        seen.insert(answer.status);
        let documented: BTreeSet<_> = contract()
            .documented(&operation_id(operation))
            .into_iter()
            .collect();
        assert_eq!(seen, documented, "{operation}");
    }
}

#[tokio::test]
async fn every_seeded_request_keeps_to_the_contract() {
    let bench = Bench::new(still()).await;
    let ids = bench.list(&[]).await;
    assert_eq!(ids.len(), 200);
    for id in ids {
        let request = bench.read("get_request", &id).await.body;
        assert_eq!(request["reference_id"], *id);
        assert_ne!(request["external_reference"], *id);
        for story in ["get_request_events", "get_request_issues"] {
            for row in bench.read(story, &id).await.body.as_array().unwrap() {
                assert_eq!(row["reference_id"], *id);
            }
        }
    }
}

#[tokio::test]
async fn an_unknown_org_is_not_found_and_orgs_share_nothing() {
    let bench = Bench::new(still()).await;
    let id = bench.list(&[]).await.remove(0);
    for (org, status) in [(ORG, 200), ("yoigo", 404), ("nobody", 404)] {
        let answer = bench
            .answer("get_request", bench.request("get_request", org, &id))
            .await;
        assert_eq!(answer.status, status, "{org}");
    }
    let write = body(Operation::CancelRequest, "SBX-0000001");
    let request = bench.request("cancel_request", "nobody", "").json(&write);
    assert_eq!(bench.answer("cancel_request", request).await.status, 404);
}

#[tokio::test]
async fn a_path_that_is_no_operation_is_not_found() {
    let bench = Bench::new(still()).await;
    let url = format!("{}/tesa/orgs/{ORG}/elsewhere", bench.running.base_url());
    assert_eq!(bench.http.get(url).send().await.unwrap().status(), 404);
}
