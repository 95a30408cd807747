//! Findings as people list them: which, in which order, how many.

use super::{Backend, begins, text};
use crate::domain::finding::{Attention, FindingKind, FindingState};
use crate::domain::ids::{JobName, Org, RuleName};
use crate::store::Page;
use crate::store::fault::Fault;
use crate::store::findings::{Finding, FindingFilter, OldestKey};
use crate::store::rows::findings::FindingRow;
use crate::store::rows::{all, number as as_number, stamp_opt};

// The class says by which rule a list named it; of one that was read, the job's last decision does.
macro_rules! rule {
    () => {
        "coalesce((SELECT rule FROM classes WHERE id = findings.class_id),
             (SELECT rule FROM decisions AS d WHERE d.org = findings.org AND d.reference_id = findings.reference_id
                 AND d.job_name = findings.job_name))"
    };
}

macro_rules! filtered {
    ($driver:literal, $states:literal) => {
        sql!(" FROM findings WHERE " $driver " AND " $states "
              AND id < $1 AND (CAST($2 AS text) IS NULL OR org = $2) AND (CAST($3 AS text) IS NULL OR kind = $3)
              AND (CAST($5 AS text) IS NULL OR attention = $5)
              AND (CAST($6 AS text) IS NULL OR reference_id = $6 OR external_reference = $6)
              AND (CAST($7 AS text) IS NULL OR " begins!("reference_id", "$7") " OR " begins!("external_reference", "$7") ")
              AND (CAST($8 AS timestamptz) IS NULL OR first_seen >= $8)
              AND (CAST($9 AS timestamptz) IS NULL OR first_seen < $9)
              AND (CAST($10 AS text) IS NULL OR job_name = $10) AND (CAST($11 AS text) IS NULL OR detail = $11)
              AND (CAST($12 AS text) IS NULL OR " rule!() " = $12)")
    };
}

macro_rules! columns {
    () => {
        sql!("SELECT id, org, reference_id, kind, detail, external_reference, job_name, state, attention, evidence, since,
                 first_seen, times_seen, times_reopened, resolved_at, class_id, missing_since, read_at, " rule!() " AS rule,
                 (SELECT status FROM observations AS o
                  WHERE o.reference_id = findings.reference_id AND o.org = findings.org) AS status,
                 CASE WHEN class_id IS NULL OR missing_since IS NOT NULL THEN last_seen ELSE " greatest!() "(
                     last_seen, (SELECT listed_at FROM classes WHERE id = findings.class_id)) END AS last_seen")
    };
}

/// One way in: its list, newest first; its list, oldest first; its number.
macro_rules! way_in {
    ($driver:literal) => {
        way_in!(
            $driver,
            "(CAST($4 AS text) IS NOT NULL OR state <> 'resolved') AND (CAST($4 AS text) IS NULL OR state = $4)"
        )
    };
    ($driver:literal, $states:literal) => {
        WayIn {
            newest: sql!("" columns!() "" filtered!($driver, $states) " ORDER BY id DESC LIMIT $13"),
            oldest: sql!("" columns!() "" filtered!($driver, $states)
                "
                AND (CAST($15 AS bigint) IS NULL
                    OR (CAST($14 AS timestamptz) IS NULL AND since IS NULL AND id > $15)
                    OR (CAST($14 AS timestamptz) IS NOT NULL
                        AND (since > $14 OR since IS NULL OR (since = $14 AND id > $15))))
                ORDER BY since IS NULL, since, id LIMIT $13"),
            number: sql!("SELECT count(*)" filtered!($driver, $states)),
        }
    };
}

struct WayIn {
    newest: &'static str,
    oldest: &'static str,
    number: &'static str,
}

const ANY: WayIn = way_in!("true");
const ONLY_LIVE: WayIn = way_in!("state <> 'resolved'");
// Those that wait for a person are few, whatever the size of the table. No org is empty: the condition leads SQLite, which
// can't know that, to the index that holds those few.
const WAITING: WayIn = way_in!(
    "id IN (SELECT id FROM findings WHERE state <> 'resolved' AND attention IS NOT NULL AND org > '')",
    "(CAST($4 AS text) IS NULL OR state = $4)"
);
// What was said of a finding may outlive it.
const ACKNOWLEDGED: WayIn = way_in!(
    "(org, reference_id, kind, detail) IN (
        SELECT org, reference_id, kind, detail FROM acknowledgements WHERE ended_at IS NULL)",
    "CAST($4 AS text) = 'acknowledged'"
);
const OF_REFERENCE: WayIn = way_in!(
    "id IN (SELECT id FROM findings WHERE reference_id = $6
            UNION SELECT id FROM findings
            WHERE lower(external_reference) = lower($6) AND external_reference IS NOT NULL)"
);
const SEARCHED: WayIn = way_in!(
    "id IN (SELECT id FROM findings WHERE lower(reference_id) >= $7 AND lower(reference_id) < $7 || '\u{10ffff}'
            UNION SELECT id FROM findings
            WHERE external_reference IS NOT NULL
                AND lower(external_reference) >= $7 AND lower(external_reference) < $7 || '\u{10ffff}')"
);
pub(in crate::store) const LIST: &str = ANY.newest;
pub(in crate::store) const LIST_LIVE: &str = ONLY_LIVE.newest;
pub(in crate::store) const LIST_WAITING: &str = WAITING.newest;
pub(in crate::store) const LIST_OF_REFERENCE: &str = OF_REFERENCE.newest;
pub(in crate::store) const LIST_SEARCHED: &str = SEARCHED.newest;
pub(in crate::store) const OLDEST_SEARCHED: &str = SEARCHED.oldest;
pub(in crate::store) const NUMBER_SEARCHED: &str = SEARCHED.number;

