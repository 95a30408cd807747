//! Every answer that a collector may give, and the headers that it gets.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

fn settings(endpoint: String) -> Traces {
    Traces {
        endpoint,
        sample_ratio: 1.0,
        headers_file: None,
        ca_file: None,
        timeout: Duration::from_millis(500),
    }
}

async fn answered(answer: ResponseTemplate) -> Result<(), Undelivered> {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/otlp/v1/traces"))
        .and(header("content-type", "application/x-protobuf"))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    let collector = Collector::new(&settings(format!("{}/otlp/", server.uri()))).unwrap();
    collector.post(b"spans".to_vec()).await
}

#[tokio::test]
async fn a_yes_may_reject_some_spans_all_the_same() {
    let part = |rejected_spans| ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans,
            error_message: "too large".to_owned(),
        }),
    };
    let yes = |body: Vec<u8>| ResponseTemplate::new(200).set_body_bytes(body);
    let rejects = Err(Undelivered::InPart(2));
    assert_eq!(answered(yes(part(2).encode_to_vec())).await, rejects);
    // A warning, an empty body, something else altogether, more than is read: none says that a span was lost.
    for body in [
        part(0).encode_to_vec(),
        part(-1).encode_to_vec(),
        vec![],
        b"<html>".to_vec(),
        vec![0; LARGEST_ANSWER + 1],
    ] {
        assert_eq!(answered(yes(body)).await, Ok(()));
    }
}

#[tokio::test]
async fn a_no_says_where_to_look_and_a_redirect_is_one() {
    for (status, says) in [
        (401, "check traces.headers_file"),
        (404, "check traces.endpoint"),
        (307, "redirects are not followed"),
        (503, "it answered 503"),
    ] {
        let answer = ResponseTemplate::new(status).insert_header("location", "/otlp/v1/traces");
        let error = answered(answer).await.unwrap_err().to_string();
        assert!(error.contains(says), "{status}: {error}");
    }
}

#[tokio::test]
async fn nobody_waits_beyond_the_time_out() {
    let late = ResponseTemplate::new(200).set_delay(Duration::from_secs(20));
    let error = answered(late).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer: nothing within 0.5 s");
}

#[tokio::test]
async fn the_headers_are_read_for_each_delivery_and_never_quoted() {
    let server = MockServer::start().await;
    Mock::given(header("x-key", "second"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("headers");
    let collector = Collector::new(&Traces {
        headers_file: Some(file.clone()),
        ..settings(server.uri())
    });
    let collector = collector.unwrap();
    let post = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        collector.post(vec![]).await
    };
    let first = post("x-key: first").await.unwrap_err();
    assert!(first.to_string().contains("404"), "{first}");
    assert_eq!(post("x-key: second").await, Ok(()));
    let bad = post("x-key: a\nhunter2").await.unwrap_err().to_string();
    assert!(
        bad.contains("in line 2") && !bad.contains("hunter2"),
        "{bad}"
    );
    std::fs::remove_file(&file).unwrap();
    let gone = collector.post(vec![]).await.unwrap_err().to_string();
    assert!(gone.contains("traces.headers_file can't be read"), "{gone}");
}

#[test]
fn headers_are_lines_and_a_bad_one_is_told_by_its_number_only() {
    let good = parse("# the vendor's key\n\nX-Api-Key: a:b \nauthorization: Basic eA==\r\n");
    let good = good.unwrap();
    assert_eq!(good["x-api-key"], "a:b");
    assert_eq!(good["authorization"], "Basic eA==");
    assert!(good["x-api-key"].is_sensitive());
    assert_eq!(parse(""), Ok(HeaderMap::new()));
    for bad in ["x: y\nhunter2", "\n: hunter2", "x: y\na b: hunter2"] {
        assert_eq!(parse(bad), Err(2), "{bad:?}");
    }
}
