//! The two things we do with JSON web tokens: sign an assertion, and look when a token ends.
//!
//! Written out rather than taken from a library because it is one signature over two small objects, and *ring*,
//! which TLS needs anyway, makes it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::account::Account;

/// How long an assertion is good for.
const LIFETIME_SECONDS: i64 = 3600;

/// An assertion is dated back by so much: a token endpoint whose clock is a little behind ours would refuse one from its
/// future.
const BACK_DATED_SECONDS: i64 = 30;

/// An RSA key from its PEM text, PKCS#8 or PKCS#1. The error is a fault of the service account file.
pub fn key(pem: &SecretString) -> Result<RsaKeyPair, &'static str> {
    let text = pem.expose_secret();
    if text.contains("ENCRYPTED") {
        return Err(
            "has a private_key that is encrypted: give it without its passphrase (`openssl pkey` takes it off)",
        );
    }
    if !text.trim().contains('\n') && text.contains("\\n") {
        return Err(
            "has a private_key with `\\n` written out where its lines break: the file was escaped twice, fetch it again",
        );
    }
    let der = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
        .map_err(|_| "has a private_key that is no PEM text")?;
    let key = match &der {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err("has a private_key of another kind than RSA"),
    };
    key.map_err(|_| "has a private_key that is no RSA key of at least 2048 bits")
}

/// The signed assertion that `account` shows to the token endpoint.
pub fn assertion(account: &Account, now: DateTime<Utc>) -> Result<SecretString, &'static str> {
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": account.private_key_id});
    let issued = now.timestamp() - BACK_DATED_SECONDS;
    let mut claims = json!({
        "iss": account.client_email,
        "aud": account.token_uri,
        "iat": issued,
        // No endpoint takes one that is good for longer than an hour.
        "exp": issued + LIFETIME_SECONDS,
    });
    if let Some(scope) = &account.scope {
        claims["scope"] = Value::from(scope.as_str());
    }
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let key = key(&account.private_key)?;
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| "has a private_key that does not sign")?;
    let signature = URL_SAFE_NO_PAD.encode(signature);
    Ok(SecretString::from(format!("{signed}.{signature}")))
}

/// When a token ends by its own word. None for one that is no JWT, or has no end.
pub fn expiry(token: &SecretString) -> Option<DateTime<Utc>> {
    let payload = token.expose_secret().split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let seconds = claims.get("exp")?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a date beyond i64 is no date, and saturates"
    )]
    let seconds = seconds.as_i64().or(seconds.as_f64().map(|at| at as i64))?;
    DateTime::from_timestamp(seconds, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tesamanager::tests::support::TEST_KEY;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    fn account(private_key: &str) -> Account {
        Account {
            private_key_id: "kid-1".to_owned(),
            private_key: SecretString::from(private_key),
            client_email: "robot@example.com".to_owned(),
            token_uri: "https://authn.example/token".to_owned(),
            scope: Some("tesa".to_owned()),
        }
    }

    #[test]
    fn an_assertion_says_what_is_documented_and_its_signature_holds() {
        let now = DateTime::from_timestamp(1_774_747_800, 0).unwrap();
        let signed = assertion(&account(TEST_KEY), now).unwrap();
        let parts: Vec<_> = signed.expose_secret().split('.').collect();
        let [header, claims, signature] = parts[..] else {
            panic!("not three parts")
        };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let json = |part| -> Value { serde_json::from_slice(&decode(part)).unwrap() };
        assert_eq!(
            json(header),
            json!({"alg": "RS256", "typ": "JWT", "kid": "kid-1"})
        );
        assert_eq!(
            json(claims),
            json!({
                "iss": "robot@example.com", "aud": "https://authn.example/token", "scope": "tesa",
                "iat": 1_774_747_770, "exp": 1_774_751_370,
            })
        );
        let key = key(&SecretString::from(TEST_KEY)).unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public().as_ref())
            .verify(format!("{header}.{claims}").as_bytes(), &decode(signature))
            .unwrap();
    }

    #[test]
    fn a_bad_key_is_told_without_showing_it() {
        for pem in [
            "",
            "CANARY",
            "-----BEGIN PRIVATE KEY-----\nQ0FOQVJZ\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\\nQ0FOQVJZ\\n-----END PRIVATE KEY-----\\n",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nQ0FOQVJZ\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ] {
            let fault = assertion(&account(pem), DateTime::UNIX_EPOCH).unwrap_err();
            assert!(
                fault.contains("private_key") && !fault.contains("CANARY"),
                "{fault}"
            );
        }
    }

    #[test]
    fn a_key_that_was_mangled_or_locked_is_told_how() {
        let mangled = TEST_KEY.replace('\n', "\\n");
        let locked = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nQUJD\n-----END RSA PRIVATE KEY-----";
        for (pem, says) in [(mangled.as_str(), "escaped twice"), (locked, "encrypted")] {
            let fault = key(&SecretString::from(pem)).unwrap_err();
            assert!(fault.contains(says), "{fault}");
        }
    }

    #[test]
    fn the_end_is_read_from_the_token_itself() {
        let token =
            |payload: &str| SecretString::from(format!("h.{}.s", URL_SAFE_NO_PAD.encode(payload)));
        assert_eq!(
            expiry(&token(r#"{"exp":60}"#)),
            DateTime::from_timestamp(60, 0)
        );
        assert_eq!(
            expiry(&token(r#"{"exp":60.7}"#)),
            DateTime::from_timestamp(60, 0)
        );
        for other in [
            token("{}"),
            token(r#"{"exp":"soon"}"#),
            SecretString::from("opaque"),
        ] {
            assert_eq!(expiry(&other), None);
        }
    }
}
