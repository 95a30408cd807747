//! The door: everything that is asked of a request before a page sees it, and the headers that go with every answer.
//!
//! In this order: is the host one of ours (a foreign name that was made to point here must not be able to read through a
//! visitor's browser)? Who is it? For what changes something: does it come from a page of ours, and may they act? A page
//! behind the door finds the [`Person`] and need not ask again.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;

use super::passwords::{PasswordError, Passwords, Stamp, stamp};
use super::person::{Person, Role, is_name};
use super::proven::Proven;
use super::tries::Tries;
use super::{ANSWERED_WITHIN, texts};
use crate::clock::SharedClock;
use crate::config::{Console as Settings, TrustedProxy};
use crate::http::Peer;

/// Passwords looked at together: each takes 19 MiB and a core for a while.
const AT_ONCE: usize = 2;

/// What the browser may do with a page of ours: nothing that is not ours.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Everything that is asked at the door.
pub(super) struct Door {
    hosts: Vec<String>,
    proxy: Option<TrustedProxy>,
    passwords: Option<File>,
    tries: Tries,
    proven: Proven,
    clock: SharedClock,
    looking: Semaphore,
}

/// The password file as last read.
struct File {
    path: PathBuf,
    read: RwLock<(Stamp, Arc<Passwords>)>,
}

/// Why somebody is not let in.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// By a name that is none of ours.
    Host,
    /// They must say who they are.
    Unknown,
    /// They were wrong too often, and must wait.
    Wait(Duration),
    /// The header that names them does not.
    Header,
    /// The password file is of no use just now.
    NoPasswords,
    /// What it asks does not come from a page of ours.
    Foreign,
    /// They may only look.
    Viewer,
}

impl Door {
    pub(super) fn new(settings: &Settings, clock: SharedClock) -> Result<Self, PasswordError> {
        let passwords = match &settings.password_file {
            Some(path) => {
                let read = Arc::new(Passwords::read(path)?);
                // The first request reads it again: what changed in between is not missed.
                let read = RwLock::new(((None, 0), read));
                let path = path.clone();
                Some(File { path, read })
            }
            None => None,
        };
        Ok(Self {
            hosts: settings.hosts.clone(),
            proxy: settings.proxy.clone(),
            passwords,
            tries: Tries::default(),
            proven: Proven::new(&*clock),
            clock,
            looking: Semaphore::new(AT_ONCE),
        })
    }

    async fn ask(&self, request: &Parts) -> Result<Person, Refusal> {
        let headers = &request.headers;
        let host = host(request).ok_or(Refusal::Host)?;
        if !self.is_ours(name_of(host)) {
            return Err(Refusal::Host);
        }
        let peer = request.extensions.get::<Peer>();
        let from = peer.map(|peer| peer.0.ip().to_canonical());
        let from = from.ok_or(Refusal::Unknown)?;
        let person = self.who(headers, from).await?;
        if !matches!(request.method, Method::GET | Method::HEAD) {
            if !self.is_same_site(headers, host) {
                return Err(Refusal::Foreign);
            }
            if person.role != Role::Operator || person.name.is_none() {
                return Err(Refusal::Viewer);
            }
        }
        Ok(person)
    }

    /// An address is nobody's name, so nobody can make it point elsewhere.
    fn is_ours(&self, name: &str) -> bool {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self
                .hosts
                .iter()
                .any(|host| host.eq_ignore_ascii_case(name))
    }

    /// A browser says where a request comes from, and no page can make it lie. One that does not say so names the page's
    /// origin at least.
    fn is_same_site(&self, headers: &HeaderMap, host: &str) -> bool {
        let origin = one(headers, &header::ORIGIN);
        let origin_fits = |origin: &str| {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some_and(|authority| {
                authority.eq_ignore_ascii_case(host)
                    || self
                        .hosts
                        .iter()
                        .any(|ours| ours.eq_ignore_ascii_case(name_of(authority)))
            })
        };
        match one(headers, &HeaderName::from_static("sec-fetch-site")) {
            // Our pages send no referrer, and then a browser says `null` for the origin.
            Some("same-origin") => {
                origin.is_none_or(|origin| origin == "null" || origin_fits(origin))
            }
            Some(_) => false,
            None => origin.is_some_and(origin_fits),
        }
    }

    async fn who(&self, headers: &HeaderMap, from: IpAddr) -> Result<Person, Refusal> {
        if let Some(person) = self.named_by_proxy(headers, from)? {
            return Ok(person);
        }
        match (&self.passwords, &self.proxy) {
            (Some(file), _) => self.by_password(file, headers, from).await,
            (None, Some(_)) => Err(Refusal::Unknown),
            (None, None) => Ok(Person::anybody()),
        }
    }

