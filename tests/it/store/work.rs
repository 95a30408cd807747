//! Parts of runs: nobody gets one that another has, who is late is refused, and none outlives its run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tesa_reconciler::domain::ids::ReplicaId;
use tesa_reconciler::domain::{AttemptState, RunId, RunOutcome};
use tesa_reconciler::store::attempts::NewAttempt;
use tesa_reconciler::store::runs::{RunLease, RunSummary};
use tesa_reconciler::store::work::{Claimed, NewWork, Scope, TRIES, WorkKind};
use tesa_reconciler::store::{Store, StoreError};

use super::harness::Fresh;
use super::values::*;

behaviours![
    two_claimers_never_get_the_same_part,
    parts_are_claimed_in_their_order_and_known_by_their_run,
    a_claim_that_ran_out_goes_to_another_and_the_late_one_is_refused,
    a_claim_that_is_renewed_stays,
    a_part_is_tried_three_times,
    what_is_given_back_without_a_trouble_costs_no_try,
    only_who_is_configured_alike_helps,
    a_run_that_is_busy_is_left_out,
    what_nobody_has_begun_is_taken_back,
    parts_end_with_their_run,
    a_stale_holder_posts_and_collects_nothing,
    an_intent_under_a_lost_claim_is_refused,
    what_a_helper_is_sending_is_left_alone_when_the_holder_ends_the_run,
];

const HOLD: Duration = Duration::from_secs(10);

fn other(n: u32) -> ReplicaId {
    ReplicaId::new(format!("helper-{n}"))
}

fn alike() -> Scope {
    Scope::Others(vec!["d".to_owned()])
}

async fn run(store: &dyn Store) -> RunLease {
    started(store, &new_run(None), at(0)).await
}

async fn post(store: &dyn Store, lease: &RunLease, part: i64) {
    let work = NewWork {
        part,
        kind: WorkKind::Read,
        digest: "d".to_owned(),
        payload: json!({"ids": [part], "nul": "a\u{0}b"}),
    };
    store.post_work(lease, &work).await.unwrap();
}

async fn claim(store: &dyn Store, by: &ReplicaId, seconds: i64) -> Option<Claimed> {
    claim_in(store, by, &alike(), &[], seconds).await
}

async fn claim_in(
    store: &dyn Store,
    by: &ReplicaId,
    scope: &Scope,
    busy: &[RunId],
    seconds: i64,
) -> Option<Claimed> {
    store
        .claim_work(by, scope, busy, HOLD, at(seconds))
        .await
        .unwrap()
}

/// Time passes for the claims, on either back end's clock; `now` is the caller's afterwards.
async fn claims_run_out(fresh: &Fresh) {
    fresh
        .past_the_store(&format!(
            "UPDATE work SET taken_until = {} WHERE taken_until IS NOT NULL",
            fresh.literal(at(-100_000_000))
        ))
        .await
        .unwrap();
}

fn is_fenced<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Fenced { .. }))
}

