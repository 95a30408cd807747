//! Stores as earlier versions left them, kept in `dumps/`: each is brought up to date by this version, and goes on.
//!
//! `0001` is the first. As long as nothing is released, its migration is edited in place and its dumps are written anew by
//! `UPDATE_DOCS=1 cargo nextest run store::dumps`. From the first release on a dump stays as it is, and each migration brings
//! one of its own. The other way, an older version on a newer store, is in `schema.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tesa_reconciler::domain::{AttemptState, RunOutcome};
use tesa_reconciler::store::attempts::{AttemptFilter, NewAttempt};
use tesa_reconciler::store::findings::FindingFilter;
use tesa_reconciler::store::runs::RunSummary;
use tesa_reconciler::store::{self, Page, SchemaState, Store, StoreOptions};
use uuid::Uuid;

use super::harness::Fresh;
use super::values::*;
use crate::support::postgres::{Database, server_command};

const NEWEST: &str = "0001";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/store/dumps")
}

fn dump(version: &str, backend: &str) -> PathBuf {
    folder().join(format!("{version}-{backend}.sql"))
}

/// Of all versions, oldest first.
fn dumps(backend: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let ending = format!("-{backend}.sql");
    let mut found: Vec<_> = files
        .filter(|file| file.to_string_lossy().ends_with(&ending))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no dump of {backend}");
    found
}

fn is_to_be_written() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// Something of each kind that the ledger's promises rest on.
async fn filled(store: &dyn Store) {
    let lease = started(store, &new_run(Some(at(-1))), at(0)).await;
    for &state in AttemptState::ALL {
        attempt_in(store, &lease, state.as_str(), state).await;
    }
    let seen = [observation("R-1")];
    store
        .remember_observations(&lease, &org(), &seen)
        .await
        .unwrap();
    let found = sighting("R-1", "NOT_SENT");
    store
        .flag_verified(&org(), &job(), &found, at(2))
        .await
        .unwrap();
    let (outcome, nothing) = (RunOutcome::Partial, RunSummary::default());
    store
        .finish(&lease, outcome, &nothing, at(3))
        .await
        .unwrap();
    store.pause(None, None, &person(), at(4)).await.unwrap();
    store.note("start", "x", &daemon(), at(5)).await.unwrap();
    store.settle().await.unwrap();
}

/// What was promised before is kept after.
async fn goes_on(store: Arc<dyn Store>) {
    store.migrate().await.unwrap_or_else(|error| {
        panic!(
            "{error}: `UPDATE_DOCS=1 cargo nextest run store::dumps` writes the newest dumps anew"
        )
    });
    let store = &*store;
    assert_eq!(store.check_schema().await.unwrap(), SchemaState::Current);
    let page = Page::first(99);
    let attempts = store
        .attempts(&AttemptFilter::default(), page)
        .await
        .unwrap();
    let mut states: Vec<_> = attempts.iter().map(|attempt| attempt.state).collect();
    states.sort();
    let mut all = AttemptState::ALL.to_vec();
    all.sort();
    assert_eq!(states, all);
    let steps = store.attempt_steps(attempts[0].id).await.unwrap();
    assert!(!steps.is_empty());
    let findings = store
        .findings(&FindingFilter::default(), page)
        .await
        .unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!(store.finding_counts().await.unwrap()[0].count, 1);
    assert_eq!(store.pauses(at(9)).await.unwrap().len(), 1);
    let last = &store.last_runs().await.unwrap()[0];
    assert_eq!(last.last_outcome, Some(RunOutcome::Partial));

    store.adopt(&person(), at(10)).await.unwrap();
    store.resume(None, &person(), at(11)).await.unwrap();
    let newest = attempts.iter().map(|attempt| attempt.run_id).max().unwrap();
    let lease = started(store, &new_run(None), at(12)).await;
    assert!(lease.run_id > newest, "no id is given twice");
    // The dumped ones were numbered from 1.
    let attempt = |order: &str, id| NewAttempt {
        correlation_id: Uuid::from_u64_pair(8, id),
        ..new_attempt(order)
    };
    let open = attempt(AttemptState::Unknown.as_str(), 1);
    let refused = store
        .intend(&lease, &open, NO_LIMITS, at(13))
        .await
        .unwrap();
    assert!(refused.is_err(), "its outcome is unknown still");
    intended(store, &lease, &attempt("another", 2), at(14)).await;
}

