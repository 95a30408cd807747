//! Tokens: one for all, one forced refresh, and no stampede when there is none to be had.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::support::{LEAST, Server, answer, client, client_with_account, id, org, permit};
use crate::domain::Request;
use crate::tesamanager::{HttpTesamanager, ReadError, Tesamanager, WriteError};

async fn read(client: &HttpTesamanager) -> Result<Request, ReadError> {
    client.get_request(&org(), &id()).await
}

/// A token endpoint that numbers its tokens.
async fn authn(expires_in: u32) -> Server {
    Server::start(move |number, _| {
        let token = format!(r#"{{"access_token":"token-{number}","expires_in":{expires_in}}}"#);
        answer(200, &token)
    })
    .await
}

/// An upstream that takes only the token it is told.
async fn only(token: &'static str) -> Server {
    Server::start(move |_, request| {
        let good = format!("Bearer {token}");
        let is_good = request.header("authorization") == Some(good.as_str());
        answer(if is_good { 200 } else { 401 }, LEAST)
    })
    .await
}

#[tokio::test]
async fn a_hundred_callers_need_one_token() {
    let (authn, upstream) = (authn(3600).await, only("token-0").await);
    let fixture = client_with_account(&upstream.url, &authn.url);
    let calls = (0..100).map(|_| read(&fixture.client));
    for outcome in futures::future::join_all(calls).await {
        outcome.unwrap();
    }
    let asked = authn.seen();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].line, "POST /v1/oauth/token");
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey";
    assert!(asked[0].body.starts_with(grant));
    assert_eq!(
        asked[0].header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
}

#[tokio::test]
async fn a_token_is_renewed_shortly_before_its_end() {
    let authn = authn(3600).await;
    let upstream = Server::start(|_, _| answer(200, LEAST)).await;
    let fixture = client_with_account(&upstream.url, &authn.url);
    for (after, tokens) in [(0, 1), (3539, 1), (1, 2)] {
        fixture.clock.advance(Duration::from_secs(after));
        read(&fixture.client).await.unwrap();
        assert_eq!(authn.seen().len(), tokens, "after {after} s more");
    }
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_for_all() {
    let (authn, upstream) = (authn(3600).await, only("token-1").await);
    let fixture = client_with_account(&upstream.url, &authn.url);
    let calls = (0..50).map(|_| read(&fixture.client));
    for outcome in futures::future::join_all(calls).await {
        outcome.unwrap();
    }
    assert_eq!(authn.seen().len(), 2);
}

#[tokio::test]
async fn a_401_forces_exactly_one_refresh_and_then_says_what_to_mend() {
    let (authn, upstream) = (authn(3600).await, only("none").await);
    let fixture = client_with_account(&upstream.url, &authn.url);
    let error = read(&fixture.client).await.unwrap_err();
    assert_eq!((authn.seen().len(), upstream.seen().len()), (2, 2));
    let said = error.to_string();
    assert!(
        error.ends_the_run() && said.contains("audience") && said.contains("account.json"),
        "{said}"
    );
    // The next caller learns it without another token.
    assert!(read(&fixture.client).await.is_err());
    assert_eq!((authn.seen().len(), upstream.seen().len()), (2, 3));
}

#[tokio::test]
async fn a_write_with_a_refused_token_is_rejected_and_the_next_call_has_another() {
    let (authn, upstream) = (authn(3600).await, only("token-1").await);
    let fixture = client_with_account(&upstream.url, &authn.url);
    let outcome = fixture.write(permit()).await;
    assert!(
        matches!(
            outcome,
            Err(WriteError::Rejected {
                http_status: 401,
                ..
            })
        ),
        "{outcome:?}"
    );
    assert_eq!((authn.seen().len(), upstream.seen().len()), (1, 1));
    fixture.write(permit()).await.unwrap();
    assert_eq!((authn.seen().len(), upstream.seen().len()), (2, 2));
}

#[tokio::test]
async fn no_token_means_an_auth_error_that_names_the_file_and_the_host_and_no_stampede() {
    let authn = Server::start(|_, _| {
        answer(
            400,
            r#"{"error":"invalid_grant","error_description":"audience"}"#,
        )
    })
    .await;
    let upstream = Server::start(|_, _| answer(200, LEAST)).await;
    let fixture = client_with_account(&upstream.url, &authn.url);
    let calls = (0..50).map(|_| read(&fixture.client));
    for outcome in futures::future::join_all(calls).await {
        let error = outcome.unwrap_err();
        let said = error.to_string();
        assert!(error.ends_the_run(), "{said}");
        for part in ["127.0.0.1", "400", "invalid_grant", "account.json", "clock"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    assert_eq!(authn.seen().len(), 1);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_token_endpoint_that_is_away_or_unwell_is_ill_health_and_no_refusal() {
    let unwell = Server::start(|_, _| answer(503, "")).await;
    let upstream = Server::start(|_, _| answer(200, LEAST)).await;
    let nobody = "http://127.0.0.1:1".to_owned();
    for (authn, says) in [(&nobody, "can't be reached"), (&unwell.url, "503")] {
        let fixture = client_with_account(&upstream.url, authn);
        let error = read(&fixture.client).await.unwrap_err();
        let said = error.to_string();
        assert!(error.is_ill_health() && !error.ends_the_run(), "{said}");
        assert!(said.contains("the token endpoint 127.0.0.1"), "{said}");
        assert!(
            said.contains(says) && !said.contains("not authorised"),
            "{said}"
        );
        let error = fixture.client.prepare_write(&org()).await.unwrap_err();
        assert!(error.is_ill_health(), "{error}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_hiccup_of_the_token_endpoint_is_survived() {
    let authn = Server::start(|number, _| match number {
        0 => answer(503, ""),
        _ => answer(200, r#"{"access_token":"token-0","expires_in":"60"}"#),
    })
    .await;
    let upstream = only("token-0").await;
    let fixture = client_with_account(&upstream.url, &authn.url);
    read(&fixture.client).await.unwrap();
    assert_eq!(authn.seen().len(), 2);
}

#[tokio::test]
async fn an_old_token_serves_on_while_a_new_one_can_not_be_had() {
    let closed = Arc::new(AtomicUsize::new(0));
    let authn = Server::start({
        let closed = Arc::clone(&closed);
        move |_, _| match closed.load(Ordering::SeqCst) {
            0 => answer(200, r#"{"access_token":"token-0","expires_in":600}"#),
            _ => answer(403, ""),
        }
    })
    .await;
    let upstream = only("token-0").await;
    let fixture = client_with_account(&upstream.url, &authn.url);
    read(&fixture.client).await.unwrap();
    closed.store(1, Ordering::SeqCst);
    fixture.clock.advance(Duration::from_secs(560));
    read(&fixture.client).await.unwrap();
    fixture.clock.advance(Duration::from_secs(60));
    assert!(read(&fixture.client).await.is_err());
}

#[tokio::test]
async fn a_renewed_token_file_is_used_at_once() {
    let upstream = only("b-token").await;
    let fixture = client(&upstream.url);
    let error = read(&fixture.client).await.unwrap_err();
    // The file has nothing newer, so the refused token isn't shown twice.
    assert!(error.to_string().contains("token"), "{error}");
    assert_eq!(upstream.seen().len(), 1);
    std::fs::write(fixture.folder.path().join("token"), "b-token\n\n").unwrap();
    read(&fixture.client).await.unwrap();
    fixture.client.check_token().await.unwrap();
}
