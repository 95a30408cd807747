//! Whoever lost its run changes nothing: a process that stood still for longer than its lease and goes on again, or one whose
//! clock, network or luck left it behind. Each of a run's writes is refused, and leaves everything as it was.

use std::time::Duration;

use tesa_reconciler::domain::finding::Attention;
use tesa_reconciler::domain::ids::ClassId;
use tesa_reconciler::domain::{Filter, Observation, RunOutcome, Status, Verdict};
use tesa_reconciler::store::classes::ClassSize;
use tesa_reconciler::store::findings::{FindingChanges, FindingFilter, Live};
use tesa_reconciler::store::runs::{RunLease, RunSummary};
use tesa_reconciler::store::{Page, Store, StoreError};

use super::harness::Fresh;
use super::values::*;

behaviours! {
    a_run_that_was_declared_lost_changes_nothing,
    a_run_that_has_ended_changes_nothing,
    an_older_token_changes_nothing_in_a_run_that_goes_on,
    what_verifies_writes_needs_no_run,
}

/// Everything that a run writes. A new one belongs here.
const WRITES: [&str; 25] = [
    "remember_observations",
    "forget_observation",
    "remember_decisions",
    "findings seen",
    "findings touched",
    "findings missing",
    "findings back",
    "findings attention",
    "findings resolved",
    "ensure_classes",
    "note_listed",
    "open_members",
    "fill_details",
    "note_contradictions",
    "forget_contradictions",
    "remember_looks",
    "look_again",
    "forget_looks",
    "begin_sweep",
    "latch_guard",
    "prune",
    "prune_history",
    "intend",
    "beat",
    "finish",
];

/// One of them, so that it would change what is there.
async fn write(store: &dyn Store, lease: &RunLease, which: &str) -> Result<(), StoreError> {
    let (org, job, ids) = (&org(), &job(), ["r".into()]);
    let apply = async |changes| {
        let done = store.apply_findings(lease, org, job, &changes, at(9)).await;
        done.map(drop)
    };
    match which {
        "remember_observations" => {
            let seen = Observation {
                status: Status::Processing,
                observed_at: at(1_000),
                ..observation("r")
            };
            let seen = [seen];
            let older = store.remember_observations(lease, org, &seen);
            older.await.map(drop)
        }
        "forget_observation" => store.forget_observation(lease, org, &ids[0], at(9)).await,
        "remember_decisions" => {
            let ignore = [decision("r", Verdict::Ignore)];
            let written = store.remember_decisions(lease, org, job, at(9), &ignore);
            written.await.map(drop)
        }
        "findings seen" => apply(seen(&[sighting("r", "another")])).await,
        "findings touched" => {
            apply(FindingChanges {
                touched: live(store).await,
                ..FindingChanges::default()
            })
            .await
        }
        "findings resolved" => {
            apply(FindingChanges {
                resolved: live(store).await,
                ..FindingChanges::default()
            })
            .await
        }
        "findings missing" => {
            apply(FindingChanges {
                missing: live(store).await[..1].to_vec(),
                ..FindingChanges::default()
            })
            .await
        }
        "findings back" => {
            apply(FindingChanges {
                back: live(store).await,
                ..FindingChanges::default()
            })
            .await
        }
        "findings attention" => {
            apply(FindingChanges {
                attention: vec![(sighting("r", "NOT_SENT").key, Some(Attention::GivenUp))],
                ..FindingChanges::default()
            })
            .await
        }
        "ensure_classes" => {
            let keys = [class_key("another")];
            let made = store.ensure_classes(lease, org, job, &keys, at(9)).await;
            made.map(drop)
        }
        "note_listed" => {
            let id = class(store).await;
            let size = ClassSize { id, size: 9 };
            store.note_listed(lease, &[size], at(9)).await
        }
        "open_members" => {
            let class = class(store).await;
            let new = ["new".into()];
            let opened = store.open_members(lease, org, job, class, &new, &[], at(9));
            opened.await.map(drop)
        }
        "fill_details" => {
            let read = [observation("member")];
            store.fill_details(lease, org, job, &read).await
        }
        "note_contradictions" => {
            let found = [contradiction("new", 9)];
            store.note_contradictions(lease, org, &found).await
        }
        "forget_contradictions" => {
            store
                .forget_contradictions(lease, org, Filter::Statuses, &ids)
                .await
        }
        "look_again" => {
            store
                .look_again(lease, org, job, &[("r".into(), None)])
                .await
        }
        "remember_looks" => store.remember_looks(lease, org, job, &[look("r", 9)]).await,
        "forget_looks" => store.forget_looks(lease, org, job, &ids).await,
        "begin_sweep" => store.begin_sweep(lease, org, job, at(9), "rules").await,
        "latch_guard" => {
            let latched = store.latch_guard(lease, job, org, &daemon(), at(9)).await;
            latched.map(drop)
        }
        "prune_history" => {
            let step = store.prune_history(lease, at(1_000_000), 0, 100).await;
            step.map(drop)
        }
        "prune" => store.prune(lease, at(1_000_000), 100).await.map(drop),
        "intend" => {
            let attempt = new_attempt("ORD");
            let intended = store.intend(lease, &attempt, NO_LIMITS, at(9)).await;
            intended.map(drop)
        }
        "beat" => store.beat(lease, at(9)).await,
        "finish" => {
            let (outcome, summary) = (RunOutcome::Partial, RunSummary::default());
            store.finish(lease, outcome, &summary, at(9)).await
        }
        other => panic!("{other}"),
    }
}

