//! What can go wrong: the faults themselves, without when and how often.

use serde::{Deserialize, Serialize};

use crate::domain::Filter;

/// What a fault does. "Applied" means that a write has its effect although the client can't know.
///
/// The first are about the work: what a write does, what a read or a list finds. Those from `Error` on are about the
/// answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// The answer comes late; the effect does not, so that a client which gives up has had it.
    Latency {
        /// By so much.
        ms: u64,
        /// And up to so much more.
        #[serde(default)]
        jitter_ms: u64,
    },
    /// A write is answered as if it had been carried out, and is not.
    NoEffect,
    /// A write is answered as if it had been carried out, and is carried out so much later, as the request then stands.
    LateEffect {
        /// So much later.
        ms: u64,
    },
    /// A write's effect leaves the date of the request's last change as it was.
    UndatedEffect,
    /// Reads and lists answer as things stood so long ago, with the dates of then; of what was not there yet, as it first
    /// was. Every few calls it is a replica upstream that lags behind.
    Stale {
        /// So long ago.
        ms: u64,
    },
    /// A request that is read does not say when it last changed, nor do its issues.
    NoDate,
    /// Lists and look-ups leave out requests that were made beside another one of their order.
    OmitSecond {
        /// From this age on.
        #[serde(default)]
        after_ms: u64,
    },
    /// Lists take no notice of one of their filters. A call may be hit by several of these.
    FilterIgnored {
        /// Which.
        filter: Filter,
    },
    /// Lists and look-ups leave out this share of what they should name, each list another, and look whole.
    Omit {
        /// 0 to 1.
        share: f64,
    },
    /// An error status. A storm of 404s is this on `gets`.
    Error {
        /// Which.
        status: u16,
        /// After the effect rather than instead of it.
        #[serde(default)]
        applied: bool,
        /// The form of its body.
        #[serde(default)]
        shape: ErrorShape,
    },
    /// 429, without an effect.
    Throttle {
        /// `Retry-After`, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The connection is closed without a byte of an answer.
    Drop {
        /// After the effect: *applied but answer lost*.
        #[serde(default)]
        applied: bool,
    },
    /// No answer ever, until the client or the sandbox goes.
    Hang {
        /// After the effect.
        #[serde(default)]
        applied: bool,
    },
    /// The answer's head and half of its body (of a list: of its first chunk), then the connection is closed.
    Cut,
    /// A success whose body is no JSON.
    Undecodable,
    /// A success whose body is `{}`.
    EmptyObject,
    /// 401 and the token is worth nothing from now on, as if it had been revoked.
    RevokeToken,
    /// A list trickles.
    SlowList {
        /// So many places of the world at a time.
        places: u32,
        /// With a pause between.
        pause_ms: u64,
    },
    /// A list that is whole to look at ends after this share of the world; with 0 it is empty.
    ShortList {
        /// 0 to 1.
        share: f64,
    },
    /// A list that ends like a short one, and says so.
    Page {
        /// 0 to 1.
        share: f64,
        /// What gives it away.
        says: More,
    },
    /// A success's body comes a byte at a time.
    Drip {
        /// With a pause between.
        #[serde(default = "a_second")]
        pause_ms: u64,
    },
    /// A success's body never ends: a list goes on with made-up ids, anything else with spaces.
    Endless {
        /// A byte at a time with such a pause between; as fast as it is read, if 0.
        #[serde(default)]
        pause_ms: u64,
    },
}

const fn a_second() -> u64 {
    1_000
}

/// What of a call a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Delay,
    Filter,
    Work,
    Answer,
}

impl Effect {
    pub(super) const fn part(&self) -> Part {
        match self {
            Self::Latency { .. } => Part::Delay,
            Self::FilterIgnored { .. } => Part::Filter,
            Self::NoEffect
            | Self::LateEffect { .. }
            | Self::UndatedEffect
            | Self::Stale { .. }
            | Self::NoDate
            | Self::OmitSecond { .. }
            | Self::Omit { .. } => Part::Work,
            _ => Part::Answer,
        }
    }
}

/// What gives a list away that is only the beginning of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum More {
    /// `"total"`: how many there are in all.
    Total,
    /// `"count"`: the same.
    Count,
    /// `"next"`: the address of the rest.
    Next,
    /// `"has_more": true`
    HasMore,
    /// `"nextPage"`: the number of the next part.
    NextPage,
}

/// The forms in which the gateway's errors are known to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// `{code,title,ref,details}`
    #[default]
    Object,
    /// `[{code,title,ref,details}]`
    Array,
    /// `{"errors":[{…}]}`
    Errors,
    /// `{code,title}`
    Short,
    /// `{code,status,message,detailMsg}`
    Gateway,
    /// No JSON at all.
    Text,
}
