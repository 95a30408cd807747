//! Which way PostgreSQL goes with the statements that matter when there is much to go through.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use tesa_reconciler::store::postgres::HOT;

use crate::support::postgres::Database;

/// Small for ever: the living processes, the pauses and latches of people, the parts of runs that go on.
const SMALL: &[&str] = &["replicas", "pauses", "latches", "work"];

/// Indexes that hold only the rows in question, so that all of it may be walked through.
const EXACT: &[&str] = &[
    "runs_one_running",
    "triggers_unanswered",
    "attempts_to_verify",
    "findings_live",
    "findings_live_of_job",
    "attempts_closed",
    "runs_finished",
    "observations_final",
    "findings_resolved",
    "triggers_answered",
];

/// Enough for the planner to see which tables are large, and how rare open attempts are.
const MUCH: &str = "
    INSERT INTO runs (job_name, org, trigger, replica, mode, actor, reason, token, started_at, last_beat, finished_at,
        outcome)
    SELECT 'job', 'org', 'schedule', 'r', 'enforce', 'daemon', '', n, now(), now(), now(), 'succeeded'
    FROM generate_series(1, 500) AS n;
    INSERT INTO observations (org, reference_id, external_reference, status, cancelling, observed_at)
    SELECT 'org', 'r' || n, 'x' || n, 'NOT_SENT', false, now() FROM generate_series(1, 30000) AS n;
    INSERT INTO decisions (org, reference_id, job_name, run_id, since, verdict, explanation)
    SELECT 'org', 'r' || n, 'job', 1, now() - n * interval '1 minute', 'act', '' FROM generate_series(1, 60000) AS n;
    INSERT INTO attempts (org, reference_id, external_reference, operation, state, job_name, rule, run_id, replica,
        before_status, before_cancelling, correlation_id, intended_at, changed_at, detail)
    SELECT 'org', 'r' || n, 'x' || n, 'create_activation', CASE n % 1000 WHEN 0 THEN 'unknown' ELSE 'confirmed' END,
        'job', 'rule', 1 + n % 500, 'r', 'NOT_SENT', false, gen_random_uuid(), now() - n * interval '1 minute', now(), ''
    FROM generate_series(1, 30000) AS n;
    INSERT INTO attempt_steps (attempt_id, state, at, who, detail)
    SELECT id, 'intended', now(), 'daemon', '' FROM attempts;
    INSERT INTO findings (org, reference_id, kind, detail, job_name, state, evidence, first_seen, last_seen, resolved_at)
    SELECT 'org', 'r' || n, 'stuck_request', 'NOT_SENT', 'job', CASE n % 50 WHEN 0 THEN 'open' ELSE 'resolved' END, '',
        now(), now(), CASE n % 50 WHEN 0 THEN NULL ELSE now() - n * interval '1 minute' END
    FROM generate_series(1, 30000) AS n;
    INSERT INTO slots (job_name, org, scheduled_at, run_id)
    SELECT 'job', 'org', now() - n * interval '1 minute', 1 + n % 500 FROM generate_series(1, 30000) AS n;
    INSERT INTO unrun_slots (job_name, org, result, first_at, last_at, recorded_at)
    SELECT 'job', 'org', 'missed', at, at, at FROM (
        SELECT now() - n * interval '1 minute' AS at FROM generate_series(1, 30000) AS n) AS ats;
    INSERT INTO triggers (job_name, org, who, reason, requested_at, run_id)
    SELECT 'job', 'org', 'cli:x', '', now() - n * interval '1 minute', CASE n % 3000 WHEN 0 THEN NULL ELSE 1 END
    FROM generate_series(1, 30000) AS n;
    INSERT INTO audit (at, who, action, subject, reason)
    SELECT now() - n * interval '1 minute', 'daemon', 'start', '', '' FROM generate_series(1, 30000) AS n;
    INSERT INTO looks (org, job_name, reference_id, looked_at, issues)
    SELECT 'org', 'job', 'r' || n, now(), '[]' FROM generate_series(1, 30000) AS n;
    ANALYZE";

async fn plan(connection: &mut PgConnection, statement: &str, batch: bool) -> Value {
    let parameters = (1..20)
        .take_while(|n| statement.contains(&format!("${n}")))
        .count();
    // Housekeeping's batches are small parts of what is old; with any limit, walking through all could be right. The
    // database finds that out by itself, and plans them for their values.
    let arguments = if batch {
        "now() - interval '15 days', 50".to_owned()
    } else {
        vec!["NULL"; parameters].join(", ")
    };
    let execute = format!("hot({arguments})");
    let mode = if batch { "custom" } else { "generic" };
    sqlx::raw_sql(AssertSqlSafe(format!(
        "SET plan_cache_mode = force_{mode}_plan"
    )))
    .execute(&mut *connection)
    .await
    .unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("PREPARE hot AS {statement}")))
        .execute(&mut *connection)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) EXECUTE {execute}"));
    let plan: Value = sqlx::query_scalar(explain)
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    sqlx::raw_sql("DEALLOCATE hot")
        .execute(connection)
        .await
        .unwrap();
    plan
}

/// The steps that walk through a whole table, or a whole index of one.
fn walks(node: &Value, found: &mut Vec<String>) {
    match node {
        Value::Array(nodes) => nodes.iter().for_each(|node| walks(node, found)),
        Value::Object(fields) => {
            let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
            let kind = text("Node Type");
            let sequential = kind == "Seq Scan" && !SMALL.contains(&text("Relation Name"));
            let index = ["Index Scan", "Index Only Scan", "Bitmap Index Scan"].contains(&kind);
            let whole = index
                && !fields.contains_key("Index Cond")
                && !EXACT.contains(&text("Index Name"))
                && !SMALL.contains(&text("Relation Name"));
            if sequential || whole {
                found.push(format!(
                    "{kind} {} {}",
                    text("Relation Name"),
                    text("Index Name")
                ));
            }
            fields.values().for_each(|node| walks(node, found));
        }
        _ => {}
    }
}

#[tokio::test]
async fn no_hot_statement_walks_through_a_whole_table() {
    let database = Database::migrated().await;
    let mut connection = database.connect().await;
    sqlx::raw_sql(MUCH).execute(&mut connection).await.unwrap();
    // The plan for any value, as the daemon's prepared statements get it; and as if every table were large.
    sqlx::raw_sql("SET enable_seqscan = off; SET random_page_cost = 1.1")
        .execute(&mut connection)
        .await
        .unwrap();
    let mut bad = Vec::new();
    for (name, statement) in HOT {
        let plan = plan(&mut connection, statement, name.starts_with("housekeeping")).await;
        let mut found = Vec::new();
        walks(&plan, &mut found);
        if !found.is_empty() {
            bad.push(format!("{name}: {found:?}"));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
    let mut found = Vec::new();
    let unindexed = plan(
        &mut connection,
        "SELECT 1 FROM attempts WHERE detail = $1",
        false,
    )
    .await;
    walks(&unindexed, &mut found);
    assert_eq!(found.len(), 1, "the test can tell");
}
