//! What the writes do: to the request, to its issues, to its events, to the ledger.

use serde_json::{Value, json};
use tesa_reconciler::domain::Operation;
use tesa_reconciler::sandbox::{Answered, RepeatedCreate, SandboxConfig};

use super::{Bench, ORG, body, noon, still};

struct After {
    request: Value,
    events: Vec<Value>,
    issues: Vec<Value>,
}

async fn after(bench: &Bench, id: &str) -> After {
    let rows = |answer: Value| answer.as_array().unwrap().clone();
    After {
        request: bench.read("get_request", id).await.body,
        events: rows(bench.read("get_request_events", id).await.body),
        issues: rows(bench.read("get_request_issues", id).await.body),
    }
}

#[tokio::test]
async fn each_effect_bumps_the_update_and_appends_one_event() {
    use Operation as O;
    let bench = Bench::new(still()).await;
    let cases = [
        (
            O::CancelRequest,
            "PROCESSING",
            "PROCESSING",
            "CANCELLATION_SENT",
        ),
        (
            O::ResolveIncident,
            "INCIDENCE_OPERATOR",
            "PROCESSING",
            "INCIDENCE_RESOLVED",
        ),
        (
            O::ResolveIncident,
            "INCIDENCE_INSTALLING",
            "INSTALLING",
            "INCIDENCE_RESOLVED",
        ),
        (
            O::CreateAccess,
            "INSTALLING",
            "INSTALLING",
            "ACCESS_CREATED",
        ),
        (
            O::TerminateAccess,
            "INSTALLED",
            "INSTALLED",
            "ACCESS_TERMINATED",
        ),
        (O::CreateStatusCto, "PROCESSED", "PROCESSED", "CTO_STATUS"),
        (O::ChangeCto, "PROCESSING", "PROCESSING", "CTO_CHANGED"),
        (O::CreatePort, "PROCESSED", "PROCESSED", "PORT_CREATED"),
        (O::CreatePort2, "PROCESSED", "PROCESSED", "PORT_CREATED"),
        (
            O::CreateInstallationIncident,
            "INSTALLING",
            "INCIDENCE_INSTALLING",
            "INSTALLATION_INCIDENCE",
        ),
        (
            O::CreateInstallationEnd,
            "INSTALLING",
            "INSTALLED",
            "INSTALLATION_DONE",
        ),
        (
            O::CreateInstallationEnd,
            "INSTALLED",
            "FINISHED",
            "REQUEST_FINISHED",
        ),
    ];
    for (place, (operation, from, to, message)) in cases.into_iter().enumerate() {
        let external = format!("CASE-{place}");
        let id = bench.with_status(&external, from, false).reference_id;
        let before = after(&bench, &id).await;
        let answer = bench.write(operation, &body(operation, &external)).await;
        assert_eq!(answer.status, 200, "{operation}: {}", answer.body);

        let after = after(&bench, &id).await;
        assert_eq!(after.request["status"], to, "{operation}");
        assert_eq!(after.request["cancelling"], operation == O::CancelRequest);
        assert_eq!(after.request["last_updated"], json!(noon()));
        assert_eq!(after.events.len(), before.events.len() + 1, "{operation}");
        let (last, new) = (before.events.last().unwrap(), after.events.last().unwrap());
        assert_eq!(new["message_type"], message);
        let next = last["sequence_number"].as_i64().unwrap() + 1;
        assert_eq!(new["sequence_number"], next);
    }
}

#[tokio::test]
async fn resolving_an_incident_resolves_its_issues_and_is_refused_the_second_time() {
    let bench = Bench::new(still()).await;
    let id = bench
        .with_status("A", "INCIDENCE_OPERATOR", false)
        .reference_id;
    let write = body(Operation::ResolveIncident, "A");
    assert_eq!(
        bench.write(Operation::ResolveIncident, &write).await.status,
        200
    );
    let issues = after(&bench, &id).await.issues;
    assert!(!issues.is_empty() && issues.iter().all(|issue| issue["resolved"] == true));
    assert_eq!(
        bench.write(Operation::ResolveIncident, &write).await.status,
        406
    );
}

#[tokio::test]
async fn an_installation_incident_opens_an_issue_that_knows_it_came_back() {
    let bench = Bench::new(still()).await;
    let id = bench.with_status("A", "INSTALLING", false).reference_id;
    let write = body(Operation::CreateInstallationIncident, "A");
    for repeated in [false, true] {
        bench
            .write(Operation::CreateInstallationIncident, &write)
            .await;
        let issues = after(&bench, &id).await.issues;
        let last = issues.last().unwrap();
        assert_eq!(
            (&last["issue_code"], &last["repeated"]),
            (&json!("CLI-004"), &json!(repeated))
        );
    }
}

