//! What only SQLite has: a file, its mode, its lock.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tesa_reconciler::store::{self, StoreError, StoreOptions};

use super::values::*;

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

#[tokio::test]
async fn second_daemon_is_refused_and_told_who_is_first() {
    let dir = tempfile::tempdir().unwrap();
    let url = url(&dir.path().join("t.db"));
    let options = StoreOptions::default();
    let first = store::open_for_daemon(&url, &options).await.unwrap();
    first.migrate().await.unwrap();
    let error = store::open_for_daemon(&url, &options)
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    let text = error.to_string();
    let pid = format!("process {}", std::process::id());
    assert!(text.contains(&pid) && text.contains("trigger"), "{text}");

    let command = store::open(&url, &options).await.unwrap();
    command.pause(None, None, &person(), at(0)).await.unwrap();
    assert_eq!(first.pauses(at(1)).await.unwrap().len(), 1);

    first.close().await;
    let second = store::open_for_daemon(&url, &options).await.unwrap();
    drop(second);
    store::open_for_daemon(&url, &options).await.unwrap();
}

#[tokio::test]
async fn a_link_to_the_file_leads_to_the_same_lock() {
    let dir = tempfile::tempdir().unwrap();
    let (path, link) = (dir.path().join("t.db"), dir.path().join("link.db"));
    let options = StoreOptions::default();
    let _first = store::open_for_daemon(&url(&path), &options).await.unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let second = store::open_for_daemon(&url(&link), &options).await;
    assert_eq!(second.map(|_| ()).unwrap_err().reason(), "busy");
}

#[tokio::test]
async fn every_file_is_its_owner_s_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let store = store::open_for_daemon(&url(&path), &StoreOptions::default())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        ["t.db", "t.db-shm", "t.db-wal", "t.db.id", "t.db.lock"]
    );
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nowhere/t.db");
    let answer = store::open(&url(&path), &StoreOptions::default()).await;
    let text = answer.map(|_| ()).unwrap_err().to_string();
    let named = format!("the directory {} ", dir.path().join("nowhere").display());
    assert!(
        text.contains(&named) && text.contains("state.url"),
        "{text}"
    );
}

#[tokio::test]
async fn a_missing_file_is_not_made_when_that_is_not_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let options = StoreOptions {
        create_if_missing: false,
        ..StoreOptions::default()
    };
    let answer = store::open(&url(&path), &options).await;
    let error = answer.map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), "unavailable");
    assert!(
        error.to_string().contains("tesa-reconciler migrate"),
        "{error}"
    );
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_outage_not_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    std::fs::write(
        &path,
        "certainly no database, but long enough to be looked at\n".repeat(99),
    )
    .unwrap();
    let answer = store::open(&url(&path), &StoreOptions::default()).await;
    let error = answer.map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), "unavailable", "{error}");
}

#[tokio::test]
async fn nothing_is_written_into_a_file_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, aside) = (dir.path().join("t.db"), dir.path().join("aside.db"));
    let store = store::open(&url(&path), &StoreOptions::default())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let beat = async || store.beat_replica(&replica_row("one", 0), at(0)).await;
    std::fs::rename(&path, &aside).unwrap();
    let error = beat().await.unwrap_err();
    assert_eq!(error.reason(), "unavailable");
    assert!(error.to_string().contains("is gone"), "{error}");
    assert_eq!(store.probe().await.unwrap_err().reason(), "unavailable");
    std::fs::write(&path, "").unwrap();
    let error = beat().await.unwrap_err();
    assert!(
        error.to_string().contains("not the file that was opened"),
        "{error}"
    );
    std::fs::rename(&aside, &path).unwrap();
    beat().await.unwrap();
    store.probe().await.unwrap();
}
