//! Pauses, latches, triggers, circuits.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::domain::ids::TriggerId;
use tesa_reconciler::domain::{IllHealth, RunId};
use tesa_reconciler::store::audit::AuditFilter;
use tesa_reconciler::store::controls::{CircuitRow, Latch, Opening, Pause, TriggerRow};
use tesa_reconciler::store::{Page, Store};

use super::harness::Fresh;
use super::values::*;

behaviours![
    a_pause_is_in_force_until_it_ends_or_is_resumed,
    a_pause_is_ended_sooner_only_where_it_is_replaced,
    the_end_of_a_timed_pause_is_told_once_and_audited,
    a_latch_keeps_its_first_cause_until_it_is_released,
    what_people_steer_is_audited,
    a_trigger_waits_until_a_run_answers_it,
    a_trigger_is_taken_by_one_living_replica,
    a_dead_replica_s_trigger_is_taken_by_another,
    a_circuit_opens_with_its_cause_and_closes_without_one,
    a_circuit_that_is_open_is_not_opened_for_longer_by_another,
    one_probe_goes_when_it_is_due_whoever_opened_the_circuit,
];

/// Seconds from now, to the microsecond: a pause's end is told by the store's clock.
fn from_now() -> impl Fn(i64) -> DateTime<Utc> {
    let now = real_now();
    move |seconds| now + TimeDelta::seconds(seconds)
}

async fn a_pause_is_in_force_until_it_ends_or_is_resumed(fresh: Fresh) {
    let store = &*fresh.store;
    let at = from_now();
    assert!(store.pauses(at(0)).await.unwrap().is_empty());
    store
        .pause(Some(&job()), Some(at(60)), &person(), at(0))
        .await
        .unwrap();
    store.pause(None, None, &person(), at(5)).await.unwrap();
    let all = Pause {
        job_name: None,
        who: "cli:operator".to_owned(),
        reason: person().reason,
        since: at(5),
        until: None,
    };
    let one = Pause {
        job_name: Some(job()),
        since: at(0),
        until: Some(at(60)),
        ..all.clone()
    };
    assert_eq!(store.pauses(at(59)).await.unwrap(), [all.clone(), one]);
    fresh.time_passes(60).await;
    assert_eq!(
        store.pauses(at(60)).await.unwrap(),
        [all],
        "its end is no longer paused"
    );
    let resume = async |job: Option<&str>, now| {
        let job = job.map(Into::into);
        store
            .resume(job.as_ref(), &person(), at(now))
            .await
            .unwrap()
    };
    assert!(
        !resume(Some("retry-stuck"), 61).await,
        "it has ended by itself"
    );
    assert!(!resume(Some("flag-events"), 61).await);
    assert!(resume(None, 61).await);
    assert!(!resume(None, 62).await);
    assert!(store.pauses(at(62)).await.unwrap().is_empty());
}

async fn a_pause_is_ended_sooner_only_where_it_is_replaced(fresh: Fresh) {
    let store = &*fresh.store;
    let (at, job) = (from_now(), job());
    let pause = async |until: Option<i64>, now| {
        let until = until.map(&at);
        store.pause(Some(&job), until, &person(), at(now)).await
    };
    let in_force = async || {
        let pauses = store.pauses(at(20)).await.unwrap();
        assert_eq!(pauses.len(), 1);
        (pauses[0].since, pauses[0].until)
    };
    pause(Some(100), 0).await.unwrap();
    let error = pause(Some(99), 1).await.unwrap_err();
    assert_eq!(error.reason(), "refused");
    pause(Some(100), 2).await.unwrap();
    pause(Some(101), 3).await.unwrap();
    pause(None, 4).await.unwrap();
    let error = pause(Some(9_999), 5).await.unwrap_err();
    let says = "retry-stuck is paused until it is resumed (seen with the installer, cli:operator)";
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(in_force().await, (at(4), None));
    // Another scope is another pause.
    store
        .pause(None, Some(at(50)), &person(), at(6))
        .await
        .unwrap();
    store.resume(None, &person(), at(6)).await.unwrap();
    store
        .replace_pause(Some(&job), Some(at(90)), &daemon(), at(7))
        .await
        .unwrap();
    assert_eq!(in_force().await, (at(7), Some(at(90))));
}

