//! Requests that move while they are listed: a run sees each list at another instant, and may not put them together to
//! something that never was.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tesa_reconciler::domain::ids::{Org, ReferenceId};
use tesa_reconciler::domain::{Event, IdBatch, Issue, Request};
use tesa_reconciler::reconcile::guard::WritePermit;
use tesa_reconciler::tesamanager::{
    Accepted, IdStream, ListFilter, ReadError, Ready, Tesamanager, WriteError,
};

use super::naive::{Seed, flagged, job_of, naive, place, populate, rule, seed};
use super::{MINUTE, RETRY, World, empty, org};

/// Something that happens after the nth list (from 0).
type Happens = Box<dyn FnMut(usize) + Send>;

/// Passes every call on. Each list is answered whole before anything happens, as it stood then.
struct Between {
    upstream: Arc<dyn Tesamanager>,
    lists: AtomicUsize,
    happens: Mutex<Happens>,
}

#[async_trait]
impl Tesamanager for Between {
    async fn list_reference_ids(
        &self,
        org: &Org,
        filter: &ListFilter,
    ) -> Result<IdStream, ReadError> {
        let ids = self.upstream.list_reference_ids(org, filter).await?;
        let answer: Vec<Result<IdBatch, ReadError>> = ids.collect().await;
        let nth = self.lists.fetch_add(1, Ordering::SeqCst);
        (self.happens.lock().unwrap())(nth);
        Ok(futures::stream::iter(answer).boxed())
    }

    async fn get_request(&self, org: &Org, id: &ReferenceId) -> Result<Request, ReadError> {
        self.upstream.get_request(org, id).await
    }

    async fn get_request_events(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<Event>, ReadError> {
        self.upstream.get_request_events(org, id).await
    }

    async fn get_request_issues(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<Issue>, ReadError> {
        self.upstream.get_request_issues(org, id).await
    }

    fn clocks_apart(&self) -> Option<Duration> {
        self.upstream.clocks_apart()
    }

    async fn prepare_write(&self, org: &Org) -> Result<Ready, ReadError> {
        self.upstream.prepare_write(org).await
    }

    fn writes_are_refused(&self, org: &Org) -> bool {
        self.upstream.writes_are_refused(org)
    }

    async fn write(&self, permit: WritePermit, ready: Ready) -> Result<Accepted, WriteError> {
        self.upstream.write(permit, ready).await
    }
}

/// After this list, this one of the orders moves to there.
type Move = (usize, usize, Seed);

async fn lives_through(jobs: &str, seeds: &[Seed], moves: Vec<Move>) {
    let world = Arc::new(World::new(empty(), "mode = \"observe\"", jobs).await);
    populate(&world, seeds);
    let rules = world.daemon.live().jobs[RETRY].rules.clone();
    let ever: Arc<Mutex<BTreeSet<(String, String)>>> = Arc::default();
    let number = seeds.len();
    let remember = {
        let (world, ever, rules) = (Arc::clone(&world), Arc::clone(&ever), rules.clone());
        move || {
            let now = naive(&world, &rules, number);
            ever.lock().unwrap().extend(now);
        }
    };
    remember();
    let happens = {
        let world = Arc::clone(&world);
        let moves = moves.clone();
        move |nth: usize| {
            for (after, order, to) in &moves {
                if *after == nth {
                    // Whatever happens to a request is dated.
                    place(&world, order % number, &to.just_now());
                    remember();
                }
            }
        }
    };
    let between = Between {
        upstream: Arc::clone(&world.daemon.live().reconciler.api),
        lists: AtomicUsize::new(0),
        happens: Mutex::new(Box::new(happens)),
    };
    let store = Arc::clone(world.daemon.store());
    let daemon = world.daemon.around(store, Some(Arc::new(between))).await;
    daemon.run(RETRY).await.unwrap();
    let ever = ever.lock().unwrap().clone();
    for one in flagged(&world).await {
        assert!(
            ever.contains(&one),
            "{one:?} never was: {jobs}{seeds:?}{moves:?}"
        );
    }
    for _ in 0..2 {
        // No age comes out even: whether a list includes that instant is another question.
        world.advance(2 * MINUTE + Duration::from_secs(7));
        world.run(RETRY).await;
    }
    let expected = naive(&world, &rules, number);
    assert_eq!(flagged(&world).await, expected, "{jobs}{seeds:?}{moves:?}");
    let doubts = world.store().contradictions(&org()).await.unwrap();
    assert_eq!(doubts, [], "{jobs}{seeds:?}{moves:?}");
}

#[test]
fn what_moves_between_two_lists_is_flagged_as_nothing_that_it_never_was() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: 48,
        failure_persistence: None,
        max_shrink_iters: 60,
        ..Config::default()
    };
    let worlds = (
        prop::collection::vec(rule(), 1..5),
        prop::collection::vec(seed(), 4..24),
        prop::collection::vec((0..14_usize, 0..24_usize, seed()), 4..24),
    );
    TestRunner::new(config)
        .run(&worlds, |(rules, seeds, moves)| {
            let jobs = job_of(&rules);
            prop_assume!(super::daemon::is_sound(&jobs));
            runtime.block_on(lives_through(&jobs, &seeds, moves));
            Ok(())
        })
        .unwrap();
}
