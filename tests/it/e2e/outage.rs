//! The store is away: no ledger, no write; and an answer that could not be recorded is kept until it can.

use std::time::Duration;

use sqlx::{Connection, Executor, SqliteConnection};
use tesa_reconciler::domain::{AttemptState, RunOutcome, Trigger};
use tesa_reconciler::sandbox::{Effect, Fault};
use tesa_reconciler::store::{self, StoreOptions};
use tokio_util::sync::CancellationToken;

use super::daemon::Daemon;
use super::{MINUTE, RESEND, RETRY, World, empty, tally};

/// For what takes moments.
const PATIENCE: Duration = Duration::from_secs(30);

/// Holds off every writer until it is dropped.
async fn locked(world: &World) -> SqliteConnection {
    let url = &world.daemon.live().config.state.url;
    let mut neighbour = SqliteConnection::connect(url).await.unwrap();
    neighbour.execute("BEGIN IMMEDIATE").await.unwrap();
    neighbour
}

/// The daemon around the same file, with little patience.
async fn impatient(world: &World) -> Daemon {
    let options = StoreOptions {
        call_timeout: Duration::from_millis(400),
        busy_timeout: Duration::from_millis(100),
        ..StoreOptions::default()
    };
    let url = &world.daemon.live().config.state.url;
    let store = store::open(url, &options).await.unwrap();
    world.daemon.around(store, None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_stops_writes_and_the_answer_that_came_meanwhile_is_kept() {
    let world = World::new(empty(), "", RESEND).await;
    for n in 1..=5 {
        world.unsent(&format!("ORDER-{n}"), &format!("{}h", 10 - n));
    }
    let daemon = impatient(&world).await;
    {
        let _neighbour = locked(&world).await;
        let error = daemon.run(RETRY).await.unwrap_err();
        assert!(error.is_outage(), "{error}");
    }
    assert_eq!(world.ledger(), []);

    // The store goes while the first write's answer is on its way.
    world.faults([Fault::new(Effect::Latency {
        ms: 300,
        jitter_ms: 0,
    })
    .on(&["writes"])]);
    let live = daemon.live();
    let order = daemon.order(RETRY, Trigger::Schedule);
    let run = tokio::spawn(async move {
        let stop = CancellationToken::new();
        live.reconciler.run(&order, &stop).await
    });
    while world.ledger().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let neighbour = locked(&world).await;
    let ended = run.await.unwrap();
    assert!(ended.is_err_and(|error| error.is_outage()));
    assert_eq!(tally::orders(&world.ledger()), ["ORDER-1"]);
    drop(neighbour);

    // The store is back: the answer was kept, and what nobody forgot is not swept.
    daemon.verify().await.unwrap();
    let begun = std::time::Instant::now();
    while world.states().await != [AttemptState::Accepted] {
        assert!(begun.elapsed() < PATIENCE, "{:?}", world.states().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.faults([]);
    world.advance(MINUTE);
    daemon.verify().await.unwrap();
    assert_eq!(world.states().await, [AttemptState::Confirmed]);
    // The run whose end could not be recorded is lost once its heartbeat is old.
    world.advance(2 * MINUTE);
    let lost = world
        .store()
        .reap_lost(Some(world.now() - MINUTE), world.now())
        .await
        .unwrap();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].outcome, Some(RunOutcome::Lost));
    daemon.run(RETRY).await.unwrap();
    assert_eq!(world.ledger().len(), 5);
    tally::no_order_twice(&world.ledger());
}
