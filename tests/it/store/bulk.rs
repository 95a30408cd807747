//! Numbers like those of a large operator.

use std::time::{Duration, Instant};

use tesa_reconciler::domain::ids::ReferenceId;
use tesa_reconciler::domain::{Decision, Observation, Verdict};

use super::harness::Fresh;
use super::values::*;

behaviours![a_hundred_thousand_requests_are_remembered_and_read];

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
