//! The states of one write, from intent to proof, and which may follow which.
//!
//! An attempt is committed to the ledger before its write is sent. What happened then is one of: it never left,
//! it was refused, it was accepted, or nobody knows. The last two are settled by *reading*: a 200 is not success,
//! the expected state seen is. The table here is the only one; the store refuses any step that it does not allow.

use chrono::{DateTime, Utc};

use super::closed_set;
use super::status::Status;

closed_set! {
    /// Where a write stands.
    AttemptState {
        /// Committed; the write may or may not have been sent.
        Intended = "intended",
        /// Failed before a byte left: may be retried.
        NotSent = "not_sent",
        /// A definite 4xx: no automatic repeat.
        Rejected = "rejected",
        /// 2xx; not yet proven.
        Accepted = "accepted",
        /// Time-out, reset, 5xx, undecodable 2xx, or the process died: it may have happened.
        Unknown = "unknown",
        /// The expected state was seen.
        Confirmed = "confirmed",
        /// Proven to have had no effect: may be retried under the backoff.
        Ineffective = "ineffective",
        /// Reading could not settle it: a person must.
        NeedsHuman = "needs_human",
    }
}

impl AttemptState {
    /// The states from which this one may be entered. An empty list means that it is only ever the first.
    pub const fn predecessors(self) -> &'static [AttemptState] {
        match self {
            Self::Intended => &[],
            Self::NotSent | Self::Rejected | Self::Accepted | Self::Unknown => &[Self::Intended],
            // A person may settle what reading could not.
            Self::Confirmed | Self::Ineffective => {
                &[Self::Accepted, Self::Unknown, Self::NeedsHuman]
            }
            Self::NeedsHuman => &[Self::Accepted, Self::Unknown],
        }
    }

    /// The states out of which the process that sent the write may take this step once it has its answer. That may come
    /// after others have called the write `unknown`, and is worth more than no answer.
    pub const fn answered_from(self) -> &'static [AttemptState] {
        match self {
            Self::NotSent | Self::Rejected | Self::Accepted => &[Self::Intended, Self::Unknown],
            Self::Unknown => &[Self::Intended],
            _ => &[],
        }
    }

    /// Its outcome isn't known: no other write may go to the same request.
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            Self::Intended | Self::Accepted | Self::Unknown | Self::NeedsHuman
        )
    }

    /// Waits for a read to settle it.
    pub const fn awaits_verification(self) -> bool {
        matches!(self, Self::Accepted | Self::Unknown)
    }
}

/// What tells two states of a request apart: if it is equal, nothing happened to the request in between.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Version {
    /// The status.
    pub status: Status,
    /// A cancellation in flight.
    pub cancelling: bool,
    /// The upstream's own date of change.
    pub last_updated: Option<DateTime<Utc>>,
}

/// The same of an issue, within the one that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct IssueVersion {
    /// Solved.
    pub resolved: bool,
    /// The upstream's own date of change.
    pub last_updated: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_but_the_first_can_be_reached() {
        for state in AttemptState::ALL {
            assert_eq!(
                state.predecessors().is_empty(),
                *state == AttemptState::Intended,
                "{state}"
            );
        }
    }

    #[test]
    fn a_closed_attempt_never_changes_again() {
        for next in AttemptState::ALL {
            for before in [next.predecessors(), next.answered_from()].concat() {
                assert!(before.is_open(), "{before} -> {next}");
            }
        }
    }
}