async fn the_end_of_a_timed_pause_is_told_once_and_audited(fresh: Fresh) {
    let (store, other) = (&*fresh.store, fresh.again().await);
    let (at, job) = (from_now(), job());
    let until = Some(at(60));
    store
        .pause(Some(&job), until, &person(), at(0))
        .await
        .unwrap();
    store.pause(None, None, &person(), at(0)).await.unwrap();
    assert!(store.end_pauses(at(59)).await.unwrap().is_empty());
    fresh.time_passes(60).await;
    let (one, two) = tokio::join!(store.end_pauses(at(61)), other.end_pauses(at(61)));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.len() + two.len(), 1, "{one:?} {two:?}");
    let ended = async || {
        let filter = AuditFilter {
            action: Some("pause_ended".to_owned()),
            ..AuditFilter::default()
        };
        let rows = store.audit(&filter, Page::first(9)).await.unwrap();
        let told = rows
            .into_iter()
            .map(|row| (row.who, row.subject, row.reason));
        told.collect::<Vec<_>>()
    };
    let why = "its time is over; cli:operator had paused it: seen with the installer";
    let wanted = (
        "daemon".to_owned(),
        "retry-stuck".to_owned(),
        why.to_owned(),
    );
    assert_eq!(ended().await, [wanted]);
    // Also where a person comes first.
    let until = Some(at(120));
    store
        .pause(Some(&job), until, &person(), at(61))
        .await
        .unwrap();
    fresh.time_passes(120).await;
    assert!(!store.resume(Some(&job), &person(), at(121)).await.unwrap());
    assert_eq!(ended().await.len(), 2);
    assert!(store.end_pauses(at(122)).await.unwrap().is_empty());
    assert_eq!(store.pauses(at(122)).await.unwrap().len(), 1, "of all");
}

async fn a_latch_keeps_its_first_cause_until_it_is_released(fresh: Fresh) {
    let store = &*fresh.store;
    let first = tesa_reconciler::store::Actor::daemon("230 of 900 want a write");
    assert!(
        store
            .latch_guard(&a_run(store).await, &job(), &org(), &first, at(0))
            .await
            .unwrap()
    );
    assert!(
        !store
            .latch_guard(&a_run(store).await, &job(), &org(), &daemon(), at(9))
            .await
            .unwrap()
    );
    let wanted = Latch {
        job_name: job(),
        org: org(),
        since: at(0),
        reason: first.reason,
    };
    assert_eq!(store.latches().await.unwrap(), [wanted]);
    assert_eq!(store.last_release(&job(), &org()).await.unwrap(), None);
    let elsewhere = "yoigo".into();
    assert!(
        !store
            .release_guard(&job(), &elsewhere, &person(), at(10))
            .await
            .unwrap()
    );
    assert!(
        store
            .release_guard(&job(), &org(), &person(), at(11))
            .await
            .unwrap()
    );
    assert!(
        !store
            .release_guard(&job(), &org(), &person(), at(12))
            .await
            .unwrap()
    );
    assert!(store.latches().await.unwrap().is_empty());
    assert_eq!(
        store.last_release(&job(), &org()).await.unwrap(),
        Some(at(11))
    );
    assert_eq!(store.last_release(&job(), &elsewhere).await.unwrap(), None);
    assert!(
        store
            .latch_guard(&a_run(store).await, &job(), &org(), &daemon(), at(20))
            .await
            .unwrap()
    );
    assert_eq!(
        store.last_release(&job(), &org()).await.unwrap(),
        Some(at(11))
    );
}