    fn named_by_proxy(&self, headers: &HeaderMap, from: IpAddr) -> Result<Option<Person>, Refusal> {
        let Some(proxy) = &self.proxy else {
            return Ok(None);
        };
        if !proxy.from.iter().any(|network| network.contains(from)) {
            return Ok(None);
        }
        let mut named = headers.get_all(&proxy.header).iter();
        let Some(name) = named.next() else {
            return Ok(None);
        };
        // Two of them: the proxy let one through that somebody else wrote.
        let name = name
            .to_str()
            .ok()
            .filter(|name| named.next().is_none() && is_name(name));
        let name = name.ok_or(Refusal::Header)?;
        let may_act = proxy.operators.iter().any(|operator| operator == name);
        Ok(Some(Person {
            name: Some(name.to_owned()),
            role: if may_act {
                Role::Operator
            } else {
                Role::Viewer
            },
        }))
    }

    async fn by_password(
        &self,
        file: &File,
        headers: &HeaderMap,
        from: IpAddr,
    ) -> Result<Person, Refusal> {
        let (name, password) = basic(headers).ok_or(Refusal::Unknown)?;
        let (stamp, passwords) = file.now().await?;
        let now = self.clock.uptime();
        let digest = self.proven.digest(&name, &password);
        if let Some(person) = self.proven.person(&digest, stamp, now) {
            return Ok(person);
        }
        self.tries.begin(from, &name, now).map_err(Refusal::Wait)?;
        let role = {
            let Ok(_turn) = self.looking.acquire().await else {
                return Err(Refusal::NoPasswords);
            };
            let name = name.clone();
            let looked =
                tokio::task::spawn_blocking(move || passwords.verify(&name, &password)).await;
            looked.map_err(|_| Refusal::NoPasswords)?
        };
        let role = role.ok_or(Refusal::Unknown)?;
        self.tries.take_back(from, &name);
        let person = Person {
            name: Some(name),
            role,
        };
        self.proven
            .remember(digest, person.clone(), stamp, self.clock.uptime());
        Ok(person)
    }
}

impl File {
    /// As it is now.
    async fn now(&self) -> Result<(Stamp, Arc<Passwords>), Refusal> {
        let is = stamp(&self.path).await.ok_or(Refusal::NoPasswords)?;
        let (was, read) = self
            .read
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if is == was {
            return Ok((is, read));
        }
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || Passwords::read(&path)).await;
        let read = read.map_err(|_| Refusal::NoPasswords)?.map_err(|error| {
            tracing::warn!(%error, "nobody is let into the console");
            Refusal::NoPasswords
        })?;
        let now = (is, Arc::new(read));
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = now.clone();
        Ok(now)
    }
}

/// Whom the request is addressed to, with its port; none where that is said twice, or not at all.
fn host(request: &Parts) -> Option<&str> {
    let host = one(&request.headers, &header::HOST)?;
    // An absolute address names it too, and must not say otherwise.
    let named = request.uri.authority().map(|authority| authority.as_str());
    (named.is_none() || named == Some(host)).then_some(host)
}

/// Without the port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(':') && port.bytes().all(|c| c.is_ascii_digit()) => {
            name
        }
        _ => host,
    }
}

/// A header that stands once, as text.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

/// Name and password as a browser sends them.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    const LONGEST: usize = 1024;
    let value = one(headers, &header::AUTHORIZATION)?;
    let (scheme, code) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || code.len() > LONGEST {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(code.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    is_name(name).then(|| (name.to_owned(), password.to_owned()))
}

/// Lets a request in, or says why not; and gives every answer its headers.
pub(super) async fn pass(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut response = match door.ask(&parts).await {
        Ok(person) => {
            parts.extensions.insert(person);
            let request = Request::from_parts(parts, body);
            let answer = tokio::time::timeout(ANSWERED_WITHIN, next.run(request)).await;
            answer.unwrap_or_else(|_| {
                (StatusCode::SERVICE_UNAVAILABLE, texts::TOO_SLOW).into_response()
            })
        }
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What is shown is for whoever asked, and holds for a moment.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let plain = |status, text: &'static str| (status, text).into_response();
        match self {
            Self::Host => plain(StatusCode::MISDIRECTED_REQUEST, texts::FOREIGN_HOST),
            Self::Unknown => (
                StatusCode::UNAUTHORIZED,
                [(
                    header::WWW_AUTHENTICATE,
                    "Basic realm=\"tesa-reconciler\", charset=\"UTF-8\"",
                )],
                texts::WHO,
            )
                .into_response(),
            Self::Wait(pause) => (
                StatusCode::TOO_MANY_REQUESTS,
                [(header::RETRY_AFTER, pause.as_secs().max(1).to_string())],
                texts::TOO_OFTEN,
            )
                .into_response(),
            Self::Header => plain(StatusCode::BAD_REQUEST, texts::BAD_HEADER),
            Self::NoPasswords => plain(StatusCode::SERVICE_UNAVAILABLE, texts::NO_PASSWORDS),
            Self::Foreign => plain(StatusCode::FORBIDDEN, texts::FOREIGN_PAGE),
            Self::Viewer => plain(StatusCode::FORBIDDEN, texts::ONLY_LOOKS),
        }
    }
}
