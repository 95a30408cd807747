//! Runs and leases.

use std::sync::Arc;

use chrono::TimeDelta;
use tesa_reconciler::domain::run::Mode;
use tesa_reconciler::domain::{RunId, RunOutcome, Trigger};
use tesa_reconciler::store::runs::{LastRuns, NewRun, RunFilter, RunLease, RunSummary, Started};
use tesa_reconciler::store::{Page, StoreError};
use tokio::sync::Barrier;

use super::harness::Fresh;
use super::values::*;

behaviours![
    a_run_reads_back_as_it_was_started_and_finished,
    a_run_ends_once_but_may_be_told_twice,
    every_word_of_a_run_can_be_stored,
    a_job_and_org_have_one_run_at_a_time,
    other_jobs_and_orgs_run_beside,
    tokens_only_ever_grow,
    a_stale_token_is_refused_everywhere,
    lost_run_does_not_block_next_slot,
    slow_but_alive_run_is_not_reaped,
    without_a_limit_every_running_run_is_reaped,
    last_runs_remember_a_success_beyond_a_failure,
    runs_are_listed_newest_first_by_filter_and_page,
    a_job_might_write_since_it_last_observed_or_since_it_first_ran,
    a_run_that_is_not_there_is_none,
    the_same_end_under_an_older_token_is_refused,
];

fn summary() -> RunSummary {
    RunSummary {
        selected: 1,
        observed: 2,
        unchanged: 3,
        to_act: 4,
        sent: 5,
        flagged: 6,
        skipped: 7,
        capped: 9,
        failed: 8,
        trouble: "yoigo: circuit open".to_owned(),
    }
}

async fn a_run_reads_back_as_it_was_started_and_finished(fresh: Fresh) {
    let store = fresh.store;
    let run = new_run(Some(at(-1)));
    let lease = started(&*store, &run, at(0)).await;
    let row = store.run(lease.run_id).await.unwrap().unwrap();
    assert_eq!(row.id, lease.run_id);
    assert_eq!((row.job_name, row.org), (run.job_name, run.org));
    assert_eq!((row.trigger, row.mode), (Trigger::Schedule, Mode::Enforce));
    assert_eq!(row.slot, Some(at(-1)));
    assert_eq!(
        (row.replica.as_str(), row.actor.as_str()),
        ("replica-1", "daemon")
    );
    assert_eq!(row.started_at, at(0));
    assert_eq!((row.finished_at, row.outcome), (None, None));
    assert_eq!(row.summary, RunSummary::default());

    store
        .finish(&lease, RunOutcome::Partial, &summary(), at(9))
        .await
        .unwrap();
    let row = store.run(lease.run_id).await.unwrap().unwrap();
    assert_eq!(row.outcome, Some(RunOutcome::Partial));
    assert_eq!(row.finished_at, Some(at(9)));
    assert_eq!(row.summary, summary());
}

async fn a_run_ends_once_but_may_be_told_twice(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let first = RunOutcome::Partial;
    store
        .finish(&lease, first, &summary(), at(9))
        .await
        .unwrap();
    let nothing = RunSummary::default();
    store.finish(&lease, first, &nothing, at(10)).await.unwrap();
    let other = store
        .finish(&lease, RunOutcome::Failed, &nothing, at(11))
        .await;
    assert_eq!(other.unwrap_err().reason(), "fenced");
    let row = store.run(lease.run_id).await.unwrap().unwrap();
    assert_eq!((row.outcome, row.finished_at), (Some(first), Some(at(9))));
    assert_eq!(row.summary, summary(), "the first word stands");
}

async fn every_word_of_a_run_can_be_stored(fresh: Fresh) {
    let store = fresh.store;
    for &trigger in Trigger::ALL {
        for &mode in Mode::ALL {
            for &outcome in RunOutcome::ALL {
                let run = NewRun {
                    trigger,
                    mode,
                    ..new_run(None)
                };
                let lease = started(&*store, &run, at(0)).await;
                let summary = RunSummary::default();
                store
                    .finish(&lease, outcome, &summary, at(1))
                    .await
                    .unwrap();
                let row = store.run(lease.run_id).await.unwrap().unwrap();
                assert_eq!((row.trigger, row.mode), (trigger, mode));
                assert_eq!(row.outcome, Some(outcome));
            }
        }
    }
}

