//! Contradictions between reads and lists.

use tesa_reconciler::domain::Filter;
use tesa_reconciler::store::claims::Contradiction;

use super::harness::Fresh;
use super::values::*;

behaviours! {
    contradictions_read_back_by_filter_and_request,
    the_last_contradiction_of_a_request_counts,
    a_filter_that_proved_right_is_trusted_about_these_alone,
    old_contradictions_go,
}

async fn contradictions_read_back_by_filter_and_request(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = a_run(store).await;
    let mut found: Vec<Contradiction> = Filter::ALL
        .iter()
        .map(|&filter| Contradiction {
            filter,
            ..contradiction("r", 3)
        })
        .collect();
    found.push(contradiction("B", 4));
    store
        .note_contradictions(&lease, &org(), &found)
        .await
        .unwrap();
    found.sort_by_key(|one| (one.filter.as_str(), one.reference_id.clone()));
    assert_eq!(store.contradictions(&org()).await.unwrap(), found);
    assert_eq!(
        fresh.again().await.contradictions(&org()).await.unwrap(),
        found
    );
    assert_eq!(store.contradictions(&"yoigo".into()).await.unwrap(), []);
    store
        .note_contradictions(&lease, &org(), &[])
        .await
        .unwrap();
    assert_eq!(store.contradictions(&org()).await.unwrap(), found);
}

async fn the_last_contradiction_of_a_request_counts(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = a_run(store).await;
    let newer = Contradiction {
        what: "something else".to_owned(),
        ..contradiction("r", 5)
    };
    for found in [
        vec![contradiction("r", 1)],
        vec![newer.clone(), contradiction("r", 2)],
        vec![contradiction("r", 4)],
    ] {
        store
            .note_contradictions(&lease, &org(), &found)
            .await
            .unwrap();
    }
    assert_eq!(store.contradictions(&org()).await.unwrap(), [newer]);
}

async fn a_filter_that_proved_right_is_trusted_about_these_alone(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = a_run(store).await;
    let of_another = Contradiction {
        filter: Filter::Cancelling,
        ..contradiction("a", 0)
    };
    let found = [
        of_another.clone(),
        contradiction("a", 0),
        contradiction("b", 0),
    ];
    store
        .note_contradictions(&lease, &org(), &found)
        .await
        .unwrap();
    for (org, ids) in [
        (&"yoigo".into(), vec!["a".into()]),
        (&org(), vec![]),
        (&org(), vec!["unknown".into(), "a".into()]),
    ] {
        store
            .forget_contradictions(&lease, org, Filter::Statuses, &ids)
            .await
            .unwrap();
    }
    let left = store.contradictions(&org()).await.unwrap();
    assert_eq!(left, [of_another, contradiction("b", 0)]);
}

async fn old_contradictions_go(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = a_run(store).await;
    let found = [contradiction("a", 0), contradiction("b", 10)];
    store
        .note_contradictions(&lease, &org(), &found)
        .await
        .unwrap();
    let pruned = store.prune(&lease, at(10), 100).await.unwrap();
    assert_eq!(pruned.contradictions, 1);
    let left = store.contradictions(&org()).await.unwrap();
    assert_eq!(left, found[1..]);
}
