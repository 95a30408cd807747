//! `contract/openapi.yaml` as a judge of requests and answers.
//!
//! A schema of the contract is checked by a root that only refers into the whole document, so the document's own
//! references need no rewriting. It has no `nullable`, the one word of OpenAPI 3.0 that JSON Schema reads
//! otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};
use tesa_reconciler::domain::Operation;

/// The contract, read once.
pub struct Contract {
    document: Value,
    /// By schema, because making a validator takes longer than using it.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The contract of this repository.
pub fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let text = include_str!("../../../contract/openapi.yaml");
        Contract {
            document: serde_yaml_ng::from_str(text).expect("the contract is YAML"),
            validators: Mutex::default(),
        }
    })
}

/// `create_activation` → `createActivation`: the configuration's name of an operation to the contract's.
pub fn operation_id(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |id, word| {
        id + &word[..1].to_uppercase() + &word[1..]
    })
}

impl Contract {
    /// Method, path template and description of an operation, by its `operationId`.
    pub fn operation(&self, id: &str) -> (String, String, &Value) {
        let paths = self.document["paths"].as_object().expect("paths");
        for (path, item) in paths {
            for (method, operation) in item.as_object().expect("a path item") {
                if operation["operationId"] == id {
                    return (method.to_uppercase(), path.clone(), operation);
                }
            }
        }
        panic!("the contract has no operation {id}");
    }

    /// The statuses that the contract documents for an operation; `default` is left out.
    pub fn documented(&self, id: &str) -> Vec<u16> {
        let responses = self.operation(id).2["responses"]
            .as_object()
            .expect("responses");
        responses
            .keys()
            .filter_map(|status| status.parse().ok())
            .collect()
    }

    /// What is wrong with an answer: empty if nothing.
    pub fn answer_problems(&self, id: &str, status: u16, body: &Value) -> Vec<String> {
        let responses = &self.operation(id).2["responses"];
        let response = match responses.get(status.to_string()) {
            Some(response) => response,
            None => &responses["default"],
        };
        self.problems(
            &self.resolved(response)["content"]["application/json"]["schema"],
            body,
        )
    }

    /// What is wrong with a request's body. Fields that the contract does not name are wrong, and it says so itself: the client
    /// must send exactly the documented ones.
    pub fn request_problems(&self, id: &str, body: &Value) -> Vec<String> {
        let request = &self.operation(id).2["requestBody"];
        let schema = &request["content"]["application/json"]["schema"];
        self.problems(schema, body)
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').expect("a local reference");
                self.resolved(
                    self.document
                        .pointer(pointer)
                        .expect("a reference that leads somewhere"),
                )
            }
            None => value,
        }
    }

    fn problems(&self, schema: &Value, body: &Value) -> Vec<String> {
        assert!(schema.is_object(), "the contract gives no schema here");
        let mut validators = self.validators.lock().expect("no test panics in here");
        let validator = validators.entry(schema.to_string()).or_insert_with(|| {
            let root = json!({ "allOf": [schema], "components": self.document["components"] });
            let built = jsonschema::options()
                .with_draft(jsonschema::Draft::Draft7)
                .should_validate_formats(true)
                .build(&root);
            Arc::new(built.expect("the contract's schemas are JSON Schema"))
        });
        let validator = Arc::clone(validator);
        drop(validators);
        let problems = validator.iter_errors(body);
        problems
            .map(|problem| format!("{}: {problem}", problem.instance_path()))
            .collect()
    }
}

#[test]
fn the_contract_tells_right_from_wrong() {
    let issue = json!([{
        "id": 1, "reference_id": "A", "issue_sequence": 1, "issue_code": "CLI-012", "resolved": false,
        "last_updated": "2026-01-01T00:00:00Z",
    }]);
    let problems =
        |status, body: &Value| contract().answer_problems("getRequestIssues", status, body);
    assert_eq!(problems(200, &issue), [""; 0]);
    for (field, wrong) in [
        ("id", json!("1")),
        ("last_updated", json!("yesterday")),
        ("resolved", Value::Null),
    ] {
        let mut issue = issue.clone();
        issue[0][field] = wrong;
        assert_eq!(problems(200, &issue).len(), 1, "{field}");
    }
    assert_eq!(problems(503, &json!({"code": 503})).len(), 1);
}

#[test]
fn the_contract_refuses_fields_it_does_not_name() {
    let body = json!({"externalReference": "A", "reason": "because"});
    let problems = contract().request_problems(&operation_id("cancel_request"), &body);
    assert_eq!(
        problems,
        [": Additional properties are not allowed ('reason' was unexpected)"]
    );
    for operation in Operation::ALL {
        let id = operation_id(operation.as_str());
        let schema =
            &contract().operation(&id).2["requestBody"]["content"]["application/json"]["schema"];
        if !schema.is_null() {
            let others = &contract().resolved(schema)["additionalProperties"];
            assert_eq!(others, false, "{id}");
        }
    }
}