async fn two_claimers_never_get_the_same_part(fresh: Fresh) {
    let lease = run(&*fresh.store).await;
    for part in 1..=40 {
        post(&*fresh.store, &lease, part).await;
    }
    let tasks: Vec<_> = (0..4)
        .map(|n| {
            let store = Arc::clone(&fresh.store);
            tokio::spawn(async move {
                let mut mine = Vec::new();
                while let Some(claimed) = claim(&*store, &other(n), 1).await {
                    mine.push(claimed.claim.part);
                }
                mine
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    let distinct: BTreeSet<i64> = all.iter().copied().collect();
    assert_eq!((all.len(), distinct.len()), (40, 40));
}

async fn parts_are_claimed_in_their_order_and_known_by_their_run(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = run(store).await;
    for part in [2, 1, 3] {
        post(store, &lease, part).await;
    }
    post(store, &lease, 1).await;
    let first = claim(store, &other(1), 1).await.unwrap();
    assert_eq!((first.claim.part, first.claim.tries), (1, 1));
    assert_eq!(first.claim.lease, lease);
    assert_eq!((first.job_name, first.org), (job(), org()));
    assert_eq!((first.kind, &*first.digest), (WorkKind::Read, "d"));
    assert_eq!(first.payload["ids"], json!([1]));
    assert_eq!(claim(store, &other(2), 1).await.unwrap().claim.part, 2);
    // The holder's own hands take what is left; as a helper, it takes nothing of its own.
    assert!(claim(store, &replica(), 1).await.is_none());
    let own = claim_in(store, &replica(), &Scope::Run(lease.run_id), &[], 1).await;
    assert_eq!(own.unwrap().claim.part, 3);
    let answer = json!({"items": []});
    store.answer_work(&first.claim, &answer).await.unwrap();
    store.answer_work(&first.claim, &answer).await.unwrap();
    let collected = store.collect_work(&lease, at(2)).await.unwrap();
    assert_eq!((collected.len(), collected[0].part), (1, 1));
    assert_eq!(collected[0].result, Ok(answer));
    assert!(store.collect_work(&lease, at(2)).await.unwrap().is_empty());
}

async fn a_claim_that_ran_out_goes_to_another_and_the_late_one_is_refused(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = run(store).await;
    post(store, &lease, 1).await;
    let late = claim(store, &other(1), 1).await.unwrap();
    assert!(claim(store, &other(2), 5).await.is_none());
    claims_run_out(&fresh).await;
    let next = claim(store, &other(2), 60).await.unwrap();
    assert_eq!((next.claim.part, next.claim.tries), (1, 2));
    assert!(is_fenced(store.hold_work(&late.claim, HOLD, at(60)).await));
    assert!(is_fenced(store.answer_work(&late.claim, &json!(1)).await));
    store.return_work(&late.claim, Some("late")).await.unwrap();
    store.answer_work(&next.claim, &json!(2)).await.unwrap();
    let collected = store.collect_work(&lease, at(61)).await.unwrap();
    assert_eq!(collected[0].result, Ok(json!(2)));
}

async fn a_claim_that_is_renewed_stays(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = run(store).await;
    post(store, &lease, 1).await;
    let held = claim(store, &other(1), 1).await.unwrap().claim;
    claims_run_out(&fresh).await;
    store.hold_work(&held, HOLD, at(60)).await.unwrap();
    assert!(claim(store, &other(2), 65).await.is_none());
}

async fn a_part_is_tried_three_times(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = run(store).await;
    post(store, &lease, 1).await;
    post(store, &lease, 2).await;
    for n in 1..=TRIES {
        assert!(store.collect_work(&lease, at(1)).await.unwrap().is_empty());
        let claimed = claim(store, &other(n), 1).await.unwrap();
        assert_eq!((claimed.claim.part, claimed.claim.tries), (1, n));
        let trouble = format!("refused {n}");
        let given_back = store.return_work(&claimed.claim, Some(&trouble));
        given_back.await.unwrap();
    }
    assert_eq!(claim(store, &other(9), 1).await.unwrap().claim.part, 2);
    let collected = store.collect_work(&lease, at(1)).await.unwrap();
    assert_eq!(collected.len(), 1);
    assert_eq!(collected[0].result, Err("refused 3".to_owned()));
    // Whoever has it for the third time and is not heard of again is no answer either.
    for n in 2..=TRIES {
        claims_run_out(&fresh).await;
        assert!(store.collect_work(&lease, at(60)).await.unwrap().is_empty());
        claim(store, &other(n), 60).await.unwrap();
    }
    claims_run_out(&fresh).await;
    let collected = store.collect_work(&lease, at(60)).await.unwrap();
    assert!(collected[0].result.is_err(), "{collected:?}");
}

async fn what_is_given_back_without_a_trouble_costs_no_try(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = run(store).await;
    post(store, &lease, 1).await;
    for n in 0..=TRIES {
        let claimed = claim(store, &other(n), 1).await.unwrap();
        assert_eq!(claimed.claim.tries, 1);
        store.return_work(&claimed.claim, None).await.unwrap();
    }
}

async fn only_who_is_configured_alike_helps(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = run(store).await;
    post(store, &lease, 1).await;
    let otherwise = Scope::Others(vec!["e".to_owned(), "f".to_owned()]);
    let taken = claim_in(store, &other(1), &otherwise, &[], 1).await;
    assert!(taken.is_none());
    assert!(claim(store, &other(1), 1).await.is_some());
}

async fn a_run_that_is_busy_is_left_out(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = run(store).await;
    post(store, &lease, 1).await;
    let busy = [RunId(77), lease.run_id];
    let taken = claim_in(store, &other(1), &alike(), &busy, 1).await;
    assert!(taken.is_none());
    let taken = claim_in(store, &other(1), &alike(), &busy[..1], 1).await;
    assert!(taken.is_some());
}

async fn what_nobody_has_begun_is_taken_back(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = run(store).await;
    for part in 1..=4 {
        post(store, &lease, part).await;
    }
    let done = claim(store, &other(1), 1).await.unwrap();
    store.answer_work(&done.claim, &json!(1)).await.unwrap();
    let begun = claim(store, &other(1), 1).await.unwrap();
    let mut back = store.withdraw_work(&lease, false, at(2)).await.unwrap();
    back.sort();
    assert_eq!(back, [3, 4]);
    let none = store.withdraw_work(&lease, true, at(2)).await.unwrap();
    assert!(none.is_empty(), "somebody is at it: {none:?}");
    claims_run_out(&fresh).await;
    let none = store.withdraw_work(&lease, false, at(60)).await.unwrap();
    assert!(none.is_empty(), "it was begun: {none:?}");
    let lost = store.withdraw_work(&lease, true, at(60)).await.unwrap();
    assert_eq!(lost, [2]);
    assert!(is_fenced(store.answer_work(&begun.claim, &json!(1)).await));
    assert_eq!(store.collect_work(&lease, at(60)).await.unwrap().len(), 1);
}

async fn parts_end_with_their_run(fresh: Fresh) {
    let store = &*fresh.store;
    let finished = run(store).await;
    post(store, &finished, 1).await;
    let begun = claim(store, &other(1), 1).await.unwrap();
    let nothing = RunSummary::default();
    let end = store.finish(&finished, RunOutcome::Aborted, &nothing, at(1));
    end.await.unwrap();
    assert!(is_fenced(store.hold_work(&begun.claim, HOLD, at(1)).await));
    assert!(is_fenced(store.answer_work(&begun.claim, &json!(1)).await));
    let lost = run(store).await;
    post(store, &lost, 1).await;
    store.reap_lost(None, at(2)).await.unwrap();
    assert!(claim(store, &other(1), 3).await.is_none());
    let left = "UPDATE work SET part = part";
    assert_eq!(fresh.past_the_store(left).await, Ok(0));
}

async fn a_stale_holder_posts_and_collects_nothing(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = run(store).await;
    post(store, &lease, 1).await;
    let stale = RunLease {
        token: lease.token - 1,
        ..lease.clone()
    };
    let work = NewWork {
        part: 2,
        kind: WorkKind::Act,
        digest: "d".to_owned(),
        payload: json!(1),
    };
    assert!(is_fenced(store.post_work(&stale, &work).await));
    let claimed = claim(store, &other(1), 1).await.unwrap();
    store.answer_work(&claimed.claim, &json!(1)).await.unwrap();
    assert!(store.collect_work(&stale, at(1)).await.unwrap().is_empty());
    assert_eq!(store.collect_work(&lease, at(1)).await.unwrap().len(), 1);
}

async fn an_intent_under_a_lost_claim_is_refused(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = run(store).await;
    post(store, &lease, 1).await;
    let late = claim(store, &other(1), 1).await.unwrap();
    claims_run_out(&fresh).await;
    let under = |claimed: &Claimed| NewAttempt {
        claim: Some(claimed.claim.clone()),
        replica: claimed.claim.replica.clone(),
        ..new_attempt(&format!("order-{}", claimed.claim.tries))
    };
    let next = claim(store, &other(2), 60).await.unwrap();
    let too_late = under(&late);
    let refused = store.intend(&lease, &too_late, NO_LIMITS, at(60)).await;
    assert!(is_fenced(refused));
    intended(store, &lease, &under(&next), at(60)).await;
    let all = store
        .attempts(&Default::default(), tesa_reconciler::store::Page::first(9))
        .await
        .unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].replica, "helper-2");
}

async fn what_a_helper_is_sending_is_left_alone_when_the_holder_ends_the_run(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = run(store).await;
    let of = |replica: ReplicaId, order: &str| NewAttempt {
        replica,
        ..new_attempt(order)
    };
    let helper_s = intended(store, &lease, &of(other(1), "a"), at(1)).await;
    let holder_s = intended(store, &lease, &of(replica(), "b"), at(1)).await;
    let nothing = RunSummary::default();
    let end = store.finish(&lease, RunOutcome::Aborted, &nothing, at(2));
    end.await.unwrap();
    let alive = [replica(), other(1)];
    let recovered = store.recover_intended(&alive, at(3), at(3)).await.unwrap();
    let ids: Vec<_> = recovered.iter().map(|attempt| attempt.id).collect();
    assert_eq!(ids, [holder_s]);
    store
        .advance(helper_s, &step(AttemptState::Accepted), &daemon(), at(4))
        .await
        .unwrap();
}
