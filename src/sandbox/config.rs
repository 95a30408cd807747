//! How a sandbox is set up.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::faults::Fault;

/// What a sandbox is made of. The defaults are the command's.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The tenants; any other is answered with 404.
    pub orgs: Vec<String>,
    /// Requests to begin with, per org.
    pub requests: u32,
    /// Decides everything that looks like chance.
    pub seed: u64,
    /// Exactly so many `NOT_SENT` requests per org, all of them older than 30 minutes at the start. `None`: about
    /// 3 % stuck ones and 1 % fresh ones.
    pub stuck_unsent: Option<usize>,
    /// Simulated seconds per second of the clock, for the requests' movement; 0: nothing moves by itself.
    pub speed: f64,
    /// What a create with a known external reference does.
    pub repeated_create: RepeatedCreate,
    /// How long an issued token is good.
    pub token_ttl: Duration,
    /// Leave `expires_in` out of the token answer, as the contract allows.
    pub omit_expires_in: bool,
    /// Bearer tokens that are good without being issued, for ever.
    pub tokens: Vec<String>,
    /// What others reach the sandbox by, up to and without the base path, where that is not its own address
    /// (`http://sandbox:8081`). An assertion's `aud` is held against it.
    pub public_url: Option<String>,
    /// How `notUpdatedSince` compares.
    pub ages: Ages,
    /// Every answer but the token's comes so much later; faults may add to it.
    pub latency: Duration,
    /// The `Date` header of answers says nothing.
    pub omit_date: bool,
    /// Faults from the start.
    pub faults: Vec<Fault>,
    /// Keep the instant of every read: what a test of rates counts. It takes memory without end, so no command sets it.
    pub keep_reads: bool,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            orgs: vec!["masmovil".to_owned(), "yoigo".to_owned()],
            requests: 10_000,
            seed: 7,
            stuck_unsent: None,
            speed: 1.0,
            repeated_create: RepeatedCreate::TakesUp,
            token_ttl: Duration::from_secs(3_600),
            omit_expires_in: false,
            tokens: Vec::new(),
            public_url: None,
            ages: Ages::default(),
            latency: Duration::ZERO,
            omit_date: false,
            faults: Vec::new(),
            keep_reads: false,
        }
    }
}

/// What a create does whose external reference is known already. The vendor does not document it, so a client must be
/// right under both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum RepeatedCreate {
    /// The unsent request is taken up again: `NOT_SENT` becomes `VALIDATING`. With no unsent one: 400.
    #[default]
    TakesUp,
    /// A second request is made beside the first, with a reference id of its own.
    SecondBeside,
}

/// How `notUpdatedSince` compares a request's date with the instant asked for. The vendor documents neither side, so a
/// client must be right under all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ages {
    /// A request updated at that very instant is listed too.
    pub inclusive: bool,
    /// Both are cut off to this first.
    pub to: Precision,
}

/// What dates are cut off to before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Precision {
    /// As they are.
    #[default]
    Exact,
    /// To the millisecond.
    Millisecond,
    /// To the second.
    Second,
    /// To the day in UTC: what was updated today is not listed until tomorrow.
    Day,
}

impl Ages {
    pub(super) fn is_older(self, updated: DateTime<Utc>, since: DateTime<Utc>) -> bool {
        let (updated, since) = (self.to.cut(updated), self.to.cut(since));
        updated < since || self.inclusive && updated == since
    }
}

impl Precision {
    fn cut(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let step = match self {
            Self::Exact => return at,
            Self::Millisecond => TimeDelta::milliseconds(1),
            Self::Second => TimeDelta::seconds(1),
            Self::Day => TimeDelta::days(1),
        };
        // A date too far away to be cut is compared as it is.
        at.duration_trunc(step).unwrap_or(at)
    }
}
