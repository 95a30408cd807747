//! The upstream over HTTP: the one implementation of [`Tesamanager`] that talks to a real one.
//!
//! Thin on purpose. Addresses, limits, tokens, retries and decoding are files of their own; here they meet.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use reqwest::header::DATE;
use reqwest::{Response, Url};
use secrecy::SecretString;

use super::auth::{AuthError, Refusals, Tokens};
use super::carrier::{Carrier, InProcess};
use super::endpoints::{AddressError, Routes};
use super::id_stream::Bounds;
use super::limits::{Limits, LocalRates, Rates};
use super::read::{self, Question};
use super::retry::Budget;
use super::reuse::Reuse;
use super::skew::Skew;
use super::tls::{self, TlsError};
use super::{Accepted, IdStream, ListFilter, ReadError, Ready, Tesamanager, WriteError};
use super::{id_stream, wire};
use crate::clock::SharedClock;
use crate::config;
use crate::domain::attributes::Declared;
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::rate::Haste;
use crate::domain::{Event, Issue, ReadOperation, Request};
use crate::reconcile::guard::WritePermit;
use crate::telemetry::record;
use crate::zone::Zone;

/// Why there is no client. All of these are faults of the configuration or the machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Base URL, methods, paths.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The HTTP client. Clones share connections, limits and the token.
#[derive(Debug, Clone)]
pub struct HttpTesamanager {
    pub(super) carrier: Carrier,
    pub(super) routes: Arc<Routes>,
    pub(super) tokens: Arc<Tokens>,
    /// Whose writes are not to be tried.
    pub(super) refusals: Arc<Refusals>,
    pub(super) limits: Arc<Limits>,
    pub(super) haste: Haste,
    pub(super) budget: Arc<Budget>,
    pub(super) reuse: Arc<Reuse>,
    pub(super) clock: SharedClock,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    bounds: Bounds,
    timezone: Zone,
    attributes: Arc<Declared>,
    skew: Arc<Mutex<Skew>>,
}

impl HttpTesamanager {
    /// Builds the client without calling anyone. Credentials are read when they are first needed. Its rates are this
    /// process's alone.
    pub fn new(settings: &config::Tesamanager, clock: SharedClock) -> Result<Self, BuildError> {
        Self::with_rates(settings, clock, Arc::new(LocalRates::default()))
    }

    /// The same, with rates that are kept elsewhere.
    pub fn with_rates(
        settings: &config::Tesamanager,
        clock: SharedClock,
        rates: Arc<dyn Rates>,
    ) -> Result<Self, BuildError> {
        let http = tls::client(settings)?;
        let tokens = Tokens::new(settings, http.clone(), clock.clone());
        Self::carried(settings, clock, rates, Carrier::Network(http), tokens)
    }

    /// The same client of an upstream in this process, which is good with `token`.
    pub fn in_process(
        settings: &config::Tesamanager,
        clock: SharedClock,
        rates: Arc<dyn Rates>,
        upstream: Arc<dyn InProcess>,
        token: SecretString,
    ) -> Result<Self, BuildError> {
        let carrier = Carrier::InProcess(upstream);
        Self::carried(settings, clock, rates, carrier, Tokens::given(token))
    }

    fn carried(
        settings: &config::Tesamanager,
        clock: SharedClock,
        rates: Arc<dyn Rates>,
        carrier: Carrier,
        tokens: Tokens,
    ) -> Result<Self, BuildError> {
        let limits = Limits::new(
            rates,
            settings.reads_per_second,
            settings.writes_per_second,
            settings.max_in_flight,
            settings.orgs.len(),
        );
        Ok(Self {
            routes: Arc::new(Routes::new(&settings.base_url, &settings.endpoints)?),
            tokens: Arc::new(tokens),
            refusals: Arc::default(),
            limits: Arc::new(limits),
            haste: Haste::Sweep,
            budget: Arc::default(),
            reuse: Arc::new(Reuse::new(settings)),
            clock,
            connect_timeout: settings.connect_timeout,
            request_timeout: settings.request_timeout,
            bounds: Bounds {
                ids: settings.max_list_ids.into(),
                bytes: settings.max_list_bytes.into(),
                time: settings.request_timeout,
            },
            timezone: settings.timezone,
            attributes: Arc::new(settings.attributes.clone()),
            skew: Arc::default(),
            carrier,
        })
    }

    /// The same client for those for whom somebody waits: their calls overtake a sweep's.
    #[must_use]
    pub fn prompt(&self) -> Self {
        Self {
            haste: Haste::Prompt,
            ..self.clone()
        }
    }

