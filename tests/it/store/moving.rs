//! `store::copy`: a SQLite store moves into PostgreSQL and nothing is lost on the way.

use tesa_reconciler::domain::{AttemptState, RunOutcome};
use tesa_reconciler::store::attempts::IntentRefused;
use tesa_reconciler::store::runs::{NewRun, RunSummary, Started};
use tesa_reconciler::store::{self, Doubt, Page, Store, StoreOptions};

use super::harness::Fresh;
use super::values::*;
use crate::support::postgres::Database;

const ALL: Page = Page::first(100);

/// A store with something in every table that matters, one attempt open.
async fn lived_in(store: &dyn Store) {
    let lease = started(store, &new_run(Some(at(0))), at(0)).await;
    for state in [
        AttemptState::Confirmed,
        AttemptState::NotSent,
        AttemptState::Unknown,
    ] {
        attempt_in(store, &lease, state.as_str(), state).await;
    }
    store
        .remember_observations(&lease, &org(), &[observation("r")])
        .await
        .unwrap();
    store
        .apply_findings(
            &lease,
            &org(),
            &job(),
            &seen(&[sighting("r", "NOT_SENT")]),
            at(1),
        )
        .await
        .unwrap();
    let found = store.findings(&Default::default(), ALL).await.unwrap();
    store
        .acknowledge_findings(&[found[0].id], &person(), at(2))
        .await
        .unwrap();
    let keys = [class_key("NOT_SENT")];
    let class = store
        .ensure_classes(&lease, &org(), &job(), &keys, at(2))
        .await
        .unwrap()[0];
    store
        .open_members(&lease, &org(), &job(), class, &["m".into()], &[], at(2))
        .await
        .unwrap();
    store
        .note_contradictions(&lease, &org(), &[contradiction("r", 2)])
        .await
        .unwrap();
    store
        .remember_looks(&lease, &org(), &job(), &[look("r", 2)])
        .await
        .unwrap();
    store
        .pause(Some(&job()), None, &person(), at(2))
        .await
        .unwrap();
    store
        .latch_guard(&lease, &job(), &org(), &daemon(), at(3))
        .await
        .unwrap();
    store
        .request_trigger(&job(), &org(), &person(), at(4))
        .await
        .unwrap();
    store
        .begin_sweep(&lease, &org(), &job(), at(6), "rules")
        .await
        .unwrap();
    store
        .finish(&lease, RunOutcome::Partial, &RunSummary::default(), at(5))
        .await
        .unwrap();
}

async fn copied(from: &Fresh, to: &Database) -> Result<Vec<store::Copied>, store::StoreError> {
    store::copy(
        &from.url(),
        &to.url(),
        &StoreOptions::default(),
        &person(),
        at(9),
    )
    .await
}

#[tokio::test]
async fn all_arrives_as_it_was_and_life_goes_on() {
    let (from, to) = (Fresh::sqlite().await, Database::empty().await);
    let old = &*from.store;
    lived_in(old).await;
    let counts = copied(&from, &to).await.unwrap();
    let rows = |table: &str| counts.iter().find(|one| one.table == table).unwrap().rows;
    assert_eq!((rows("attempts"), rows("runs"), rows("latches")), (3, 1, 1));

    let new = store::open(&to.url(), &StoreOptions::default())
        .await
        .unwrap();
    let attempts = new.attempts(&Default::default(), ALL).await.unwrap();
    assert_eq!(
        attempts,
        old.attempts(&Default::default(), ALL).await.unwrap()
    );
    for attempt in &attempts {
        let steps = new.attempt_steps(attempt.id).await.unwrap();
        assert_eq!(steps, old.attempt_steps(attempt.id).await.unwrap());
    }
    let findings = new.findings(&Default::default(), ALL).await.unwrap();
    assert_eq!(findings.len(), 2);
    let said = new.acknowledgements(None).await.unwrap();
    assert_eq!(
        (said.len(), &said),
        (1, &old.acknowledgements(None).await.unwrap())
    );
    assert_eq!(
        findings,
        old.findings(&Default::default(), ALL).await.unwrap()
    );
    assert_eq!(
        new.finding_counts().await.unwrap(),
        old.finding_counts().await.unwrap()
    );
    assert_eq!(
        new.runs(&Default::default(), ALL).await.unwrap(),
        old.runs(&Default::default(), ALL).await.unwrap()
    );
    assert_eq!(
        new.pauses(at(9)).await.unwrap(),
        old.pauses(at(9)).await.unwrap()
    );
    assert_eq!(new.latches().await.unwrap(), old.latches().await.unwrap());
    assert_eq!(
        new.last_runs().await.unwrap(),
        old.last_runs().await.unwrap()
    );
    assert_eq!(
        new.observations(&org(), &["r".into()]).await.unwrap(),
        old.observations(&org(), &["r".into()]).await.unwrap()
    );
    let classes = new.classes(&org(), &job()).await.unwrap();
    assert_eq!(classes, old.classes(&org(), &job()).await.unwrap());
    let members = new.class_members(classes[0].id, None, 9).await.unwrap();
    assert_eq!(members.iter().collect::<Vec<_>>(), ["m"]);
    assert_eq!(
        new.contradictions(&org()).await.unwrap(),
        [contradiction("r", 2)]
    );
    let looks = new.looks(&org(), &job(), &["r".into()]).await.unwrap();
    assert_eq!(
        looks,
        old.looks(&org(), &job(), &["r".into()]).await.unwrap()
    );
    assert_eq!(new.last_sweep(&org(), &job()).await.unwrap(), swept(6));
    let audit = new.audit(&Default::default(), ALL).await.unwrap();
    assert_eq!(audit[0].action, "copy");
    let left = old.audit(&Default::default(), ALL).await.unwrap();
    assert_eq!(left[0].action, "move");
    assert_eq!(audit[1..], left[1..]);

    // The slot stays spent, the order stays closed, new rows get new ids.
    let slot = new.start(&new_run(Some(at(0))), at(10)).await.unwrap();
    assert_eq!(slot, Started::SlotTaken);
    new.resume(Some(&job()), &person(), at(10)).await.unwrap();
    new.release_guard(&job(), &org(), &person(), at(10))
        .await
        .unwrap();
    let run = NewRun {
        slot: None,
        ..new_run(None)
    };
    let lease = started(&*new, &run, at(10)).await;
    assert!(lease.run_id > attempts[0].run_id);
    let again = new_attempt(AttemptState::Unknown.as_str());
    let refused = new.intend(&lease, &again, NO_LIMITS, at(11)).await.unwrap();
    assert!(
        matches!(refused, Err(IntentRefused::OpenAttempt(_))),
        "{refused:?}"
    );
    let other = intended(&*new, &lease, &new_attempt("other"), at(11)).await;
    assert!(other > attempts[0].id);
}

