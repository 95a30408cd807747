//! Of when a look at the world is: of now, or of the past, as a replica that lags behind shows it.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// The instant of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum AsOf {
    /// Shows every change, also one made before the clock was set back.
    Now(DateTime<Utc>),
    /// Shows what was changed by then.
    Past(DateTime<Utc>),
}

impl AsOf {
    /// So long before `now`; a lag beyond the calendar is the beginning of time.
    pub fn lagging(now: DateTime<Utc>, lag: Duration) -> Self {
        let then = chrono::Duration::from_std(lag)
            .ok()
            .and_then(|lag| now.checked_sub_signed(lag));
        Self::Past(then.unwrap_or(DateTime::UNIX_EPOCH))
    }

    pub const fn instant(self) -> DateTime<Utc> {
        match self {
            Self::Now(at) | Self::Past(at) => at,
        }
    }
}
