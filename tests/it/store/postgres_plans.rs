//! Which way PostgreSQL goes with the statements that matter. Asked where there is much to go through: in `million.rs`.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use tesa_reconciler::store::postgres::{HOT, HOT_HERE};

/// Small for ever: the living processes, what people paused and hold, what is kept of each job, org or kind.
const SMALL: &[&str] = &[
    "replicas",
    "pauses",
    "latches",
    "notices",
    "job_memory",
    "finding_counts",
    "classes",
    "identity",
    "rates",
    "held_back",
];

/// Indexes that hold only the rows in question, so that all of it may be walked through.
const EXACT: &[&str] = &[
    "runs_one_running",
    "triggers_unanswered",
    "attempts_one_open",
    "attempts_one_open_a_request",
    "acknowledgements_ended",
    "attempts_to_verify",
    "findings_live",
    "findings_live_of_job",
    "attempts_closed",
    "runs_finished",
    "observations_final",
    "findings_resolved",
    "triggers_answered",
];

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
    let execute = if arguments.is_empty() {
        "hot".to_owned()
    } else {
        format!("hot({arguments})")
    };
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

/// What each statement of [`HOT`] walks through whole, when that is anything; with the planner's own settings.
pub async fn walkers(connection: &mut PgConnection) -> Vec<String> {
    let mut walkers = Vec::new();
    for (name, statement) in HOT.iter().chain(HOT_HERE) {
        let plan = plan(connection, statement, name.starts_with("housekeeping")).await;
        let mut found = Vec::new();
        walks(&plan, &mut found);
        if !found.is_empty() {
            walkers.push(format!("{name}: {found:?}"));
        }
    }
    walkers
}

/// The same of a statement that no index helps: so that a test which finds nothing is known to look.
pub async fn walks_of_an_unindexed_one(connection: &mut PgConnection) -> usize {
    let unindexed = "SELECT 1 FROM attempts WHERE detail = $1";
    let plan = plan(connection, unindexed, false).await;
    let mut found = Vec::new();
    walks(&plan, &mut found);
    found.len()
}