#[tokio::test]
async fn a_write_changes_the_version_even_when_the_clock_stands_still() {
    let bench = Bench::new(still()).await;
    let id = bench.with_status("A", "PROCESSED", false).reference_id;
    let mut seen = Vec::new();
    for _ in 0..3 {
        bench
            .write(Operation::CreatePort, &body(Operation::CreatePort, "A"))
            .await;
        seen.push(
            after(&bench, &id).await.request["last_updated"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn a_new_create_is_there_with_what_it_brought() {
    let bench = Bench::new(still()).await;
    for (operation, kind) in [
        (Operation::CreateActivation, "ACTIVATION"),
        (Operation::CreateTermination, "TERMINATION"),
    ] {
        let write = body(operation, kind);
        let answer = bench.write(operation, &write).await;
        assert_eq!(answer.status, 201);
        let id = answer.body["reference_id"].as_str().unwrap();
        assert_eq!(bench.list(&[("externalReference", kind)]).await, [id]);
        let request = bench.read("get_request", id).await.body;
        assert_eq!(request["status"], "VALIDATING");
        assert_eq!(request["persistence_type"], kind);
        assert_eq!(request["customer"], write["customer"]);
        assert_eq!(request["territory_owner"], write["territoryOwner"]);
    }
}

#[tokio::test]
async fn a_repeated_create_takes_the_unsent_request_up_again() {
    let bench = Bench::new(still()).await;
    let id = bench.with_status("A", "NOT_SENT", false).reference_id;
    let write = body(Operation::CreateActivation, "A");
    let answer = bench.write(Operation::CreateActivation, &write).await;
    assert_eq!(
        (answer.status, &answer.body["reference_id"]),
        (201, &json!(id))
    );
    assert_eq!(after(&bench, &id).await.request["status"], "VALIDATING");
    assert_eq!(bench.list(&[("externalReference", "A")]).await, [id]);
    // Now it is sent, and nothing is there to be taken up.
    assert_eq!(
        bench
            .write(Operation::CreateActivation, &write)
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_repeated_create_makes_a_second_request_beside() {
    let repeated_create = RepeatedCreate::SecondBeside;
    let bench = Bench::new(SandboxConfig {
        repeated_create,
        ..still()
    })
    .await;
    let first = bench.with_status("A", "NOT_SENT", false).reference_id;
    let write = body(Operation::CreateActivation, "A");
    let answer = bench.write(Operation::CreateActivation, &write).await;
    let second = answer.body["reference_id"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(after(&bench, &first).await.request["status"], "NOT_SENT");
    assert_eq!(
        bench.list(&[("externalReference", "A")]).await,
        [first, second]
    );
}

#[tokio::test]
async fn the_ledger_tells_each_write_and_its_fate() {
    let bench = Bench::new(still()).await;
    let id = bench.with_status("A", "PROCESSING", false).reference_id;
    let write = body(Operation::CancelRequest, "A");
    let request = bench.request("cancel_request", ORG, "").json(&write);
    let request = request.header(
        "Request-Correlation-Id",
        "7f6c0000-0000-4000-8000-000000000001",
    );
    bench.answer("cancel_request", request).await;
    bench.write(Operation::CancelRequest, &write).await;
    bench
        .write(
            Operation::CreatePort,
            &body(Operation::CreatePort, "NOBODY"),
        )
        .await;
    bench.read("get_request", &id).await;

    let ledger = bench.sandbox().ledger();
    let told: Vec<_> = ledger
        .iter()
        .map(|entry| {
            (
                entry.sequence,
                entry.answered,
                entry.effect,
                entry.reference_id.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, Answered::Status(200), true, Some(id.as_str())),
            (2, Answered::Status(406), false, Some(id.as_str())),
            (3, Answered::Status(404), false, None),
        ]
    );
    assert_eq!(
        ledger[0].correlation_id.as_deref(),
        Some("7f6c0000-0000-4000-8000-000000000001")
    );
    assert_eq!((ledger[0].time, ledger[0].org.as_str()), (noon(), ORG));
    assert_eq!(ledger[2].external_reference.as_deref(), Some("NOBODY"));

    // The same from outside, filtered.
    let url = format!(
        "{}/_sandbox/ledger?operation=create_port&org={ORG}",
        bench.running.origin()
    );
    let seen: Value = bench
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(seen["entries"], json!([ledger[2]]));
    let stats = bench.sandbox().stats();
    assert_eq!((stats.writes, stats.reads, stats.effects), (3, 1, 1));
    assert_eq!(stats.calls["cancel_request"], 2);
}