async fn live(store: &dyn Store) -> Vec<tesa_reconciler::domain::ids::FindingId> {
    let live = store
        .live_findings(&org(), &job(), Live::All)
        .await
        .unwrap();
    live.into_iter().map(|live| live.id).collect()
}

async fn class(store: &dyn Store) -> ClassId {
    store.classes(&org(), &job()).await.unwrap()[0].id
}

/// Something of everything, written by a run that went well.
async fn fill(store: &dyn Store) {
    let lease = &a_run(store).await;
    let (org, job) = (&org(), &job());
    let done = [observation("r")];
    store
        .remember_observations(lease, org, &done)
        .await
        .unwrap();
    let flag = [decision("r", Verdict::Flag)];
    store
        .remember_decisions(lease, org, job, at(1), &flag)
        .await
        .unwrap();
    let found = seen(&[sighting("r", "NOT_SENT")]);
    store
        .apply_findings(lease, org, job, &found, at(1))
        .await
        .unwrap();
    let keys = [class_key("NOT_SENT")];
    let made = store.ensure_classes(lease, org, job, &keys, at(1)).await;
    let members = ["member".into(), "missing".into()];
    store
        .open_members(lease, org, job, made.unwrap()[0], &members, &[], at(1))
        .await
        .unwrap();
    let missing = FindingChanges {
        missing: live(store).await[2..].to_vec(),
        ..FindingChanges::default()
    };
    store
        .apply_findings(lease, org, job, &missing, at(1))
        .await
        .unwrap();
    store
        .note_contradictions(lease, org, &[contradiction("r", 1)])
        .await
        .unwrap();
    store
        .remember_looks(lease, org, job, &[look("r", 1)])
        .await
        .unwrap();
    store
        .begin_sweep(lease, org, job, at(1), "rules")
        .await
        .unwrap();
    store.note("start", "x", &daemon(), at(1)).await.unwrap();
}

