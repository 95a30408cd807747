//! How a daemon on SQLite hears of what a command did: at once, and of nothing else.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tempfile::TempDir;
use tesa_reconciler::store::{self, Change, Changes, Store, StoreOptions};

use super::values::*;

/// Only met by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon's store, and a folder for it.
struct Home {
    dir: TempDir,
    daemon: Arc<dyn Store>,
}

impl Home {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("t.db").display());
        let daemon = store::open_for_daemon(&url, &StoreOptions::default())
            .await
            .unwrap();
        daemon.migrate().await.unwrap();
        Self { dir, daemon }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The store as a command has it, by the file's name or another.
    async fn command(&self, name: &str) -> Arc<dyn Store> {
        let url = format!("sqlite:{}", self.path(name).display());
        store::open(&url, &StoreOptions::default()).await.unwrap()
    }

    /// Listens, from now on.
    async fn listening(&self) -> Changes {
        let mut changes = self.daemon.changes();
        assert_eq!(next(&mut changes).await, Change::Missed);
        changes
    }
}

async fn next(changes: &mut Changes) -> Change {
    let next = tokio::time::timeout(PATIENCE, changes.next()).await;
    next.expect("word in time").expect("it never ends")
}

/// Nothing was said that has not been heard.
fn is_quiet(changes: &mut Changes) -> bool {
    futures::FutureExt::now_or_never(changes.next()).is_none()
}

async fn trigger(store: &dyn Store) {
    store
        .request_trigger(&job(), &org(), &person(), at(0))
        .await
        .unwrap();
}

#[tokio::test]
async fn whatever_a_command_steers_is_heard() {
    let home = Home::new().await;
    let (command, mut changes) = (home.command("t.db").await, home.listening().await);
    let (job, org, person) = (job(), org(), person());
    command.pause(None, None, &person, at(0)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Steered);
    command.resume(None, &person, at(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Steered);
    trigger(&*command).await;
    assert_eq!(next(&mut changes).await, Change::Steered);
    let lease = a_run(&*command).await;
    command
        .latch_guard(&lease, &job, &org, &person, at(2))
        .await
        .unwrap();
    assert_eq!(next(&mut changes).await, Change::Steered);
    command
        .release_guard(&job, &org, &person, at(3))
        .await
        .unwrap();
    assert_eq!(next(&mut changes).await, Change::Steered);
}

#[tokio::test]
async fn own_commits_never_wake_the_scheduler() {
    let home = Home::new().await;
    let (command, mut changes) = (home.command("t.db").await, home.listening().await);
    let heard = tokio::spawn(async move {
        let mut heard = 1;
        // The trigger below is the last thing that anybody does.
        while next(&mut changes).await != Change::Steered {
            heard += 1;
        }
        (heard, changes)
    });
    let lease = a_run(&*home.daemon).await;
    for n in 0..100 {
        let store = &home.daemon;
        store.note("start", "x", &daemon(), at(n)).await.unwrap();
        let seen = [observation(&format!("ref-{n}"))];
        store
            .remember_observations(&lease, &org(), &seen)
            .await
            .unwrap();
        assert!(!heard.is_finished(), "woken by its own commit {n}");
    }
    trigger(&*command).await;
    let (heard, mut changes) = heard.await.unwrap();
    assert_eq!(heard, 1);
    assert!(is_quiet(&mut changes));
}

#[tokio::test]
async fn many_commands_at_once_are_heard_once_and_wait_for_nobody() {
    let home = Home::new().await;
    let (command, mut changes) = (home.command("t.db").await, home.listening().await);
    // More than a socket holds that nobody reads.
    for _ in 0..100 {
        trigger(&*command).await;
    }
    assert_eq!(next(&mut changes).await, Change::Steered);
    assert!(is_quiet(&mut changes));
}

#[tokio::test]
async fn a_link_to_the_file_leads_to_the_same_bell() {
    let home = Home::new().await;
    std::os::unix::fs::symlink(home.path("t.db"), home.path("link.db")).unwrap();
    let (command, mut changes) = (home.command("link.db").await, home.listening().await);
    trigger(&*command).await;
    assert_eq!(next(&mut changes).await, Change::Steered);
}

#[tokio::test]
async fn a_command_never_takes_the_daemon_s_bell_away() {
    let home = Home::new().await;
    let (command, mut changes) = (home.command("t.db").await, home.listening().await);
    assert!(is_quiet(&mut command.changes()));
    trigger(&*command).await;
    assert_eq!(next(&mut changes).await, Change::Steered);
}

#[tokio::test]
async fn a_dead_daemon_s_bell_is_in_nobody_s_way() {
    let home = Home::new().await;
    let command = home.command("t.db").await;
    drop(UnixDatagram::bind(home.path("t.db.bell")).unwrap());
    trigger(&*command).await;
    let mut changes = home.listening().await;
    trigger(&*command).await;
    assert_eq!(next(&mut changes).await, Change::Steered);
    drop(changes);
    assert!(!home.path("t.db.bell").exists(), "it is left behind");
    trigger(&*command).await;
}

#[tokio::test]
async fn where_no_bell_can_hang_nobody_is_told_and_nothing_fails() {
    let home = Home::new().await;
    let command = home.command("t.db").await;
    std::fs::create_dir(home.path("t.db.bell")).unwrap();
    let mut changes = home.daemon.changes();
    assert!(is_quiet(&mut changes));
    trigger(&*command).await;
    assert!(is_quiet(&mut changes));
    let taken = home.daemon.take_triggers(&replica(), at(1)).await.unwrap();
    assert_eq!(taken.len(), 1);
}
