//! What is known of a write's outcome, for every way in which it can end; and that it is sent once.

use std::time::Duration;

use super::support::{Fixture, LEAST, Server};
use super::support::{Reply, answer, client, client_with, id, org, permit, with};
use crate::reconcile::guard::GOOD_FOR;
use crate::tesamanager::{Accepted, ReadError, Tesamanager, WriteError};

async fn write(fixture: &Fixture) -> Result<Accepted, WriteError> {
    fixture.write(permit()).await
}

#[tokio::test]
async fn a_success_with_an_object_is_accepted() {
    let server = Server::start(|_, _| answer(200, r#"{"code":"OK","referenceId":77}"#)).await;
    let fixture = client(&server.url);
    let accepted = write(&fixture).await.unwrap();
    assert_eq!(
        accepted,
        Accepted {
            http_status: 200,
            code: Some("OK".into()),
            reference_id: Some(id()),
        }
    );
}

#[tokio::test]
async fn a_process_that_stood_still_after_the_ledger_s_row_does_not_send_when_it_goes_on() {
    let server = Server::start(|_, _| answer(200, r#"{"code":"OK"}"#)).await;
    let fixture = client(&server.url);
    // What is left is real time for the connection.
    let left = Duration::from_millis(600);
    fixture.clock.advance(GOOD_FOR - left);
    fixture.write(permit()).await.unwrap();
    assert_eq!(server.seen().len(), 1);
    fixture.clock.advance(left + Duration::from_millis(1));
    let error = fixture.write(permit()).await.unwrap_err();
    assert!(matches!(error, WriteError::NotSent { .. }), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_connection_that_does_not_stand_within_a_second_sends_nothing() {
    // It takes what comes and says nothing, so TLS is never agreed on.
    let mute = Server::start(|_, _| Reply::Hang(vec![])).await;
    let fixture = client(&mute.url.replace("http:", "https:"));
    let begun = std::time::Instant::now();
    let outcome = fixture.write(permit()).await;
    assert!(
        matches!(outcome, Err(WriteError::NotSent { .. })),
        "{outcome:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "not connect_timeout, which is 5 s"
    );
}

#[tokio::test]
async fn the_whole_answer_comes_within_the_request_timeout_or_is_unknown() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{".to_vec();
    for reply in [Reply::Hang(vec![]), Reply::Hang(head)] {
        let server = Server::start(move |_, _| reply.clone()).await;
        let fixture = client_with(&server.url, |settings| {
            settings.request_timeout = Duration::from_millis(200);
        });
        let begun = std::time::Instant::now();
        let outcome = fixture.write(permit()).await;
        assert!(
            matches!(outcome, Err(WriteError::Unknown { .. })),
            "{outcome:?}"
        );
        // Far below connect_timeout, which is 5 s and has no part in it.
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn a_write_whose_configuration_was_replaced_does_not_leave() {
    let server = Server::start(|_, _| answer(200, r#"{"code":"OK"}"#)).await;
    let fixture = client(&server.url);
    let error = fixture.write(permit().withdrawn()).await.unwrap_err();
    assert!(matches!(error, WriteError::NotSent { .. }), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_definite_refusal_is_rejected_with_its_status_and_reason() {
    for status in [400, 401, 403, 404, 406, 409, 422, 429] {
        let body = r#"{"errors":[{"code":"E1","title":"Not now"}]}"#;
        let server = Server::start(move |_, _| with(status, "Retry-After: 7\r\n", body)).await;
        let fixture = client(&server.url);
        match write(&fixture).await {
            Err(WriteError::Rejected {
                http_status,
                problem,
                retry_after,
            }) => {
                assert_eq!(http_status, status);
                assert_eq!(problem.to_string(), "code E1");
                assert_eq!(retry_after, Some(Duration::from_secs(7)));
            }
            other => panic!("{status}: {other:?}"),
        }
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn whatever_else_comes_after_the_body_was_sent_is_unknown_and_sent_once() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n";
    let cases = [
        ("closed without a word", Reply::Close(vec![]), None),
        (
            "closed in the head",
            Reply::Close(b"HTTP/1.1 2".to_vec()),
            None,
        ),
        ("no HTTP", Reply::Close(b"SSH-2.0\r\n\r\n".to_vec()), None),
        ("silence", Reply::Hang(vec![]), None),
        (
            "closed in the body",
            Reply::Close(format!("{head}{{\"co").into_bytes()),
            Some(200),
        ),
        (
            "silence in the body",
            Reply::Hang(format!("{head}{{\"co").into_bytes()),
            Some(200),
        ),
        ("500", answer(500, "{}"), Some(500)),
        ("502", answer(502, "<html>"), Some(502)),
        ("503", with(503, "Retry-After: 0\r\n", ""), Some(503)),
        ("408", answer(408, ""), Some(408)),
        ("302", with(302, "Location: /elsewhere\r\n", ""), Some(302)),
        ("307", with(307, "Location: /elsewhere\r\n", ""), Some(307)),
        ("empty 200", answer(200, ""), Some(200)),
        (
            "204",
            Reply::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
            Some(204),
        ),
        ("200 that is no JSON", answer(200, "done"), Some(200)),
        (
            "200 with errors",
            answer(200, r#"{"errors":[{"code":"E"}]}"#),
            Some(200),
        ),
    ];
    for (case, reply, expected) in cases {
        let server = Server::start(move |_, _| reply.clone()).await;
        let fixture = client_with(&server.url, |settings| {
            settings.connect_timeout = Duration::from_millis(100);
            settings.request_timeout = Duration::from_millis(100);
        });
        match write(&fixture).await {
            Err(WriteError::Unknown { http_status, .. }) => {
                assert_eq!(http_status, expected, "{case}")
            }
            other => panic!("{case}: {other:?}"),
        }
        assert_eq!(server.seen().len(), 1, "{case}");
        assert!(server.seen()[0].line.starts_with("POST "), "{case}");
    }
}

#[tokio::test]
async fn a_connection_that_dies_under_a_write_never_makes_a_second_one() {
    // The read leaves an open connection behind; the write goes out on it and gets no answer.
    let server = Server::start(|number, _| match number {
        0 => answer(200, LEAST),
        _ => Reply::Close(vec![]),
    })
    .await;
    let fixture = client(&server.url);
    fixture.client.get_request(&org(), &id()).await.unwrap();
    assert!(matches!(
        write(&fixture).await,
        Err(WriteError::Unknown { .. })
    ));
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        seen[0].connection, seen[1].connection,
        "the connection was not reused"
    );
}

#[tokio::test]
async fn what_fails_before_a_byte_leaves_is_not_sent() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    // A peer that answers no TLS handshake, and one that isn't a TLS peer at all.
    let mute = Server::start(|_, _| Reply::Hang(vec![])).await;
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let no_tls = format!("https://{}", plain.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = plain.accept().await.unwrap();
            drop(tokio::io::AsyncWriteExt::write_all(&mut socket, b"220 ready\r\n").await);
        }
    });
    for (case, url) in [
        ("refused", refused),
        // Longer than any label may be, so that no resolver is asked.
        ("no such host", format!("http://{}/v1", "x".repeat(64))),
        ("mute", mute.url.replace("http:", "https:")),
        ("no TLS", no_tls),
    ] {
        let fixture = client_with(&url, |settings| {
            settings.connect_timeout = Duration::from_millis(300);
        });
        let outcome = write(&fixture).await;
        assert!(
            matches!(outcome, Err(WriteError::NotSent { .. })),
            "{case}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn without_a_token_no_write_is_ready() {
    let server = Server::start(|_, _| answer(200, "{}")).await;
    let fixture = client(&server.url);
    let token = fixture.folder.path().join("token");
    std::fs::remove_file(&token).unwrap();
    match fixture.client.prepare_write(&org()).await {
        Err(ReadError::Auth { detail, .. }) => {
            assert!(detail.contains(&token.display().to_string()))
        }
        other => panic!("{other:?}"),
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_write_rate_is_kept_by_whoever_awaits_it() {
    let server = Server::start(|_, _| answer(200, "{}")).await;
    let fixture = client_with(&server.url, |settings| settings.writes_per_second = 20);
    let start = std::time::Instant::now();
    for _ in 0..6 {
        write(&fixture).await.unwrap();
    }
    // Two leave at once (a tenth of a second's worth), four wait 50 ms each.
    assert!(
        start.elapsed() >= Duration::from_millis(195),
        "{:?}",
        start.elapsed()
    );
}
