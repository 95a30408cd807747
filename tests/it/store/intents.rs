//! The intent: what it checks, and that nobody slips between check and row.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::TimeDelta;
use tesa_reconciler::domain::{AttemptState, Operation, RunOutcome, Status, Version};
use tesa_reconciler::store::attempts::{Attempt, IntentLimits, IntentRefused, NewAttempt};
use tesa_reconciler::store::runs::{NewRun, RunLease, RunSummary};
use tesa_reconciler::store::{Page, Store};
use tokio::sync::Barrier;

use super::harness::Fresh;
use super::values::*;

behaviours![
    an_intent_reads_back_as_it_was_given,
    an_intent_with_nothing_optional_reads_back_too,
    every_operation_can_be_intended,
    sixteen_intents_for_one_order_are_one,
    an_order_is_its_exact_text_within_its_org,
    every_open_state_blocks_the_order_and_no_closed_one_does,
    the_cap_of_a_run_is_exact_under_concurrency,
    the_cap_of_an_hour_is_exact_over_runs_and_processes,
    what_was_not_sent_counts_towards_no_cap,
    the_hour_slides,
    a_pause_of_the_job_or_of_all_refuses,
    a_latch_refuses_its_job_and_org_only,
    refusals_come_in_their_documented_order,
    the_same_intent_again_is_not_a_second_one,
];

async fn open_run(store: &dyn Store) -> RunLease {
    started(store, &new_run(None), at(0)).await
}

async fn an_intent_reads_back_as_it_was_given(fresh: Fresh) {
    let store = fresh.store;
    let lease = open_run(&*store).await;
    let given = new_attempt("A-1");
    let id = intended(&*store, &lease, &given, at(5)).await;
    let wanted = Attempt {
        id,
        org: given.org,
        reference_id: given.reference_id,
        external_reference: given.external_reference,
        operation: Operation::CreateActivation,
        state: AttemptState::Intended,
        job_name: given.job_name,
        rule: given.rule,
        run_id: lease.run_id,
        replica: "replica-1".to_owned(),
        before: given.before,
        issue_sequence: Some(3),
        before_issue: given.before_issue,
        due_since: Some(at(-1_800)),
        correlation_id: given.correlation_id,
        intended_at: at(5),
        changed_at: at(5),
        http_status: None,
        detail: String::new(),
        verifications: 0,
        verify_at: None,
        confirmed: None,
    };
    assert_eq!(store.attempt(id).await.unwrap(), Some(wanted));
    let steps = store.attempt_steps(id).await.unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!(
        (steps[0].state, steps[0].at),
        (AttemptState::Intended, at(5))
    );
}

async fn an_intent_with_nothing_optional_reads_back_too(fresh: Fresh) {
    let store = fresh.store;
    let lease = open_run(&*store).await;
    let bare = NewAttempt {
        before: Version {
            status: Status::parse("ON_THE_MOON"),
            cancelling: true,
            last_updated: None,
        },
        issue_sequence: None,
        before_issue: None,
        due_since: None,
        ..new_attempt("A")
    };
    let id = intended(&*store, &lease, &bare, at(0)).await;
    let read = store.attempt(id).await.unwrap().unwrap();
    assert_eq!(read.before, bare.before);
    assert_eq!((read.issue_sequence, read.due_since), (None, None));
}

async fn every_operation_can_be_intended(fresh: Fresh) {
    let store = fresh.store;
    let lease = open_run(&*store).await;
    for &operation in Operation::ALL {
        let attempt = NewAttempt {
            operation,
            ..new_attempt(operation.as_str())
        };
        let id = intended(&*store, &lease, &attempt, at(0)).await;
        let read = store.attempt(id).await.unwrap().unwrap();
        assert_eq!(read.operation, operation);
    }
}

async fn sixteen_intents_for_one_order_are_one(fresh: Fresh) {
    let lease = open_run(&*fresh.store).await;
    let barrier = Arc::new(Barrier::new(16));
    let stores = [fresh.store.clone(), fresh.again().await];
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let (store, barrier, lease) = (stores[n % 2].clone(), barrier.clone(), lease.clone());
            tokio::spawn(async move {
                let attempt = new_attempt("A");
                barrier.wait().await;
                let answer = store.intend(&lease, &attempt, NO_LIMITS, at(1)).await;
                answer.unwrap()
            })
        })
        .collect();
    let mut ours = Vec::new();
    let mut refused = HashSet::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(id) => ours.push(id),
            Err(why) => {
                refused.insert(format!("{why:?}"));
            }
        }
    }
    assert_eq!(ours.len(), 1);
    let told = format!("{:?}", IntentRefused::OpenAttempt(ours[0]));
    assert_eq!(refused, HashSet::from([told]));
    let all = fresh
        .store
        .attempts(&Default::default(), Page::first(99))
        .await
        .unwrap();
    assert_eq!(all.len(), 1);
}

