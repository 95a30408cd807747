//! What is marked about orders: a person's word, and requests that were seen beside another one.

use std::sync::{Arc, Mutex};
use tesa_reconciler::domain::ids::{ExternalReference, ReferenceId};
use tesa_reconciler::domain::{AttemptState, Observation, SkipReason, Status, Version};
use tesa_reconciler::store::attempts::{IntentRefused, NewAttempt, Step};
use tesa_reconciler::store::audit::AuditFilter;
use tesa_reconciler::store::orders::{Marks, Recheck, Retry};
use tesa_reconciler::store::{Page, Store};

use super::harness::Fresh;
use super::values::*;

behaviours![
    a_person_s_retry_covers_what_was_tried_so_far_and_is_audited,
    nothing_is_retried_while_an_attempt_is_open,
    requests_once_seen_beside_another_stay_known,
    a_retry_lets_go_the_requests_known_by_then_and_forgets_what_was_read,
    the_intent_asks_again_with_what_is_known_then,
    an_intent_that_is_rechecked_and_refused_leaves_nothing,
    what_confirmed_an_attempt_is_kept,
    old_marks_are_pruned_with_what_they_are_about,
    a_request_has_one_open_attempt_whatever_its_order_is_called;
    in a database:
    the_database_itself_keeps_a_request_s_one_open_attempt,
];

fn order(name: &str) -> ExternalReference {
    name.into()
}

async fn marks(store: &dyn Store, name: &str) -> Marks {
    let asked = [order(name), order("another")];
    let marks = store.order_marks(&org(), &asked).await.unwrap();
    let other = store.order_marks(&"yoigo".into(), &asked).await.unwrap();
    assert!(other.is_empty(), "an order is its org's");
    let mine = marks.into_iter().find(|(about, _)| *about == order(name));
    mine.map(|(_, marks)| marks).unwrap_or_default()
}

async fn remember(store: &dyn Store, read: &[Observation]) {
    let lease = a_run(store).await;
    let older = store
        .remember_observations(&lease, &org(), read)
        .await
        .unwrap();
    assert!(older.is_empty());
}

/// A request of the order, as read.
fn of_order(reference: &str, status: Status) -> Observation {
    Observation {
        external_reference: Some(order("A")),
        status,
        ..observation(reference)
    }
}

async fn a_person_s_retry_covers_what_was_tried_so_far_and_is_audited(fresh: Fresh) {
    let store = &*fresh.store;
    assert_eq!(marks(store, "A").await, Marks::default());
    let lease = started(store, &new_run(None), at(0)).await;
    let first = attempt_in(store, &lease, "A", AttemptState::Rejected).await;
    attempt_in(store, &lease, "B", AttemptState::Rejected).await;
    for seconds in [5, 9] {
        let done = store
            .retry_order(&org(), &order("A"), &person(), at(seconds))
            .await;
        assert_eq!(done.unwrap(), Ok(()));
        attempt_in(store, &lease, "A", AttemptState::Rejected).await;
    }
    let attempts = store.attempts_for(&org(), &[order("A")]).await.unwrap();
    let wanted = Retry {
        at: at(9),
        last_attempt: attempts[1].id,
    };
    assert_eq!(marks(store, "A").await.retry, Some(wanted));
    assert!(attempts[1].id > first);
    assert_eq!(marks(store, "B").await.retry, None);
    let filter = AuditFilter {
        action: Some("retry".to_owned()),
        ..AuditFilter::default()
    };
    let audit = store.audit(&filter, Page::first(9)).await.unwrap();
    assert_eq!(audit.len(), 2);
    assert_eq!(audit[0].subject, "masmovil/A");
    assert_eq!(
        (audit[0].who.as_str(), audit[0].at),
        ("cli:operator", at(9))
    );
    // Of an order to which nothing was ever written.
    let done = store
        .retry_order(&org(), &order("C"), &person(), at(1))
        .await;
    assert_eq!(done.unwrap(), Ok(()));
    assert!(marks(store, "C").await.retry.is_some());
}

async fn nothing_is_retried_while_an_attempt_is_open(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    for state in AttemptState::ALL
        .iter()
        .copied()
        .filter(|state| state.is_open())
    {
        let name = state.as_str();
        let id = attempt_in(store, &lease, name, state).await;
        let done = store
            .retry_order(&org(), &order(name), &person(), at(2))
            .await;
        assert_eq!(done.unwrap(), Err(id), "{state}");
        assert_eq!(marks(store, name).await, Marks::default(), "{state}");
    }
}

