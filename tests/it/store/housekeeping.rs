//! Pruning: what is closed and old goes, in batches; what is open or needed stays.

use chrono::{DateTime, Utc};
use tesa_reconciler::domain::finding::FindingState;
use tesa_reconciler::domain::run::SlotResult;
use tesa_reconciler::domain::{AttemptState, Observation, RunOutcome, SkipReason, Status, Verdict};
use tesa_reconciler::store::findings::{FindingChanges, FindingFilter, Live};
use tesa_reconciler::store::runs::{NewRun, RunFilter, RunLease, RunSummary, UnrunSlots};
use tesa_reconciler::store::{Page, Pruned, Store};

use super::harness::Fresh;
use super::values::*;

behaviours![
    prune_keeps_what_is_open,
    prune_keeps_what_is_young,
    prune_keeps_the_attempts_that_a_live_finding_rests_on,
    prune_keeps_what_a_job_must_remember,
    prune_takes_at_most_a_batch,
    prune_keeps_looks_at_what_is_remembered,
    prune_takes_old_decisions_about_what_could_never_be_read,
    optimize_is_harmless,
    prune_removes_what_is_closed_and_old,
];

const FOREVER: i64 = 1_000_000_000;

/// Prunes until nothing is left to prune; answers the sum.
async fn prune_all(store: &dyn Store, older_than: DateTime<Utc>) -> u64 {
    let (lease, mut sum) = (a_run(store).await, 0);
    for _ in 0..100 {
        let pruned = store.prune(&lease, older_than, 1_000).await.unwrap();
        if pruned.total() == 0 {
            return sum;
        }
        sum += pruned.total();
    }
    panic!("pruning does not end");
}

async fn finished_run(store: &dyn Store, run: &NewRun) -> RunLease {
    let lease = started(store, run, at(0)).await;
    finish(store, &lease).await;
    lease
}

async fn finish(store: &dyn Store, lease: &RunLease) {
    let nothing = RunSummary::default();
    let outcome = RunOutcome::Succeeded;
    store.finish(lease, outcome, &nothing, at(5)).await.unwrap();
}

fn missed(first: i64, last: i64) -> UnrunSlots {
    UnrunSlots {
        job_name: job(),
        org: org(),
        result: SlotResult::Missed,
        first: at(first),
        last: at(last),
        count: None,
    }
}

/// One closed row of each kind, all before `at(10)`.
async fn one_of_each(store: &dyn Store) {
    let lease = started(store, &new_run(Some(at(0))), at(0)).await;
    attempt_in(store, &lease, "A", AttemptState::Confirmed).await;
    finish(store, &lease).await;
    store
        .record_unrun(&missed(-600, -300), at(0))
        .await
        .unwrap();
    let changes = seen(&[sighting("ref-A", "NOT_SENT")]);
    store
        .apply_findings(&a_run(store).await, &org(), &job(), &changes, at(0))
        .await
        .unwrap();
    let lease = a_run(store).await;
    store
        .ensure_classes(&lease, &org(), &job(), &[class_key("NOT_SENT")], at(0))
        .await
        .unwrap();
    store
        .note_contradictions(&lease, &org(), &[contradiction("ref-A", 0)])
        .await
        .unwrap();
    let resolved = FindingChanges {
        resolved: store
            .live_findings(&org(), &job(), Live::All)
            .await
            .unwrap()
            .iter()
            .map(|live| live.id)
            .collect(),
        ..FindingChanges::default()
    };
    let ids = &resolved.resolved;
    store
        .acknowledge_findings(ids, &person(), at(0))
        .await
        .unwrap();
    store
        .unacknowledge_findings(ids, &person(), at(1))
        .await
        .unwrap();
    store
        .apply_findings(&a_run(store).await, &org(), &job(), &resolved, at(1))
        .await
        .unwrap();
    let done = Observation {
        status: Status::Finished,
        ..observation("ref-A")
    };
    store
        .remember_observations(&a_run(store).await, &org(), &[done])
        .await
        .unwrap();
    let decided = [decision("ref-A", Verdict::Ignore)];
    store
        .remember_decisions(&a_run(store).await, &org(), &job(), at(0), &decided)
        .await
        .unwrap();
    store
        .remember_looks(&a_run(store).await, &org(), &job(), &[look("ref-A", 0)])
        .await
        .unwrap();
    store
        .begin_sweep(&a_run(store).await, &org(), &job(), at(0), "rules")
        .await
        .unwrap();
    let trigger = store
        .request_trigger(&job(), &org(), &person(), at(0))
        .await
        .unwrap();
    store
        .answer_triggers(&[trigger], lease.run_id)
        .await
        .unwrap();
    store
        .beat_replica(&replica_row("gone", 0), at(0))
        .await
        .unwrap();
}

