//! What only a store has that several processes share: it goes by its own clock, because theirs may be wrong, each in
//! its own way; and it tells the one what the other did.
//!
//! SQLite's one daemon goes by its own clock, and hears by other means (`sqlite_bell.rs`).

use std::time::Duration;

use chrono::TimeDelta;
use futures::StreamExt;
use tesa_reconciler::store::Store;
use tesa_reconciler::store::attempts::{IntentLimits, IntentRefused};

use super::harness::Fresh;
use super::values::*;

macro_rules! of_shared_stores {
    ($($behaviour:ident),+ $(,)?) => {
        behaviours!(@on memory: $($behaviour,)+);
        behaviours!(@on postgres: $($behaviour,)+);
    };
}

of_shared_stores![
    a_skewed_clock_neither_kills_the_living_nor_spares_the_dead,
    a_replica_whose_clock_is_ahead_gets_no_second_hour_and_ends_no_pause,
    what_another_process_steers_is_heard,
];

async fn a_skewed_clock_neither_kills_the_living_nor_spares_the_dead(fresh: Fresh) {
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

async fn a_replica_whose_clock_is_ahead_gets_no_second_hour_and_ends_no_pause(fresh: Fresh) {
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

async fn what_another_process_steers_is_heard(fresh: Fresh) {
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
