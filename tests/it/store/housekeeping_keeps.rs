//! What housekeeping leaves although it is old, because something younger rests on it.

use tesa_reconciler::domain::{Observation, RunOutcome, Status};
use tesa_reconciler::store::Store;
use tesa_reconciler::store::housekeeping::Pruned;

use super::harness::Fresh;
use super::values::*;

behaviours![
    the_slot_of_a_run_that_goes_on_stays,
    a_request_known_as_a_double_stays_as_long_as_that_is_known,
    a_double_stays_until_it_was_seen_final_long_ago,
];

async fn prune(store: &dyn Store) -> Pruned {
    let lease = a_run(store).await;
    store.prune(&lease, at(10), 99).await.unwrap()
}

/// Two requests of one order, both final, read and noted as doubles then.
async fn doubles(store: &dyn Store, read: i64, noted: i64) {
    let lease = a_run(store).await;
    let ids = ["r1", "r2"];
    let seen = ids.map(|id| Observation {
        status: Status::Finished,
        external_reference: Some("order".into()),
        observed_at: at(read),
        ..observation(id)
    });
    store
        .remember_observations(&lease, &org(), &seen)
        .await
        .unwrap();
    let ids = ids.map(Into::into);
    store
        .note_duplicates(&org(), &"order".into(), &ids, at(noted))
        .await
        .unwrap();
}

async fn the_slot_of_a_run_that_goes_on_stays(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(Some(at(0))), at(0)).await;
    assert_eq!(prune(store).await.slots, 0);
    let nothing = Default::default();
    store
        .finish(&lease, RunOutcome::Succeeded, &nothing, at(1))
        .await
        .unwrap();
    assert_eq!(prune(store).await.slots, 1);
}

async fn a_request_known_as_a_double_stays_as_long_as_that_is_known(fresh: Fresh) {
    let store = &*fresh.store;
    doubles(store, 0, 20).await;
    let pruned = prune(store).await;
    assert_eq!((pruned.orders, pruned.observations), (0, 0));
}

async fn a_double_stays_until_it_was_seen_final_long_ago(fresh: Fresh) {
    let store = &*fresh.store;
    doubles(store, 20, 0).await;
    assert_eq!(prune(store).await.orders, 0);
    let marks = store.order_marks(&org(), &["order".into()]).await.unwrap();
    assert_eq!(marks[0].1.requests.len(), 2);
    let lease = a_run(store).await;
    let pruned = store.prune(&lease, at(30), 99).await.unwrap();
    assert_eq!((pruned.orders, pruned.observations), (2, 2));
}