async fn prune_removes_what_is_closed_and_old(fresh: Fresh) {
    let store = &*fresh.store;
    one_of_each(store).await;
    fresh.time_passes(2 * 86_400).await;
    let pruned = store
        .prune(&a_run(store).await, at(10), 1_000)
        .await
        .unwrap();
    let wanted = Pruned {
        attempts: 1,
        runs: 1,
        slots: 2,
        findings: 1,
        classes: 1,
        contradictions: 1,
        acknowledgements: 1,
        orders: 0,
        observations: 1,
        decisions: 1,
        looks: 2,
        triggers: 1,
        audit: 3,
        replicas: 1,
    };
    assert_eq!(pruned, wanted);
    assert_eq!(
        store
            .prune(&a_run(store).await, at(10), 1_000)
            .await
            .unwrap()
            .total(),
        0
    );
    let why = "a history goes with its attempt";
    fresh.expect_rows("DELETE FROM attempt_steps", 0, why).await;
}

async fn prune_keeps_what_is_open(fresh: Fresh) {
    let store = &*fresh.store;
    // A finished run with attempts in every state; its closed ones go, it stays for the open ones.
    let lease = started(store, &new_run(Some(at(0))), at(0)).await;
    for &state in AttemptState::ALL {
        attempt_in(store, &lease, state.as_str(), state).await;
    }
    finish(store, &lease).await;
    let going_on = started(store, &new_run(Some(at(1))), at(1)).await;
    let findings = seen(&["open", "acknowledged", "held"].map(|one| sighting(one, "x")));
    store
        .apply_findings(&a_run(store).await, &org(), &job(), &findings, at(0))
        .await
        .unwrap();
    let live = store
        .live_findings(&org(), &job(), Live::All)
        .await
        .unwrap();
    let known = |reference: &str| {
        let mut live = live.iter();
        let found = live.find(|live| live.key.reference_id.as_str() == reference);
        found.unwrap().id
    };
    store
        .acknowledge_findings(&[known("acknowledged"), known("held")], &person(), at(1))
        .await
        .unwrap();
    super::findings::resolve(store, known("held"), 2).await;
    let finished = |reference: &str| Observation {
        status: Status::Finished,
        ..observation(reference)
    };
    let kept = [
        observation("not-finished"),
        finished("open"),
        finished("acknowledged"),
        finished("ref-unknown"),
    ];
    store
        .remember_observations(&a_run(store).await, &org(), &kept)
        .await
        .unwrap();
    store
        .remember_observations(&a_run(store).await, &org(), &[finished("ref-confirmed")])
        .await
        .unwrap();
    let decided = kept
        .each_ref()
        .map(|seen| decision(seen.reference_id.as_str(), Verdict::Flag));
    store
        .remember_decisions(&a_run(store).await, &org(), &job(), at(0), &decided)
        .await
        .unwrap();
    let waiting = store
        .request_trigger(&job(), &org(), &person(), at(0))
        .await
        .unwrap();

    prune_all(store, at(FOREVER)).await;

    let attempts = store
        .attempts(&Default::default(), Page::first(99))
        .await
        .unwrap();
    let mut states: Vec<_> = attempts.iter().map(|attempt| attempt.state).collect();
    states.sort();
    let open: Vec<_> = AttemptState::ALL
        .iter()
        .copied()
        .filter(|state| state.is_open())
        .collect();
    assert_eq!(states, open);
    for attempt in &attempts {
        let steps = store.attempt_steps(attempt.id).await.unwrap();
        assert_eq!(steps.len(), way_to(attempt.state).len() + 1);
    }
    assert!(
        store.run(lease.run_id).await.unwrap().is_some(),
        "its open attempts need it"
    );
    assert!(store.run(going_on.run_id).await.unwrap().is_some());
    store.beat(&going_on, at(2)).await.unwrap();
    let held = FindingFilter {
        state: Some(FindingState::Acknowledged),
        ..FindingFilter::default()
    };
    let held = store.findings(&held, Page::first(9)).await.unwrap();
    assert_eq!(
        held.len(),
        2,
        "what people said holds, and can be taken back"
    );
    assert_eq!(store.acknowledgements(None).await.unwrap().len(), 2);
    assert_eq!(
        store
            .live_findings(&org(), &job(), Live::All)
            .await
            .unwrap()
            .len(),
        2
    );
    let asked = kept.each_ref().map(|seen| seen.reference_id.clone());
    assert_eq!(store.observations(&org(), &asked).await.unwrap().len(), 4);
    let gone = store
        .observations(&org(), &["ref-confirmed".into()])
        .await
        .unwrap();
    assert!(gone.is_empty());
    for reference in &asked {
        assert_eq!(
            store
                .decisions_about(&org(), reference)
                .await
                .unwrap()
                .len(),
            1
        );
    }
    assert!(store.trigger(waiting).await.unwrap().is_some());
}

async fn prune_keeps_what_is_young(fresh: Fresh) {
    let store = &*fresh.store;
    one_of_each(store).await;
    assert_eq!(prune_all(store, at(-1_000)).await, 0);
}

async fn prune_keeps_the_attempts_that_a_live_finding_rests_on(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let given_up = attempt_in(store, &lease, "A", AttemptState::Ineffective).await;
    let settled = attempt_in(store, &lease, "B", AttemptState::Ineffective).await;
    finish(store, &lease).await;
    let findings = seen(&[sighting("ref-A", "NOT_SENT")]);
    store
        .apply_findings(&a_run(store).await, &org(), &job(), &findings, at(0))
        .await
        .unwrap();
    prune_all(store, at(FOREVER)).await;
    let left = store.attempt(given_up).await.unwrap();
    assert!(left.is_some(), "or the backoff would begin anew");
    assert!(store.run(lease.run_id).await.unwrap().is_some());
    assert_eq!(store.attempt(settled).await.unwrap(), None);
}