async fn what_people_steer_is_audited(fresh: Fresh) {
    let store = &*fresh.store;
    store.pause(None, None, &person(), at(1)).await.unwrap();
    store.resume(None, &person(), at(2)).await.unwrap();
    store
        .pause(Some(&job()), None, &person(), at(3))
        .await
        .unwrap();
    store
        .latch_guard(&a_run(store).await, &job(), &org(), &daemon(), at(4))
        .await
        .unwrap();
    store
        .release_guard(&job(), &org(), &person(), at(5))
        .await
        .unwrap();
    store
        .request_trigger(&job(), &org(), &person(), at(6))
        .await
        .unwrap();
    // Nothing changes, so nothing is noted.
    store.resume(None, &person(), at(7)).await.unwrap();
    store
        .release_guard(&job(), &org(), &person(), at(7))
        .await
        .unwrap();
    let rows = store
        .audit(&AuditFilter::default(), Page::first(99))
        .await
        .unwrap();
    let got: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| {
            (
                row.action.as_str(),
                row.subject.as_str(),
                row.who.as_str(),
                row.at,
            )
        })
        .collect();
    let who = "cli:operator";
    let wanted = [
        ("pause", "all jobs", who, at(1)),
        ("resume", "all jobs", who, at(2)),
        ("pause", "retry-stuck", who, at(3)),
        ("latch", "retry-stuck/masmovil", "daemon", at(4)),
        ("release", "retry-stuck/masmovil", who, at(5)),
        ("trigger", "retry-stuck/masmovil", who, at(6)),
    ];
    assert_eq!(got, wanted);
}