async fn a_job_and_org_have_one_run_at_a_time(fresh: Fresh) {
    let barrier = Arc::new(Barrier::new(16));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (store, barrier) = (fresh.store.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                store.start(&new_run(None), at(0)).await.unwrap()
            })
        })
        .collect();
    let answers: Vec<Started> = futures::future::join_all(tasks)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let ours: Vec<RunId> = answers
        .iter()
        .filter_map(|answer| match answer {
            Started::Yes(lease) => Some(lease.run_id),
            _ => None,
        })
        .collect();
    assert_eq!(ours.len(), 1, "{answers:?}");
    let told = Started::AlreadyRunning(ours[0]);
    assert_eq!(answers.iter().filter(|answer| **answer == told).count(), 15);
}

async fn other_jobs_and_orgs_run_beside(fresh: Fresh) {
    let store = fresh.store;
    started(&*store, &new_run(Some(at(0))), at(0)).await;
    let other_org = NewRun {
        org: "yoigo".into(),
        ..new_run(Some(at(0)))
    };
    started(&*store, &other_org, at(0)).await;
    let other_job = NewRun {
        job_name: "flag-events".into(),
        ..new_run(Some(at(0)))
    };
    started(&*store, &other_job, at(0)).await;
}

async fn tokens_only_ever_grow(fresh: Fresh) {
    let (one, two) = (fresh.store.clone(), fresh.again().await);
    let mut last = RunLease {
        run_id: RunId(0),
        token: 0,
    };
    for turn in 0..6 {
        let store = if turn % 2 == 0 { &one } else { &two };
        let lease = started(&**store, &new_run(None), at(turn)).await;
        assert!(lease.token > last.token && lease.run_id > last.run_id);
        let outcome = RunOutcome::Succeeded;
        store
            .finish(&lease, outcome, &RunSummary::default(), at(turn))
            .await
            .unwrap();
        last = lease;
    }
}

async fn a_stale_token_is_refused_everywhere(fresh: Fresh) {
    let store = fresh.store;
    let stale = started(&*store, &new_run(None), at(0)).await;
    store.reap_lost(None, at(1)).await.unwrap();
    let current = started(&*store, &new_run(None), at(2)).await;
    let forged = RunLease {
        run_id: current.run_id,
        token: stale.token,
    };
    for lease in [&stale, &forged] {
        let fenced = |answer: Result<(), StoreError>| {
            let error = answer.unwrap_err();
            assert!(
                matches!(error, StoreError::Fenced { token, .. } if token == stale.token),
                "{error}"
            );
        };
        fenced(store.beat(lease, at(3)).await);
        let outcome = RunOutcome::Succeeded;
        fenced(store.finish(lease, outcome, &summary(), at(3)).await);
        let intent = store
            .intend(lease, &new_attempt("A"), NO_LIMITS, at(3))
            .await;
        fenced(intent.map(|_| ()));
    }
    let lost = store.run(stale.run_id).await.unwrap().unwrap();
    assert_eq!(lost.outcome, Some(RunOutcome::Lost));
    assert_eq!(lost.summary, RunSummary::default());
    let going_on = store.run(current.run_id).await.unwrap().unwrap();
    assert_eq!(going_on.outcome, None);
    assert!(
        store
            .attempts(&Default::default(), Page::first(9))
            .await
            .unwrap()
            .is_empty()
    );
    store.beat(&current, at(4)).await.unwrap();
}

async fn lost_run_does_not_block_next_slot(fresh: Fresh) {
    let store = fresh.store.clone();
    let dead = started(&*store, &new_run(Some(at(0))), at(0)).await;
    fresh.time_passes(90).await;
    let lost = store.reap_lost(Some(at(60)), at(90)).await.unwrap();
    assert_eq!(lost.len(), 1);
    assert_eq!(
        (lost[0].id, lost[0].outcome),
        (dead.run_id, Some(RunOutcome::Lost))
    );
    assert_eq!(lost[0].finished_at, Some(at(90)));
    assert_eq!(lost[0].slot, Some(at(0)));
    started(&*store, &new_run(Some(at(300))), at(300)).await;
    let again = store.start(&new_run(Some(at(0))), at(301)).await.unwrap();
    assert_eq!(
        again,
        Started::SlotTaken,
        "its own slot is spent all the same"
    );
}