/// One a way in: a single one for all filters could use no index.
fn way_in(filter: &FindingFilter) -> WayIn {
    if filter.state == Some(FindingState::Acknowledged) {
        ACKNOWLEDGED
    } else if filter.reference.is_some() {
        OF_REFERENCE
    } else if filter.search.is_some() {
        SEARCHED
    } else if filter.state == Some(FindingState::Resolved) {
        ANY
    } else if filter.attention.is_some() {
        WAITING
    } else {
        ONLY_LIVE
    }
}

macro_rules! bind_filter {
    ($query:expr, $filter:expr, $before:expr) => {
        $query
            .bind($before.unwrap_or(i64::MAX))
            .bind($filter.org.as_ref().map(Org::as_str))
            .bind($filter.kind.map(FindingKind::as_str))
            .bind($filter.state.map(FindingState::as_str))
            .bind($filter.attention.map(Attention::as_str))
            .bind($filter.reference.as_deref().map(text))
            .bind($filter.search.as_ref().map(|text| begins(text)))
            .bind(stamp_opt($filter.since))
            .bind(stamp_opt($filter.until))
            .bind($filter.job_name.as_ref().map(JobName::as_str))
            .bind($filter.detail.as_deref().map(text))
            .bind($filter.rule.as_ref().map(RuleName::as_str))
    };
}

/// The page of those that the filter wants, newest first.
pub(super) async fn newest(
    store: &Backend,
    filter: &FindingFilter,
    page: Page,
) -> Result<Vec<Finding>, Fault> {
    let asked = sqlx::query_as(way_in(filter).newest);
    let rows: Vec<FindingRow> = bind_filter!(asked, filter, page.before)
        .bind(i64::from(page.limit))
        .fetch_all(store.reading())
        .await?;
    all(rows)
}

/// By how long it has been so upstream.
pub(super) async fn oldest(
    store: &Backend,
    filter: &FindingFilter,
    after: Option<OldestKey>,
    limit: u32,
) -> Result<Vec<Finding>, Fault> {
    let asked = sqlx::query_as(way_in(filter).oldest);
    let rows: Vec<FindingRow> = bind_filter!(asked, filter, None)
        .bind(i64::from(limit))
        .bind(stamp_opt(after.and_then(|key| key.since)))
        .bind(after.map(|key| key.id.0))
        .fetch_all(store.reading())
        .await?;
    all(rows)
}

/// How many the filter wants, whatever the page.
pub(super) async fn number(store: &Backend, filter: &FindingFilter) -> Result<u64, Fault> {
    let asked = sqlx::query_scalar(way_in(filter).number);
    let count: i64 = bind_filter!(asked, filter, None)
        .fetch_one(store.reading())
        .await?;
    as_number("count", count)
}