async fn requests_once_seen_beside_another_stay_known(fresh: Fresh) {
    let store = &*fresh.store;
    let names = async || {
        let marks = marks(store, "A").await;
        let name = |known: &tesa_reconciler::store::orders::KnownRequest| {
            (known.reference_id.to_string(), known.status.clone())
        };
        marks.requests.iter().map(name).collect::<Vec<_>>()
    };
    let first = of_order("R-1", Status::NotSent);
    remember(store, &[first]).await;
    assert!(names().await.is_empty(), "one is no news");
    // Known by having been read, without any list that named both.
    let second = of_order("R-2", Status::Validating);
    remember(store, &[second]).await;
    let both = [
        ("R-1".to_owned(), Some(Status::NotSent)),
        ("R-2".to_owned(), Some(Status::Validating)),
    ];
    assert_eq!(names().await, both);
    let ids = ["R-1", "R-2", "R-3"].map(ReferenceId::from);
    for _ in 0..2 {
        store
            .note_duplicates(&org(), &order("A"), &ids, at(3))
            .await
            .unwrap();
    }
    for id in ids {
        let lease = a_run(store).await;
        store
            .forget_observation(&lease, &org(), &id, at(9))
            .await
            .unwrap();
    }
    let three = ["R-1", "R-2", "R-3"].map(|id| (id.to_owned(), None));
    assert_eq!(names().await, three, "a 404 says nothing by itself");
    let canceled = of_order("R-3", Status::Canceled);
    remember(store, &[canceled]).await;
    assert_eq!(names().await[2].1, Some(Status::Canceled));
}

async fn a_retry_lets_go_the_requests_known_by_then_and_forgets_what_was_read(fresh: Fresh) {
    let store = &*fresh.store;
    let read = [
        of_order("R-1", Status::NotSent),
        of_order("R-2", Status::Validating),
    ];
    remember(store, &read).await;
    let noted = [ReferenceId::from("R-3")];
    store
        .note_duplicates(&org(), &order("A"), &noted, at(2))
        .await
        .unwrap();
    store
        .retry_order(&org(), &order("A"), &person(), at(5))
        .await
        .unwrap()
        .unwrap();
    let asked = ["R-1", "R-2"].map(ReferenceId::from);
    let left = store.observations(&org(), &asked).await.unwrap();
    assert!(left.is_empty(), "it is read afresh, whatever its date");
    let later = ["R-1", "R-2", "R-4"].map(ReferenceId::from);
    store
        .note_duplicates(&org(), &order("A"), &later, at(6))
        .await
        .unwrap();
    remember(store, &read).await;
    let known = marks(store, "A").await.requests;
    let let_go: Vec<_> = known
        .iter()
        .map(|known| (known.reference_id.as_str(), known.let_go))
        .collect();
    let wanted = [("R-1", true), ("R-2", true), ("R-3", true), ("R-4", false)];
    assert_eq!(let_go, wanted);
}

async fn the_intent_asks_again_with_what_is_known_then(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let first = attempt_in(store, &lease, "A", AttemptState::Ineffective).await;
    let both = ["ref-A", "ref-B"].map(ReferenceId::from);
    store
        .note_duplicates(&org(), &order("A"), &both, at(1))
        .await
        .unwrap();
    let told = Arc::new(Mutex::new(None));
    let attempt = NewAttempt {
        recheck: Recheck::new({
            let told = told.clone();
            move |facts| {
                *told.lock().unwrap() = Some(facts.clone());
                Ok(())
            }
        }),
        ..new_attempt("A")
    };
    intended(store, &lease, &attempt, at(2)).await;
    let facts = told.lock().unwrap().take().expect("it was asked");
    let states: Vec<_> = facts
        .attempts
        .iter()
        .map(|one| (one.id, one.state))
        .collect();
    assert_eq!(states, [(first, AttemptState::Ineffective)]);
    assert_eq!(facts.marks, marks(store, "A").await);
    assert_eq!(facts.marks.requests.len(), 2);
}

async fn an_intent_that_is_rechecked_and_refused_leaves_nothing(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let no = || IntentRefused::Rechecked(SkipReason::BackingOff, "not yet".to_owned());
    let attempt = NewAttempt {
        recheck: Recheck::new(move |_| Err(no())),
        ..new_attempt("A")
    };
    let answer = store
        .intend(&lease, &attempt, NO_LIMITS, at(1))
        .await
        .unwrap();
    assert_eq!(answer, Err(no()));
    let all = store
        .attempts(&Default::default(), Page::first(9))
        .await
        .unwrap();
    assert!(all.is_empty());
}

