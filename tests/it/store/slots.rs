//! Slots: each is accounted for once.

use std::sync::Arc;

use chrono::TimeDelta;
use tesa_reconciler::domain::run::SlotResult;
use tesa_reconciler::domain::{RunOutcome, Trigger};
use tesa_reconciler::store::Page;
use tesa_reconciler::store::audit::AuditFilter;
use tesa_reconciler::store::runs::{NewRun, RunSummary, Started, UnrunSlots};
use tokio::sync::Barrier;

use super::harness::Fresh;
use super::values::*;

behaviours![
    a_slot_that_two_replicas_claim_at_once_runs_once,
    a_slot_of_an_earlier_life_stays_taken,
    already_running_leaves_the_slot_unclaimed,
    a_skipped_or_missed_slot_does_not_run_later,
    a_deduplicated_slot_was_not_ours_to_account_for,
    last_slot_is_the_latest_and_never_moves_back,
    what_was_accounted_for_in_the_future_is_forgotten,
    recording_unrun_slots_again_is_harmless,
    a_year_of_missed_slots_is_one_row,
];

fn unrun(result: SlotResult, first: i64, last: i64) -> UnrunSlots {
    UnrunSlots {
        job_name: job(),
        org: org(),
        result,
        first: at(first),
        last: at(last),
        count: Some(1),
    }
}

async fn a_slot_that_two_replicas_claim_at_once_runs_once(fresh: Fresh) {
    for round in 0..8 {
        let slot = at(round * 300);
        let barrier = Arc::new(Barrier::new(2));
        let tasks = [fresh.store.clone(), fresh.again().await].map(|store| {
            let barrier = barrier.clone();
            tokio::spawn(async move {
                barrier.wait().await;
                let answer = store.start(&new_run(Some(slot)), slot).await.unwrap();
                (store, answer)
            })
        });
        let mut ran = 0;
        for task in tasks {
            if let (store, Started::Yes(lease)) = task.await.unwrap() {
                ran += 1;
                let nothing = RunSummary::default();
                let outcome = RunOutcome::Succeeded;
                store.finish(&lease, outcome, &nothing, slot).await.unwrap();
            }
        }
        assert_eq!(ran, 1);
    }
}

async fn a_slot_of_an_earlier_life_stays_taken(fresh: Fresh) {
    let lease = started(&*fresh.store, &new_run(Some(at(0))), at(0)).await;
    let nothing = RunSummary::default();
    let outcome = RunOutcome::Succeeded;
    fresh
        .store
        .finish(&lease, outcome, &nothing, at(1))
        .await
        .unwrap();
    let later = fresh.again().await;
    let catch_up = NewRun {
        trigger: Trigger::CatchUp,
        ..new_run(Some(at(0)))
    };
    let answer = later.start(&catch_up, at(900)).await.unwrap();
    assert_eq!(answer, Started::SlotTaken);
    let a_microsecond_on = new_run(Some(at(0) + TimeDelta::microseconds(1)));
    started(&*later, &a_microsecond_on, at(900)).await;
}

async fn already_running_leaves_the_slot_unclaimed(fresh: Fresh) {
    let store = fresh.store;
    let going_on = started(&*store, &new_run(Some(at(0))), at(0)).await;
    let answer = store.start(&new_run(Some(at(300))), at(300)).await.unwrap();
    assert_eq!(answer, Started::AlreadyRunning(going_on.run_id));
    assert_eq!(store.last_slot(&job(), &org()).await.unwrap(), Some(at(0)));
    let nothing = RunSummary::default();
    let outcome = RunOutcome::Succeeded;
    store
        .finish(&going_on, outcome, &nothing, at(301))
        .await
        .unwrap();
    started(&*store, &new_run(Some(at(300))), at(302)).await;
}

async fn a_skipped_or_missed_slot_does_not_run_later(fresh: Fresh) {
    let store = fresh.store;
    for (round, result) in [
        SlotResult::SkippedOverlap,
        SlotResult::SkippedPaused,
        SlotResult::Missed,
    ]
    .into_iter()
    .enumerate()
    {
        let first = 10_000 * i64::try_from(round).unwrap();
        let slots = unrun(result, first, first + 600);
        store.record_unrun(&slots, at(0)).await.unwrap();
        for slot in [first, first + 300, first + 600] {
            let answer = store.start(&new_run(Some(at(slot))), at(0)).await.unwrap();
            assert_eq!(answer, Started::SlotTaken, "{result} {slot}");
        }
    }
    started(&*store, &new_run(Some(at(20_601))), at(0)).await;
}

async fn a_deduplicated_slot_was_not_ours_to_account_for(fresh: Fresh) {
    let store = fresh.store;
    let slots = unrun(SlotResult::Deduplicated, 0, 0);
    store.record_unrun(&slots, at(0)).await.unwrap();
    started(&*store, &new_run(Some(at(0))), at(0)).await;
}

