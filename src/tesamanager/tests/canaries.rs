//! Secrets and personal data planted wherever they could leak from: none may show up in an error, a `Debug`, or a
//! log line.

use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::support::{LEAST, Reply, Server, answer, client, client_with_account, id, org, with};
use crate::domain::request::TerritoryOwner;
use crate::domain::write::{CreateRequest, Write};
use crate::reconcile::guard::WritePermit;
use crate::tesamanager::{ListFilter, Tesamanager};

/// In a customer's name, a token, a key, an id's value.
const CANARY: &str = "CANARY";
/// Of a person, as it might stand in a code.
const NAME: &str = "Juana Ibarra";
const PHONE: &str = "600123456";
const EMAIL: &str = "ana@example.org";
const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn assert_clean(what: &str, text: &str) {
    for secret in [CANARY, NAME, PHONE, EMAIL, JWT, "a-token", "PRIVATE KEY"] {
        assert!(!text.contains(secret), "{secret} in {what}: {text}");
    }
}

/// Bodies that an upstream could answer, each with something that must stay inside.
fn indiscreet() -> Vec<Reply> {
    let problem = json!({"code": format!("E {PHONE}"), "title": format!("token {JWT}"),
        "details": format!("customer {EMAIL} {PHONE}")});
    let words = json!([{"code": NAME, "title": NAME, NAME: NAME, "details": "a-token"}]);
    let personal = json!({"status": {}, "customer": {"name": CANARY, "phone": PHONE}}).to_string();
    vec![
        answer(400, &problem.to_string()),
        answer(401, &problem.to_string()),
        answer(500, &format!("Bearer {JWT} for {EMAIL}")),
        answer(400, &words.to_string()),
        answer(406, r#"{"code":"a-token","message":"a-token"}"#),
        answer(200, r#"{"code":"a-token"}"#),
        answer(503, &format!("<html><h1>{NAME}</h1> {EMAIL}</html>")),
        answer(200, &format!("<html><h1>{NAME}</h1> a-token</html>")),
        answer(200, &format!(r#"{{"{NAME}":1,"status":"{NAME}","x":"#)),
        answer(200, &LEAST.replace("FINISHED", NAME)),
        answer(200, &LEAST.replace("FINISHED", "a-token")),
        answer(
            200,
            &json!([{"message_type": NAME, "issue_code": NAME}]).to_string(),
        ),
        answer(200, &personal),
        answer(200, &personal[..personal.len() - 12]),
        answer(200, &format!(r#"[{{"customer":"{CANARY}"}}, 1"#)),
        answer(200, &format!(r#"{{"errors":[{{"title":"{CANARY}"}}]}}"#)),
        with(302, &format!("Location: http://{CANARY}/{JWT}\r\n"), ""),
        Reply::Close(vec![]),
        Reply::Close(
            format!("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{{\"x\":\"{CANARY}").into_bytes(),
        ),
    ]
}

fn create() -> Write {
    Write::CreateActivation(Box::new(CreateRequest {
        territory_owner: TerritoryOwner::Neba,
        portability_indicator: None,
        external_reference: "EXT-1".into(),
        technical_coordinators: json!([PHONE]),
        customer: json!({"name": CANARY, "email": EMAIL}),
        service_point: json!({"street": CANARY}),
    }))
}

#[tokio::test]
async fn secrets_and_personal_data_stay_inside() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(captured.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    for reply in indiscreet() {
        let server = Server::start(move |_, _| reply.clone()).await;
        let fixture = client(&server.url);
        let upstream = &fixture.client;
        let mut told = Vec::new();
        // One error would do; spending the budget keeps the test quick.
        while upstream.budget.withdraw() {}
        match upstream.get_request(&org(), &id()).await {
            Ok(request) => told.push(format!("{request:?}")),
            Err(error) => told.push(format!("{error} {error:?}")),
        }
        let events = upstream.get_request_events(&org(), &id()).await;
        told.push(format!("{events:?}"));
        let issues = upstream.get_request_issues(&org(), &id()).await;
        told.push(format!("{issues:?}"));
        match upstream
            .list_reference_ids(&org(), &ListFilter::default())
            .await
        {
            Ok(stream) => {
                let ends = stream.filter_map(async |batch| batch.err());
                told.extend(
                    ends.map(|error| format!("{error} {error:?}"))
                        .collect::<Vec<_>>()
                        .await,
                );
            }
            Err(error) => told.push(format!("{error} {error:?}")),
        }
        let permit = WritePermit::for_test(org(), create());
        told.push(format!("{permit:?}"));
        match upstream.prepare_write(&org()).await {
            Err(error) => told.push(format!("{error} {error:?}")),
            Ok(ready) => match upstream.write(permit, ready).await {
                Ok(accepted) => told.push(format!("{accepted:?}")),
                Err(error) => told.push(format!("{error} {error:?}")),
            },
        }
        told.push(format!("{upstream:?}"));
        assert!(told.len() >= 4);
        told.iter()
            .for_each(|text| assert_clean("what was told", text));
    }
    let authn = Server::start(|number, _| match number {
        0 => answer(200, &format!(r#"{{"access_token":"{JWT}"}}"#)),
        _ => answer(
            400,
            &format!(r#"{{"error":"x","error_description":"{JWT}"}}"#),
        ),
    })
    .await;
    let upstream = Server::start(|_, _| answer(401, "{}")).await;
    let fixture = client_with_account(&upstream.url, &authn.url);
    let error = fixture.client.get_request(&org(), &id()).await.unwrap_err();
    assert_clean(
        "what was told",
        &format!("{error} {error:?} {:?}", fixture.client),
    );
    drop(guard);

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert_clean("the log", &log);
    // The log was captured, and says what it should.
    for part in [
        "upstream answered",
        "breaks the contract",
        "correlation_id=",
        "status=400",
        "took_ms=",
    ] {
        assert!(log.contains(part), "{part} is not in the log");
    }
}
