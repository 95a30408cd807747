//! Bearer tokens: issued for a signed assertion, checked on every call, revoked on demand.
//!
//! The assertion's checks are those of the documented flow; each refusal says which one failed, because that is
//! what a rehearsal is for.

use std::collections::{HashMap, HashSet};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::json;

use crate::clock::SharedClock;

use super::account::{BadKey, CLIENT_EMAIL, KEY_ID, public_key};

/// Both clocks may be this far apart.
const SKEW_SECONDS: i64 = 60;
/// An assertion may live this long (and the skew).
const LONGEST_SECONDS: i64 = 3_600;

/// The tokens in use.
#[derive(Debug)]
pub(super) struct Tokens {
    clock: SharedClock,
    key: Vec<u8>,
    ttl: Duration,
    fixed: HashSet<String>,
    /// The address of the token endpoint, which an assertion's `aud` must repeat; known once it is served.
    pub audience: OnceLock<String>,
    issued: RwLock<HashMap<String, DateTime<Utc>>>,
    revoked: RwLock<HashSet<String>>,
}

/// A fresh token.
#[derive(Debug)]
pub(super) struct Issued {
    pub access_token: String,
    pub expires_in: u64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
}

impl Tokens {
    pub fn new(clock: SharedClock, ttl: Duration, fixed: &[String]) -> Result<Self, BadKey> {
        Ok(Self {
            clock,
            key: public_key()?,
            ttl,
            fixed: fixed.iter().cloned().collect(),
            audience: OnceLock::new(),
            issued: RwLock::default(),
            revoked: RwLock::default(),
        })
    }

    /// Whether an `Authorization` header opens the door, and if not, why.
    pub fn check(&self, authorization: Option<&str>) -> Result<(), &'static str> {
        let token = authorization.ok_or("No Authorization header")?;
        let token = bearer(token).ok_or("The Authorization header holds no bearer token")?;
        if self
            .revoked
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(token)
        {
            return Err("The token was revoked");
        }
        if self.fixed.contains(token) {
            return Ok(());
        }
        let expires = self
            .issued
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .copied();
        match expires {
            None => Err("The token is unknown"),
            Some(expires) if expires <= self.clock.now() => Err("The token has expired"),
            Some(_) => Ok(()),
        }
    }

    /// Makes the header's token worthless from now on.
    pub fn revoke(&self, authorization: Option<&str>) {
        if let Some(token) = authorization.and_then(bearer) {
            self.issued
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(token);
            self.revoked
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(token.to_owned());
        }
    }

    /// A token for a good assertion.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn exchange(&self, assertion: &str) -> Result<Issued, &'static str> {
        let now = self.clock.now();
        self.verify(assertion, now)?;
        let ttl = chrono::TimeDelta::from_std(self.ttl).ok();
        let expires = ttl.and_then(|ttl| now.checked_add_signed(ttl));
        let expires = expires.unwrap_or(DateTime::<Utc>::MAX_UTC);
        // A client must not read the token, but many do look for `exp` in it: so it looks like a JWT.
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let access_token = format!(
            "{}.{}.{}",
            part(json!({"alg": "none", "typ": "JWT"})),
            part(json!({"iss": "sandbox", "exp": expires.timestamp(), "jti": self.clock.uuid()})),
            self.clock.uuid().simple(),
        );
        let mut issued = self.issued.write().unwrap_or_else(PoisonError::into_inner);
        issued.retain(|_, expires| *expires > now);
        issued.insert(access_token.clone(), expires);
        Ok(Issued {
            access_token,
            expires_in: self.ttl.as_secs(),
        })
    }

    fn verify(&self, assertion: &str, now: DateTime<Utc>) -> Result<(), &'static str> {
        let (signed, signature) = assertion
            .rsplit_once('.')
            .ok_or("the assertion is no JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("the assertion is no JWT")?;
        let header: Header = part(header).ok_or("the assertion's header can't be read")?;
        if header.alg != "RS256" {
            return Err("the assertion is not signed with RS256");
        }
        if header.kid.as_deref() != Some(KEY_ID) {
            return Err("kid is not the service account's private_key_id");
        }
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| "the signature can't be read")?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| "the signature does not match")?;
        let claims: Claims = part(claims).ok_or("iss, aud, iat or exp is missing or malformed")?;
        let now = now.timestamp();
        if claims.iss != CLIENT_EMAIL {
            return Err("iss is not the service account's client_email");
        }
        if self
            .audience
            .get()
            .is_some_and(|audience| *audience != claims.aud)
        {
            return Err("aud is not the service account's token_uri");
        }
        if claims.exp <= now.saturating_sub(SKEW_SECONDS) {
            return Err("the assertion has expired");
        }
        if claims.iat > now.saturating_add(SKEW_SECONDS) {
            return Err("iat lies in the future");
        }
        if claims.exp.saturating_sub(claims.iat) > LONGEST_SECONDS + SKEW_SECONDS {
            return Err("the assertion lives longer than an hour");
        }
        Ok(())
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}
