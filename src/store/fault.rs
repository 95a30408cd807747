//! From a driver's error to a [`StoreError`]: the one place where the classes are decided.
//!
//! A back end's code works with `?` on [`Fault`]; the name of the call and the limit that applied are added once,
//! at the call's edge (see [`super::timed`]). Only the meaning of a database's own error codes differs between
//! back ends, so only that comes in as a function.

use std::time::Duration;

use sqlx::error::DatabaseError;

use super::StoreError;

/// What went wrong inside a call, before the call's name is known.
#[derive(Debug)]
pub(super) enum Fault {
    /// The driver or the database.
    Sql(sqlx::Error),
    /// A row that can't be understood.
    Row(String),
    /// What the store rests on is not as it was left.
    Unavailable(String),
    /// The store's own refusal, already complete.
    Refused(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// What a database's own error code means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Somebody else holds the lock.
    Busy,
    /// The database itself ended what took too long.
    Timeout,
    /// The disk, the file or the server is unwell.
    Unavailable,
    /// Another session answers than the one that was asked before.
    Pooled,
    /// A table or column is not there.
    Schema,
    /// Our own fault.
    Internal,
}

/// Reads a database's own error code.
pub(super) type Classify = fn(&dyn DatabaseError) -> Meaning;

impl Fault {
    /// Completes the error with what only the call's edge knows.
    pub(super) fn into_store_error(
        self,
        operation: &'static str,
        limit: Duration,
        classify: Classify,
    ) -> StoreError {
        let error = match self {
            Self::Refused(refused) => return refused,
            Self::Row(detail) => return StoreError::Corrupt { operation, detail },
            Self::Unavailable(detail) => return StoreError::Unavailable { operation, detail },
            Self::Sql(error) => error,
        };
        let detail = error.to_string();
        match &error {
            sqlx::Error::PoolTimedOut => StoreError::Timeout {
                operation,
                limit,
                place: String::new(),
            },
            sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_) => StoreError::Unavailable { operation, detail },
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::TypeNotFound { .. } => StoreError::Corrupt { operation, detail },
            sqlx::Error::Database(told) => match classify(told.as_ref()) {
                Meaning::Busy => StoreError::Busy {
                    operation,
                    detail: format!(
                        "{detail}; another process holds its lock: try again, or end that process"
                    ),
                },
                Meaning::Timeout => StoreError::Timeout {
                    operation,
                    limit,
                    place: String::new(),
                },
                Meaning::Unavailable => StoreError::Unavailable { operation, detail },
                Meaning::Pooled => StoreError::Unavailable {
                    operation,
                    detail: format!(
                        "{detail}: a pooler that hands out another session for each transaction seems to stand before the server; name \
                         the server itself in state.url, because sessions are needed, with their settings and locks"
                    ),
                },
                Meaning::Schema => StoreError::Schema {
                    operation,
                    detail: format!("{detail}; run `tesa-reconciler migrate`"),
                },
                Meaning::Internal => StoreError::Internal { operation, detail },
            },
            _ => StoreError::Internal { operation, detail },
        }
    }
}
