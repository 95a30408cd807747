//! What we send, held against the contract file: all sixteen operations, each as it left on the wire.

use std::collections::BTreeSet;

use chrono::DateTime;
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::support::{LEAST, Seen, Server, answer, client, id, org};
use crate::domain::ids::ExternalReference;
use crate::domain::request::{PersistenceType, PortabilityIndicator, TerritoryOwner};
use crate::domain::write::{
    ByReference, ChangeCto, CreateAccess, CreatePort, CreateRequest, CtoChangeReason,
    InstallationEnd, InstallationIncident, ResolveIncident, TerminateAccess, Write,
};
use crate::domain::{Operation, Status};
use crate::reconcile::guard::WritePermit;
use crate::tesamanager::{ListFilter, Tesamanager};

fn contract() -> Value {
    serde_yaml_ng::from_str(include_str!("../../../contract/openapi.yaml")).unwrap()
}

/// The contract's operation for a request: its definition, and which path and method it stands under.
fn find<'a>(contract: &'a Value, seen: &Seen) -> (String, &'a Value) {
    let (method, target) = seen.line.split_once(' ').unwrap();
    let path = target.split('?').next().unwrap();
    let path = path
        .replacen("/masmovil/", "/{org}/", 1)
        .replace("/77", "/{referenceId}");
    let definition = &contract["paths"][&path][method.to_lowercase()];
    assert!(definition.is_object(), "not in the contract: {}", seen.line);
    (path, definition)
}

fn body_schema(contract: &Value, definition: &Value) -> Value {
    let schema = &definition["requestBody"]["content"]["application/json"]["schema"];
    json!({"$ref": schema["$ref"], "components": contract["components"]})
}