async fn an_order_is_its_exact_text_within_its_org(fresh: Fresh) {
    let store = fresh.store;
    let lease = open_run(&*store).await;
    for order in ["order", "ORDER", "order ", "ordér"] {
        intended(&*store, &lease, &new_attempt(order), at(0)).await;
    }
    let other_org = NewAttempt {
        org: "yoigo".into(),
        ..new_attempt("order")
    };
    intended(&*store, &lease, &other_org, at(0)).await;
}

async fn every_open_state_blocks_the_order_and_no_closed_one_does(fresh: Fresh) {
    let store = fresh.store;
    let lease = open_run(&*store).await;
    for &state in AttemptState::ALL {
        let id = attempt_in(&*store, &lease, state.as_str(), state).await;
        let next = new_attempt(state.as_str());
        let answer = store.intend(&lease, &next, NO_LIMITS, at(2)).await.unwrap();
        if state.is_open() {
            assert_eq!(answer, Err(IntentRefused::OpenAttempt(id)), "{state}");
        } else {
            assert!(answer.is_ok_and(|new| new > id), "{state}");
        }
    }
}

/// Lets 24 tasks over two processes intend for an order each; answers how many were let.
async fn rush(
    fresh: &Fresh,
    leases: &[RunLease],
    limits: IntentLimits,
) -> (usize, HashSet<String>) {
    let barrier = Arc::new(Barrier::new(24));
    let stores = [fresh.store.clone(), fresh.again().await];
    let tasks: Vec<_> = (0..24)
        .map(|n| {
            let (store, barrier) = (stores[n % 2].clone(), barrier.clone());
            let lease = leases[n % leases.len()].clone();
            tokio::spawn(async move {
                let attempt = new_attempt(&format!("order-{n}"));
                barrier.wait().await;
                store.intend(&lease, &attempt, limits, at(1)).await.unwrap()
            })
        })
        .collect();
    let mut let_through = 0;
    let mut refused = HashSet::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => let_through += 1,
            Err(why) => {
                refused.insert(format!("{why:?}"));
            }
        }
    }
    (let_through, refused)
}

async fn the_cap_of_a_run_is_exact_under_concurrency(fresh: Fresh) {
    let lease = open_run(&*fresh.store).await;
    let limits = IntentLimits {
        per_run: 7,
        ..NO_LIMITS
    };
    let (let_through, refused) = rush(&fresh, &[lease], limits).await;
    assert_eq!(let_through, 7);
    assert_eq!(refused, HashSet::from(["RunCap".to_owned()]));
}

async fn the_cap_of_an_hour_is_exact_over_runs_and_processes(fresh: Fresh) {
    let store = &*fresh.store;
    let other = NewRun {
        job_name: "resolve-issues".into(),
        ..new_run(None)
    };
    let leases = [open_run(store).await, started(store, &other, at(0)).await];
    let limits = IntentLimits {
        per_hour: 5,
        ..NO_LIMITS
    };
    let (let_through, refused) = rush(&fresh, &leases, limits).await;
    assert_eq!(let_through, 5);
    assert_eq!(refused, HashSet::from(["HourCap".to_owned()]));

    let elsewhere = NewAttempt {
        org: "yoigo".into(),
        ..new_attempt("order-of-another-org")
    };
    let answer = store
        .intend(&leases[0], &elsewhere, limits, at(2))
        .await
        .unwrap();
    assert!(answer.is_ok(), "{answer:?}");
}

async fn what_was_not_sent_counts_towards_no_cap(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = open_run(store).await;
    let one = IntentLimits {
        per_run: 1,
        per_hour: 1,
    };
    for _ in 0..3 {
        let id = store
            .intend(&lease, &new_attempt("A"), one, at(1))
            .await
            .unwrap()
            .unwrap();
        let not_sent = step(AttemptState::NotSent);
        store
            .advance(id, &not_sent, &daemon(), at(1))
            .await
            .unwrap();
    }
    let id = store
        .intend(&lease, &new_attempt("A"), one, at(1))
        .await
        .unwrap()
        .unwrap();
    let rejected = step(AttemptState::Rejected);
    store
        .advance(id, &rejected, &daemon(), at(1))
        .await
        .unwrap();
    let answer = store
        .intend(&lease, &new_attempt("A"), one, at(1))
        .await
        .unwrap();
    assert_eq!(answer, Err(IntentRefused::RunCap));
}

async fn the_hour_slides(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = open_run(store).await;
    let one = IntentLimits {
        per_hour: 1,
        ..NO_LIMITS
    };
    intended(store, &lease, &new_attempt("A"), at(0)).await;
    let ask = async |now| {
        let answer = store.intend(&lease, &new_attempt("B"), one, at(now)).await;
        answer.unwrap()
    };
    fresh.time_passes(3_570).await;
    assert_eq!(ask(3_599).await, Err(IntentRefused::HourCap));
    fresh.time_passes(30).await;
    assert!(ask(3_600).await.is_ok());
}

