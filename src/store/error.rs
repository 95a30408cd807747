//! The store's failures by what the caller can do about them.

use std::time::Duration;

/// Why a store call failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not reachable, restarting, or its file is gone: nothing is written upstream until it heals.
    #[error("{operation}: the store can't be reached: {detail}")]
    Unavailable {
        /// The call.
        operation: &'static str,
        /// What the driver says.
        detail: String,
    },
    /// It did not answer in time. The call's transaction is rolled back, unless its commit was already on its way:
    /// calls for which that matters are safe to repeat.
    #[error("{operation}: the store{} did not answer within {limit:?}", at(place))]
    Timeout {
        /// The call.
        operation: &'static str,
        /// The limit that applied.
        limit: Duration,
        /// Where it is; empty where that is no question.
        place: String,
    },
    /// Another process holds it.
    #[error("{operation}: the store is busy: {detail}")]
    Busy {
        /// The call.
        operation: &'static str,
        /// Who, if known, and what to do.
        detail: String,
    },
    /// The lease was lost: another replica holds the run now, and what this one wants to write is refused.
    #[error("{operation}: the run's lease is no longer ours (fencing token {token})")]
    Fenced {
        /// The call.
        operation: &'static str,
        /// The stale token.
        token: i64,
    },
    /// A step that the attempt's state does not allow.
    #[error("attempt {attempt} is {from}, so it can't become {to}")]
    IllegalStep {
        /// The row.
        attempt: crate::domain::AttemptId,
        /// Its state.
        from: crate::domain::AttemptState,
        /// What was asked for.
        to: crate::domain::AttemptState,
    },
    /// No such row.
    #[error("{operation}: there is no {what}")]
    NotFound {
        /// The call.
        operation: &'static str,
        /// What was looked for.
        what: String,
    },
    /// Not as things stand, and nothing was changed: what the caller named is not what the call needs.
    #[error("{operation}: {detail}")]
    Refused {
        /// The call.
        operation: &'static str,
        /// What stands in the way, and what to do.
        detail: String,
    },
    /// A row contradicts itself: written by something else, or damaged.
    #[error("{operation}: a row contradicts itself: {detail}")]
    Corrupt {
        /// The call.
        operation: &'static str,
        /// Which and how.
        detail: String,
    },
    /// The schema is not this program's.
    #[error("{operation}: {detail}")]
    Schema {
        /// The call.
        operation: &'static str,
        /// What to do.
        detail: String,
    },
    /// A newer program changed the schema: this one can't work with it, however often it is started.
    #[error("{operation}: {detail}")]
    TooNew {
        /// The call.
        operation: &'static str,
        /// What to do.
        detail: String,
    },
    /// Anything else the database refuses: a fault of ours.
    #[error("{operation}: {detail}")]
    Internal {
        /// The call.
        operation: &'static str,
        /// What the driver says.
        detail: String,
    },
}

fn at(place: &str) -> String {
    if place.is_empty() {
        String::new()
    } else {
        format!(" at {place}")
    }
}

impl StoreError {
    /// Says where the database is that is away, unless it says so already.
    pub(super) fn at(mut self, is_at: &str) -> Self {
        match &mut self {
            Self::Timeout { place, .. } => is_at.clone_into(place),
            Self::Unavailable { detail, .. } if !detail.contains(is_at) => {
                *detail = format!("{is_at}: {detail}");
            }
            _ => {}
        }
        self
    }

    /// The label of `store_errors_total`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout { .. } => "timeout",
            Self::Busy { .. } => "busy",
            Self::Fenced { .. } => "fenced",
            Self::IllegalStep { .. } => "illegal_step",
            Self::NotFound { .. } => "not_found",
            Self::Refused { .. } => "refused",
            Self::Corrupt { .. } => "corrupt",
            Self::Schema { .. } | Self::TooNew { .. } => "schema",
            Self::Internal { .. } => "internal",
        }
    }

    /// Every label of [`StoreError::reason`].
    pub const REASONS: &'static [&'static str] = &[
        "unavailable",
        "timeout",
        "busy",
        "fenced",
        "illegal_step",
        "not_found",
        "refused",
        "corrupt",
        "schema",
        "internal",
    ];

    /// The store itself is unwell, as opposed to refusing this one call.
    pub const fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::Timeout { .. } | Self::Busy { .. }
        )
    }
}
