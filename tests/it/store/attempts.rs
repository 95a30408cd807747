//! The ledger after the intent: steps, verification, recovery, lists.

use tesa_reconciler::domain::ids::ReplicaId;
use tesa_reconciler::domain::{AttemptId, AttemptState, RunOutcome};
use tesa_reconciler::store::attempts::{NewAttempt, Step};
use tesa_reconciler::store::audit::AuditFilter;
use tesa_reconciler::store::runs::{NewRun, RunSummary};
use tesa_reconciler::store::{Page, StoreError};

use super::harness::Fresh;
use super::values::*;

behaviours![
    only_the_table_s_steps_are_allowed,
    a_late_answer_is_taken_from_the_write_s_own_sender_alone,
    a_step_to_an_unknown_attempt_is_not_found,
    a_step_keeps_the_status_code_it_does_not_bring,
    a_person_s_step_is_audited_and_the_daemon_s_is_not,
    a_verification_that_settled_nothing_is_noted_and_put_off,
    only_what_awaits_verification_can_be_put_off,
    looks_of_several_replicas_at_one_moment_are_one_look,
    what_is_due_comes_oldest_first,
    only_what_nobody_will_send_is_recovered,
    what_a_living_helper_intended_stays_its_own_when_the_run_has_ended,
];

async fn only_the_table_s_steps_are_allowed(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    for &from in AttemptState::ALL {
        for &to in AttemptState::ALL {
            let order = format!("{from}-{to}");
            let id = attempt_in(store, &lease, &order, from).await;
            let before = store.attempt_steps(id).await.unwrap();
            let answer = store.advance(id, &step(to), &daemon(), at(7)).await;
            let after = store.attempt(id).await.unwrap().unwrap();
            let steps = store.attempt_steps(id).await.unwrap();
            if to.predecessors().contains(&from) {
                answer.unwrap();
                assert_eq!((after.state, after.changed_at), (to, at(7)), "{order}");
                let last = steps.last().unwrap();
                assert_eq!((last.state, last.at), (to, at(7)), "{order}");
                assert_eq!(last.detail, format!("became {to}"));
                assert_eq!(steps[..steps.len() - 1], before[..], "{order}");
            } else {
                let error = answer.unwrap_err();
                assert!(
                    matches!(error, StoreError::IllegalStep { attempt, from: f, to: t }
                        if (attempt, f, t) == (id, from, to)),
                    "{order}: {error}"
                );
                assert_eq!(after.state, from, "{order}");
                assert_eq!(steps, before, "{order}");
            }
        }
    }
}

async fn a_late_answer_is_taken_from_the_write_s_own_sender_alone(fresh: Fresh) {
    use AttemptState::{Accepted, Intended, NotSent, Rejected, Unknown};
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    for &from in AttemptState::ALL {
        for &to in AttemptState::ALL {
            let order = format!("{from}-{to}");
            let id = attempt_in(store, &lease, &order, from).await;
            let sender = store.attempt(id).await.unwrap().unwrap().correlation_id;
            let told = Step {
                verify_at: Some(at(90)),
                ..step(to)
            };
            let stranger = uuid::Uuid::from_u64_pair(7, 7);
            let error = store.answer(id, stranger, &told, at(7)).await.unwrap_err();
            assert_eq!(error.reason(), "illegal_step", "{order}");
            let answer = store.answer(id, sender, &told, at(7)).await;
            let read = store.attempt(id).await.unwrap().unwrap();
            let legal = match to {
                Accepted | Rejected | NotSent => matches!(from, Intended | Unknown),
                Unknown => from == Intended,
                _ => false,
            };
            if legal {
                answer.unwrap();
                assert_eq!((read.state, read.changed_at), (to, at(7)), "{order}");
                let due = to.awaits_verification().then(|| at(90));
                assert_eq!(read.verify_at, due, "{order}");
                let steps = store.attempt_steps(id).await.unwrap();
                assert_eq!(steps.last().unwrap().state, to, "{order}");
            } else {
                assert_eq!(answer.unwrap_err().reason(), "illegal_step", "{order}");
                assert_eq!(read.state, from, "{order}");
            }
        }
    }
}

async fn a_step_to_an_unknown_attempt_is_not_found(fresh: Fresh) {
    let id = AttemptId(77);
    let accepted = step(AttemptState::Accepted);
    let error = fresh
        .store
        .advance(id, &accepted, &daemon(), at(0))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "advance: there is no attempt 77");
    assert_eq!(fresh.store.attempt(id).await.unwrap(), None);
    assert!(fresh.store.attempt_steps(id).await.unwrap().is_empty());
}