async fn slow_but_alive_run_is_not_reaped(fresh: Fresh) {
    let store = fresh.store.clone();
    let slow = started(&*store, &new_run(None), at(0)).await;
    let a_day = at(86_400);
    fresh.time_passes(86_400).await;
    store.beat(&slow, a_day).await.unwrap();
    assert!(
        store
            .reap_lost(Some(a_day), a_day + TimeDelta::seconds(30))
            .await
            .unwrap()
            .is_empty()
    );
    let summary = RunSummary::default();
    let outcome = RunOutcome::Succeeded;
    store.finish(&slow, outcome, &summary, a_day).await.unwrap();
    let later = a_day + TimeDelta::days(1);
    assert!(
        store
            .reap_lost(Some(later), later)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn without_a_limit_every_running_run_is_reaped(fresh: Fresh) {
    let store = fresh.store;
    let finished = started(&*store, &new_run(None), at(0)).await;
    let outcome = RunOutcome::Held;
    store
        .finish(&finished, outcome, &summary(), at(1))
        .await
        .unwrap();
    let first = started(&*store, &new_run(None), at(2)).await;
    let other = NewRun {
        org: "yoigo".into(),
        ..new_run(None)
    };
    let second = started(&*store, &other, at(3)).await;
    let lost = store.reap_lost(None, at(4)).await.unwrap();
    let ids: Vec<_> = lost.iter().map(|run| run.id).collect();
    assert_eq!(ids, [first.run_id, second.run_id]);
    let kept = store.run(finished.run_id).await.unwrap().unwrap();
    assert_eq!(kept.outcome, Some(RunOutcome::Held));
}

async fn last_runs_remember_a_success_beyond_a_failure(fresh: Fresh) {
    let store = fresh.store;
    assert!(store.last_runs().await.unwrap().is_empty());
    let first = started(&*store, &new_run(None), at(0)).await;
    let last = |started, outcome, success| LastRuns {
        job_name: job(),
        org: org(),
        last_started: at(started),
        last_outcome: outcome,
        last_success: success,
    };
    assert_eq!(store.last_runs().await.unwrap(), [last(0, None, None)]);
    let nothing = RunSummary::default();
    let outcome = RunOutcome::Succeeded;
    store
        .finish(&first, outcome, &nothing, at(5))
        .await
        .unwrap();
    let second = started(&*store, &new_run(None), at(10)).await;
    let outcome = RunOutcome::Failed;
    store
        .finish(&second, outcome, &nothing, at(15))
        .await
        .unwrap();
    let wanted = last(10, Some(RunOutcome::Failed), Some(at(5)));
    assert_eq!(store.last_runs().await.unwrap(), [wanted]);
    started(&*store, &new_run(None), at(20)).await;
    store.reap_lost(None, at(25)).await.unwrap();
    let wanted = last(20, Some(RunOutcome::Lost), Some(at(5)));
    assert_eq!(store.last_runs().await.unwrap(), [wanted]);
    // Some items failed: the job did its duty all the same.
    let third = started(&*store, &new_run(None), at(30)).await;
    let outcome = RunOutcome::Partial;
    store
        .finish(&third, outcome, &nothing, at(35))
        .await
        .unwrap();
    let wanted = last(30, Some(outcome), Some(at(35)));
    assert_eq!(store.last_runs().await.unwrap(), [wanted]);
}

async fn a_job_might_write_since_it_last_observed_or_since_it_first_ran(fresh: Fresh) {
    let store = fresh.store;
    let mut runs = Vec::new();
    for (turn, org, mode) in [
        (0, org(), Mode::Observe),
        (10, org(), Mode::Observe),
        (20, "yoigo".into(), Mode::Observe),
        (30, org(), Mode::Enforce),
        (40, org(), Mode::Enforce),
        (50, org(), Mode::Observe),
        (60, "lowi".into(), Mode::Enforce),
        (70, "lowi".into(), Mode::Enforce),
    ] {
        let run = NewRun {
            org,
            mode,
            ..new_run(None)
        };
        let lease = started(&*store, &run, at(turn)).await;
        let (outcome, nothing) = (RunOutcome::Succeeded, RunSummary::default());
        store
            .finish(&lease, outcome, &nothing, at(turn + 1))
            .await
            .unwrap();
        runs.push(lease.run_id);
    }
    let since = async |org: &str, run| {
        store
            .writable_since(&job(), &org.into(), run)
            .await
            .unwrap()
    };
    let own = org();
    assert_eq!(since(own.as_str(), runs[0]).await, Some(at(0)));
    assert_eq!(since(own.as_str(), runs[3]).await, Some(at(10)));
    assert_eq!(since(own.as_str(), runs[4]).await, Some(at(10)));
    assert_eq!(since("lowi", runs[7]).await, Some(at(60)));
    assert_eq!(since("lowi", runs[4]).await, None);
}

async fn runs_are_listed_newest_first_by_filter_and_page(fresh: Fresh) {
    let store = fresh.store;
    let mut ids = Vec::new();
    for turn in 0..6 {
        let run = NewRun {
            job_name: if turn < 4 {
                job()
            } else {
                "flag-events".into()
            },
            org: if turn % 2 == 0 { org() } else { "yoigo".into() },
            ..new_run(None)
        };
        let lease = started(&*store, &run, at(turn)).await;
        let outcome = if turn == 3 {
            RunOutcome::Failed
        } else {
            RunOutcome::Succeeded
        };
        let nothing = RunSummary::default();
        store
            .finish(&lease, outcome, &nothing, at(turn))
            .await
            .unwrap();
        ids.push(lease.run_id);
    }
    let list = async |filter: RunFilter, page: Page| {
        let rows = store.runs(&filter, page).await.unwrap();
        rows.iter()
            .map(|run| ids.iter().position(|id| *id == run.id).unwrap())
            .collect::<Vec<_>>()
    };
    let all = RunFilter::default;
    assert_eq!(list(all(), Page::first(9)).await, [5, 4, 3, 2, 1, 0]);
    assert_eq!(list(all(), Page::first(2)).await, [5, 4]);
    let next = Page {
        limit: 2,
        before: Some(ids[4].0),
    };
    assert_eq!(list(all(), next).await, [3, 2]);
    let of_job = RunFilter {
        job_name: Some(job()),
        ..all()
    };
    assert_eq!(list(of_job.clone(), Page::first(9)).await, [3, 2, 1, 0]);
    let of_both = RunFilter {
        org: Some(org()),
        ..of_job
    };
    assert_eq!(list(of_both, Page::first(9)).await, [2, 0]);
    let failed = RunFilter {
        outcome: Some(RunOutcome::Failed),
        ..all()
    };
    assert_eq!(list(failed, Page::first(9)).await, [3]);
    let since = RunFilter {
        since: Some(at(4)),
        ..all()
    };
    assert_eq!(list(since, Page::first(9)).await, [5, 4]);
}

async fn a_run_that_is_not_there_is_none(fresh: Fresh) {
    assert_eq!(fresh.store.run(RunId(1)).await.unwrap(), None);
}

async fn the_same_end_under_an_older_token_is_refused(fresh: Fresh) {
    let store = &*fresh.store;
    started(store, &new_run(None), at(0)).await;
    let lease = a_run(store).await;
    let nothing = RunSummary::default();
    let finish = async |lease: &RunLease| {
        let outcome = RunOutcome::Succeeded;
        store.finish(lease, outcome, &nothing, at(1)).await
    };
    finish(&lease).await.unwrap();
    finish(&lease).await.unwrap();
    let older = RunLease {
        token: lease.token - 1,
        ..lease
    };
    let error = finish(&older).await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced { .. }), "{error}");
}
