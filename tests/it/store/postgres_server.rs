//! What only PostgreSQL has: a clock of its own, a password, word of changes, a server that goes away.

use std::time::Duration;

use chrono::TimeDelta;
use futures::StreamExt;
use tesa_reconciler::store::attempts::{IntentLimits, IntentRefused};
use tesa_reconciler::store::{self, Page, SchemaState, Store, StoreError, StoreOptions};

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
async fn a_skewed_clock_neither_kills_the_living_nor_spares_the_dead() {
    let fresh = Fresh::postgres().await;
    let store = &*fresh.store;
    let minute = TimeDelta::minutes(1);
    let run = started(store, &new_run(None), at(0)).await;
    store
        .beat_replica(&replica_row("replica-1", 0), at(0))
        .await
        .unwrap();
    store
        .request_trigger(&job(), &org(), &person(), at(0))
        .await
        .unwrap();
    store.take_triggers(&replica(), at(0)).await.unwrap();
    intended(store, &run, &new_attempt("A"), at(0)).await;
    // Whatever the caller takes for now, years apart: only the stretch counts.
    let years = [-100_000_000, 0, 100_000_000].map(at);
    for now in years {
        assert!(
            store
                .reap_lost(Some(now - minute), now)
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            store.live_replicas(now - minute, now).await.unwrap().len(),
            1
        );
        assert!(
            store
                .recover_intended(&[], FIRST_LOOK, now)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            store
                .take_triggers(&"two".into(), now)
                .await
                .unwrap()
                .is_empty()
        );
    }
    fresh.time_passes(61).await;
    for now in years {
        assert!(
            store
                .live_replicas(now - minute, now)
                .await
                .unwrap()
                .is_empty()
        );
    }
    assert_eq!(
        store
            .take_triggers(&"two".into(), years[0])
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        store
            .reap_lost(Some(years[0] - minute), years[0])
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        store
            .recover_intended(&[], FIRST_LOOK, years[0])
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_replica_whose_clock_is_ahead_gets_no_second_hour_and_ends_no_pause() {
    let fresh = Fresh::postgres().await;
    let (good, ahead) = (fresh.store.clone(), fresh.again().await);
    let now = real_now();
    let in_61_minutes = now + TimeDelta::minutes(61);
    let lease = started(&*good, &new_run(None), now).await;
    let limits = IntentLimits {
        per_hour: 3,
        ..NO_LIMITS
    };
    let intend = async |store: &dyn Store, order: &str, at| {
        let intent = store.intend(&lease, &new_attempt(order), limits, at).await;
        intent.unwrap()
    };
    for order in ["A", "B"] {
        assert!(intend(&*good, order, now).await.is_ok());
    }
    assert!(intend(&*ahead, "C", in_61_minutes).await.is_ok());
    for (store, at) in [(&good, now), (&ahead, in_61_minutes)] {
        let answer = intend(&**store, "D", at).await;
        assert_eq!(answer, Err(IntentRefused::HourCap), "three in all");
    }

    let until = Some(now + TimeDelta::minutes(30));
    let who = person();
    good.pause(None, until, &who, now).await.unwrap();
    assert_eq!(ahead.pauses(in_61_minutes).await.unwrap().len(), 1);
    let answer = intend(&*ahead, "D", in_61_minutes).await;
    assert_eq!(answer, Err(IntentRefused::Paused));
    assert!(ahead.resume(None, &who, in_61_minutes).await.unwrap());
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
async fn what_another_process_steers_is_heard() {
    let fresh = Fresh::postgres().await;
    let other = fresh.again().await;
    let mut changes = fresh.store.changes();
    let soon = Duration::from_secs(2);
    // The first tells that the ear is open.
    tokio::time::timeout(Duration::from_secs(10), changes.next())
        .await
        .unwrap()
        .unwrap();
    other
        .request_trigger(&job(), &org(), &person(), at(0))
        .await
        .unwrap();
    tokio::time::timeout(soon, changes.next())
        .await
        .unwrap()
        .unwrap();
    other.pause(None, None, &person(), at(0)).await.unwrap();
    tokio::time::timeout(soon, changes.next())
        .await
        .unwrap()
        .unwrap();
    other.resume(None, &person(), at(1)).await.unwrap();
    tokio::time::timeout(soon, changes.next())
        .await
        .unwrap()
        .unwrap();
    // Nothing changed, nothing is said.
    other.resume(None, &person(), at(1)).await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_millis(200), changes.next()).await;
    assert!(quiet.is_err());
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
