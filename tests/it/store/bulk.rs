//! Numbers like those of a large operator.

use std::time::{Duration, Instant};

use tesa_reconciler::domain::ids::ReferenceId;
use tesa_reconciler::domain::{Decision, Observation, Verdict};

use tesa_reconciler::store::looks::Look;

use super::harness::Fresh;
use super::values::*;

behaviours![
    a_hundred_thousand_requests_are_remembered_and_read,
    a_hundred_thousand_members_are_opened_and_streamed,
    a_hundred_thousand_looks_are_marked_and_fall_due,
];

const MANY: usize = 100_000;
const CHUNK: usize = 500;
/// Far above what it takes (a few seconds in a debug build), far below what a statement that walks through the
/// whole table for each row would.
const SANE: Duration = Duration::from_secs(120);

async fn a_hundred_thousand_requests_are_remembered_and_read(fresh: Fresh) {
    let store = &*fresh.store;
    let ids: Vec<ReferenceId> = (0..MANY).map(|n| format!("ref-{n:06}").into()).collect();
    let lease = a_run(store).await;
    let begun = Instant::now();
    for chunk in ids.chunks(CHUNK) {
        let seen: Vec<Observation> = chunk.iter().map(|id| observation(id.as_str())).collect();
        store
            .remember_observations(&lease, &org(), &seen)
            .await
            .unwrap();
    }
    let mut written = 0;
    for chunk in ids.chunks(CHUNK) {
        let decided: Vec<Decision> = chunk
            .iter()
            .map(|id| decision(id.as_str(), Verdict::Flag))
            .collect();
        let job = job();
        written += store
            .remember_decisions(&lease, &org(), &job, at(0), &decided)
            .await
            .unwrap();
    }
    let mut read = 0;
    for chunk in ids.chunks(CHUNK) {
        read += store.observations(&org(), chunk).await.unwrap().len();
    }
    assert_eq!((read, written), (MANY, MANY as u64));
    assert!(begun.elapsed() < SANE, "{:?}", begun.elapsed());
}

async fn a_hundred_thousand_members_are_opened_and_streamed(fresh: Fresh) {
    let store = &*fresh.store;
    let ids: Vec<ReferenceId> = (0..MANY).map(|n| format!("ref-{n:06}").into()).collect();
    let (org, job, lease) = (org(), job(), a_run(store).await);
    let keys = [class_key("NOT_SENT")];
    let made = store.ensure_classes(&lease, &org, &job, &keys, at(0)).await;
    let class = made.unwrap()[0];
    let begun = Instant::now();
    let opened = store.open_members(&lease, &org, &job, class, &ids, &[], at(0));
    assert_eq!(opened.await.unwrap(), MANY as u64);
    let opened_in = begun.elapsed();
    let begun = Instant::now();
    let (mut streamed, mut after) = (0, None::<String>);
    loop {
        let page = store.class_members(class, after.as_deref(), 10_000);
        let page = page.await.unwrap();
        let Some(last) = page.iter().last() else {
            break;
        };
        after = Some(last.to_owned());
        streamed += page.len();
    }
    assert_eq!(streamed, MANY);
    let streamed_in = begun.elapsed();
    let took = format!("opened in {opened_in:?}, streamed in {streamed_in:?}");
    assert!(opened_in + streamed_in < SANE, "{took}");
}

async fn a_hundred_thousand_looks_are_marked_and_fall_due(fresh: Fresh) {
    let store = &*fresh.store;
    let (org, job, lease) = (org(), job(), a_run(store).await);
    let begin = async |rules| {
        let begun = store.begin_sweep(&lease, &org, &job, at(0), rules).await;
        begun.unwrap();
    };
    begin("rules").await;
    let looks: Vec<Look> = (0..MANY)
        .map(|n| Look {
            again_at: None,
            ..look(&format!("ref-{n:06}"), 0)
        })
        .collect();
    for chunk in looks.chunks(CHUNK) {
        let made = store.remember_looks(&lease, &org, &job, chunk).await;
        made.unwrap();
    }
    let begun = Instant::now();
    let (mut marks, mut after) = (0, None::<ReferenceId>);
    loop {
        let after_it = after.as_ref().map(ReferenceId::as_str);
        let page = store
            .look_marks(&org, &job, after_it, 10_000)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.reference_id.clone());
        marks += page.len();
    }
    let marked_in = begun.elapsed();
    let begun = Instant::now();
    begin("other rules").await;
    let began_in = begun.elapsed();
    let begun = Instant::now();
    let (mut due, mut after) = (0, None::<ReferenceId>);
    loop {
        let after_it = after.as_ref().map(ReferenceId::as_str);
        let page = store.looks_due(&org, &job, at(0), after_it, 1_000);
        let page = page.await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.reference_id.clone());
        due += page.len();
    }
    let due_in = begun.elapsed();
    let begun = Instant::now();
    let again: Vec<_> = looks
        .into_iter()
        .map(|look| (look.reference_id, Some(at(60))))
        .collect();
    store.look_again(&lease, &org, &job, &again).await.unwrap();
    let again_in = begun.elapsed();
    assert_eq!((marks, due), (MANY, MANY));
    let took =
        format!("marks {marked_in:?}, all due {began_in:?}, due {due_in:?}, again {again_in:?}");
    assert!(marked_in + began_in + due_in + again_in < SANE, "{took}");
}
