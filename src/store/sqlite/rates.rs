//! What may be asked for next. One daemon at most works on a file, so what is given away stands in its memory: nothing is
//! written for it, and what a restart forgets is a fraction of a second. It goes by a clock that nobody sets. Only what the
//! upstream asked for outlives the process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::SqliteStore;
use crate::domain::ids::Org;
use crate::domain::rate::{Ask, Given, Grant, RateKind};
use crate::store::fault::Fault;
use crate::store::rows::{Micros, instant_opt};

/// Up to when each org's reads and writes are given away, on a clock that began with the store.
#[derive(Debug)]
pub(super) struct GivenAway {
    began: Instant,
    next: Mutex<UpTo>,
}

type UpTo = HashMap<(Org, RateKind), Option<DateTime<Utc>>>;

impl Default for GivenAway {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            next: Mutex::default(),
        }
    }
}

impl GivenAway {
    fn reserve(&self, org: &Org, kind: RateKind, ask: &Ask, held_back: TimeDelta) -> Grant {
        let now = DateTime::UNIX_EPOCH + self.began.elapsed();
        let mut all = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let next = all.entry((org.clone(), kind)).or_default();
        let before = Given {
            next: *next,
            held_back_until: Some(now + held_back),
        };
        let (after, grant) = before.reserve(ask, now);
        *next = after.next;
        grant
    }
}

const UNTIL: &str = "SELECT until FROM held_back WHERE org = $1";

/// See [`crate::store::Rates::reserve`].
pub(super) async fn reserve(
    store: &SqliteStore,
    org: &Org,
    kind: RateKind,
    ask: Ask,
    now: DateTime<Utc>,
) -> Result<Grant, Fault> {
    let until: Option<Micros> = sqlx::query_scalar(UNTIL)
        .bind(org.as_str())
        .fetch_optional(&store.readers)
        .await?;
    let until = instant_opt("held_back.until", until)?.unwrap_or(now);
    Ok(store.given.reserve(org, kind, &ask, until - now))
}
