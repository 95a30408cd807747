//! The token endpoint gives a token for a good assertion, and says what is wrong with a bad one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::header::AUTHORIZATION;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use tesa_reconciler::sandbox::{Effect, Fault, SandboxConfig, service_account};

use super::{Bench, ORG, noon, still};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Header and claims as the documented flow wants them, from a service account's file.
fn good(account: &Value) -> (Value, Value) {
    let now = noon().timestamp();
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": account["private_key_id"]});
    let claims = json!({
        "iss": account["client_email"], "aud": account["token_uri"], "iat": now, "exp": now + 3_600,
    });
    (header, claims)
}

fn sign(account: &Value, header: &Value, claims: &Value) -> String {
    let pem = account["private_key"].as_str().unwrap();
    let text: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(text).unwrap()).unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn exchange(bench: &Bench, assertion: &str) -> (u16, Value) {
    let form = [("grant_type", GRANT_TYPE), ("assertion", assertion)];
    let response = bench
        .http
        .post(bench.running.token_uri())
        .form(&form)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn status_with(bench: &Bench, token: &str) -> u16 {
    let mut request = bench
        .request("get_request", ORG, "TS00000000")
        .build()
        .unwrap();
    request
        .headers_mut()
        .insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    bench.http.execute(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_good_assertion_gets_a_token_that_works_until_it_expires() {
    let token_ttl = Duration::from_secs(300);
    let bench = Bench::new(SandboxConfig {
        token_ttl,
        ..still()
    })
    .await;
    let file = tempfile::NamedTempFile::new().unwrap();
    bench.running.write_service_account(file.path()).unwrap();
    let account: Value = serde_json::from_reader(file.as_file()).unwrap();
    let (header, claims) = good(&account);

    let (status, body) = exchange(&bench, &sign(&account, &header, &claims)).await;
    assert_eq!(
        (status, &body["token_type"], &body["expires_in"]),
        (200, &json!("Bearer"), &json!(300))
    );
    let token = body["access_token"].as_str().unwrap();
    // Its own `exp` says the same, for clients that get no `expires_in`.
    let inside = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1).unwrap())
        .unwrap();
    let inside: Value = serde_json::from_slice(&inside).unwrap();
    assert_eq!(inside["exp"], noon().timestamp() + 300);

    assert_eq!(
        status_with(&bench, token).await,
        404,
        "let in, and nothing there"
    );
    bench.clock.advance(Duration::from_secs(299));
    assert_eq!(status_with(&bench, token).await, 404);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(status_with(&bench, token).await, 401);
}

#[tokio::test]
async fn each_wrong_part_of_an_assertion_is_refused_by_name() {
    let bench = Bench::new(still()).await;
    let account = service_account(&bench.running.token_uri());
    let now = noon().timestamp();
    let cases = [
        ("header", "kid", json!("another"), "kid"),
        ("header", "alg", json!("none"), "RS256"),
        ("claims", "iss", json!("another@sandbox.invalid"), "iss"),
        (
            "claims",
            "aud",
            json!("https://authn.masstack.com/v1/oauth/token"),
            "aud",
        ),
        ("claims", "exp", json!(now - 61), "expired"),
        ("claims", "iat", json!(now + 600), "future"),
        ("claims", "exp", json!(now + 8_000), "longer than an hour"),
        ("claims", "exp", Value::Null, "exp"),
    ];
    for (part, field, wrong, named) in cases {
        let (mut header, mut claims) = good(&account);
        let changed = if part == "header" {
            &mut header
        } else {
            &mut claims
        };
        changed[field] = wrong;
        let (status, body) = exchange(&bench, &sign(&account, &header, &claims)).await;
        assert_eq!(
            (status, &body["error"]),
            (400, &json!("invalid_grant")),
            "{field}"
        );
        assert!(
            body["error_description"].as_str().unwrap().contains(named),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_signature_that_does_not_match_is_refused() {
    let bench = Bench::new(still()).await;
    let account = service_account(&bench.running.token_uri());
    let (header, claims) = good(&account);
    let (_, mut other) = good(&account);
    other["exp"] = json!(noon().timestamp() + 3_000);
    let (this, that) = (
        sign(&account, &header, &claims),
        sign(&account, &header, &other),
    );
    let signature = that.rsplit_once('.').unwrap().1;
    let forged = format!("{}.{signature}", this.rsplit_once('.').unwrap().0);
    for assertion in [forged.as_str(), "a.b.c", "nothing", ""] {
        assert_eq!(exchange(&bench, assertion).await.0, 400, "{assertion}");
    }
    assert_eq!(exchange(&bench, &this).await.0, 200);
}

#[tokio::test]
async fn another_grant_or_no_form_at_all_is_refused() {
    let bench = Bench::new(still()).await;
    let post = || bench.http.post(bench.running.token_uri());
    let form = [("grant_type", "client_credentials"), ("assertion", "x")];
    let missing = [("grant_type", GRANT_TYPE)];
    for (request, error) in [
        (post().form(&form), "unsupported_grant_type"),
        (post().form(&missing), "invalid_request"),
        (
            post().json(&json!({"grant_type": GRANT_TYPE})),
            "invalid_request",
        ),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400);
        assert_eq!(response.json::<Value>().await.unwrap()["error"], error);
    }
}

#[tokio::test]
async fn a_revoked_token_is_replaced_by_asking_again() {
    let bench = Bench::new(still()).await;
    let account = service_account(&bench.running.token_uri());
    let (header, claims) = good(&account);
    let assertion = sign(&account, &header, &claims);
    let token = async || {
        let (status, body) = exchange(&bench, &assertion).await;
        assert_eq!(status, 200);
        body["access_token"].as_str().unwrap().to_owned()
    };
    let first = token().await;
    bench
        .sandbox()
        .set_faults(vec![Fault::new(Effect::RevokeToken).times(1)])
        .unwrap();
    assert_eq!(status_with(&bench, &first).await, 401);
    assert_eq!(status_with(&bench, &first).await, 401);
    let second = token().await;
    assert_eq!(status_with(&bench, &second).await, 404);
}

#[tokio::test]
async fn a_public_url_is_the_audience() {
    let public_url = Some("http://sandbox:8081/".to_owned());
    let bench = Bench::new(SandboxConfig {
        public_url,
        omit_expires_in: true,
        ..still()
    })
    .await;
    assert_eq!(
        bench.running.token_uri(),
        "http://sandbox:8081/v1/oauth/token"
    );
    let account = service_account("http://sandbox:8081/v1/oauth/token");
    let (header, claims) = good(&account);
    let form = [
        ("grant_type", GRANT_TYPE.to_owned()),
        ("assertion", sign(&account, &header, &claims)),
    ];
    let url = format!("{}/oauth/token", bench.running.base_url());
    let response = bench.http.post(url).form(&form).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(
        response
            .json::<Value>()
            .await
            .unwrap()
            .get("expires_in")
            .is_none()
    );
}
