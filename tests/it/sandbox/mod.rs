//! The sandbox keeps the contract, moves, breaks and accounts as it says: otherwise nothing that is tested on it
//! means anything.

mod claims;
mod command;
mod effects;
mod faults;
mod filters;
mod lies;
mod load;
mod movement;
mod operations;
mod slow;
mod token;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use tesa_reconciler::clock::ManualClock;
use tesa_reconciler::domain::Operation;
use tesa_reconciler::sandbox::{Patch, Patched, Running, Sandbox, SandboxConfig};

use crate::support::contract::{contract, operation_id};
use crate::support::http;

const ORG: &str = "masmovil";
const TOKEN: &str = "good-for-tests";

/// A sandbox that is served, its clock, and somebody who calls it.
struct Bench {
    running: Running,
    clock: Arc<ManualClock>,
    http: reqwest::Client,
}

/// A whole answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Value,
}

fn noon() -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

/// A small world in which nothing moves.
fn still() -> SandboxConfig {
    SandboxConfig {
        requests: 200,
        speed: 0.0,
        tokens: vec![TOKEN.to_owned()],
        ..SandboxConfig::default()
    }
}

impl Bench {
    async fn new(config: SandboxConfig) -> Self {
        let clock = Arc::new(ManualClock::new(noon(), 7));
        let running = Sandbox::start(config, clock.clone(), ([127, 0, 0, 1], 0).into())
            .await
            .expect("a free port on loopback");
        Self {
            running,
            clock,
            http: http::client(),
        }
    }

    fn sandbox(&self) -> &Sandbox {
        self.running.handle()
    }

    /// A request of an operation as the contract has it, not sent yet.
    fn request(&self, operation: &str, org: &str, reference_id: &str) -> reqwest::RequestBuilder {
        let (method, path, _) = contract().operation(&operation_id(operation));
        let path = path
            .replace("{org}", org)
            .replace("{referenceId}", reference_id);
        let url = format!("{}{path}", self.running.base_url());
        self.http
            .request(method.parse().unwrap(), url)
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
    }

    /// Sends it, and holds the answer against the contract.
    async fn answer(&self, operation: &str, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let body: Value = response.json().await.expect("JSON");
        let problems = contract().answer_problems(&operation_id(operation), status, &body);
        assert!(
            problems.is_empty(),
            "{operation} {status}: {problems:?} in {body}"
        );
        Answer { status, body }
    }

    async fn read(&self, operation: &str, reference_id: &str) -> Answer {
        self.answer(operation, self.request(operation, ORG, reference_id))
            .await
    }

    async fn write(&self, operation: Operation, body: &Value) -> Answer {
        let name = operation.as_str();
        self.answer(name, self.request(name, ORG, "").json(body))
            .await
    }

    async fn list(&self, query: &[(&str, &str)]) -> Vec<String> {
        let request = self.request("list_reference_ids", ORG, "").query(query);
        let answer = self.answer("list_reference_ids", request).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let ids = answer.body["reference_ids"].as_array().unwrap();
        ids.iter()
            .map(|id| id.as_str().unwrap().to_owned())
            .collect()
    }

    /// A request in this status, with one issue open.
    fn with_status(&self, external: &str, status: &str, cancelling: bool) -> Patched {
        let patch = json!({
            "org": ORG, "external_reference": external, "status": status, "cancelling": cancelling,
            "age": "3h", "issues": [{"issue_code": "CLI-012"}],
        });
        self.patch(patch)
    }

    fn patch(&self, patch: Value) -> Patched {
        let patch: Patch = serde_json::from_value(patch).unwrap();
        self.sandbox().patch(&patch).unwrap()
    }
}

/// A whole, documented body of a write.
fn body(operation: Operation, external: &str) -> Value {
    let mut body = match operation {
        Operation::CreateActivation | Operation::CreateTermination => json!({
            "territoryOwner": "VULA_COMMERCIAL", "technicalCoordinators": {"name": "C"},
            "customer": {"name": "K", "deep": [1, {"er": null}]}, "servicePoint": {},
        }),
        Operation::CancelRequest | Operation::CreateStatusCto => json!({}),
        Operation::ResolveIncident => json!({"observations": "Cita confirmada"}),
        Operation::CreateAccess => json!({"technicianCode": "T-1", "reason": "R"}),
        Operation::TerminateAccess => json!({"observations": "O"}),
        Operation::ChangeCto => json!({"ctoIdentifier": "CTO-9", "ctoPort": "4", "reason": "AV"}),
        Operation::CreatePort | Operation::CreatePort2 => json!({"port": "4"}),
        Operation::CreateInstallationIncident => json!({
            "requestType": "NEBA", "requestNumber": 1, "subRequestNumber": 1, "incidence": "CLI-004",
            "cto": "CTO-9", "comments": "C",
        }),
        Operation::CreateInstallationEnd => json!({
            "requestType": "VULA", "requestNumber": 1, "subRequestNumber": 1, "test": "OK",
            "indicator": "I", "owner": "O",
        }),
    };
    body["externalReference"] = json!(external);
    body
}
