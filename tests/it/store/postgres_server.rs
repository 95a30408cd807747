//! What only PostgreSQL has: a password, a server that goes away.

use std::time::Duration;

use tesa_reconciler::store::{self, Page, SchemaState, StoreError, StoreOptions};

use super::harness::Fresh;
use super::values::*;
use crate::support::postgres::Database;

#[tokio::test]
async fn an_empty_database_is_behind_and_says_how_to_mend_it() {
    let database = Database::empty().await;
    let store = store::open(&database.url(), &StoreOptions::default())
        .await
        .unwrap();
    assert!(store.is_shared());
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
async fn eight_that_migrate_an_empty_database_at_once_all_succeed() {
    let database = Database::empty().await;
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(8));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (url, barrier) = (database.url(), barrier.clone());
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

#[tokio::test]
async fn cut_connections_heal_by_themselves() {
    let database = Database::migrated().await;
    let store = store::open(&database.url(), &StoreOptions::default())
        .await
        .unwrap();
    for _ in 0..3 {
        store.probe().await.unwrap();
        database.cut_connections().await;
        // The one in the pool is dead: found out before it is used.
        store.note("start", "x", &daemon(), at(0)).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_became_read_only_is_not_ready() {
    let database = Database::migrated().await;
    let store = store::open(&database.url(), &StoreOptions::default())
        .await
        .unwrap();
    for (read_only, ready) in [("off", true), ("on", false), ("off", true)] {
        database
            .set(&format!("default_transaction_read_only = {read_only}"))
            .await;
        database.cut_connections().await;
        let probed = store.probe().await;
        assert_eq!(probed.is_ok(), ready, "{probed:?}");
        if let Err(error) = probed {
            assert!(error.is_outage(), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_outage_within_the_call_s_time() {
    let begun = std::time::Instant::now();
    let options = StoreOptions {
        call_timeout: Duration::from_millis(500),
        ..StoreOptions::default()
    };
    let answer = store::open("postgres://nobody@127.0.0.1:1/none", &options).await;
    let error = answer.map(|_| ()).unwrap_err();
    assert!(error.is_outage(), "{error}");
    assert_eq!(error.reason(), "unavailable", "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_standby_refuses_writes_as_an_outage_and_is_left_for_its_successor() {
    let database = Database::migrated().await;
    database.set("default_transaction_read_only = on").await;
    let store = store::open(&database.url(), &StoreOptions::default())
        .await
        .unwrap();
    let error = store
        .note("start", "x", &daemon(), at(0))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    database.set("default_transaction_read_only = off").await;
    // The connection to what was a standby is thrown away, not kept for half an hour.
    store.note("start", "x", &daemon(), at(0)).await.unwrap();
}

#[tokio::test]
async fn a_password_file_that_is_not_there_or_empty_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (missing, empty) = (dir.path().join("missing"), dir.path().join("empty"));
    std::fs::write(&empty, "\n").unwrap();
    for file in [missing, empty] {
        let options = StoreOptions {
            password_file: Some(file.clone()),
            ..StoreOptions::default()
        };
        let answer = store::open("postgres://u@127.0.0.1:1/d", &options).await;
        let text = answer.map(|_| ()).unwrap_err().to_string();
        assert!(text.contains(&file.display().to_string()), "{text}");
    }
}

#[tokio::test]
async fn a_wrong_name_of_the_database_is_told_at_once() {
    let database = Database::empty().await;
    let url = database.url().replace("tesa_test_", "tesa_nowhere_");
    let begun = std::time::Instant::now();
    let error = store::open(&url, &StoreOptions::default())
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.reason(), "unavailable");
    assert!(error.to_string().contains("does not exist"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_nul_in_what_upstream_says_does_not_stop_the_batch() {
    let fresh = Fresh::postgres().await;
    let store = &*fresh.store;
    let both = [observation("a\0b"), observation("c")];
    store
        .remember_observations(&a_run(store).await, &org(), &both)
        .await
        .unwrap();
    let read = store
        .observations(&org(), &["a\0b".into(), "c".into()])
        .await
        .unwrap();
    assert_eq!(read.len(), 2);
    assert!(
        store
            .attempts(&Default::default(), Page::first(1))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn an_order_with_a_nul_is_marked_and_retried_like_any_other() {
    let fresh = Fresh::postgres().await;
    let (store, order) = (&*fresh.store, "o\0p".into());
    store
        .note_duplicates(&org(), &order, &["a\0b".into()], at(0))
        .await
        .unwrap();
    let retried = store.retry_order(&org(), &order, &person(), at(1)).await;
    assert_eq!(retried.unwrap(), Ok(()));
    let marks = store.order_marks(&org(), &[order]).await.unwrap();
    assert_eq!(marks.len(), 1);
}