/// Property names that a body may have: the contract doesn't forbid others, we do.
fn documented(contract: &Value, definition: &Value) -> BTreeSet<String> {
    let pointer = &definition["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    let schema = contract.pointer(pointer.as_str().unwrap().trim_start_matches('#'));
    schema.unwrap()["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

fn create(portability_indicator: Option<PortabilityIndicator>) -> Box<CreateRequest> {
    Box::new(CreateRequest {
        territory_owner: TerritoryOwner::VulaRegulated,
        portability_indicator,
        external_reference: "EXT-1".into(),
        technical_coordinators: json!({"a": 1}),
        customer: json!({"b": [2]}),
        service_point: json!({"c": null}),
    })
}

/// Each write with all its fields, and those with optional ones without them too.
fn writes() -> Vec<Write> {
    let external_reference = ExternalReference::from("EXT-1");
    let by_reference = ByReference {
        external_reference: external_reference.clone(),
    };
    let port = CreatePort {
        external_reference: external_reference.clone(),
        port: "4".to_owned(),
    };
    let incident = |observations: Option<&str>| ResolveIncident {
        external_reference: external_reference.clone(),
        observations: observations.map(str::to_owned),
    };
    let access = |reason: Option<&str>| CreateAccess {
        external_reference: external_reference.clone(),
        technician_code: "T1".to_owned(),
        reason: reason.map(str::to_owned),
    };
    let cto = |port: Option<&str>, reason| ChangeCto {
        external_reference: external_reference.clone(),
        cto_identifier: "CTO-9".to_owned(),
        cto_port: port.map(str::to_owned),
        reason,
    };
    vec![
        Write::CreateActivation(create(Some(PortabilityIndicator::Donor))),
        Write::CreateActivation(create(None)),
        Write::CreateTermination(create(None)),
        Write::CancelRequest(by_reference.clone()),
        Write::CreateStatusCto(by_reference),
        Write::ResolveIncident(incident(Some("Señor ausente \"dos\" veces"))),
        Write::ResolveIncident(incident(None)),
        Write::CreateAccess(access(Some("why"))),
        Write::CreateAccess(access(None)),
        Write::TerminateAccess(TerminateAccess {
            external_reference: external_reference.clone(),
            observations: "done".to_owned(),
        }),
        Write::ChangeCto(cto(Some("3"), CtoChangeReason::Broken)),
        Write::ChangeCto(cto(None, CtoChangeReason::Others)),
        Write::CreatePort(port.clone()),
        Write::CreatePort2(port),
        Write::CreateInstallationIncident(InstallationIncident {
            external_reference: external_reference.clone(),
            request_type: "VULA".to_owned(),
            request_number: i64::MAX,
            sub_request_number: 0,
            incidence: "i".to_owned(),
            cto: "c".to_owned(),
            comments: "x".to_owned(),
        }),
        Write::CreateInstallationEnd(InstallationEnd {
            external_reference,
            request_type: "NEBA".to_owned(),
            request_number: 1,
            sub_request_number: 2,
            test: "t".to_owned(),
            indicator: "i".to_owned(),
            owner: "o".to_owned(),
        }),
    ]
}

#[tokio::test]
async fn every_write_leaves_as_the_contract_has_it() {
    let contract = contract();
    let mut operations = BTreeSet::new();
    let mut paths = BTreeSet::new();
    for write in writes() {
        let server = Server::start(|_, _| answer(201, "{}")).await;
        let fixture = client(&server.url);
        operations.insert(write.operation());
        let permit = WritePermit::for_test(org(), write);
        fixture.write(permit).await.unwrap();

        let [seen] = &server.seen()[..] else {
            panic!("not one request")
        };
        let (path, definition) = find(&contract, seen);
        paths.insert(path);
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        let schema = body_schema(&contract, definition);
        jsonschema::validate(&schema, &body).unwrap_or_else(|error| panic!("{body}: {error}"));
        for name in body.as_object().unwrap().keys() {
            assert!(
                documented(&contract, definition).contains(name),
                "{name} is not documented"
            );
        }
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.header("accept"), Some("application/json"));
        let correlation = "00000000-0000-0000-0000-000000000000";
        assert_eq!(
            seen.header("request-correlation-id"),
            Some(correlation),
            "the permit's"
        );
    }
    assert!(operations.iter().eq(Operation::ALL), "{operations:?}");
    assert_eq!(paths.len(), Operation::ALL.len());
}

#[test]
fn the_schemas_refuse_what_they_should() {
    let contract = contract();
    let seen = Seen {
        connection: 0,
        line: "POST /tesa/orgs/masmovil/cto/changes".to_owned(),
        headers: vec![],
        body: String::new(),
    };
    let (_, definition) = find(&contract, &seen);
    let schema = body_schema(&contract, definition);
    let body = json!({"externalReference": "E", "ctoIdentifier": "C", "reason": "XX"});
    assert!(jsonschema::validate(&schema, &body).is_err());
}

#[tokio::test]
async fn every_read_leaves_as_the_contract_has_it() {
    let server = Server::start(|_, request| {
        answer(
            200,
            if request.line.ends_with("/77") {
                LEAST
            } else {
                "[]"
            },
        )
    })
    .await;
    let fixture = client(&server.url);
    let upstream = &fixture.client;
    let (org, id) = (org(), id());
    let filter = ListFilter {
        statuses: Some(vec![Status::NotSent, Status::IncidenceOperator]),
        external_reference: Some("EXT 1".into()),
        auto_installation: Some(true),
        cancelling: Some(false),
        persistence_type: Some(PersistenceType::Activation),
        not_updated_since: Some(DateTime::UNIX_EPOCH),
    };
    let ids = upstream.list_reference_ids(&org, &filter).await.unwrap();
    assert_eq!(ids.count().await, 0);
    upstream.get_request(&org, &id).await.unwrap();
    upstream.get_request_events(&org, &id).await.unwrap();
    upstream.get_request_issues(&org, &id).await.unwrap();

    let contract = contract();
    let seen = server.seen();
    let paths: BTreeSet<_> = seen.iter().map(|seen| find(&contract, seen).0).collect();
    assert_eq!(paths.len(), 4);
    assert!(
        seen.iter()
            .all(|seen| seen.body.is_empty() && seen.header("content-type").is_none())
    );
    let (_, query) = seen[0].line.split_once('?').unwrap();
    let sent: BTreeSet<_> = query
        .split('&')
        .map(|pair| pair.split('=').next().unwrap())
        .collect();
    let (_, definition) = find(&contract, &seen[0]);
    let documented: BTreeSet<_> = definition["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    assert_eq!(sent, documented);
    assert!(
        query.contains("statuses=NOT_SENT,INCIDENCE_OPERATOR&"),
        "{query}"
    );
    assert!(
        query.contains("notUpdatedSince=1970-01-01T00%3A00%3A00.000Z"),
        "{query}"
    );
}