/// All that a run can change, as it stands.
async fn everything(store: &dyn Store) -> String {
    let (org, job, ids) = (&org(), &job(), ["r".into()]);
    let page = Page::first(100);
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        store.observations(org, &ids).await.unwrap(),
        store.decisions_about(org, &ids[0]).await.unwrap(),
        store
            .findings(&FindingFilter::default(), page)
            .await
            .unwrap(),
        store.live_findings(org, job, Live::All).await.unwrap(),
        store.classes(org, job).await.unwrap(),
        store.contradictions(org).await.unwrap(),
        store.looks(org, job, &ids).await.unwrap(),
        store.last_sweep(org, job).await.unwrap(),
        store.latches().await.unwrap(),
        store.attempts(&Default::default(), page).await.unwrap(),
        store.audit(&Default::default(), page).await.unwrap(),
        store.runs(&Default::default(), page).await.unwrap(),
    )
}

async fn all_are_refused(store: &dyn Store, lease: &RunLease) {
    let before = everything(store).await;
    for name in WRITES {
        let refused = write(store, lease, name).await;
        assert!(
            matches!(refused, Err(StoreError::Fenced { .. })),
            "{name}: {refused:?}"
        );
        assert_eq!(everything(store).await, before, "{name}");
    }
}

async fn a_run_that_was_declared_lost_changes_nothing(fresh: Fresh) {
    let store = &*fresh.store;
    fill(store).await;
    let lease = started(store, &new_run(None), at(2)).await;
    fresh.time_passes(60).await;
    let lost = store.reap_lost(Some(at(50)), at(60)).await.unwrap();
    assert!(lost.iter().any(|run| run.id == lease.run_id));
    all_are_refused(store, &lease).await;
}

async fn a_run_that_has_ended_changes_nothing(fresh: Fresh) {
    let store = &*fresh.store;
    fill(store).await;
    let lease = started(store, &new_run(None), at(2)).await;
    let summary = RunSummary::default();
    let ended = store
        .finish(&lease, RunOutcome::Succeeded, &summary, at(3))
        .await;
    ended.unwrap();
    all_are_refused(store, &lease).await;
}

async fn an_older_token_changes_nothing_in_a_run_that_goes_on(fresh: Fresh) {
    let store = &*fresh.store;
    fill(store).await;
    let lease = started(store, &new_run(None), at(2)).await;
    let older = RunLease {
        token: lease.token - 1,
        ..lease.clone()
    };
    all_are_refused(store, &older).await;
    for name in WRITES {
        let written = write(store, &lease, name).await;
        written.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

async fn what_verifies_writes_needs_no_run(fresh: Fresh) {
    let store = &*fresh.store;
    let seen = observation("r");
    store.remember_verified(&org(), &seen).await.unwrap();
    assert_eq!(
        store.observations(&org(), &["r".into()]).await.unwrap(),
        [seen]
    );
    let flagged = store
        .flag_verified(&org(), &job(), &sighting("r", ""), at(1))
        .await;
    assert_eq!((flagged.unwrap().len(), live(store).await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_not_taken_away_in_the_middle_of_a_write_and_may_beat_meanwhile() {
    let fresh = Fresh::postgres().await;
    let (store, other) = (&*fresh.store, fresh.again().await);
    let lease = started(store, &new_run(None), at(0)).await;
    fresh.time_passes(60).await;
    // Its write stands still where somebody else holds what it wants to write.
    let hold = "BEGIN; LOCK TABLE observations IN EXCLUSIVE MODE";
    let mut neighbour = fresh.raw_postgres().await;
    sqlx::Executor::execute(&mut neighbour, hold).await.unwrap();
    let seen = [observation("r")];
    let org = org();
    let mut write = Box::pin(store.remember_observations(&lease, &org, &seen));
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut write).await;
    assert!(waits.is_err(), "it has its lease and waits");
    assert!(
        other
            .reap_lost(Some(at(50)), at(60))
            .await
            .unwrap()
            .is_empty()
    );
    other.beat(&lease, at(60)).await.unwrap();
    sqlx::Executor::execute(&mut neighbour, "ROLLBACK")
        .await
        .unwrap();
    write.await.unwrap();
}