async fn a_step_keeps_the_status_code_it_does_not_bring(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let id = intended(store, &lease, &new_attempt("A"), at(0)).await;
    let accepted = Step {
        http_status: Some(202),
        verify_at: Some(at(61)),
        ..step(AttemptState::Accepted)
    };
    store
        .advance(id, &accepted, &daemon(), at(1))
        .await
        .unwrap();
    let read = store.attempt(id).await.unwrap().unwrap();
    assert_eq!(
        (read.http_status, read.verify_at),
        (Some(202), Some(at(61)))
    );
    assert_eq!(read.detail, "became accepted");
    store
        .advance(id, &step(AttemptState::Confirmed), &daemon(), at(2))
        .await
        .unwrap();
    let read = store.attempt(id).await.unwrap().unwrap();
    assert_eq!((read.http_status, read.verify_at), (Some(202), None));
    assert_eq!(read.intended_at, at(0));
}

async fn a_person_s_step_is_audited_and_the_daemon_s_is_not(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let id = attempt_in(store, &lease, "A", AttemptState::NeedsHuman).await;
    let all = AuditFilter::default();
    assert!(store.audit(&all, Page::first(9)).await.unwrap().is_empty());
    let ineffective = step(AttemptState::Ineffective);
    store
        .advance(id, &ineffective, &person(), at(9))
        .await
        .unwrap();
    let rows = store.audit(&all, Page::first(9)).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].action.as_str(), rows[0].subject.clone()),
        ("settle", id.to_string())
    );
    assert_eq!((rows[0].who.as_str(), rows[0].at), ("cli:operator", at(9)));
    assert_eq!(rows[0].reason, person().reason);
    let steps = store.attempt_steps(id).await.unwrap();
    assert_eq!(steps.last().unwrap().who, "cli:operator");

    // Refused, so nothing happened, so nothing to audit.
    store
        .advance(id, &ineffective, &person(), at(10))
        .await
        .unwrap_err();
    assert_eq!(store.audit(&all, Page::first(9)).await.unwrap().len(), 1);
}

async fn a_verification_that_settled_nothing_is_noted_and_put_off(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let id = attempt_in(store, &lease, "A", AttemptState::Unknown).await;
    store
        .postpone_verification(id, "still NOT_SENT", at(300), true, at(60))
        .await
        .unwrap();
    store
        .postpone_verification(id, "read failed", at(900), false, at(301))
        .await
        .unwrap();
    let read = store.attempt(id).await.unwrap().unwrap();
    assert_eq!(
        (read.state, read.changed_at),
        (AttemptState::Unknown, at(1))
    );
    // A look that the upstream did not answer is no look.
    assert_eq!((read.verifications, read.verify_at), (1, Some(at(900))));
    assert_eq!(read.detail, "read failed");
    let steps = store.attempt_steps(id).await.unwrap();
    let details: Vec<_> = steps.iter().map(|step| step.detail.as_str()).collect();
    assert_eq!(
        details,
        ["", "became unknown", "still NOT_SENT", "read failed"]
    );
    assert_eq!(
        (steps[3].state, steps[3].at),
        (AttemptState::Unknown, at(301))
    );
}

async fn only_what_awaits_verification_can_be_put_off(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    for &state in AttemptState::ALL {
        let id = attempt_in(store, &lease, state.as_str(), state).await;
        let answer = store
            .postpone_verification(id, "seen", at(99), true, at(9))
            .await;
        if state.awaits_verification() {
            answer.unwrap();
        } else {
            assert_eq!(answer.unwrap_err().reason(), "illegal_step", "{state}");
            let read = store.attempt(id).await.unwrap().unwrap();
            assert_eq!((read.verifications, read.verify_at), (0, None));
        }
    }
    let missing = store
        .postpone_verification(AttemptId(99), "", at(1), true, at(1))
        .await;
    assert_eq!(missing.unwrap_err().reason(), "not_found");
}

async fn looks_of_several_replicas_at_one_moment_are_one_look(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let id = attempt_in(store, &lease, "A", AttemptState::Unknown).await;
    // Both were told at 60 that it is due; the pauses between the looks must be kept all the same, because an effect
    // may take until the last one to show.
    for detail in ["seen by one", "seen by two"] {
        store
            .postpone_verification(id, detail, at(360), true, at(61))
            .await
            .unwrap();
    }
    let read = store.attempt(id).await.unwrap().unwrap();
    assert_eq!((read.verifications, read.verify_at), (1, Some(at(360))));
    assert_eq!(read.detail, "seen by one");
    assert_eq!(store.attempt_steps(id).await.unwrap().len(), 3);
}