async fn recording_unrun_slots_again_is_harmless(fresh: Fresh) {
    let store = &fresh.store;
    let longer = unrun(SlotResult::Missed, 0, 600);
    for slots in [&unrun(SlotResult::Missed, 0, 300), &longer, &longer] {
        store.record_unrun(slots, at(700)).await.unwrap();
    }
    store
        .record_unrun(&unrun(SlotResult::Missed, 0, 300), at(701))
        .await
        .unwrap();
    let kept = format!(
        "UPDATE unrun_slots SET count = count WHERE last_at = {}",
        fresh.literal(at(600))
    );
    fresh.expect_rows(&kept, 1, "the longer one stands").await;
    let all = "UPDATE unrun_slots SET count = count";
    fresh.expect_rows(all, 1, "and no other").await;

    // A slot that ran is not also skipped.
    started(&**store, &new_run(Some(at(900))), at(900)).await;
    let late = unrun(SlotResult::SkippedOverlap, 900, 900);
    store.record_unrun(&late, at(901)).await.unwrap();
    fresh.expect_rows(all, 1, "it did run").await;
}

async fn last_slot_is_the_latest_and_never_moves_back(fresh: Fresh) {
    let store = fresh.store;
    let last = async || store.last_slot(&job(), &org()).await.unwrap();
    assert_eq!(last().await, None);
    let manual = started(&*store, &new_run(None), at(0)).await;
    assert_eq!(last().await, None, "a run without a slot accounts for none");
    let nothing = RunSummary::default();
    let outcome = RunOutcome::Succeeded;
    store
        .finish(&manual, outcome, &nothing, at(1))
        .await
        .unwrap();
    started(&*store, &new_run(Some(at(300))), at(300)).await;
    assert_eq!(last().await, Some(at(300)));
    let ahead = unrun(SlotResult::SkippedOverlap, 600, 900);
    store.record_unrun(&ahead, at(900)).await.unwrap();
    assert_eq!(last().await, Some(at(900)));
    let behind = unrun(SlotResult::Missed, 0, 100);
    store.record_unrun(&behind, at(901)).await.unwrap();
    assert_eq!(last().await, Some(at(900)));
    let other = store.last_slot(&job(), &"yoigo".into()).await.unwrap();
    assert_eq!(other, None);
}

async fn what_was_accounted_for_in_the_future_is_forgotten(fresh: Fresh) {
    let store = fresh.store;
    // PostgreSQL goes by its own clock.
    let now = real_now();
    let minutes = |n| now + TimeDelta::minutes(n);
    let set_back = async || store.set_back(&job(), &org(), now).await.unwrap();
    let last = async || store.last_slot(&job(), &org()).await.unwrap();
    assert_eq!(set_back().await, None, "there is nothing yet");
    let nothing = RunSummary::default();
    let run = async |slot| {
        let lease = started(&*store, &new_run(Some(slot)), slot).await;
        let outcome = RunOutcome::Succeeded;
        store.finish(&lease, outcome, &nothing, slot).await.unwrap();
    };
    run(minutes(-10)).await;
    // Another machine's clock.
    run(now + TimeDelta::seconds(30)).await;
    assert_eq!(set_back().await, None);
    let missed = UnrunSlots {
        first: minutes(-5),
        last: minutes(1440),
        ..unrun(SlotResult::Missed, 0, 0)
    };
    store.record_unrun(&missed, now).await.unwrap();
    run(minutes(1445)).await;
    assert_eq!(last().await, Some(minutes(1445)));
    let other = store.set_back(&job(), &"yoigo".into(), now).await.unwrap();
    assert_eq!(other, None);

    assert_eq!(set_back().await, Some(minutes(1445)));
    assert_eq!(last().await, Some(minutes(-10)), "the last that truly was");
    assert_eq!(set_back().await, None);
    for slot in [-5, 0, 1440, 1445] {
        run(minutes(slot)).await;
    }
    let filter = AuditFilter {
        action: Some("set_back".to_owned()),
        ..AuditFilter::default()
    };
    let rows = store.audit(&filter, Page::first(9)).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].subject, format!("{}/{}", job(), org()));
    assert!(rows[0].reason.contains("a clock was ahead"), "{rows:?}");
}

async fn a_year_of_missed_slots_is_one_row(fresh: Fresh) {
    let year = UnrunSlots {
        count: None,
        ..unrun(SlotResult::Missed, -365 * 86_400, 0)
    };
    fresh.store.record_unrun(&year, at(1)).await.unwrap();
    let uncounted = "UPDATE unrun_slots SET count = NULL WHERE count IS NULL";
    fresh.expect_rows(uncounted, 1, "a stretch is a row").await;
    let last = fresh.store.last_slot(&job(), &org()).await.unwrap();
    assert_eq!(last, Some(at(0)));
}