async fn a_trigger_waits_until_a_run_answers_it(fresh: Fresh) {
    let store = &*fresh.store;
    let me = replica();
    assert!(store.take_triggers(&me, at(0)).await.unwrap().is_empty());
    let first = store
        .request_trigger(&job(), &org(), &person(), at(1))
        .await
        .unwrap();
    let second = store
        .request_trigger(&job(), &org(), &person(), at(2))
        .await
        .unwrap();
    let wanted = TriggerRow {
        id: first,
        job_name: job(),
        org: org(),
        who: "cli:operator".to_owned(),
        reason: person().reason,
        requested_at: at(1),
        run_id: None,
    };
    assert_eq!(store.trigger(first).await.unwrap(), Some(wanted));
    let ids = async || {
        let taken = store.take_triggers(&me, at(3)).await.unwrap();
        taken.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(ids().await, [first, second]);
    assert_eq!(ids().await, [first, second], "whoever forgot is reminded");
    store.answer_triggers(&[first], RunId(7)).await.unwrap();
    assert_eq!(ids().await, [second]);
    store
        .answer_triggers(&[first, second], RunId(8))
        .await
        .unwrap();
    assert!(ids().await.is_empty());
    let answered = async |id| store.trigger(id).await.unwrap().unwrap().run_id;
    assert_eq!(
        answered(first).await,
        Some(RunId(7)),
        "the first answer stands"
    );
    assert_eq!(answered(second).await, Some(RunId(8)));
    assert_eq!(store.trigger(TriggerId(99)).await.unwrap(), None);
}

async fn a_trigger_is_taken_by_one_living_replica(fresh: Fresh) {
    let store = &*fresh.store;
    for id in ["one", "two"] {
        store
            .beat_replica(&replica_row(id, 0), at(0))
            .await
            .unwrap();
    }
    store
        .request_trigger(&job(), &org(), &person(), at(1))
        .await
        .unwrap();
    assert_eq!(
        store
            .take_triggers(&"one".into(), at(2))
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(
        store
            .take_triggers(&"two".into(), at(20))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        store
            .take_triggers(&"one".into(), at(20))
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn a_dead_replica_s_trigger_is_taken_by_another(fresh: Fresh) {
    let store = &*fresh.store;
    store
        .beat_replica(&replica_row("one", 0), at(0))
        .await
        .unwrap();
    let id = store
        .request_trigger(&job(), &org(), &person(), at(1))
        .await
        .unwrap();
    store.take_triggers(&"one".into(), at(2)).await.unwrap();
    fresh.time_passes(31).await;
    let taken = store.take_triggers(&"two".into(), at(31)).await.unwrap();
    assert_eq!(taken.len(), 1, "its last beat is 31 s old");
    assert_eq!(taken[0].id, id);
    store
        .beat_replica(&replica_row("two", 0), at(31))
        .await
        .unwrap();
    store.retire_replica(&"two".into()).await.unwrap();
    let taken = store.take_triggers(&"three".into(), at(32)).await.unwrap();
    assert_eq!(
        taken.len(),
        1,
        "it went in good order, but without an answer"
    );
}

fn opening(pause: u64, after_probe: bool) -> Opening {
    Opening {
        cause: IllHealth::Http5xx,
        failures: if after_probe { 6 } else { 5 },
        pause: Duration::from_secs(pause),
        after_probe,
    }
}

async fn circuit(store: &dyn Store, now: i64) -> CircuitRow {
    let mut rows = store.circuits(at(now)).await.unwrap();
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

async fn a_circuit_opens_with_its_cause_and_closes_without_one(fresh: Fresh) {
    let store = &*fresh.store;
    assert_eq!(store.circuits(at(0)).await.unwrap(), []);
    store.close_circuit(&org()).await.unwrap();
    assert_eq!(store.circuits(at(0)).await.unwrap(), []);
    for cause in IllHealth::ALL {
        let why = Opening {
            cause: *cause,
            ..opening(30, false)
        };
        store.open_circuit(&org(), &why, at(0)).await.unwrap();
        let open = circuit(store, 1).await;
        let seen = (open.state.as_str(), open.cause, open.failures, open.due);
        assert_eq!(seen, ("open", Some(*cause), 5, false));
        let pause = open.probe_at.unwrap() - open.opened_at.unwrap();
        assert_eq!(pause.num_seconds(), 30);
        store.close_circuit(&org()).await.unwrap();
        let closed = circuit(store, 1).await;
        assert!(!closed.is_open(), "{closed:?}");
        let rest = (
            closed.cause,
            closed.failures,
            closed.opened_at,
            closed.probe_at,
        );
        assert_eq!(rest, (None, 0, None, None));
    }
}

async fn a_circuit_that_is_open_is_not_opened_for_longer_by_another(fresh: Fresh) {
    let store = &*fresh.store;
    store
        .open_circuit(&org(), &opening(30, false), at(0))
        .await
        .unwrap();
    let first = circuit(store, 1).await;
    store
        .open_circuit(&org(), &opening(600, false), at(1))
        .await
        .unwrap();
    assert_eq!(circuit(store, 1).await, first);
}

async fn one_probe_goes_when_it_is_due_whoever_opened_the_circuit(fresh: Fresh) {
    let (store, other) = (&*fresh.store, fresh.again().await);
    let hold = Duration::from_secs(30);
    let claim = async |store: &dyn Store, now| {
        let claimed = store.claim_probe(&org(), hold, at(now)).await.unwrap();
        claimed.map(|row| (row.state, row.failures))
    };
    assert_eq!(claim(store, 0).await, None, "there is no circuit");
    store
        .open_circuit(&org(), &opening(30, false), at(0))
        .await
        .unwrap();
    assert_eq!(claim(store, 29).await, None, "not yet");
    fresh.time_passes(31).await;
    assert!(circuit(store, 31).await.due);
    let mine = Some(("half_open".to_owned(), 5));
    assert_eq!(claim(&*other, 31).await, mine);
    assert_eq!(claim(store, 31).await, None, "it is another's");
    assert!(!circuit(store, 31).await.due);
    // Its process died.
    fresh.time_passes(31).await;
    assert_eq!(claim(store, 62).await, mine);
    // It failed: longer, and open since the first time.
    let since = circuit(store, 62).await.opened_at;
    store
        .open_circuit(&org(), &opening(60, true), at(62))
        .await
        .unwrap();
    let again = circuit(store, 63).await;
    assert_eq!((again.state.as_str(), again.failures), ("open", 6));
    assert_eq!(again.opened_at, since);
    fresh.time_passes(59).await;
    assert_eq!(claim(store, 121).await, None);
    fresh.time_passes(3).await;
    assert!(claim(store, 124).await.is_some());
    store.close_circuit(&org()).await.unwrap();
    fresh.time_passes(100).await;
    assert_eq!(claim(store, 300).await, None, "closed");
}
