//! Migrations: none, some, too many; by many at once.

use std::sync::Arc;

use tesa_reconciler::store::{self, SchemaState, StoreOptions};
use tokio::sync::Barrier;

use super::harness::Fresh;
use super::values::*;

behaviours![
    a_migrated_schema_is_current,
    migrating_again_changes_nothing,
    readiness_is_a_write;
    in a database:
    what_a_newer_program_only_added_stands_in_nobody_s_way,
    a_newer_program_s_schema_is_ahead_and_left_alone,
];

async fn a_migrated_schema_is_current(fresh: Fresh) {
    let state = fresh.store.check_schema().await.unwrap();
    assert_eq!(state, SchemaState::Current);
}

async fn migrating_again_changes_nothing(fresh: Fresh) {
    started(&*fresh.store, &new_run(None), at(0)).await;
    fresh.store.migrate().await.unwrap();
    let state = fresh.again().await.check_schema().await.unwrap();
    assert_eq!(state, SchemaState::Current);
    assert_eq!(fresh.store.last_runs().await.unwrap().len(), 1);
}

/// What a newer program leaves in the book of migrations.
const NEWER: &str =
    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', TRUE, '', 0)";

async fn what_a_newer_program_only_added_stands_in_nobody_s_way(fresh: Fresh) {
    assert_eq!(fresh.past_the_store(NEWER).await, Ok(1));
    let state = fresh.store.check_schema().await.unwrap();
    assert_eq!(state, SchemaState::Current);
    assert!(fresh.store.migrate().await.unwrap().is_empty());
    started(&*fresh.store, &new_run(None), at(0)).await;
}

async fn a_newer_program_s_schema_is_ahead_and_left_alone(fresh: Fresh) {
    assert_eq!(fresh.past_the_store(NEWER).await, Ok(1));
    let raised = "UPDATE schema_floor SET migration = 9999";
    assert_eq!(fresh.past_the_store(raised).await, Ok(1));
    let state = fresh.store.check_schema().await.unwrap();
    assert_eq!(state, SchemaState::Ahead);
    let error = fresh.store.migrate().await.unwrap_err();
    assert_eq!(error.reason(), "schema", "{error}");
    assert!(error.to_string().contains("newer"), "{error}");
}

async fn readiness_is_a_write(fresh: Fresh) {
    fresh.store.probe().await.unwrap();
    fresh.store.close().await;
    let error = fresh.store.probe().await.unwrap_err();
    assert_eq!(error.reason(), "unavailable", "{error}");
}

// From here on the store is made by the test itself, so it is SQLite's alone.

#[tokio::test]
async fn an_empty_file_is_behind_and_says_how_to_mend_it() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("t.db").display());
    let store = store::open(&url, &StoreOptions::default()).await.unwrap();
    let state = store.check_schema().await.unwrap();
    assert!(
        matches!(state, SchemaState::Behind { pending } if pending > 0),
        "{state:?}"
    );
    let error = store.pauses(at(0)).await.unwrap_err();
    assert_eq!(error.reason(), "schema", "{error}");
    assert!(
        error.to_string().contains("tesa-reconciler migrate"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_that_open_and_migrate_a_new_file_at_once_all_succeed() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("t.db").display());
    let barrier = Arc::new(Barrier::new(8));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (url, barrier) = (url.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                let store = store::open(&url, &StoreOptions::default()).await?;
                store.migrate().await?;
                store.check_schema().await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), SchemaState::Current);
    }
}