async fn a_request_has_one_open_attempt_whatever_its_order_is_called(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let open = attempt_in(store, &lease, "A", AttemptState::Unknown).await;
    let renamed = NewAttempt {
        external_reference: order("A, corrected"),
        ..new_attempt("A")
    };
    let answer = store
        .intend(&lease, &renamed, NO_LIMITS, at(2))
        .await
        .unwrap();
    assert_eq!(answer, Err(IntentRefused::OpenAttempt(open)));
    let elsewhere = NewAttempt {
        org: "yoigo".into(),
        ..new_attempt("A")
    };
    intended(store, &lease, &elsewhere, at(2)).await;
}

async fn the_database_itself_keeps_a_request_s_one_open_attempt(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    attempt_in(store, &lease, "B", AttemptState::Unknown).await;
    let closed = attempt_in(store, &lease, "C", AttemptState::Rejected).await;
    let reopened = format!(
        "INSERT INTO attempts (org, reference_id, external_reference, operation, state, job_name, rule, run_id,
            replica, before_status, before_cancelling, correlation_id, intended_at, counted_at, changed_at, detail)
         SELECT org, 'ref-B', external_reference, operation, 'unknown', job_name, rule, run_id, replica,
            before_status, before_cancelling, '018f3f4e-0000-7000-8000-000000000001', intended_at, counted_at, changed_at,
            detail
         FROM attempts WHERE id = {closed}"
    );
    let refused = fresh.past_the_store(&reopened).await.unwrap_err();
    assert!(refused.to_lowercase().contains("unique"), "{refused}");
}

async fn what_confirmed_an_attempt_is_kept(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let confirming = Version {
        status: Status::parse("ON_THE_MOON"),
        cancelling: true,
        last_updated: Some(at(77)),
    };
    for confirmed in [Some(confirming), None] {
        let name = format!("{confirmed:?}");
        let id = attempt_in(store, &lease, &name, AttemptState::Accepted).await;
        let step = Step {
            confirmed: confirmed.clone(),
            ..step(AttemptState::Confirmed)
        };
        store.advance(id, &step, &daemon(), at(80)).await.unwrap();
        let read = store.attempt(id).await.unwrap().unwrap();
        assert_eq!(read.confirmed, confirmed);
    }
}

async fn old_marks_are_pruned_with_what_they_are_about(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    attempt_in(store, &lease, "A", AttemptState::Rejected).await;
    let retry = async |name: &str| {
        let done = store
            .retry_order(&org(), &order(name), &person(), at(2))
            .await;
        done.unwrap().unwrap();
    };
    retry("A").await;
    retry("without-attempts").await;
    let ids = ["R-1", "R-2"].map(ReferenceId::from);
    store
        .note_duplicates(&org(), &order("B"), &ids, at(2))
        .await
        .unwrap();
    let finished = Observation {
        external_reference: Some(order("B")),
        status: Status::Finished,
        observed_at: at(3),
        ..observation("R-2")
    };
    remember(store, &[finished]).await;
    // Its finding keeps the attempt, and the attempt the retry.
    let kept = seen(&[sighting("ref-A", "NOT_SENT")]);
    store
        .apply_findings(&a_run(store).await, &org(), &job(), &kept, at(2))
        .await
        .unwrap();
    assert_eq!(
        store.prune(&lease, at(2), 100).await.unwrap().orders,
        0,
        "not old yet"
    );
    let mut orders = 0;
    loop {
        let pruned = store.prune(&lease, at(10), 100).await.unwrap();
        orders += pruned.orders;
        if pruned.total() == 0 {
            break;
        }
    }
    assert_eq!(orders, 2);
    assert!(marks(store, "A").await.retry.is_some());
    let asked = [ReferenceId::from("R-2")];
    let left = store.observations(&org(), &asked).await.unwrap();
    assert!(left.is_empty(), "nothing keeps it any longer");
    let again = [ReferenceId::from("R-2")];
    store
        .note_duplicates(&org(), &order("B"), &again, at(11))
        .await
        .unwrap();
    assert_eq!(
        marks(store, "B").await.requests.len(),
        2,
        "the one not final stayed"
    );
}
