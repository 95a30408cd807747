//! The upstream's failures by what the caller can do about them.
//!
//! No message here ever holds a token, a key or a person's data: of what the upstream says, only codes get in.

use std::time::Duration;

use crate::domain::IllHealth;
use crate::domain::code::Code;

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Time-out, connection trouble or a 5xx, and the retry budget is used up: try again at the next run.
    #[error(
        "{operation}: the upstream did not answer properly ({detail}); the next run asks again"
    )]
    Transient {
        /// The operation's name.
        operation: &'static str,
        /// Of what kind.
        cause: IllHealth,
        /// What happened: never a URL with a secret, never a body.
        detail: String,
    },
    /// 429: wait.
    #[error("{operation}: the upstream asks for patience (429){}", wait(*retry_after))]
    Throttled {
        /// The operation's name.
        operation: &'static str,
        /// `Retry-After`, if given.
        retry_after: Option<Duration>,
    },
    /// It was not sent: the org's rate allows no call, or nobody can say whether it does.
    #[error("{operation}: not asked: {detail}")]
    NoLeave {
        /// The operation's name.
        operation: &'static str,
        /// Why.
        detail: String,
    },
    /// No token, or the upstream refuses it even after one forced refresh: the whole run is futile.
    #[error("{operation}: not authorised: {detail}")]
    Auth {
        /// The operation's name.
        operation: &'static str,
        /// What to mend.
        detail: String,
    },
    /// 404: the request is not there (any more).
    #[error("{operation}: not found")]
    NotFound {
        /// The operation's name.
        operation: &'static str,
    },
    /// Another definite 4xx.
    #[error("{operation}: refused with {http_status}: {problem}")]
    Refused {
        /// The operation's name.
        operation: &'static str,
        /// The status code.
        http_status: u16,
        /// What the upstream says of it.
        problem: Problem,
    },
    /// A list beyond every measure: nothing may be concluded from its beginning.
    #[error("{operation}: {detail}")]
    TooLarge {
        /// The operation's name.
        operation: &'static str,
        /// How large, and the way out.
        detail: String,
    },
    /// An answer that can't be understood: that item is skipped, the run goes on.
    #[error("{operation}: the answer breaks the contract: {detail}")]
    Contract {
        /// The operation's name.
        operation: &'static str,
        /// Where and what, bounded and redacted.
        detail: String,
    },
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| {
        format!(", to be asked again in {} s", wait.as_secs())
    })
}

impl ReadError {
    /// More ids than one run looks at.
    pub fn too_many_ids(operation: &'static str, most: u64) -> Self {
        Self::TooLarge {
            operation,
            detail: format!(
                "more than {most} ids: if that many are right, raise [tesamanager] max_list_ids; if not, the upstream's filters don't work"
            ),
        }
    }

    /// No other item will fare better: the run ends instead of asking on.
    pub const fn ends_the_run(&self) -> bool {
        matches!(self, Self::Auth { .. } | Self::NoLeave { .. })
    }

    /// Counts against the circuit breaker: the upstream is unwell, rather than the question wrong.
    pub const fn is_ill_health(&self) -> bool {
        self.ill_health().is_some()
    }

    /// In which way it is.
    pub const fn ill_health(&self) -> Option<IllHealth> {
        match self {
            Self::Transient { cause, .. } => Some(*cause),
            Self::Throttled { .. } => Some(IllHealth::Http429),
            _ => None,
        }
    }
}

/// How a write failed, by what is known of its effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Failed before a byte left (DNS, connect, TLS, too late): it had no effect.
    #[error("not sent: {detail}")]
    NotSent {
        /// What happened.
        detail: String,
        /// The upstream could not be reached; none where the reason was ours.
        unreached: Option<IllHealth>,
    },
    /// A definite 4xx: it had no effect, and would be refused again.
    #[error("refused with {http_status}: {problem}")]
    Rejected {
        /// The status code.
        http_status: u16,
        /// What the upstream says of it.
        problem: Problem,
        /// `Retry-After` of a 429.
        retry_after: Option<Duration>,
    },
    /// Time-out, reset, 5xx or an undecodable answer: it may have happened.
    #[error("outcome unknown: {detail}")]
    Unknown {
        /// What happened.
        detail: String,
        /// The status code, if an answer came at all.
        http_status: Option<u16>,
    },
}

impl WriteError {
    /// In which way the upstream is unwell, if it is.
    pub fn ill_health(&self) -> Option<IllHealth> {
        match self {
            Self::NotSent { unreached, .. } => *unreached,
            Self::Rejected { http_status, .. } => {
                (*http_status == 429).then_some(IllHealth::Http429)
            }
            Self::Unknown { http_status, .. } => Some(match http_status {
                Some(408 | 500..) => IllHealth::Http5xx,
                _ => IllHealth::UnknownOutcome,
            }),
        }
    }
}

/// What the upstream says went wrong: its code, and no words of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// Its code.
    pub code: Option<Code>,
    /// What we have to say about it.
    pub hint: Option<&'static str>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.code, self.hint) {
            (Some(code), Some(hint)) => write!(f, "code {code}: {hint}"),
            (Some(code), None) => write!(f, "code {code}"),
            (None, Some(hint)) => f.write_str(hint),
            (None, None) => f.write_str("no code given"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_we_kept_back_says_nothing_of_the_upstreams_health() {
        let not_sent = |unreached| WriteError::NotSent {
            detail: String::new(),
            unreached,
        };
        assert_eq!(not_sent(None).ill_health(), None);
        let connect = Some(IllHealth::Connect);
        assert_eq!(not_sent(connect).ill_health(), connect);
    }
}
