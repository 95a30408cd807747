//! A ledger that was emptied, lost, copied or restored is told from a first start and from the live one.

use std::fs;
use std::path::Path;

use tesa_reconciler::store::{self, Doubt, Page, Store, StoreOptions};

use super::harness::Fresh;
use super::values::*;
use crate::support::postgres::Database;

behaviours![
    a_first_start_is_in_no_doubt;
    in a database:
    a_store_whose_rows_were_deleted_is_in_doubt_until_it_is_adopted,
];

async fn a_first_start_is_in_no_doubt(fresh: Fresh) {
    for _ in 0..2 {
        assert_eq!(fresh.store.doubt().await.unwrap(), None);
        fresh.store.settle().await.unwrap();
        assert_eq!(fresh.again().await.doubt().await.unwrap(), None);
    }
    assert_eq!(fresh.store.adopt(&person(), at(0)).await.unwrap(), None);
    let audit = fresh.store.audit(&Default::default(), Page::first(9)).await;
    assert!(audit.unwrap().is_empty(), "nothing was adopted");
}

async fn a_store_whose_rows_were_deleted_is_in_doubt_until_it_is_adopted(fresh: Fresh) {
    fresh.store.settle().await.unwrap();
    fresh.past_the_store("DELETE FROM identity").await.unwrap();
    adopted(&*fresh.store, Doubt::Emptied).await;
    let _ = fresh.past_the_store("DELETE FROM fencing").await;
    fresh.past_the_store("DELETE FROM identity").await.unwrap();
    adopted(&*fresh.store, Doubt::Emptied).await;
    started(&*fresh.store, &new_run(None), at(1)).await;
}

/// It is in doubt, a person vouches for it, and that is in the audit.
async fn adopted(store: &dyn Store, doubt: Doubt) {
    assert_eq!(store.doubt().await.unwrap(), Some(doubt.clone()));
    store.settle().await.unwrap();
    assert_eq!(
        store.doubt().await.unwrap(),
        Some(doubt.clone()),
        "by a word only"
    );
    let said = store.adopt(&person(), at(0)).await.unwrap();
    assert_eq!(said, Some(doubt));
    assert_eq!(store.doubt().await.unwrap(), None);
    let audit = store
        .audit(&Default::default(), Page::first(1))
        .await
        .unwrap();
    assert_eq!(
        (&*audit[0].action, &audit[0].reason),
        ("adopt", &person().reason)
    );
}

/// The file as the next start finds it, brought up to date.
async fn next_start(path: &Path) -> std::sync::Arc<dyn Store> {
    let url = format!("sqlite:{}", path.display());
    let store = store::open(&url, &StoreOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn a_file_is_new_only_where_there_was_nothing_at_all() {
    for (left, doubt) in [
        (&[][..], None),
        (&["t.db.lock"], Some(Doubt::Unmarked)),
        (&["t.db-wal"], Some(Doubt::Unmarked)),
        (&["t.db-shm"], Some(Doubt::Unmarked)),
        (&["t.db.bell"], Some(Doubt::Unmarked)),
        (&["t.db"], Some(Doubt::Unmarked)),
        (&["t.db.id"], Some(Doubt::Emptied)),
        (&["t.db", "t.db.id"], Some(Doubt::Emptied)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for name in left {
            let text = if *name == "t.db.id" { "another\n" } else { "" };
            fs::write(dir.path().join(name), text).unwrap();
        }
        let store = next_start(&dir.path().join("t.db")).await;
        assert_eq!(store.doubt().await.unwrap(), doubt, "{left:?}");
        if let Some(doubt) = doubt {
            adopted(&*store, doubt).await;
        }
        store.close().await;
        let again = next_start(&dir.path().join("t.db")).await;
        assert_eq!(again.doubt().await.unwrap(), None, "{left:?}");
    }
}

#[tokio::test]
async fn a_file_that_was_cut_to_nothing_or_put_elsewhere_is_in_doubt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    next_start(&path).await.close().await;
    let elsewhere = dir.path().join("copy.db");
    fs::copy(&path, &elsewhere).unwrap();
    fs::write(&path, "").unwrap();
    adopted(&*next_start(&path).await, Doubt::Emptied).await;
    adopted(&*next_start(&elsewhere).await, Doubt::Unmarked).await;
}

#[tokio::test]
async fn a_first_start_that_broke_off_is_still_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let url = format!("sqlite:{}", path.display());
    // Made, and not migrated.
    let begun = store::open(&url, &StoreOptions::default()).await.unwrap();
    begun.close().await;
    let store = next_start(&path).await;
    assert_eq!(store.doubt().await.unwrap(), None);
}

async fn opened(database: &Database) -> std::sync::Arc<dyn Store> {
    let store = store::open(&database.url(), &StoreOptions::default())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn tables_that_were_dropped_or_emptied_are_no_first_start() {
    for lost in [
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
        "TRUNCATE runs, attempts, job_memory, identity CASCADE",
    ] {
        let database = Database::empty().await;
        let first = opened(&database).await;
        assert_eq!(first.doubt().await.unwrap(), None);
        first.settle().await.unwrap();
        first.close().await;
        let mut connection = database.connect().await;
        sqlx::raw_sql(lost).execute(&mut connection).await.unwrap();
        adopted(&*opened(&database).await, Doubt::Emptied).await;
        assert_eq!(opened(&database).await.doubt().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_copy_in_another_database_is_told_from_the_live_one() {
    let live = Database::migrated().await;
    let store = opened(&live).await;
    store.settle().await.unwrap();
    store.close().await;
    let copy = Database::copy_of(&live).await;
    adopted(&*opened(&copy).await, Doubt::Copied).await;
    assert_eq!(opened(&live).await.doubt().await.unwrap(), None);
}

#[tokio::test]
async fn a_restored_dump_is_told_from_the_live_one_even_without_its_mark() {
    let live = Database::migrated().await;
    let store = opened(&live).await;
    store.settle().await.unwrap();
    store.close().await;
    let copy = Database::copy_of(&live).await;
    let mut connection = copy.connect().await;
    let unmark = "SELECT lo_unlink(mark) FROM identity";
    sqlx::query(unmark).execute(&mut connection).await.unwrap();
    adopted(&*opened(&copy).await, Doubt::Unmarked).await;
}
