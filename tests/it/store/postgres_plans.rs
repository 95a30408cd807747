//! Which way PostgreSQL goes with the statements that matter when there is much to go through.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use tesa_reconciler::store::postgres::HOT;

use crate::support::postgres::Database;

/// Small for ever: the living processes, the pauses and latches of people.
const SMALL: &[&str] = &["replicas", "pauses", "latches"];

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

async fn plan(connection: &mut PgConnection, statement: &str) -> Value {
    let parameters = (1..20)
        .take_while(|n| statement.contains(&format!("${n}")))
        .count();
    let nulls = vec!["NULL"; parameters].join(", ");
    let execute = if parameters == 0 {
        "hot".to_owned()
    } else {
        format!("hot({nulls})")
    };
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
    // The plan for any value, as the daemon's prepared statements get it; and as if every table were large.
    sqlx::raw_sql("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        .execute(&mut connection)
        .await
        .unwrap();
    let mut bad = Vec::new();
    for (name, statement) in HOT {
        let plan = plan(&mut connection, statement).await;
        let mut found = Vec::new();
        walks(&plan, &mut found);
        if !found.is_empty() {
            bad.push(format!("{name}: {found:?}"));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
    let mut found = Vec::new();
    let unindexed = plan(&mut connection, "SELECT 1 FROM attempts WHERE detail = $1").await;
    walks(&unindexed, &mut found);
    assert_eq!(found.len(), 1, "the test can tell");
}