#[tokio::test]
async fn a_sqlite_store_of_each_version_is_brought_up_to_date_and_goes_on() {
    if is_to_be_written() {
        let fresh = Fresh::sqlite().await;
        filled(&*fresh.store).await;
        let file = fresh.url().replace("sqlite:", "");
        std::fs::write(dump(NEWEST, "sqlite"), sqlite_dump(&file).await).unwrap();
    }
    for file in dumps("sqlite") {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("t.db").display());
        let mut made = SqliteConnection::connect(&format!("{url}?mode=rwc"))
            .await
            .unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut made)
            .await
            .unwrap();
        made.close().await.unwrap();
        goes_on(store::open(&url, &StoreOptions::default()).await.unwrap()).await;
    }
}

/// What `sqlite3 FILE .dump` would print, triggers last: they would count again what is counted.
async fn sqlite_dump(file: &str) -> String {
    let mut from = SqliteConnection::connect(&format!("sqlite:{file}"))
        .await
        .unwrap();
    let schema: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'trigger', rowid",
    )
    .fetch_all(&mut from)
    .await
    .unwrap();
    let mut text = "PRAGMA foreign_keys = OFF;\nBEGIN;\n".to_owned();
    for (kind, name, sql) in &schema {
        if name != "sqlite_sequence" && kind != "trigger" {
            text += &format!("{sql};\n");
        }
    }
    for (_, name, _) in schema.iter().filter(|(kind, ..)| kind == "table") {
        let columns: Vec<String> =
            sqlx::query_scalar("SELECT 'quote(\"' || name || '\")' FROM pragma_table_info($1)")
                .bind(name)
                .fetch_all(&mut from)
                .await
                .unwrap();
        let rows = format!(
            "SELECT 'INSERT INTO {name} VALUES (' || {} || ');' FROM {name} ORDER BY 1",
            columns.join(" || ',' || ")
        );
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows))
            .fetch_all(&mut from)
            .await
            .unwrap();
        if name == "sqlite_sequence" {
            text += "DELETE FROM sqlite_sequence;\n";
        }
        for row in rows {
            text += &format!("{row}\n");
        }
    }
    for (_, _, sql) in schema.iter().filter(|(kind, ..)| kind == "trigger") {
        text += &format!("{sql};\n");
    }
    text + "COMMIT;\n"
}

#[tokio::test]
async fn a_postgresql_store_of_each_version_is_brought_up_to_date_and_goes_on() {
    if is_to_be_written() {
        let fresh = Fresh::postgres().await;
        filled(&*fresh.store).await;
        fresh.store.close().await;
        std::fs::write(dump(NEWEST, "postgres"), postgres_dump(&fresh.url())).unwrap();
    }
    for file in dumps("postgres") {
        let database = Database::empty().await;
        let text = std::fs::read_to_string(file).unwrap();
        let mut into = database.connect().await;
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut into)
            .await
            .unwrap();
        let opened = store::open(&database.url(), &StoreOptions::default()).await;
        goes_on(opened.unwrap()).await;
    }
}

/// In plain SQL that the oldest server takes, too.
fn postgres_dump(url: &str) -> String {
    // What the tests' connections say to the driver is no business of libpq's.
    let (url, parameters) = url.split_once('?').unwrap_or((url, ""));
    let parameters: Vec<&str> = parameters
        .split('&')
        .filter(|one| !one.starts_with("statement-cache"))
        .collect();
    let url = &format!("{url}?{}", parameters.join("&"));
    let printed = server_command("pg_dump")
        .args([
            "--inserts",
            "--no-owner",
            "--no-privileges",
            "--dbname",
            url,
        ])
        .output()
        .unwrap();
    assert!(printed.status.success(), "{printed:?}");
    let text = String::from_utf8(printed.stdout).unwrap();
    // psql's own commands, settings that older servers don't know, and what explains both.
    let ours = |line: &&str| {
        !line.starts_with('\\')
            && !line.starts_with("--")
            && !line.starts_with("SET ")
            && !line.contains("set_config('search_path'")
            && !line.is_empty()
    };
    text.lines()
        .filter(ours)
        .map(|line| format!("{line}\n"))
        .collect()
}
