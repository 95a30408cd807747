//! History can't be rewritten, not even past the store; and the audit shows who did what.

use tesa_reconciler::domain::AttemptState;
use tesa_reconciler::domain::run::Mode;
use tesa_reconciler::store::Page;
use tesa_reconciler::store::audit::AuditFilter;
use tesa_reconciler::store::replicas::ReplicaRow;

use super::harness::Fresh;
use super::values::*;

behaviours![
    a_note_is_an_audit_row,
    the_audit_is_listed_newest_first_by_filter_and_page,
    replicas_live_while_they_beat;
    in a database:
    the_steps_of_an_attempt_are_append_only,
    an_open_attempt_and_its_history_can_not_be_deleted,
    what_an_attempt_intended_can_not_be_rewritten,
    a_second_open_attempt_is_refused_by_the_database_itself,
    the_audit_is_append_only,
    a_row_that_contradicts_itself_is_named,
];

async fn the_steps_of_an_attempt_are_append_only(fresh: Fresh) {
    let lease = started(&*fresh.store, &new_run(None), at(0)).await;
    attempt_in(&*fresh.store, &lease, "A", AttemptState::Confirmed).await;
    let refused = fresh
        .past_the_store("UPDATE attempt_steps SET detail = 'it was never so'")
        .await
        .unwrap_err();
    assert!(refused.contains("append-only"), "{refused}");
}

async fn an_open_attempt_and_its_history_can_not_be_deleted(fresh: Fresh) {
    let lease = started(&*fresh.store, &new_run(None), at(0)).await;
    attempt_in(&*fresh.store, &lease, "A", AttemptState::NeedsHuman).await;
    for statement in ["DELETE FROM attempt_steps", "DELETE FROM attempts"] {
        let refused = fresh.past_the_store(statement).await.unwrap_err();
        assert!(refused.contains("open attempt"), "{statement}: {refused}");
    }
}

async fn what_an_attempt_intended_can_not_be_rewritten(fresh: Fresh) {
    let lease = started(&*fresh.store, &new_run(None), at(0)).await;
    attempt_in(&*fresh.store, &lease, "A", AttemptState::Rejected).await;
    let rewrite = "UPDATE attempts SET operation = 'cancel_request'";
    let refused = fresh.past_the_store(rewrite).await.unwrap_err();
    assert!(refused.contains("not rewritten"), "{refused}");
}

async fn a_second_open_attempt_is_refused_by_the_database_itself(fresh: Fresh) {
    let lease = started(&*fresh.store, &new_run(None), at(0)).await;
    attempt_in(&*fresh.store, &lease, "A", AttemptState::Rejected).await;
    attempt_in(&*fresh.store, &lease, "A", AttemptState::Unknown).await;
    let reopen = "UPDATE attempts SET state = 'accepted' WHERE state = 'rejected'";
    let refused = fresh.past_the_store(reopen).await.unwrap_err();
    assert!(refused.to_lowercase().contains("unique"), "{refused}");
}

async fn the_audit_is_append_only(fresh: Fresh) {
    fresh
        .store
        .note("start", "replica-1", &daemon(), at(0))
        .await
        .unwrap();
    let rewrite = "UPDATE audit SET who = 'nobody'";
    let refused = fresh.past_the_store(rewrite).await.unwrap_err();
    assert!(refused.contains("append-only"), "{refused}");
}

async fn a_note_is_an_audit_row(fresh: Fresh) {
    let store = &*fresh.store;
    store
        .note("reload", "configuration", &person(), at(3))
        .await
        .unwrap();
    let rows = store
        .audit(&AuditFilter::default(), Page::first(9))
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.at, row.who.as_str()), (at(3), "cli:operator"));
    assert_eq!(
        (row.action.as_str(), row.subject.as_str()),
        ("reload", "configuration")
    );
    assert_eq!(row.reason, person().reason);
}

async fn the_audit_is_listed_newest_first_by_filter_and_page(fresh: Fresh) {
    let store = &*fresh.store;
    for n in 0..4 {
        let actor = if n % 2 == 0 { daemon() } else { person() };
        let action = if n < 2 { "start" } else { "stop" };
        store
            .note(action, &n.to_string(), &actor, at(n))
            .await
            .unwrap();
    }
    let list = async |filter: AuditFilter, page: Page| {
        let rows = store.audit(&filter, page).await.unwrap();
        rows.iter()
            .map(|row| row.subject.clone())
            .collect::<Vec<_>>()
    };
    let all = AuditFilter::default;
    let rows = store.audit(&all(), Page::first(2)).await.unwrap();
    assert_eq!(list(all(), Page::first(2)).await, ["3", "2"]);
    let next = Page {
        limit: 9,
        before: Some(rows[1].id),
    };
    assert_eq!(list(all(), next).await, ["1", "0"]);
    let of_daemon = AuditFilter {
        who: Some("daemon".to_owned()),
        ..all()
    };
    assert_eq!(list(of_daemon, Page::first(9)).await, ["2", "0"]);
    let stops = AuditFilter {
        action: Some("stop".to_owned()),
        ..all()
    };
    assert_eq!(list(stops, Page::first(9)).await, ["3", "2"]);
    let since = AuditFilter {
        since: Some(at(1)),
        ..all()
    };
    assert_eq!(list(since, Page::first(9)).await, ["3", "2", "1"]);
}

async fn a_row_that_contradicts_itself_is_named(fresh: Fresh) {
    let lease = started(&*fresh.store, &new_run(None), at(0)).await;
    let damage = format!("UPDATE runs SET started_at = {}", fresh.no_instant());
    assert_eq!(fresh.past_the_store(&damage).await, Ok(1));
    let error = fresh.store.run(lease.run_id).await.unwrap_err();
    assert_eq!(error.reason(), "corrupt", "{error}");
    assert!(error.to_string().contains("runs.started_at"), "{error}");
}

async fn replicas_live_while_they_beat(fresh: Fresh) {
    let store = &*fresh.store;
    let live = async |since| {
        let rows = store.live_replicas(at(since), at(50)).await.unwrap();
        rows.iter()
            .map(|row| row.id.to_string())
            .collect::<Vec<_>>()
    };
    store
        .beat_replica(&replica_row("younger", 10), at(20))
        .await
        .unwrap();
    store
        .beat_replica(&replica_row("elder", 0), at(20))
        .await
        .unwrap();
    fresh.time_passes(30).await;
    assert_eq!(live(0).await, ["elder", "younger"]);
    let elder = ReplicaRow {
        mode: Mode::Observe,
        ..replica_row("elder", 0)
    };
    store.beat_replica(&elder, at(50)).await.unwrap();
    assert_eq!(live(21).await, ["elder"]);
    let rows = store.live_replicas(at(21), at(50)).await.unwrap();
    let wanted = ReplicaRow {
        // A shared store says it by a clock of its own.
        last_beat: if store.is_shared() {
            rows[0].last_beat
        } else {
            at(50)
        },
        ..elder
    };
    assert_eq!(rows, [wanted]);
    store.retire_replica(&"elder".into()).await.unwrap();
    assert_eq!(live(0).await, ["younger"]);
    store.retire_replica(&"elder".into()).await.unwrap();
}