async fn prune_keeps_what_a_job_must_remember(fresh: Fresh) {
    let store = &*fresh.store;
    let run = finished_run(store, &new_run(Some(at(0)))).await;
    store
        .record_unrun(&missed(300, 600), at(600))
        .await
        .unwrap();
    store
        .latch_guard(&a_run(store).await, &job(), &org(), &daemon(), at(1))
        .await
        .unwrap();
    store
        .release_guard(&job(), &org(), &person(), at(2))
        .await
        .unwrap();
    let before = store.last_runs().await.unwrap();
    prune_all(store, at(FOREVER)).await;
    assert_eq!(store.run(run.run_id).await.unwrap(), None);
    assert_eq!(
        store.last_slot(&job(), &org()).await.unwrap(),
        Some(at(600))
    );
    let mut after = store.last_runs().await.unwrap();
    after.retain(|runs| before.iter().any(|known| known.job_name == runs.job_name));
    assert_eq!(after, before);
    let mine = before.iter().find(|runs| runs.job_name == job());
    assert_eq!(mine.unwrap().last_success, Some(at(5)));
    assert_eq!(
        store.last_release(&job(), &org()).await.unwrap(),
        Some(at(2))
    );
    let next = started(store, &new_run(Some(at(900))), at(900)).await;
    assert!(next.run_id > run.run_id, "an id is never given twice");
    assert!(next.token > run.token);
}

async fn prune_keeps_looks_at_what_is_remembered(fresh: Fresh) {
    let store = &*fresh.store;
    let kept = [observation("ref-A")];
    store
        .remember_observations(&a_run(store).await, &org(), &kept)
        .await
        .unwrap();
    store
        .begin_sweep(&a_run(store).await, &org(), &job(), at(20), "rules")
        .await
        .unwrap();
    let looks = [look("ref-A", 0), look("ref-B", 0), look("ref-C", 20)];
    store
        .remember_looks(&a_run(store).await, &org(), &job(), &looks)
        .await
        .unwrap();
    assert_eq!(prune_all(store, at(10)).await, 1);
    let asked = ["ref-A".into(), "ref-B".into(), "ref-C".into()];
    let mut left = store.looks(&org(), &job(), &asked).await.unwrap();
    left.sort_by(|a, b| a.reference_id.cmp(&b.reference_id));
    assert_eq!(left, [look("ref-A", 0), look("ref-C", 20)]);
    assert_eq!(store.last_sweep(&org(), &job()).await.unwrap(), swept(20));
}

async fn prune_takes_old_decisions_about_what_could_never_be_read(fresh: Fresh) {
    let store = &*fresh.store;
    let unreadable = |reason| Verdict::Skip {
        reason,
        instead_of: None,
    };
    let read = [observation("read")];
    store
        .remember_observations(&a_run(store).await, &org(), &read)
        .await
        .unwrap();
    let cases = [
        ("gone", SkipReason::NotFound, 0),
        ("failed", SkipReason::ReadFailed, 0),
        ("garbled", SkipReason::ContractViolation, 0),
        ("young", SkipReason::ReadFailed, 20),
        ("read", SkipReason::ReadFailed, 0),
    ];
    for (reference, reason, decided) in cases {
        let decided_so = [decision(reference, unreadable(reason))];
        store
            .remember_decisions(
                &a_run(store).await,
                &org(),
                &job(),
                at(decided),
                &decided_so,
            )
            .await
            .unwrap();
    }
    assert_eq!(prune_all(store, at(10)).await, 3);
    for (reference, _, _) in cases {
        let left = store
            .decisions_about(&org(), &reference.into())
            .await
            .unwrap();
        let stays = ["young", "read"].contains(&reference);
        assert_eq!(left.len(), usize::from(stays), "{reference}");
    }
}

async fn prune_takes_at_most_a_batch(fresh: Fresh) {
    let store = &*fresh.store;
    for n in 0..5 {
        finished_run(store, &new_run(Some(at(n)))).await;
    }
    let mut sizes = Vec::new();
    loop {
        let pruned = store
            .prune(&a_run(store).await, at(FOREVER), 2)
            .await
            .unwrap();
        if pruned.total() == 0 {
            break;
        }
        sizes.push((pruned.runs, pruned.slots));
    }
    assert_eq!(sizes, [(2, 2), (2, 2), (1, 1)]);
}

async fn optimize_is_harmless(fresh: Fresh) {
    let store = &*fresh.store;
    one_of_each(store).await;
    store.optimize().await.unwrap();
    store.optimize().await.unwrap();
    let of_the_job = RunFilter {
        job_name: Some(job()),
        ..RunFilter::default()
    };
    let runs = store.runs(&of_the_job, Page::first(9)).await.unwrap();
    assert_eq!(runs.len(), 1);
}