    /// How far the upstream's clock was ahead of ours when it last answered. Its `Date` header has whole seconds,
    /// so anything within a second or two is no skew.
    pub fn clock_skew(&self) -> Option<TimeDelta> {
        self.skew().latest()
    }

    fn skew(&self) -> MutexGuard<'_, Skew> {
        self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Can a token be had? For `doctor`, which asks before anything is called.
    pub async fn check_token(&self) -> Result<(), AuthError> {
        self.tokens.bearer().await.map(drop)
    }

    /// Does anything answer at `base_url`, over TLS that we trust? Sends no token, and any answer will do. For
    /// `doctor`; the error says what happened, without the URL.
    pub async fn check_reachable(&self, base_url: &str) -> Result<(), String> {
        let within = self.connect_timeout + self.request_timeout;
        let url = Url::parse(base_url).map_err(|error| error.to_string())?;
        let answer = tokio::time::timeout(within, self.carrier.get(url)).await;
        let answer = answer.map_err(|_| format!("no answer within {} s", within.as_secs_f64()))?;
        let response = answer.map_err(|failed| failed.detail)?;
        self.note_skew(&response);
        Ok(())
    }

    pub(super) fn note_skew(&self, response: &Response) {
        if let Some(date) = response.headers().get(DATE) {
            self.skew().note(date, self.clock.now());
        }
    }

    async fn about<T>(
        &self,
        operation: ReadOperation,
        org: &Org,
        id: &ReferenceId,
        decode: impl FnOnce(&[u8], &wire::Dates) -> Result<T, wire::Undecodable>,
    ) -> Result<T, ReadError> {
        let question = Question {
            operation,
            org,
            id: Some(id),
            query: String::new(),
            asked: AtomicU32::new(0),
        };
        let body = self.read_whole(&question).await?;
        let margin = self.skew().margin();
        let dates = wire::Dates::new(self.timezone, self.clock.now(), margin);
        let decoded = decode(&body, &dates);
        record::dates_without_zone(dates.without_zone());
        decoded.map_err(|fault| read::violation(operation, org, &fault.to_string(), &body))
    }
}

#[async_trait]
impl Tesamanager for HttpTesamanager {
    async fn list_reference_ids(
        &self,
        org: &Org,
        filter: &ListFilter,
    ) -> Result<IdStream, ReadError> {
        if filter.selects_nothing() {
            return Ok(Box::pin(futures::stream::empty()));
        }
        let operation = ReadOperation::ListReferenceIds;
        let question = Question {
            operation,
            org,
            id: None,
            query: wire::query(filter),
            asked: AtomicU32::new(0),
        };
        let response = self.read_head(&question).await?;
        let org = org.clone();
        Ok(id_stream::stream(
            operation.as_str(),
            response,
            self.bounds,
            Box::new(move |detail| read::violation(operation, &org, detail, b"")),
        ))
    }

    async fn get_request(&self, org: &Org, id: &ReferenceId) -> Result<Request, ReadError> {
        self.about(ReadOperation::GetRequest, org, id, |body, dates| {
            let mut request = wire::request(body, id, dates, self.clock.now())?;
            request.seen.attributes = self.attributes.read(body);
            Ok(request)
        })
        .await
    }

    async fn get_request_events(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<Event>, ReadError> {
        self.about(ReadOperation::GetRequestEvents, org, id, |body, dates| {
            wire::events(body, id, dates)
        })
        .await
    }

    async fn get_request_issues(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<Issue>, ReadError> {
        self.about(ReadOperation::GetRequestIssues, org, id, |body, dates| {
            wire::issues(body, id, dates)
        })
        .await
    }

    fn clocks_apart(&self) -> Option<Duration> {
        self.skew().worst()
    }

    async fn prepare_write(&self, org: &Org) -> Result<Ready, ReadError> {
        let no_token = |error: AuthError| read::no_token("write", &error);
        // Without a token no place in the rate is taken; and while one was waited for, the token may have ended.
        self.tokens.bearer().await.map_err(no_token)?;
        let admitted = self.limits.admit_write(org, self.haste).await;
        admitted.map_err(|no| read::no_leave("write", &no))?;
        let bearer = self.tokens.bearer().await.map_err(no_token)?;
        Ok(Ready { bearer })
    }

    fn writes_are_refused(&self, org: &Org) -> bool {
        self.refusals.stand_for(org)
    }

    async fn write(&self, permit: WritePermit, ready: Ready) -> Result<Accepted, WriteError> {
        self.write_once(permit, ready).await
    }
}
