//! A network between store and PostgreSQL that loses connections without a word, and a server that dies.

use std::time::{Duration, Instant};

use sqlx::Executor;
use tesa_reconciler::store::{self, Page, Store, StoreError, StoreOptions};

use super::values::*;
use crate::support::cluster::Cluster;
use crate::support::proxy::Proxy;

const PATIENCE: Duration = Duration::from_secs(60);

fn impatient() -> StoreOptions {
    StoreOptions {
        call_timeout: Duration::from_secs(2),
        busy_timeout: Duration::from_secs(1),
        max_connections: 3,
        ..StoreOptions::default()
    }
}

/// Calls until one works; all before it must say that the store is away, and in time.
async fn heals(store: &dyn Store) {
    let begun = Instant::now();
    while let Err(error) = store.probe().await {
        assert!(error.is_outage(), "{error}");
        assert!(begun.elapsed() < PATIENCE, "it does not heal: {error}");
    }
}

async fn none_is_kept(proxy: &Proxy) {
    let begun = Instant::now();
    while proxy.swallowed() > 0 {
        assert!(
            begun.elapsed() < PATIENCE,
            "{} dead connections are kept",
            proxy.swallowed()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_went_dead_while_they_were_idle_cost_one_look_and_are_closed() {
    let cluster = Cluster::start().await;
    let proxy = Proxy::start(cluster.home());
    let store = store::open(&proxy.url(&cluster.url()), &impatient())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let probes = (0..3).map(|_| store.probe());
    for probe in futures::future::join_all(probes).await {
        probe.unwrap();
    }
    proxy.swallow();
    proxy.heal();
    // New connections lead somewhere again, so no call need fail for an old one's sake.
    for _ in 0..4 {
        store.probe().await.unwrap();
    }
    none_is_kept(&proxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_went_dead_within_a_call_is_closed_and_not_pooled() {
    let cluster = Cluster::start().await;
    let proxy = Proxy::start(cluster.home());
    let store = store::open(&proxy.url(&cluster.url()), &impatient())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let mut neighbour = cluster.connect().await;
    let lock = "BEGIN; LOCK TABLE audit IN EXCLUSIVE MODE";
    neighbour.execute(lock).await.unwrap();
    let calls = (0..3).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.note("start", "x", &daemon(), at(0)).await })
    });
    let calls: Vec<_> = calls.collect();
    // All of them wait for the neighbour, in the database; then the network goes.
    cluster.waiting_for_locks(3).await;
    proxy.swallow();
    let begun = Instant::now();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Timeout { .. }), "{error}");
    }
    assert!(store.probe().await.unwrap_err().is_outage());
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(neighbour);
    proxy.heal();
    heals(&*store).await;
    store.note("start", "x", &daemon(), at(1)).await.unwrap();
    none_is_kept(&proxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_survives_a_server_that_is_set_to_forget() {
    let cluster = Cluster::start().await;
    let store = store::open(&cluster.url(), &StoreOptions::default())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    for round in 0..3 {
        let run = started(&*store, &new_run(None), at(round)).await;
        let id = intended(
            &*store,
            &run,
            &new_attempt(&format!("A-{round}")),
            at(round),
        )
        .await;
        cluster.restart().await;
        heals(&*store).await;
        let kept = store.attempt(id).await.unwrap();
        assert!(kept.is_some(), "the ledger's row is gone with the crash");
        store.reap_lost(None, at(round)).await.unwrap();
    }
    let all = store
        .attempts(&Default::default(), Page::first(9))
        .await
        .unwrap();
    assert_eq!(all.len(), 3);
}
