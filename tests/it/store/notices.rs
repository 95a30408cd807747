//! The book of alerts: what stands gets in, what was told is not told again, what has passed goes.

use tesa_reconciler::domain::finding::Attention;
use tesa_reconciler::domain::{Alert, AlertName, AlertState, AttemptState, FindingKind};
use tesa_reconciler::store::Store;
use tesa_reconciler::store::findings::{FindingChanges, Live};
use tesa_reconciler::store::notices::Notice;

use super::harness::Fresh;
use super::values::*;

behaviours![
    what_nobody_wants_to_hear_of_is_not_told,
    what_is_acknowledged_is_known,
    what_was_told_is_not_told_again_in_a_later_life,
    one_process_at_a_time_tells,
    what_passed_before_anybody_tried_leaves_nothing_to_tell,
    an_end_does_not_overtake_its_beginning,
    what_comes_back_before_its_end_was_told_was_never_away,
    what_comes_back_while_its_end_is_told_is_told_again,
    an_end_can_be_given_up_and_what_stands_can_not,
    a_postponed_notice_comes_when_it_is_due,
    what_stands_is_to_be_told_and_its_end_too,
];

const ALL: &[AlertName] = AlertName::ALL;

fn held() -> Alert {
    Alert::GuardHeld {
        org: org(),
        job_name: job(),
    }
}

async fn latch(store: &dyn Store, seconds: i64) {
    let now = at(seconds);
    assert!(
        store
            .latch_guard(&a_run(store).await, &job(), &org(), &daemon(), now)
            .await
            .unwrap()
    );
    store.keep_notices(ALL, now).await.unwrap();
}

async fn release(store: &dyn Store, seconds: i64) {
    let now = at(seconds);
    assert!(
        store
            .release_guard(&job(), &org(), &person(), now)
            .await
            .unwrap()
    );
    store.keep_notices(ALL, now).await.unwrap();
}

/// What is due, taken for ten seconds.
async fn take(store: &dyn Store, seconds: i64) -> Option<Notice> {
    let (now, until) = (at(seconds), at(seconds + 10));
    store.take_notice(now, until).await.unwrap()
}

/// What is due, of which only the state is of interest.
async fn take_state(store: &dyn Store, seconds: i64) -> Option<AlertState> {
    take(store, seconds).await.map(|notice| notice.state)
}

async fn told(store: &dyn Store, state: AlertState, seconds: i64) {
    let now = at(seconds);
    store.notice_told(&held(), state, now).await.unwrap();
}

/// Everything that is due, told.
async fn tell_all(store: &dyn Store, seconds: i64) -> Vec<(Alert, AlertState, u64)> {
    let mut all = Vec::new();
    while let Some(notice) = take(store, seconds).await {
        let now = at(seconds);
        store
            .notice_told(&notice.alert, notice.state, now)
            .await
            .unwrap();
        all.push((notice.alert, notice.state, notice.count));
    }
    all.sort();
    all
}

/// A held guard, a write that needs a person, and three findings of two kinds, one of them given up.
async fn trouble(store: &dyn Store) -> Vec<(Alert, u64)> {
    let lease = started(store, &new_run(None), at(0)).await;
    attempt_in(store, &lease, "A", AttemptState::NeedsHuman).await;
    attempt_in(store, &lease, "B", AttemptState::Confirmed).await;
    let mut sightings = [
        sighting("r1", "NOT_SENT"),
        sighting("r2", "NOT_SENT"),
        sighting("r3", "7"),
    ];
    sightings[0].attention = Some(Attention::GivenUp);
    sightings[2].key.kind = FindingKind::EventSequenceGap;
    store
        .apply_findings(
            &a_run(store).await,
            &org(),
            &job(),
            &seen(&sightings),
            at(0),
        )
        .await
        .unwrap();
    store
        .latch_guard(&a_run(store).await, &job(), &org(), &daemon(), at(0))
        .await
        .unwrap();
    let kind = |kind| Alert::NewFindingKind { org: org(), kind };
    vec![
        (held(), 1),
        (Alert::NeedsHuman { org: org() }, 1),
        (Alert::GivenUp { org: org() }, 1),
        (kind(FindingKind::StuckRequest), 2),
        (kind(FindingKind::EventSequenceGap), 1),
    ]
}