async fn what_is_due_comes_oldest_first(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let mut due = Vec::new();
    for (order, state, verify_at) in [
        ("late", AttemptState::Accepted, Some(at(30))),
        ("early", AttemptState::Unknown, Some(at(10))),
        ("not-yet", AttemptState::Accepted, Some(at(101))),
        ("never", AttemptState::Unknown, None),
        ("now", AttemptState::Accepted, Some(at(100))),
        ("closed", AttemptState::Rejected, Some(at(10))),
    ] {
        let id = intended(store, &lease, &new_attempt(order), at(0)).await;
        let step = Step {
            verify_at,
            ..step(state)
        };
        store.advance(id, &step, &daemon(), at(1)).await.unwrap();
        due.push(id);
    }
    let elsewhere = NewAttempt {
        org: "yoigo".into(),
        ..new_attempt("elsewhere")
    };
    let id = intended(store, &lease, &elsewhere, at(0)).await;
    let soon = Step {
        verify_at: Some(at(20)),
        ..step(AttemptState::Unknown)
    };
    store.advance(id, &soon, &daemon(), at(1)).await.unwrap();
    let ask = async |org: Option<&str>, limit| {
        let org = org.map(Into::into);
        let rows = store
            .due_for_verification(org.as_ref(), at(100), limit)
            .await
            .unwrap();
        rows.iter()
            .map(|row| row.external_reference.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(ask(None, 9).await, ["early", "elsewhere", "late", "now"]);
    assert_eq!(ask(None, 2).await, ["early", "elsewhere"]);
    assert_eq!(ask(Some("masmovil"), 9).await, ["early", "late", "now"]);
}

async fn only_what_nobody_will_send_is_recovered(fresh: Fresh) {
    let store = &*fresh.store;
    let alive = [ReplicaId::new("replica-1"), ReplicaId::new("replica-2")];
    let run_of = |job: &str, replica: &str| NewRun {
        job_name: job.into(),
        replica: replica.into(),
        ..new_run(None)
    };
    let intend = async |job: &str, replica: &str| {
        let lease = started(store, &run_of(job, replica), at(0)).await;
        let attempt = NewAttempt {
            replica: replica.into(),
            ..new_attempt(job)
        };
        (intended(store, &lease, &attempt, at(0)).await, lease)
    };
    let (of_living, living) = intend("of-living", "replica-1").await;
    let (of_dead, _) = intend("of-dead", "replica-0").await;
    let (of_finished, lease) = intend("of-finished", "replica-2").await;
    let nothing = RunSummary::default();
    store
        .finish(&lease, RunOutcome::Partial, &nothing, at(1))
        .await
        .unwrap();
    let (answered, _) = intend("answered", "replica-0").await;
    let accepted = step(AttemptState::Accepted);
    store
        .advance(answered, &accepted, &daemon(), at(1))
        .await
        .unwrap();
    let (of_lost, lost) = intend("of-lost", "replica-2").await;
    fresh.time_passes(60).await;
    store.beat(&living, at(1)).await.unwrap();
    store.reap_lost(Some(at(1)), at(31)).await.unwrap();
    let outcome = async |id| store.run(id).await.unwrap().unwrap().outcome;
    assert_eq!(outcome(living.run_id).await, None);
    assert_eq!(outcome(lost.run_id).await, Some(RunOutcome::Lost));

    let recovered = store
        .recover_intended(&alive, FIRST_LOOK, at(3))
        .await
        .unwrap();
    let ids: Vec<_> = recovered.iter().map(|attempt| attempt.id).collect();
    assert_eq!(ids, [of_dead, of_finished]);
    for attempt in &recovered {
        assert_eq!(attempt.state, AttemptState::Unknown);
        assert_eq!(
            (attempt.verify_at, attempt.changed_at),
            (Some(at(60)), at(3))
        );
        assert_eq!(
            store.attempt(attempt.id).await.unwrap().as_ref(),
            Some(attempt)
        );
        let steps = store.attempt_steps(attempt.id).await.unwrap();
        assert_eq!(steps.last().unwrap().state, AttemptState::Unknown);
    }
    for kept in [of_living, of_lost] {
        let read = store.attempt(kept).await.unwrap().unwrap();
        assert_eq!(read.state, AttemptState::Intended);
    }
    let again = store
        .recover_intended(&alive, FIRST_LOOK, at(4))
        .await
        .unwrap();
    assert!(again.is_empty(), "{again:?}");
    let rest = store
        .recover_intended(&[], FIRST_LOOK, at(5))
        .await
        .unwrap();
    let ids: Vec<_> = rest.iter().map(|attempt| attempt.id).collect();
    assert_eq!(ids, [of_living, of_lost], "nobody lives");
}

async fn what_a_living_helper_intended_stays_its_own_when_the_run_has_ended(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let helper = ReplicaId::new("helper");
    let attempt = NewAttempt {
        replica: helper.clone(),
        ..new_attempt("A")
    };
    let id = intended(store, &lease, &attempt, at(0)).await;
    let nothing = RunSummary::default();
    store
        .finish(&lease, RunOutcome::Partial, &nothing, at(1))
        .await
        .unwrap();
    // Its own process did not end the run, so it may be about to send.
    let alive = [replica(), helper];
    let recovered = store.recover_intended(&alive, FIRST_LOOK, at(2)).await;
    assert!(recovered.unwrap().is_empty());
    let recovered = store.recover_intended(&alive[..1], FIRST_LOOK, at(2)).await;
    assert_eq!(recovered.unwrap()[0].id, id, "until it is gone");
}
