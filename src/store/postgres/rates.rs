//! What may be asked for next: one statement moves an org's row on, by the database's clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::PgStore;
use super::values::age;
use crate::domain::ids::Org;
use crate::domain::rate::{Ask, Grant, RateKind};
use crate::store::fault::Fault;

/// The arithmetic of [`crate::domain::rate::Given`] (what lies too far ahead was written by a clock that was wrong).
/// `$3` is what is asked for, `$4` the horizon. Answers microseconds until the first call may go, or else until the row
/// is free; a row that moved in between is looked at as it was, which costs its asker one more question.
pub(super) const RESERVE: &str = "
    WITH held AS (
        SELECT max(until) AS until FROM held_back
        WHERE org = $1 AND until <= clock_timestamp() + interval '1 hour'
    ), got AS (
        INSERT INTO rates AS kept (org, kind, next)
        SELECT $1, $2, clock_timestamp() + $3 FROM held
        WHERE held.until IS NULL OR held.until < clock_timestamp() + $4
        ON CONFLICT (org, kind) DO UPDATE SET next = greatest(
            CASE WHEN kept.next <= clock_timestamp() + interval '1 minute' + $3 THEN kept.next END,
            (SELECT until FROM held), clock_timestamp()) + $3
        WHERE kept.next < clock_timestamp() + $4 OR kept.next > clock_timestamp() + interval '1 minute' + $3
        RETURNING next
    )
    SELECT (extract(epoch FROM (SELECT next FROM got) - $3 - clock_timestamp()) * 1000000)::bigint,
           (extract(epoch FROM greatest(
               (SELECT next FROM rates WHERE org = $1 AND kind = $2), (SELECT until FROM held)
           ) - clock_timestamp()) * 1000000)::bigint";

/// See [`crate::store::Rates::reserve`].
pub(super) async fn reserve(
    store: &PgStore,
    org: &Org,
    kind: RateKind,
    ask: Ask,
    _now: DateTime<Utc>,
) -> Result<Grant, Fault> {
    let span = |of| age(TimeDelta::from_std(of).unwrap_or(TimeDelta::MAX));
    let mut tx = store.unhurried().await?;
    let (granted, taken): (Option<i64>, Option<i64>) = sqlx::query_as(RESERVE)
        .bind(org.as_str())
        .bind(kind.as_str())
        .bind(span(ask.span()))
        .bind(span(ask.horizon))
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    let wait = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    Ok(match granted {
        Some(micros) => Grant::Granted(wait(micros)),
        None => Grant::Refused(wait(taken.unwrap_or(0)).saturating_sub(ask.horizon)),
    })
}
