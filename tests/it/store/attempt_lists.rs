//! How attempts are listed and counted.

use tesa_reconciler::domain::{AttemptState, Operation};
use tesa_reconciler::store::Page;
use tesa_reconciler::store::attempts::{AttemptFilter, NewAttempt};
use tesa_reconciler::store::runs::NewRun;

use super::harness::Fresh;
use super::values::*;

behaviours![
    attempts_for_orders_come_oldest_first_within_each,
    attempts_are_listed_newest_first_by_filter_and_page,
    open_attempts_and_those_that_changed_since_come_oldest_first,
    open_attempts_are_counted_by_operation_and_state,
    attempts_are_found_by_the_beginning_of_either_reference_in_any_case,
];

async fn attempts_for_orders_come_oldest_first_within_each(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    for (order, state) in [
        ("B", AttemptState::Rejected),
        ("A", AttemptState::NotSent),
        ("B", AttemptState::Ineffective),
        ("b", AttemptState::Unknown),
        ("A", AttemptState::Accepted),
        ("C", AttemptState::Intended),
    ] {
        attempt_in(store, &lease, order, state).await;
    }
    let asked = ["A", "B", "never-seen"].map(Into::into);
    let rows = store.attempts_for(&org(), &asked).await.unwrap();
    let got: Vec<_> = rows
        .iter()
        .map(|row| (row.external_reference.as_str(), row.state))
        .collect();
    let wanted = [
        ("A", AttemptState::NotSent),
        ("A", AttemptState::Accepted),
        ("B", AttemptState::Rejected),
        ("B", AttemptState::Ineffective),
    ];
    assert_eq!(got, wanted);
    assert!(store.attempts_for(&org(), &[]).await.unwrap().is_empty());
    assert!(
        store
            .attempts_for(&"yoigo".into(), &asked)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn attempts_are_listed_newest_first_by_filter_and_page(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let other_run = NewRun {
        org: "yoigo".into(),
        ..new_run(None)
    };
    let other_lease = started(store, &other_run, at(0)).await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let attempt = NewAttempt {
            org: if n == 5 { "yoigo".into() } else { org() },
            operation: if n == 1 {
                Operation::ChangeCto
            } else {
                Operation::CancelRequest
            },
            ..new_attempt(&format!("order-{n}"))
        };
        let lease = if n == 5 { &other_lease } else { &lease };
        ids.push(intended(store, lease, &attempt, at(n)).await);
    }
    let rejected = step(AttemptState::Rejected);
    store
        .advance(ids[2], &rejected, &daemon(), at(9))
        .await
        .unwrap();
    let list = async |filter: AttemptFilter, page: Page| {
        let rows = store.attempts(&filter, page).await.unwrap();
        rows.iter()
            .map(|row| ids.iter().position(|id| *id == row.id).unwrap())
            .collect::<Vec<_>>()
    };
    let all = AttemptFilter::default;
    let nine = Page::first(9);
    assert_eq!(list(all(), nine).await, [5, 4, 3, 2, 1, 0]);
    let next = Page {
        limit: 2,
        before: Some(ids[3].0),
    };
    assert_eq!(list(all(), next).await, [2, 1]);
    let table = [
        (
            AttemptFilter {
                org: Some("yoigo".into()),
                ..all()
            },
            vec![5],
        ),
        (
            AttemptFilter {
                reference: Some("order-4".into()),
                ..all()
            },
            vec![4],
        ),
        (
            AttemptFilter {
                reference: Some("ref-order-3".into()),
                ..all()
            },
            vec![3],
        ),
        (
            AttemptFilter {
                reference: Some("ORDER-3".into()),
                ..all()
            },
            vec![],
        ),
        (
            AttemptFilter {
                state: Some(AttemptState::Rejected),
                ..all()
            },
            vec![2],
        ),
        (
            AttemptFilter {
                state: Some(AttemptState::Intended),
                ..all()
            },
            vec![5, 4, 3, 1, 0],
        ),
        (
            AttemptFilter {
                operation: Some(Operation::ChangeCto),
                ..all()
            },
            vec![1],
        ),
        (
            AttemptFilter {
                run_id: Some(other_lease.run_id),
                ..all()
            },
            vec![5],
        ),
        (
            AttemptFilter {
                since: Some(at(3)),
                ..all()
            },
            vec![5, 4, 3],
        ),
        (
            AttemptFilter {
                since: Some(at(1)),
                state: Some(AttemptState::Intended),
                org: Some(org()),
                ..all()
            },
            vec![4, 3, 1],
        ),
    ];
    for (filter, wanted) in table {
        assert_eq!(list(filter.clone(), nine).await, wanted, "{filter:?}");
    }
}

async fn open_attempts_are_counted_by_operation_and_state(fresh: Fresh) {
    let store = &*fresh.store;
    assert!(store.attempt_counts().await.unwrap().is_empty());
    let lease = started(store, &new_run(None), at(0)).await;
    attempt_in(store, &lease, "A", AttemptState::Unknown).await;
    attempt_in(store, &lease, "B", AttemptState::Unknown).await;
    attempt_in(store, &lease, "C", AttemptState::Confirmed).await;
    let mut counts: Vec<_> = store
        .attempt_counts()
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.operation, row.state, row.count, row.oldest))
        .collect();
    counts.sort();
    let operation = Operation::CreateActivation;
    // What is settled is history, which nobody counts.
    let wanted = [(operation, AttemptState::Unknown, 2, at(1))];
    assert_eq!(counts, wanted);
}

async fn open_attempts_and_those_that_changed_since_come_oldest_first(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    for &state in AttemptState::ALL {
        attempt_in(store, &lease, state.as_str(), state).await;
    }
    let other_run = NewRun {
        org: "yoigo".into(),
        ..new_run(None)
    };
    let other_lease = started(store, &other_run, at(0)).await;
    let elsewhere = NewAttempt {
        org: "yoigo".into(),
        ..new_attempt("elsewhere")
    };
    intended(store, &other_lease, &elsewhere, at(5)).await;
    let since = async |seconds| {
        let rows = store.attempts_since(&org(), at(seconds)).await.unwrap();
        assert!(rows.is_sorted_by_key(|row| row.id));
        rows.iter().map(|row| row.state).collect::<Vec<_>>()
    };
    let open = AttemptState::ALL.iter().copied();
    let open: Vec<_> = open.filter(|state| state.is_open()).collect();
    assert_eq!(since(2).await, open);
    assert_eq!(since(1).await, AttemptState::ALL);
}

async fn attempts_are_found_by_the_beginning_of_either_reference_in_any_case(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    for order in ["ORD-10", "ord-11", "X-1"] {
        attempt_in(store, &lease, order, AttemptState::Rejected).await;
    }
    for (beginning, wanted) in [("ord-1", 2), ("ORD-11", 1), ("x", 1), ("rd", 0)] {
        let filter = AttemptFilter {
            search: Some(beginning.to_owned()),
            ..AttemptFilter::default()
        };
        let rows = store.attempts(&filter, Page::first(9)).await.unwrap();
        assert_eq!(rows.len(), wanted, "{beginning}");
        let count = store.count_attempts(&filter).await.unwrap();
        assert_eq!(count, wanted as u64, "{beginning}");
    }
    let all = AttemptFilter::default();
    let first = store.attempts(&all, Page::first(1)).await.unwrap();
    let before = AttemptFilter {
        until: Some(first[0].intended_at),
        ..AttemptFilter::default()
    };
    assert!(store.count_attempts(&before).await.unwrap() < 3);
}
