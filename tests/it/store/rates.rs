//! How the orgs' rates are given away.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tesa_reconciler::clock::{Clock as _, SystemClock};
use tesa_reconciler::domain::Org;
use tesa_reconciler::domain::rate::{Ask, Grant, Haste, RateKind};
use tesa_reconciler::store::audit::AuditFilter;
use tesa_reconciler::store::{Page, Store};

use super::harness::Fresh;
use super::values::*;

behaviours![
    what_is_reserved_is_given_away_once,
    kinds_and_orgs_have_rates_of_their_own,
    who_may_look_further_ahead_overtakes,
    a_retry_after_holds_both_kinds_back_until_a_person_resets_it,
    the_longer_of_two_pauses_holds_an_hour_at_most,
    a_pause_that_is_over_holds_nothing_back,
];

/// PostgreSQL goes by its own clock, so these tests go by the machine's.
fn now() -> DateTime<Utc> {
    SystemClock.now()
}

fn ask(count: u32, interval_ms: u64, haste: Haste) -> Ask {
    Ask {
        count,
        interval: Duration::from_millis(interval_ms),
        horizon: haste.horizon(),
    }
}

async fn reserve(store: &dyn Store, org: &Org, kind: RateKind, ask: Ask) -> Grant {
    store.reserve(org, kind, ask, now()).await.unwrap()
}

fn wait(grant: Grant) -> Duration {
    match grant {
        Grant::Granted(wait) => wait,
        Grant::Refused(wait) => panic!("refused for {wait:?}"),
    }
}

/// Within what the call itself may take.
fn about(wait: Duration, ms: u64) {
    let expected = Duration::from_millis(ms);
    assert!(
        wait <= expected && wait + Duration::from_secs(5) > expected,
        "{wait:?}, not {expected:?}"
    );
}

async fn what_is_reserved_is_given_away_once(fresh: Fresh) {
    let store = &*fresh.store;
    let minute = ask(1, 30_000, Haste::Sweep);
    assert_eq!(
        wait(reserve(store, &org(), RateKind::Reads, minute).await),
        Duration::ZERO
    );
    for _ in 0..2 {
        match reserve(store, &org(), RateKind::Reads, minute).await {
            Grant::Refused(wait) => about(wait, 29_750),
            Grant::Granted(wait) => panic!("granted again, after {wait:?}"),
        }
    }
}

async fn kinds_and_orgs_have_rates_of_their_own(fresh: Fresh) {
    let store = &*fresh.store;
    let all = ask(1, 30_000, Haste::Sweep);
    let other = Org::from("another");
    for (org, kind) in [
        (org(), RateKind::Reads),
        (org(), RateKind::Writes),
        (other, RateKind::Reads),
    ] {
        assert_eq!(wait(reserve(store, &org, kind, all).await), Duration::ZERO);
    }
}

async fn who_may_look_further_ahead_overtakes(fresh: Fresh) {
    let store = &*fresh.store;
    let sweep = ask(2, 400, Haste::Sweep);
    wait(reserve(store, &org(), RateKind::Reads, sweep).await);
    let refused = reserve(store, &org(), RateKind::Reads, sweep).await;
    assert!(matches!(refused, Grant::Refused(_)), "{refused:?}");
    let prompt = ask(1, 400, Haste::Prompt);
    about(
        wait(reserve(store, &org(), RateKind::Reads, prompt).await),
        800,
    );
}

async fn a_retry_after_holds_both_kinds_back_until_a_person_resets_it(fresh: Fresh) {
    let store = &*fresh.store;
    let began = now();
    let pause = Duration::from_secs(600);
    store.hold_back(&org(), pause, began).await.unwrap();
    for kind in RateKind::ALL {
        match reserve(store, &org(), *kind, ask(1, 10, Haste::Prompt)).await {
            Grant::Refused(wait) => about(wait, 599_000),
            Grant::Granted(wait) => panic!("granted after {wait:?}"),
        }
    }
    let held = store.held_back(now()).await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].org, org());
    let reset = async || store.reset_rate(&org(), &person(), now()).await.unwrap();
    assert!(reset().await);
    assert!(!reset().await, "there is none any more");
    assert!(store.held_back(now()).await.unwrap().is_empty());
    wait(reserve(store, &org(), RateKind::Reads, ask(1, 10, Haste::Sweep)).await);
    let filter = AuditFilter {
        action: Some("reset_rate".to_owned()),
        ..AuditFilter::default()
    };
    let audited = store.audit(&filter, Page::first(10)).await.unwrap();
    assert_eq!(audited.len(), 1);
    assert_eq!(audited[0].subject, org().as_str());
}

async fn the_longer_of_two_pauses_holds_an_hour_at_most(fresh: Fresh) {
    let store = &*fresh.store;
    let hold = async |seconds| {
        let pause = Duration::from_secs(seconds);
        store.hold_back(&org(), pause, now()).await.unwrap();
        let held = store.held_back(now()).await.unwrap();
        (held[0].until - now()).num_seconds()
    };
    assert!((590..=600).contains(&hold(600).await));
    assert!((580..=600).contains(&hold(20).await));
    assert!((3590..=3600).contains(&hold(1_000_000).await));
}

async fn a_pause_that_is_over_holds_nothing_back(fresh: Fresh) {
    let store = &*fresh.store;
    let moment = Duration::from_millis(1);
    store.hold_back(&org(), moment, real_now()).await.unwrap();
    let is_over = async {
        while !store.held_back(real_now()).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_over)
        .await
        .unwrap();
    let reset = store.reset_rate(&org(), &person(), real_now()).await;
    assert!(!reset.unwrap(), "there is nothing to end");
}
