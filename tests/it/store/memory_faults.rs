//! The faults of the store in memory: each does what it says, to whom it says, and no more.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tesa_reconciler::clock::ManualClock;
use tesa_reconciler::store::identity::Doubt;
use tesa_reconciler::store::{
    Actor, Audit, Change, Controls, Identity, Page, Runs, Store, StoreError,
};
use tokio::time::Instant;

use super::values::{at, daemon, job, new_run, org, person, started};
use crate::memory::{Fault, MemoryStore};

const LIMIT: Duration = Duration::from_secs(5);

fn fresh() -> MemoryStore {
    MemoryStore::new(Arc::new(ManualClock::new(at(0), 7)))
}

async fn note(store: &MemoryStore) -> Result<(), StoreError> {
    store.note("start", "x", &daemon(), at(0)).await
}

async fn notes(store: &MemoryStore) -> usize {
    let rows = store.audit(&Default::default(), Page::first(99)).await;
    rows.unwrap().len()
}

fn is_timeout(answer: &Result<(), StoreError>) -> bool {
    matches!(answer, Err(StoreError::Timeout { limit: LIMIT, .. }))
}

fn is_unavailable(answer: &Result<(), StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable { .. }))
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_answers_nobody_until_it_is_back() {
    let store = fresh();
    store.faults().set(Some(Fault::Away));
    assert!(is_unavailable(&note(&store).await));
    assert!(store.latches().await.is_err(), "nor a read");
    store.faults().stop();
    assert_eq!(notes(&store).await, 0, "and nothing was written");
}

#[tokio::test(start_paused = true)]
async fn a_full_or_read_only_store_can_be_read_and_not_written() {
    for fault in [Fault::Full, Fault::ReadOnly] {
        let store = fresh();
        note(&store).await.unwrap();
        store.server_faults().set(Some(fault));
        assert!(is_unavailable(&note(&store).await), "{fault:?}");
        assert!(is_unavailable(&store.probe().await), "{fault:?}");
        assert_eq!(notes(&store).await, 1, "{fault:?}");
        let taken = store.take_triggers(&"replica-1".into(), at(0)).await;
        assert_eq!(taken.unwrap(), [], "{fault:?}: there is nothing to write");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_a_time_out_of_what_was_committed() {
    let store = fresh();
    store.faults().once(None, Fault::AnswerLost);
    let begun = Instant::now();
    assert!(is_timeout(&note(&store).await));
    assert_eq!(begun.elapsed(), LIMIT);
    assert_eq!(notes(&store).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_at_its_time_out_with_nothing_done() {
    let store = fresh();
    store.faults().once(None, Fault::Hangs);
    let begun = Instant::now();
    assert!(is_timeout(&note(&store).await));
    assert_eq!(begun.elapsed(), LIMIT);
    assert_eq!(notes(&store).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_committed_half_way_to_its_answer() {
    for (seconds, answers_in, committed) in [(4, Some(4), 1), (8, None, 1), (10, None, 0)] {
        let store = fresh();
        let slow = Fault::Slow(Duration::from_secs(seconds));
        store.faults().once(Some("note"), slow);
        let begun = Instant::now();
        let answer = note(&store).await;
        match answers_in {
            Some(seconds) => {
                answer.unwrap();
                assert_eq!(begun.elapsed(), Duration::from_secs(seconds));
            }
            None => {
                assert!(is_timeout(&answer), "{seconds} s: {answer:?}");
                assert_eq!(begun.elapsed(), LIMIT, "{seconds} s");
            }
        }
        assert_eq!(notes(&store).await, committed, "{seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_killed_before_the_commit_has_written_nothing_and_after_it_everything() {
    for (waits, committed) in [(1, 0), (3, 1)] {
        let store = fresh();
        let slow = Fault::Slow(Duration::from_secs(4));
        store.faults().once(Some("note"), slow);
        let killed = tokio::time::timeout(Duration::from_secs(waits), note(&store)).await;
        assert!(killed.is_err());
        assert_eq!(notes(&store).await, committed, "after {waits} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_planned_fault_is_met_by_the_call_it_names_and_by_one_only() {
    let store = fresh();
    store.faults().once(Some("note"), Fault::Away);
    store.latches().await.unwrap();
    assert!(is_unavailable(&note(&store).await));
    note(&store).await.unwrap();
    assert_eq!(notes(&store).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_s_fault_is_its_own_and_the_server_s_is_everybody_s() {
    let one = fresh();
    let other = one.another();
    one.faults().set(Some(Fault::Away));
    assert!(is_unavailable(&note(&one).await));
    note(&other).await.unwrap();
    one.faults().stop();
    assert_eq!(notes(&one).await, 1, "they share what is written");
    one.server_faults().set(Some(Fault::Away));
    assert!(is_unavailable(&note(&one).await) && is_unavailable(&note(&other).await));
}

#[tokio::test(start_paused = true)]
async fn a_retried_start_after_a_lost_answer_finds_its_slot_taken() {
    let store = fresh();
    store.faults().once(Some("start"), Fault::AnswerLost);
    let run = new_run(Some(at(0)));
    assert!(store.start(&run, at(0)).await.is_err());
    let again = store.start(&run, at(0)).await.unwrap();
    assert_eq!(again, tesa_reconciler::store::runs::Started::SlotTaken);
}

#[tokio::test(start_paused = true)]
async fn an_emptied_store_is_in_doubt_until_it_is_adopted() {
    let store = fresh();
    started(&store, &new_run(None), at(0)).await;
    store.empty();
    assert_eq!(store.doubt().await.unwrap(), Some(Doubt::Emptied));
    assert!(store.last_runs().await.unwrap().is_empty());
    let doubted = store.adopt(&person(), at(1)).await.unwrap();
    assert_eq!(doubted, Some(Doubt::Emptied));
    assert_eq!(store.doubt().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_one_steers_the_others_hear_of_unless_they_are_cut_off() {
    let one = fresh();
    let other = one.another();
    let mut heard = other.changes();
    assert_eq!(heard.next().await, Some(Change::Missed), "what was before");
    let mut next = async || tokio::time::timeout(Duration::from_secs(1), heard.next()).await;
    let actor = Actor::daemon("test");
    one.request_trigger(&job(), &org(), &actor, at(0))
        .await
        .unwrap();
    assert_eq!(next().await, Ok(Some(Change::Steered)));
    other.faults().set(Some(Fault::Away));
    one.request_trigger(&job(), &org(), &actor, at(1))
        .await
        .unwrap();
    assert!(next().await.is_err(), "nothing comes through");
}
