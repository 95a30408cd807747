//! The schedule's books, read past the store: every slot has one fate, and no run is left without an end.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};

/// What became of a job's slots, for all orgs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Slots {
    pub ran: i64,
    pub skipped: i64,
    pub missed: i64,
}

/// Looks at every slot from the first to the last that is accounted for: none may be unaccounted for, none may have two
/// fates, none may have two runs.
pub async fn slots(connection: &mut PgConnection, job: &str, every_seconds: i32) -> Slots {
    let fates = "
        WITH fates AS (
            SELECT org, 'run' AS result, scheduled_at AS first_at, scheduled_at AS last_at FROM slots WHERE job_name = $1
            UNION ALL
            SELECT org, result, first_at, last_at FROM unrun_slots WHERE job_name = $1 AND result <> 'deduplicated'),
        spans AS (SELECT org, min(first_at) AS first_at, max(last_at) AS last_at FROM fates GROUP BY org)
        SELECT spans.org, slot, array(
            SELECT result::text FROM fates
            WHERE fates.org = spans.org AND slot BETWEEN fates.first_at AND fates.last_at) AS fates
        FROM spans, generate_series(first_at, last_at, make_interval(secs => $2)) AS slot
        ORDER BY slot";
    let rows = sqlx::query(fates)
        .bind(job)
        .bind(every_seconds)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    let mut slots = Slots::default();
    for row in rows {
        let (org, slot): (String, DateTime<Utc>) = (row.get("org"), row.get("slot"));
        let fates: Vec<String> = row.get("fates");
        match &fates[..] {
            [one] if one == "run" => slots.ran += 1,
            [one] if one == "missed" => slots.missed += 1,
            [_skipped] => slots.skipped += 1,
            _ => panic!("{job}/{org}: the slot {slot} has these fates: {fates:?}"),
        }
    }
    let twice = "SELECT count(*) FROM (
        SELECT 1 FROM runs WHERE job_name = $1 AND slot IS NOT NULL GROUP BY org, slot HAVING count(*) > 1) AS twice";
    let row = sqlx::query(twice).bind(job).fetch_one(&mut *connection);
    let twice: i64 = row.await.unwrap().get(0);
    assert_eq!(twice, 0, "{job}: slots with two runs");
    slots
}

/// How the runs ended, by outcome; `none` for those that did not.
pub async fn outcomes(connection: &mut PgConnection) -> Vec<(String, i64)> {
    let outcomes = "SELECT coalesce(outcome, 'none'), count(*) FROM runs GROUP BY 1 ORDER BY 1";
    let rows = sqlx::query_as(outcomes).fetch_all(connection).await;
    rows.unwrap()
}