async fn a_pause_of_the_job_or_of_all_refuses(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = open_run(store).await;
    // Whose clock tells a pause's end is the store's: here both agree.
    let begun = real_now();
    let at = |seconds| begun + TimeDelta::seconds(seconds);
    let ask = async |now| {
        let answer = store
            .intend(&lease, &new_attempt("A"), NO_LIMITS, at(now))
            .await;
        answer.unwrap().err()
    };
    for scope in [None, Some(job())] {
        store
            .pause(scope.as_ref(), None, &person(), at(0))
            .await
            .unwrap();
        assert_eq!(ask(9).await, Some(IntentRefused::Paused), "{scope:?}");
        assert!(
            store
                .resume(scope.as_ref(), &person(), at(10))
                .await
                .unwrap()
        );
        store
            .pause(scope.as_ref(), Some(at(60)), &person(), at(10))
            .await
            .unwrap();
        assert_eq!(ask(19).await, Some(IntentRefused::Paused), "{scope:?}");
    }
    fresh.time_passes(60).await;
    let other = "flag-events".into();
    store
        .pause(Some(&other), None, &person(), at(10))
        .await
        .unwrap();
    assert_eq!(
        ask(60).await,
        None,
        "both pauses have ended, and another job's is not ours"
    );
}

async fn a_latch_refuses_its_job_and_org_only(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = open_run(store).await;
    store
        .latch_guard(&a_run(store).await, &job(), &org(), &daemon(), at(0))
        .await
        .unwrap();
    let held = store
        .intend(&lease, &new_attempt("A"), NO_LIMITS, at(1))
        .await
        .unwrap();
    assert_eq!(held, Err(IntentRefused::Held));
    for other in [
        NewAttempt {
            org: "yoigo".into(),
            ..new_attempt("A")
        },
        NewAttempt {
            job_name: "resolve-issues".into(),
            ..new_attempt("B")
        },
    ] {
        intended(store, &lease, &other, at(1)).await;
    }
    store
        .release_guard(&job(), &org(), &person(), at(2))
        .await
        .unwrap();
    intended(store, &lease, &new_attempt("A"), at(3)).await;
}

async fn refusals_come_in_their_documented_order(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = open_run(store).await;
    let none = IntentLimits {
        per_run: 1,
        per_hour: 1,
    };
    let open = intended(store, &lease, &new_attempt("A"), at(0)).await;
    store.pause(None, None, &person(), at(0)).await.unwrap();
    store
        .latch_guard(&a_run(store).await, &job(), &org(), &daemon(), at(0))
        .await
        .unwrap();
    let ask = async |order, limits| {
        let answer = store
            .intend(&lease, &new_attempt(order), limits, at(1))
            .await;
        answer.unwrap().unwrap_err()
    };
    assert_eq!(ask("A", none).await, IntentRefused::Paused);
    store.resume(None, &person(), at(1)).await.unwrap();
    assert_eq!(ask("A", none).await, IntentRefused::Held);
    store
        .release_guard(&job(), &org(), &person(), at(1))
        .await
        .unwrap();
    let found = seen(&[sighting("ref-A", "NOT_SENT")]);
    store
        .apply_findings(&lease, &org(), &job(), &found, at(1))
        .await
        .unwrap();
    let found = store.findings(&Default::default(), Page::first(1)).await;
    let said = [found.unwrap()[0].id];
    store
        .acknowledge_findings(&said, &person(), at(1))
        .await
        .unwrap();
    assert_eq!(ask("A", none).await, IntentRefused::Acknowledged);
    store
        .unacknowledge_findings(&said, &person(), at(1))
        .await
        .unwrap();
    assert_eq!(ask("A", none).await, IntentRefused::OpenAttempt(open));
    assert_eq!(ask("B", none).await, IntentRefused::RunCap);
    let more_a_run = IntentLimits { per_run: 2, ..none };
    assert_eq!(ask("B", more_a_run).await, IntentRefused::HourCap);
    store.pause(None, None, &person(), at(0)).await.unwrap();
    let nothing = RunSummary::default();
    store
        .finish(&lease, RunOutcome::Aborted, &nothing, at(2))
        .await
        .unwrap();
    let answer = store.intend(&lease, &new_attempt("A"), none, at(3)).await;
    let error = answer.unwrap_err();
    assert_eq!(error.reason(), "fenced", "{error}");
}

async fn the_same_intent_again_is_not_a_second_one(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = open_run(store).await;
    let attempt = new_attempt("A");
    let id = intended(store, &lease, &attempt, at(0)).await;
    let limits = IntentLimits {
        per_run: 1,
        per_hour: 1,
    };
    let again = store.intend(&lease, &attempt, limits, at(1)).await.unwrap();
    assert_eq!(
        again,
        Ok(id),
        "as after a time-out whose commit went through"
    );
    let steps = store.attempt_steps(id).await.unwrap();
    assert_eq!(steps.len(), 1);
    store
        .advance(id, &step(AttemptState::Unknown), &daemon(), at(2))
        .await
        .unwrap();
    let late = store.intend(&lease, &attempt, limits, at(3)).await.unwrap();
    assert_eq!(
        late,
        Err(IntentRefused::OpenAttempt(id)),
        "it is no longer only meant"
    );
}