#[tokio::test]
async fn what_was_left_says_where_it_went_and_nothing_is_left_that_was_not_copied() {
    let (from, to) = (Fresh::sqlite().await, Database::empty().await);
    assert_eq!(from.store.doubt().await.unwrap(), None);
    let full = Database::migrated().await;
    let used = store::open(&full.url(), &StoreOptions::default())
        .await
        .unwrap();
    used.note("start", "x", &daemon(), at(0)).await.unwrap();
    let error = copied(&from, &full).await.unwrap_err();
    assert_eq!(error.reason(), "refused", "{error}");
    assert_eq!(from.store.doubt().await.unwrap(), None, "it stays");
    copied(&from, &to).await.unwrap();
    let Some(Doubt::Moved { to: went, .. }) = from.store.doubt().await.unwrap() else {
        panic!("it has moved");
    };
    assert!(to.url().starts_with(&went), "{went}");
    let new = store::open(&to.url(), &StoreOptions::default())
        .await
        .unwrap();
    assert_eq!(new.doubt().await.unwrap(), None);

    from.store.adopt(&person(), at(10)).await.unwrap();
    assert_eq!(from.store.doubt().await.unwrap(), None);
}

#[tokio::test]
async fn a_target_that_is_not_empty_is_refused_and_left_alone() {
    let (from, to) = (Fresh::sqlite().await, Database::migrated().await);
    lived_in(&*from.store).await;
    let new = store::open(&to.url(), &StoreOptions::default())
        .await
        .unwrap();
    new.note("start", "x", &daemon(), at(0)).await.unwrap();
    let error = copied(&from, &to).await.unwrap_err();
    assert_eq!(error.reason(), "refused", "{error}");
    assert!(error.to_string().contains("isn't empty"), "{error}");
    assert!(
        new.attempts(&Default::default(), ALL)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_store_that_a_daemon_holds_is_not_copied() {
    let (from, to) = (Fresh::sqlite().await, Database::empty().await);
    let daemon = store::open_for_daemon(&from.url(), &StoreOptions::default())
        .await
        .unwrap();
    assert_eq!(copied(&from, &to).await.unwrap_err().reason(), "busy");
    daemon.close().await;
    copied(&from, &to).await.unwrap();
}

#[tokio::test]
async fn every_table_and_column_is_in_the_copy() {
    let (from, to) = (Fresh::sqlite().await, Database::empty().await);
    copied(&from, &to).await.unwrap();
    let mut connection = to.connect().await;
    let mut columns: Vec<String> = sqlx::query_scalar(
        "SELECT table_name || '.' || column_name FROM information_schema.columns
         JOIN information_schema.tables USING (table_schema, table_name)
         WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
             AND table_name NOT IN ('replicas', 'rates', 'held_back', 'finding_counts', 'identity', 'schema_floor', '_sqlx_migrations')",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut ours = store::copied_columns();
    columns.sort();
    ours.sort();
    assert_eq!(ours, columns);
}
