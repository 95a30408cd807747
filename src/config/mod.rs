//! The configuration: what a person may set, where it comes from, and what is wrong with it.
//!
//! Files here are one a section. What they build is *valid by type*: a [`Config`] that exists can be run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::ids::{JobName, Org};
use crate::domain::run::Mode;
use crate::domain::{Operation, ReadOperation, closed_set};
use crate::reconcile::rules::Rule;
use crate::schedule::Spec;

/// The whole configuration, validated.
#[derive(Debug, Clone)]
pub struct Config {
    /// The upstream.
    pub tesamanager: Tesamanager,
    /// The store.
    pub state: State,
    /// Metrics and health.
    pub http: Http,
    /// The process.
    pub daemon: Daemon,
    /// Restraint.
    pub safety: Safety,
    /// The duties.
    pub jobs: Vec<Job>,
}

/// `[tesamanager]`.
#[derive(Debug, Clone)]
pub struct Tesamanager {
    /// Without a trailing slash.
    pub base_url: String,
    /// The tenants.
    pub orgs: Vec<Org>,
    /// Where the bearer token comes from.
    pub credentials: Credentials,
    /// For a connection.
    pub connect_timeout: Duration,
    /// For a whole call; for the list call, between two chunks.
    pub request_timeout: Duration,
    /// Calls at once.
    pub max_in_flight: usize,
    /// Reads per second and org.
    pub reads_per_second: u32,
    /// Writes per second and org.
    pub writes_per_second: u32,
    /// A private CA (PEM).
    pub ca_file: Option<PathBuf>,
    /// Methods and paths of all sixteen operations.
    pub endpoints: Endpoints,
}

/// Where the bearer token comes from.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A file that holds the token; read again when it changes.
    TokenFile(PathBuf),
    /// A service account's JSON file.
    ServiceAccountFile(PathBuf),
}

/// Method and path templates of the operations; `{org}` and `{referenceId}` are filled in.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Of the writes.
    pub writes: std::collections::BTreeMap<Operation, Endpoint>,
    /// Of the reads.
    pub reads: std::collections::BTreeMap<ReadOperation, Endpoint>,
}

/// One operation's method and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `GET`, `POST`, `PUT`, …
    pub method: String,
    /// Begins with a slash.
    pub path: String,
}

/// `[state]`.
#[derive(Debug, Clone)]
pub struct State {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: String,
    /// A file with PostgreSQL's password.
    pub password_file: Option<PathBuf>,
    /// How long closed rows are kept.
    pub retention: Duration,
}

/// `[http]`.
#[derive(Debug, Clone)]
pub struct Http {
    /// Where `/metrics`, `/livez` and `/readyz` are served.
    pub listen: SocketAddr,
}

/// `[daemon]`.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// How long a stop may wait for what is in flight.
    pub drain_timeout: Duration,
    /// Filter of the log, in the `tracing` directive syntax.
    pub log_level: String,
    /// Form of the log.
    pub log_format: LogFormat,
}

closed_set! {
    /// The form of the log.
    LogFormat {
        /// For people on a terminal, JSON otherwise.
        Auto = "auto",
        /// For people.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
}

/// `[safety]`.
#[derive(Debug, Clone)]
pub struct Safety {
    /// Observe or enforce.
    pub mode: Mode,
    /// Cap per run.
    pub max_writes_per_run: u32,
    /// Cap per hour and org.
    pub max_writes_per_hour: u32,
    /// Hold when more than so many requests …
    pub hold_above_count: u32,
    /// … and more than this share of the org's open ones want a write.
    pub hold_above_fraction: f64,
    /// Then a person.
    pub max_attempts: u32,
    /// Pause between attempts.
    pub backoff: Backoff,
    /// Pauses before each verification of a write.
    pub verify_after: Vec<Duration>,
}

/// Exponential pause between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first.
    pub initial: Duration,
    /// The longest.
    pub max: Duration,
}

/// `[[job]]`.
#[derive(Debug, Clone)]
pub struct Job {
    /// Unique.
    pub name: JobName,
    /// What it does.
    pub kind: JobKind,
    /// When.
    pub schedule: Spec,
    /// A run's longest time.
    pub timeout: Duration,
    /// How long an observation may be trusted without reading again.
    pub reobserve_every: Duration,
    /// What to do about what it finds.
    pub rules: Vec<Rule>,
    /// Which checks of event streams are made, for `flag_events`.
    pub events: crate::reconcile::events::EventChecks,
}

closed_set! {
    /// The kinds of job.
    JobKind {
        /// Finds requests that aged beyond their rule and acts on them.
        RetryStuck = "retry_stuck",
        /// Resolves issues.
        ResolveIssues = "resolve_issues",
        /// Flags inconsistent events.
        FlagEvents = "flag_events",
        /// Keeps the store small.
        Housekeeping = "housekeeping",
    }
}
