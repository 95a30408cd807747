//! A token made of a service account: signed assertion in, access token out, kept until shortly before its end.
//!
//! One refresh serves all callers: whoever needs a token waits for the lock, and finds it made. A refresh that
//! failed is remembered for a moment, so that a hundred callers don't knock on a closed door one after another;
//! and while the old token is still good, its failing successor stops nobody.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::account::{self, Account};
use super::{AuthError, Bearer, jwt};
use crate::clock::SharedClock;
use crate::telemetry::catalogue::TOKEN_OPERATION;
use crate::telemetry::record;
use crate::tesamanager::{retry, transport, wire};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// For a token that doesn't say when it ends.
const ASSUMED_LIFETIME: TimeDelta = TimeDelta::minutes(5);

/// After a failed refresh, none is tried for so long; doubled with each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A token younger than this that is refused would be refused again.
const FORCED_PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Current {
    bearer: Bearer,
    refresh_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// Known only to the one that refreshes.
#[derive(Debug, Default)]
struct Refreshing {
    failures: u32,
    failed: Option<(Instant, AuthError)>,
    forced_at: Option<Instant>,
}

impl Refreshing {
    /// Not more often than every [`FORCED_PAUSE`]; a yes counts.
    fn may_force(&mut self) -> bool {
        let may = self.forced_at.is_none_or(|at| at.elapsed() >= FORCED_PAUSE);
        if may {
            self.forced_at = Some(Instant::now());
        }
        may
    }
}

/// The account's file and the token that was last made of it.
#[derive(Debug)]
pub struct ServiceAccount {
    path: PathBuf,
    http: reqwest::Client,
    clock: SharedClock,
    within: Duration,
    current: RwLock<Option<Arc<Current>>>,
    refreshing: Mutex<Refreshing>,
}

impl ServiceAccount {
    /// Reads nothing yet. `within` bounds one call of the token endpoint.
    pub fn new(path: PathBuf, http: reqwest::Client, clock: SharedClock, within: Duration) -> Self {
        Self {
            path,
            http,
            clock,
            within,
            current: RwLock::new(None),
            refreshing: Mutex::default(),
        }
    }

    /// Where the account's file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The cached token, or a new one shortly before its end.
    pub async fn bearer(&self) -> Result<Bearer, AuthError> {
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let mut refreshing = self.refreshing.lock().await;
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        self.refresh(&mut refreshing).await.or_else(|error| {
            let now = self.clock.now();
            let old = self.current().filter(|current| now < current.expires_at);
            old.map(|current| current.bearer.clone()).ok_or(error)
        })
    }

    /// The token after `refused`: made meanwhile, or made now; none if one was forced a moment ago.
    pub async fn after_refusal(&self, refused: &Bearer) -> Result<Option<Bearer>, AuthError> {
        let mut refreshing = self.refreshing.lock().await;
        let current = self.current();
        if let Some(newer) = current.filter(|it| it.bearer.generation != refused.generation) {
            return Ok(Some(newer.bearer.clone()));
        }
        if !refreshing.may_force() {
            return Ok(None);
        }
        self.refresh(&mut refreshing).await.map(Some)
    }

    /// Lets the next caller refresh, without doing it now.
    pub fn forget(&self, refused: &Bearer) {
        // Somebody refreshes at this moment: nothing is left to be done.
        let Ok(mut refreshing) = self.refreshing.try_lock() else {
            return;
        };
        let current = self.current();
        let same = current.filter(|it| it.bearer.generation == refused.generation);
        if let Some(current) = same
            && refreshing.may_force()
        {
            self.put(Current {
                bearer: current.bearer.clone(),
                refresh_at: DateTime::UNIX_EPOCH,
                expires_at: current.expires_at,
            });
        }
    }

    fn put(&self, current: Current) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(current));
    }

    fn current(&self) -> Option<Arc<Current>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    fn fresh(&self) -> Option<Bearer> {
        let now = self.clock.now();
        let current = self.current().filter(|current| now < current.refresh_at)?;
        Some(current.bearer.clone())
    }

    /// Called under the lock.
    async fn refresh(&self, refreshing: &mut Refreshing) -> Result<Bearer, AuthError> {
        if let Some((until, error)) = &refreshing.failed
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        match self.make_token().await {
            Ok((token, expires_at)) => {
                refreshing.failures = 0;
                refreshing.failed = None;
                self.keep(&token, expires_at)
            }
            Err(error) => {
                let pause = FIRST_PAUSE.saturating_mul(1 << refreshing.failures.min(6));
                refreshing.failures += 1;
                refreshing.failed =
                    Some((Instant::now() + pause.min(LONGEST_PAUSE), error.clone()));
                tracing::warn!(error = %error, "no new token could be had");
                Err(error)
            }
        }
    }

    fn keep(&self, token: &SecretString, expires_at: DateTime<Utc>) -> Result<Bearer, AuthError> {
        let generation = self.current().map_or(0, |old| old.bearer.generation + 1);
        let bearer = Bearer::new(token, generation).ok_or(AuthError::NoToken {
            host: "of the service account".to_owned(),
            fault: "the token can't stand in a header",
        })?;
        let lifetime = expires_at - self.clock.now();
        let margin = (lifetime / 10).clamp(TimeDelta::zero(), TimeDelta::seconds(60));
        record::token_expiry(expires_at);
        self.put(Current {
            bearer: bearer.clone(),
            refresh_at: expires_at - margin,
            expires_at,
        });
        Ok(bearer)
    }

    async fn make_token(&self) -> Result<(SecretString, DateTime<Utc>), AuthError> {
        let account = account::read(&self.path).await?;
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_times(2);
        let jitter = |ceiling| retry::full_jitter(ceiling, self.clock.random());
        let hiccup = |error: &AuthError| match error {
            AuthError::Unreachable { .. } => true,
            AuthError::Unwell { http_status, .. } => *http_status >= 500,
            _ => false,
        };
        (|| self.ask(&account))
            .retry(pauses)
            .when(hiccup)
            .adjust(|_, ceiling| ceiling.map(jitter))
            .await
    }

    async fn ask(&self, account: &Account) -> Result<(SecretString, DateTime<Utc>), AuthError> {
        let now = self.clock.now();
        let host = reqwest::Url::parse(&account.token_uri)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        let assertion =
            jwt::assertion(account, now).map_err(|fault| account::unusable(&self.path, fault))?;
        let unreachable = |failed: transport::Failed| AuthError::Unreachable {
            host: host.clone(),
            cause: failed.ill_health(),
            detail: failed.detail,
        };
        let began = Instant::now();
        let count = |code: &str| record::upstream_request(TOKEN_OPERATION, code, began.elapsed());
        let form = [
            ("grant_type", GRANT),
            ("assertion", assertion.expose_secret()),
        ];
        let response = self
            .http
            .post(&account.token_uri)
            .timeout(self.within)
            .form(&form)
            .send()
            .await
            .map_err(|error| transport::classify(&error))
            .inspect_err(|failed| count(failed.code))
            .map_err(unreachable)?;
        let status = response.status();
        let body = transport::read_body(response, transport::LARGEST_ERROR)
            .await
            .inspect_err(|failed| count(failed.code))
            .map_err(unreachable)?;
        count(status.as_str());
        if matches!(status.as_u16(), 408 | 429 | 500..) {
            return Err(AuthError::Unwell {
                host,
                http_status: status.as_u16(),
            });
        }
        if !status.is_success() {
            return Err(AuthError::Refused {
                host,
                http_status: status.as_u16(),
                problem: wire::problem(&body),
                path: self.path.clone(),
            });
        }
        token(&body, now).map_err(|fault| AuthError::NoToken { host, fault })
    }
}

/// Token and end from the endpoint's answer: the end it states, else the token's own.
fn token(body: &[u8], now: DateTime<Utc>) -> Result<(SecretString, DateTime<Utc>), &'static str> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| "the answer is no JSON")?;
    let token = answer.get("access_token").and_then(Value::as_str);
    let token = token.map(str::trim).filter(|token| !token.is_empty());
    let token = SecretString::from(token.ok_or("the answer has no access_token")?);
    let stated = answer.get("expires_in").and_then(|seconds| match seconds {
        Value::Number(seconds) => seconds.as_i64(),
        Value::String(seconds) => seconds.trim().parse().ok(),
        _ => None,
    });
    let stated = stated
        .and_then(TimeDelta::try_seconds)
        .and_then(|lifetime| now.checked_add_signed(lifetime));
    let expires_at = stated
        .or_else(|| jwt::expiry(&token))
        .unwrap_or(now + ASSUMED_LIFETIME);
    if expires_at <= now {
        return Err("the token has already ended (check this machine's clock)");
    }
    Ok((token, expires_at))
}

#[cfg(test)]
mod tests;