async fn what_stands_is_to_be_told_and_its_end_too(fresh: Fresh) {
    let store = &*fresh.store;
    store.keep_notices(ALL, at(0)).await.unwrap();
    assert_eq!(take(store, 0).await, None);
    let trouble = trouble(store).await;
    store.keep_notices(ALL, at(1)).await.unwrap();
    let open: Vec<_> = trouble
        .iter()
        .map(|(alert, count)| (alert.clone(), AlertState::Open, *count))
        .collect();
    assert_eq!(tell_all(store, 1).await, open);
    let known = store.told_notices().await.unwrap();
    assert_eq!(known.len(), trouble.len());

    let live = store
        .live_findings(&org(), &job(), Live::All)
        .await
        .unwrap();
    let resolved = FindingChanges {
        resolved: live.iter().map(|live| live.id).collect(),
        ..FindingChanges::default()
    };
    store
        .apply_findings(&a_run(store).await, &org(), &job(), &resolved, at(2))
        .await
        .unwrap();
    release(store, 3).await;
    // The write still needs its person.
    let ended: Vec<_> = trouble
        .into_iter()
        .filter(|(alert, _)| alert.name() != AlertName::NeedsHuman)
        .map(|(alert, count)| (alert, AlertState::Resolved, count))
        .collect();
    assert_eq!(tell_all(store, 3).await, ended);
    let known = store.told_notices().await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].alert.name(), AlertName::NeedsHuman);
    let why = "what is over leaves nothing behind";
    fresh.expect_rows("DELETE FROM notices", 1, why).await;
}

async fn what_nobody_wants_to_hear_of_is_not_told(fresh: Fresh) {
    let store = &*fresh.store;
    trouble(store).await;
    let only = [AlertName::GivenUp];
    store.keep_notices(&only, at(1)).await.unwrap();
    let given_up = Alert::GivenUp { org: org() };
    assert_eq!(
        tell_all(store, 1).await,
        [(given_up.clone(), AlertState::Open, 1)]
    );
    // Chosen anew: what is no longer wanted ends for the receiver.
    store
        .keep_notices(&[AlertName::GuardHeld], at(2))
        .await
        .unwrap();
    assert_eq!(
        tell_all(store, 2).await,
        [
            (held(), AlertState::Open, 1),
            (given_up, AlertState::Resolved, 1)
        ]
    );
}

async fn what_is_acknowledged_is_known(fresh: Fresh) {
    let store = &*fresh.store;
    let mut sighting = sighting("r1", "NOT_SENT");
    sighting.attention = Some(Attention::GivenUp);
    store
        .apply_findings(
            &a_run(store).await,
            &org(),
            &job(),
            &seen(&[sighting]),
            at(0),
        )
        .await
        .unwrap();
    let live = store
        .live_findings(&org(), &job(), Live::All)
        .await
        .unwrap();
    store
        .acknowledge_findings(&[live[0].id], &person(), at(1))
        .await
        .unwrap();
    store.keep_notices(ALL, at(2)).await.unwrap();
    assert_eq!(take(store, 2).await, None);
}

async fn what_was_told_is_not_told_again_in_a_later_life(fresh: Fresh) {
    latch(&*fresh.store, 0).await;
    let notice = take(&*fresh.store, 0).await.unwrap();
    let wanted = Notice {
        alert: held(),
        state: AlertState::Open,
        since: at(0),
        count: 1,
        changed_at: at(0),
        tries: 1,
    };
    assert_eq!(notice, wanted);
    told(&*fresh.store, AlertState::Open, 1).await;
    let next_life = fresh.again().await;
    for seconds in [2, 1_000, 1_000_000] {
        next_life.keep_notices(ALL, at(seconds)).await.unwrap();
        assert_eq!(take(&*next_life, seconds).await, None);
    }
}

