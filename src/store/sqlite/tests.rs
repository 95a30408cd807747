//! What the conformance suite can't see: which way the statements go, and that the migrations are all compiled in.

use sqlx::{AssertSqlSafe, Row};

use super::sql::{acknowledgements, attempts, classes, finding_lists, findings};
use super::*;

async fn migrated() -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let store = SqliteStore::open(&path, &StoreOptions::default())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    (dir, store)
}

/// Walks that touch no more rows than they need: the given list itself, the live processes, the kept counts, an index
/// that holds only the rows in question.
const CHEAP: &[&str] = &[
    "SCAN json_each",
    "SCAN seen",
    "SCAN known",
    "SCAN CONSTANT ROW",
    "SCAN replicas",
    "SCAN latches",
    "SCAN notices",
    "SCAN standing_alerts",
    "SCAN asked",
    "SCAN page",
    "SCAN due",
    "SCAN c",
    "SCAN finding_counts",
    "USING INDEX findings_live",
    "USING INDEX runs_one_running",
    "USING INDEX triggers_unanswered",
];

#[tokio::test]
async fn no_hot_statement_walks_through_a_whole_table() {
    let (_dir, store) = migrated().await;
    for (name, statement) in HOT.iter().chain(HOT_HERE) {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan: Vec<String> = sqlx::query(explain)
            .fetch_all(&store.readers)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .iter()
            .map(|row| row.get("detail"))
            .collect();
        assert!(!plan.is_empty(), "{name} has no plan");
        let walks: Vec<_> = plan
            .iter()
            .filter(|step| step.starts_with("SCAN"))
            .filter(|step| !CHEAP.iter().any(|cheap| step.contains(cheap)))
            .collect();
        assert!(walks.is_empty(), "{name} walks: {walks:#?} of {plan:#?}");
    }
}

/// Statements of which another index than these would walk through far too much, and whether they sort.
const WAYS: &[(&str, &str, &str, bool)] = &[
    (
        "LIST_LIVE",
        finding_lists::LIST_LIVE,
        "findings_live",
        false,
    ),
    (
        "LIVE_ABOUT",
        findings::LIVE_ABOUT,
        "sqlite_autoindex_findings_1 (reference_id=? AND org=?",
        true,
    ),
    (
        "LIVE_MISSING",
        findings::LIVE_MISSING,
        "findings_missing (org=? AND job_name=?)",
        false,
    ),
    (
        "WITH_ATTENTION",
        findings::WITH_ATTENTION,
        "INDEX findings_with_attention (org=? AND job_name=?)",
        false,
    ),
    (
        "ATTENTION",
        findings::ATTENTION,
        "sqlite_autoindex_findings_1 (reference_id=?)",
        false,
    ),
    (
        "COUNTS",
        findings::COUNTS,
        "INDEX findings_oldest (org=? AND kind=? AND detail=?",
        false,
    ),
    (
        "MEMBERS",
        classes::MEMBERS,
        "COVERING INDEX findings_of_class (class_id=? AND reference_id>?)",
        false,
    ),
    (
        "NEWLY_OPEN",
        classes::NEWLY_OPEN,
        "sqlite_autoindex_findings_1 (reference_id=? AND org=? AND kind=? AND detail=?)",
        false,
    ),
    (
        "OF_NO_CLASS",
        classes::OF_NO_CLASS,
        "COVERING INDEX findings_of_no_class (org=? AND job_name=? AND reference_id>?)",
        false,
    ),
    (
        "WITHOUT_DETAILS",
        classes::WITHOUT_DETAILS,
        "findings_without_details (org=? AND job_name=?)",
        false,
    ),
    (
        "FILL",
        classes::FILL,
        "sqlite_autoindex_findings_1 (reference_id=?)",
        false,
    ),
    (
        "FEW",
        looks::FEW,
        "looks_again (org=? AND job_name=? AND again_at<?)",
        true,
    ),
    (
        "RESOLVE_LEFT_BEHIND",
        findings::RESOLVE_LEFT_BEHIND,
        "sqlite_autoindex_findings_1 (reference_id=? AND org=?)",
        false,
    ),
    (
        "MANY",
        looks::MANY,
        "PRIMARY KEY (org=? AND job_name=? AND reference_id>?)",
        false,
    ),
    (
        "MARKS",
        looks::MARKS,
        "PRIMARY KEY (org=? AND job_name=? AND reference_id>?)",
        false,
    ),
    (
        "AGAIN",
        sql::looks::AGAIN,
        "PRIMARY KEY (org=? AND job_name=? AND reference_id=?)",
        false,
    ),
    (
        "HOLDING_IDS",
        acknowledgements::HOLDING_IDS,
        "INDEX acknowledgements_of_request (org=?)",
        false,
    ),
    (
        "SINCE",
        attempts::SINCE,
        "attempts_closed (changed_at>?)",
        true,
    ),
];

#[tokio::test]
async fn what_is_asked_of_many_rows_follows_the_index_that_was_made_for_it() {
    let (_dir, store) = migrated().await;
    for (name, statement, index, sorts) in WAYS {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::query(explain)
            .fetch_all(&store.readers)
            .await
            .unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let follows = plan.iter().any(|step| step.contains(index));
        let sorted = plan.iter().any(|step| step.contains("TEMP B-TREE"));
        assert!(follows && sorted == *sorts, "{name}: {plan:#?}");
    }
}

#[test]
fn every_migration_in_the_folder_is_compiled_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(schema::MIGRATOR.iter().count(), files);
}

#[tokio::test]
async fn the_connections_are_set_as_the_module_says() {
    let (_dir, store) = migrated().await;
    // Whatever the writer was last used for.
    drop(store.begin().await.unwrap());
    drop(store.unhurried().await.unwrap());
    for (pool, pragma, wanted) in [
        (&store.writer, "journal_mode", "wal"),
        (&store.writer, "synchronous", "2"),
        (&store.writer, "busy_timeout", "4000"),
        (&store.writer, "foreign_keys", "1"),
        (&store.readers, "journal_mode", "wal"),
        (&store.readers, "temp_store", "2"),
    ] {
        let row = sqlx::query(AssertSqlSafe(format!("PRAGMA {pragma}")))
            .fetch_one(pool)
            .await
            .unwrap();
        let got = row
            .try_get::<String, _>(0)
            .unwrap_or_else(|_| row.get::<i64, _>(0).to_string());
        assert_eq!(got, wanted, "{pragma}");
    }
    let write = sqlx::query("DELETE FROM pauses")
        .execute(&store.readers)
        .await;
    assert!(
        write.unwrap_err().to_string().contains("readonly"),
        "a reader wrote"
    );
}
