//! Who gets SQLite's write lock while somebody writes one batch after the other: everybody, within about a batch.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tesa_reconciler::domain::Observation;
use tesa_reconciler::store::Store;
use tokio::task::JoinSet;

use super::harness::Fresh;
use super::values::*;

/// Only met by a test that fails.
const PATIENCE: Duration = Duration::from_secs(3);

/// What somebody who waits needs at least: a few of his questions.
const AWAY: Duration = Duration::from_millis(10);

/// How often somebody else writes meanwhile.
const WRITES: usize = 15;

/// Takes some ten milliseconds, or more on a slow machine: what others wait is measured by it.
fn batch() -> Vec<Observation> {
    let ids = (0..1_000).map(|n| format!("ref-{n:06}"));
    ids.map(|id| observation(&id)).collect()
}

/// What a batch takes when nobody else is there.
async fn time_of_a_batch(store: &dyn Store) -> Duration {
    let (batch, lease) = (batch(), a_run(store).await);
    let mut took = Vec::new();
    for _ in 0..9 {
        let begun = Instant::now();
        store
            .remember_observations(&lease, &org(), &batch)
            .await
            .unwrap();
        took.push(begun.elapsed());
    }
    median(took)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Writers that write batch after batch, until dropped.
fn at_full_speed(store: &Arc<dyn Store>, writers: usize) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let (batch, lease) = (batch(), a_run(&*store).await);
            loop {
                store
                    .remember_observations(&lease, &org(), &batch)
                    .await
                    .unwrap();
            }
        });
    }
    tasks
}

/// What each of these writes took.
async fn waits(write: impl AsyncFn(usize)) -> Vec<Duration> {
    let mut waits = Vec::new();
    for n in 0..WRITES {
        // Another moment of a batch each time.
        tokio::time::sleep(Duration::from_millis(7 * n as u64)).await;
        let begun = Instant::now();
        write(n).await;
        waits.push(begun.elapsed());
    }
    waits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_gets_its_turn_while_batches_are_written() {
    let fresh = Fresh::sqlite().await;
    let command = fresh.again().await;
    let alone = time_of_a_batch(&*fresh.store).await;
    let writing = at_full_speed(&fresh.store, 2);
    let waits = waits(async |n| {
        let now = at(n as i64);
        command.pause(None, None, &person(), now).await.unwrap();
    })
    .await;
    drop(writing);
    let limit = 4 * alone + Duration::from_millis(20);
    assert!(
        median(waits.clone()) < limit,
        "a batch takes {alone:?}: {waits:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_gets_its_turn_while_one_transaction_follows_the_other() {
    let fresh = Fresh::sqlite().await;
    let command = fresh.again().await;
    let mut writing = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&fresh.store);
        writing.spawn(async move {
            loop {
                store.note("start", "x", &daemon(), at(0)).await.unwrap();
            }
        });
    }
    let waits = waits(async |n| {
        let now = at(n as i64);
        command.pause(None, None, &person(), now).await.unwrap();
    })
    .await;
    drop(writing);
    let median = median(waits.clone());
    assert!(median < Duration::from_millis(50), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_in_passing_waits_for_one_batch_and_not_for_all_in_the_queue() {
    let fresh = Fresh::sqlite().await;
    let alone = time_of_a_batch(&*fresh.store).await;
    let writing = at_full_speed(&fresh.store, 16);
    let waits = waits(async |n| {
        let now = at(n as i64);
        fresh
            .store
            .note("start", "x", &daemon(), now)
            .await
            .unwrap();
    })
    .await;
    drop(writing);
    let limit = 4 * alone + Duration::from_millis(20);
    assert!(
        median(waits.clone()) < limit,
        "a batch takes {alone:?}: {waits:?}"
    );
}

/// The directory on which who waits says so.
fn line(fresh: &Fresh) -> File {
    let file = fresh.url().replace("sqlite:", "");
    File::open(Path::new(&file).parent().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_says_so_until_he_has_had_his_turn() {
    let fresh = Fresh::sqlite().await;
    let neighbour = fresh.block_writers().await;
    let writing = {
        let store = Arc::clone(&fresh.store);
        tokio::spawn(async move { store.note("start", "x", &daemon(), at(0)).await })
    };
    let begun = Instant::now();
    while line(&fresh).try_lock().is_ok() {
        assert!(begun.elapsed() < PATIENCE, "nobody says that he waits");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(neighbour);
    writing.await.unwrap().unwrap();
    line(&fresh).try_lock().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_stay_away_for_one_who_waits_but_not_for_ever() {
    let fresh = Fresh::sqlite().await;
    let (store, seen) = (&fresh.store, [observation("A")]);
    let lease = a_run(&**store).await;
    let waiting = line(&fresh);
    waiting.lock_shared().unwrap();
    let begun = Instant::now();
    store.note("start", "x", &daemon(), at(0)).await.unwrap();
    let noted = begun.elapsed();
    store
        .remember_observations(&lease, &org(), &seen)
        .await
        .unwrap();
    let remembered = begun.elapsed() - noted;
    assert!(
        noted >= AWAY && remembered >= AWAY,
        "{noted:?}, {remembered:?}"
    );
    assert!(begun.elapsed() < PATIENCE);
}