async fn one_process_at_a_time_tells(fresh: Fresh) {
    let (one, other) = (&*fresh.store, &*fresh.again().await);
    latch(one, 0).await;
    other.keep_notices(ALL, at(0)).await.unwrap();
    let (first, second) = futures::join!(take(one, 0), take(other, 0));
    assert!(
        first.is_some() != second.is_some(),
        "{first:?} and {second:?}"
    );
    assert_eq!(take(other, 9).await, None);
    // Whoever took it is gone: it is taken again.
    let again = take(other, 10).await.unwrap();
    assert_eq!((again.state, again.tries), (AlertState::Open, 2));
}

async fn what_passed_before_anybody_tried_leaves_nothing_to_tell(fresh: Fresh) {
    let store = &*fresh.store;
    latch(store, 0).await;
    release(store, 1).await;
    assert_eq!(take(store, 1_000).await, None);
}

async fn an_end_does_not_overtake_its_beginning(fresh: Fresh) {
    let store = &*fresh.store;
    latch(store, 0).await;
    assert_eq!(take_state(store, 0).await, Some(AlertState::Open));
    release(store, 1).await;
    assert_eq!(take(store, 2).await, None, "the beginning is under way");
    told(store, AlertState::Open, 3).await;
    let end = take(store, 3).await.unwrap();
    assert_eq!(
        (end.state, end.tries, end.changed_at),
        (AlertState::Resolved, 1, at(1))
    );
    told(store, AlertState::Resolved, 4).await;
    assert_eq!(take(store, 1_000).await, None);

    // The beginning failed, but may have arrived all the same: so the end is told.
    latch(store, 2_000).await;
    assert_eq!(take_state(store, 2_000).await, Some(AlertState::Open));
    release(store, 2_001).await;
    assert_eq!(take_state(store, 2_010).await, Some(AlertState::Resolved));
}

async fn what_comes_back_before_its_end_was_told_was_never_away(fresh: Fresh) {
    let store = &*fresh.store;
    latch(store, 0).await;
    take(store, 0).await.unwrap();
    told(store, AlertState::Open, 0).await;
    release(store, 1).await;
    latch(store, 2).await;
    assert_eq!(take(store, 1_000).await, None);
    let known = store.told_notices().await.unwrap();
    assert_eq!((known.len(), known[0].since), (1, at(0)));
}

async fn what_comes_back_while_its_end_is_told_is_told_again(fresh: Fresh) {
    let store = &*fresh.store;
    latch(store, 0).await;
    take(store, 0).await.unwrap();
    told(store, AlertState::Open, 0).await;
    release(store, 1).await;
    assert_eq!(take_state(store, 1).await, Some(AlertState::Resolved));
    latch(store, 2).await;
    told(store, AlertState::Resolved, 3).await;
    let again = take(store, 3).await.unwrap();
    assert_eq!((again.state, again.since), (AlertState::Open, at(2)));
    told(store, AlertState::Open, 3).await;
    assert_eq!(take(store, 1_000).await, None);
}

async fn an_end_can_be_given_up_and_what_stands_can_not(fresh: Fresh) {
    let store = &*fresh.store;
    latch(store, 0).await;
    take(store, 0).await.unwrap();
    store.give_up_notice(&held()).await.unwrap();
    assert_eq!(take_state(store, 10).await, Some(AlertState::Open));
    told(store, AlertState::Open, 10).await;
    release(store, 11).await;
    store.give_up_notice(&held()).await.unwrap();
    assert_eq!(take(store, 1_000).await, None);
}

async fn a_postponed_notice_comes_when_it_is_due(fresh: Fresh) {
    let store = &*fresh.store;
    latch(store, 0).await;
    take(store, 0).await.unwrap();
    store.postpone_notice(&held(), at(300)).await.unwrap();
    assert_eq!(take(store, 299).await, None);
    assert_eq!(take(store, 300).await.unwrap().tries, 2);
}
