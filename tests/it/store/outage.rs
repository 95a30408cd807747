//! A store that hangs, is busy, is gone, or whose process was killed.

use std::time::{Duration, Instant};

use tesa_reconciler::domain::{AttemptState, RunOutcome};
use tesa_reconciler::store::runs::RunSummary;
use tesa_reconciler::store::{self, Page, StoreError, StoreOptions};

use super::harness::Fresh;
use super::values::*;

behaviours![
    a_call_that_was_dropped_leaves_nothing_behind,
    many_callers_wait_their_turn;
    in a database:
    hung_store_call_times_out_and_the_loop_lives,
    a_busy_store_says_so_before_the_time_is_over,
    a_transaction_that_the_database_takes_back_costs_its_own_call_only,
    a_store_that_can_only_be_read_is_not_ready,
    what_was_intended_survives_a_kill,
];

async fn hung_store_call_times_out_and_the_loop_lives(fresh: Fresh) {
    let lease = started(&*fresh.store, &new_run(None), at(0)).await;
    let limit = Duration::from_millis(200);
    let impatient = fresh
        .with(&StoreOptions {
            call_timeout: limit,
            busy_timeout: Duration::from_secs(30),
            ..StoreOptions::default()
        })
        .await;
    let attempts = async || {
        let rows = fresh
            .store
            .attempts(&Default::default(), Page::first(9))
            .await
            .unwrap();
        rows.iter().map(|attempt| attempt.id).collect::<Vec<_>>()
    };
    let attempt = new_attempt("A");
    let neighbour = fresh.block_writers().await;
    let begun = Instant::now();
    // Several in a row: the first one's connection is still stuck in the database when the next one asks.
    for _ in 0..3 {
        let intent = impatient.intend(&lease, &attempt, NO_LIMITS, at(1)).await;
        let error = intent.unwrap_err();
        assert!(matches!(error, StoreError::Timeout { .. }), "{error}");
        assert!(error.is_outage());
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    impatient.check_schema().await.unwrap();
    assert!(attempts().await.is_empty());
    drop(neighbour);

    // The stuck connection comes free by itself; until it does, calls fail in time. The intent is repeated as it
    // was, because one that timed out may have been committed all the same.
    let id = loop {
        match impatient.intend(&lease, &attempt, NO_LIMITS, at(2)).await {
            Ok(answer) => break answer.unwrap(),
            Err(error) => assert!(error.is_outage(), "{error}"),
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it does not heal"
        );
    };
    assert_eq!(attempts().await, [id]);
}

/// As on a full disk: the database rolls back by itself, within the transaction or at its commit.
async fn a_transaction_that_the_database_takes_back_costs_its_own_call_only(fresh: Fresh) {
    let note = async |n| fresh.store.note("start", "x", &daemon(), at(n)).await;
    note(0).await.unwrap();
    fresh.take_back("audit", "INSERT").await;
    for n in 1..4 {
        let error = note(n).await.unwrap_err().to_string();
        assert!(error.contains("disk full"), "{error}");
    }
    fresh.take_nothing_back("audit").await;
    note(4).await.unwrap();
    let rows = fresh.store.audit(&Default::default(), Page::first(9)).await;
    assert_eq!(rows.unwrap().len(), 2);
}

async fn a_store_that_can_only_be_read_is_not_ready(fresh: Fresh) {
    fresh.store.probe().await.unwrap();
    fresh.take_back("identity", "UPDATE").await;
    for _ in 0..2 {
        let error = fresh.store.probe().await.unwrap_err().to_string();
        assert!(error.contains("disk full"), "{error}");
        fresh.store.check_schema().await.unwrap();
    }
    fresh.take_nothing_back("identity").await;
    fresh.store.probe().await.unwrap();
}

async fn a_busy_store_says_so_before_the_time_is_over(fresh: Fresh) {
    let patient = fresh
        .with(&StoreOptions {
            busy_timeout: Duration::from_millis(50),
            ..StoreOptions::default()
        })
        .await;
    let neighbour = fresh.block_writers().await;
    let error = patient
        .note("start", "x", &daemon(), at(0))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Busy {
                operation: "note",
                ..
            }
        ),
        "{error}"
    );
    drop(neighbour);
    patient.note("start", "x", &daemon(), at(0)).await.unwrap();
}

async fn a_call_that_was_dropped_leaves_nothing_behind(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    // Polled once, so that it is under way, and dropped at its first wait.
    for _ in 0..20 {
        let attempt = new_attempt("A");
        let mut call = store.intend(&lease, &attempt, NO_LIMITS, at(1));
        let once = futures::poll!(&mut call);
        assert!(once.is_pending());
        drop(call);
    }
    let id = intended(store, &lease, &new_attempt("A"), at(2)).await;
    let all = store
        .attempts(&Default::default(), Page::first(9))
        .await
        .unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].id, id);
}

async fn what_was_intended_survives_a_kill(fresh: Fresh) {
    let lease = started(&*fresh.store, &new_run(Some(at(0))), at(0)).await;
    let id = intended(&*fresh.store, &lease, &new_attempt("A"), at(1)).await;
    // The store is still open: nothing was flushed, closed or checkpointed for our sake.
    let url = fresh.as_after_a_crash().await;
    let next_life = store::open_for_daemon(&url, &StoreOptions::default())
        .await
        .unwrap();
    let read = next_life.attempt(id).await.unwrap().unwrap();
    assert_eq!(
        (read.state, read.intended_at),
        (AttemptState::Intended, at(1))
    );
    let lost = next_life.reap_lost(None, at(2)).await.unwrap();
    assert_eq!((lost.len(), lost[0].id), (1, lease.run_id));
    let recovered = next_life
        .recover_intended(&[], FIRST_LOOK, at(2))
        .await
        .unwrap();
    assert_eq!((recovered.len(), recovered[0].id), (1, id));
}

async fn many_callers_wait_their_turn(fresh: Fresh) {
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let store = fresh.store.clone();
            tokio::spawn(async move {
                let run = tesa_reconciler::store::runs::NewRun {
                    org: format!("org-{n}").into(),
                    ..new_run(None)
                };
                let lease = started(&*store, &run, at(0)).await;
                let nothing = RunSummary::default();
                let outcome = RunOutcome::Succeeded;
                store
                    .finish(&lease, outcome, &nothing, at(1))
                    .await
                    .unwrap();
                store.run(lease.run_id).await.unwrap().unwrap()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().outcome, Some(RunOutcome::Succeeded));
    }
}
