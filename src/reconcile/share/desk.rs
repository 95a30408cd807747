//! The holder's side of a shared run: posts its parts, waits for the answers, takes parts itself.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::LOOK_EVERY;
use super::hands::{Bench, Hands, Undone};
use super::part::Batch;
use crate::config::Job;
use crate::domain::ids::ReferenceId;
use crate::reconcile::executor::Done;
use crate::reconcile::recorder::Candidate;
use crate::reconcile::runner::{Reconciler, RunOrder};
use crate::reconcile::survey::{CHUNK, Portion, Survey, SurveyError};
use crate::store::StoreError;
use crate::store::findings::FindingKey;
use crate::store::runs::RunLease;
use crate::store::work::{Claimed, NewWork, Scope, WorkKind};

/// A batch takes one replica about a quarter of a second: so nobody waits long for the last one, and what sharing
/// costs the store does not grow with the rate.
const BATCHES_PER_SECOND: u32 = 4;

/// Parts that are posted, for each replica: those in its hands, and the next one.
const POSTED_EACH: usize = 4;

/// What became of a part.
enum Told {
    Answered(Value),
    GivenUp(String),
    Withdrawn,
}

/// What became of a candidate.
pub(super) enum Acted {
    /// Carried out, or not for a reason of its own.
    Done(Done),
    /// Nobody had begun it when it was taken back.
    Withdrawn,
}

/// See the module.
pub(in crate::reconcile) struct Desk<'a> {
    reconciler: &'a Reconciler,
    job: &'a Arc<Job>,
    lease: &'a RunLease,
    digest: String,
    stop: &'a CancellationToken,
    next: AtomicI64,
    waiting: Mutex<HashMap<i64, oneshot::Sender<Told>>>,
}

impl Reconciler {
    /// A desk for a run that is to be shared; none when there is nobody to share it with.
    pub(in crate::reconcile) fn desk<'a>(
        &'a self,
        order: &'a RunOrder,
        lease: &'a RunLease,
        stop: &'a CancellationToken,
    ) -> Option<Desk<'a>> {
        let shared = self.store.is_shared() && self.sharing.replicas() > 1;
        shared.then(|| Desk {
            reconciler: self,
            job: &order.job,
            lease,
            digest: self.digest(&order.job),
            stop,
            next: AtomicI64::new(1),
            waiting: Mutex::default(),
        })
    }
}

impl Desk<'_> {
    /// How many requests a batch holds.
    pub(in crate::reconcile) fn batch(&self) -> usize {
        let mine = self.reconciler.reads_per_second / self.reconciler.sharing.replicas();
        usize::try_from(mine / BATCHES_PER_SECOND).map_or(CHUNK, |batch| batch.clamp(5, CHUNK))
    }

    /// How many parts are to be posted at a time.
    pub(in crate::reconcile) fn window(&self) -> usize {
        let replicas = usize::try_from(self.reconciler.sharing.replicas()).unwrap_or(usize::MAX);
        replicas.saturating_mul(POSTED_EACH).min(256)
    }

    /// Has a batch of `survey` read and decided on, by whoever takes it.
    pub(in crate::reconcile) async fn read(
        &self,
        survey: &Survey<'_>,
        ids: Vec<ReferenceId>,
    ) -> Result<Portion, SurveyError> {
        let batch = Batch {
            now: survey.context.now,
            writes: survey.context.writes,
            acknowledged: acknowledged_of(survey.acknowledged, &ids),
            ids,
        };
        let hear = self.post(WorkKind::Read, &batch).await?;
        let told = tokio::select! {
            // The other end is dropped only with this desk.
            told = hear => told.unwrap_or(Told::Withdrawn),
            // What was only read may be left.
            () = self.stop.cancelled() => Told::Withdrawn,
        };
        match told {
            Told::Answered(portion) => understood(portion),
            Told::GivenUp(trouble) => Err(SurveyError::GivenUp(trouble)),
            Told::Withdrawn => Err(SurveyError::Stopped),
        }
    }

    /// Offers a write; writes are taken in the order in which they were offered. What it answers is to be waited for to
    /// the end, even when the run is told to stop: somebody may have begun it.
    pub(super) async fn offer(
        &self,
        candidate: &Candidate,
    ) -> Result<impl Future<Output = Result<Acted, SurveyError>> + Send + use<>, SurveyError> {
        let hear = self.post(WorkKind::Act, candidate).await?;
        Ok(hear.map(|told| match told {
            Ok(Told::Answered(done)) => understood(done).map(Acted::Done),
            Ok(Told::GivenUp(trouble)) => Err(SurveyError::GivenUp(trouble)),
            Ok(Told::Withdrawn) | Err(_) => Ok(Acted::Withdrawn),
        }))
    }

    /// Takes back what nobody has begun; with `lost`, also what somebody has begun who is no longer heard of.
    pub(super) async fn withdraw(&self, lost: bool) -> Result<(), StoreError> {
        let reconciler = self.reconciler;
        let now = reconciler.clock.now();
        let parts = reconciler
            .store
            .withdraw_work(self.lease, lost, now)
            .await?;
        for part in parts {
            self.tell(part, Told::Withdrawn);
        }
        Ok(())
    }

    /// Carries `work` to its end, taking parts and collecting answers meanwhile.
    pub(in crate::reconcile) async fn open<T>(
        &self,
        work: BoxFuture<'_, Result<T, SurveyError>>,
    ) -> Result<T, SurveyError> {
        let hands = Hands {
            store: &*self.reconciler.store,
            clock: &*self.reconciler.clock,
            replica: &self.reconciler.replica,
            sharing: &self.reconciler.sharing,
        };
        // An error of the store ends the run, as anywhere else in it. Once told to stop, the hands finish what they have.
        let lend_a_hand = async {
            match hands.work(self, self.stop, |turn| turn).await {
                Ok(()) => std::future::pending().await,
                Err(error) => error,
            }
        }
        .boxed();
        tokio::select! {
            done = work => done,
            error = self.collect() => Err(error.into()),
            error = lend_a_hand => Err(error.into()),
        }
    }

    async fn post(
        &self,
        kind: WorkKind,
        payload: &impl Serialize,
    ) -> Result<oneshot::Receiver<Told>, SurveyError> {
        let (told, hear) = oneshot::channel();
        let part = self.next.fetch_add(1, Ordering::Relaxed);
        let work = NewWork {
            part,
            kind,
            digest: self.digest.clone(),
            payload: serde_json::to_value(payload).map_err(|error| not_encoded(&error))?,
        };
        self.lock().insert(part, told);
        self.reconciler.store.post_work(self.lease, &work).await?;
        self.reconciler.sharing.posted.send_replace(());
        Ok(hear)
    }

    /// Passes answers on to whom waits for them; ends only with an error.
    async fn collect(&self) -> StoreError {
        let reconciler = self.reconciler;
        let mut answered = reconciler.sharing.answered.subscribe();
        loop {
            answered.mark_unchanged();
            if !self.lock().is_empty() {
                let now = reconciler.clock.now();
                match reconciler.store.collect_work(self.lease, now).await {
                    Ok(collected) => {
                        for one in collected {
                            let told = one.result.map_or_else(Told::GivenUp, Told::Answered);
                            self.tell(one.part, told);
                        }
                    }
                    Err(error) => return error,
                }
            }
            // The sender lives as long as `sharing` does.
            let _ = tokio::time::timeout(LOOK_EVERY, answered.changed()).await;
        }
    }

    fn tell(&self, part: i64, told: Told) {
        if let Some(waiting) = self.lock().remove(&part) {
            // Whoever waited may have gone.
            let _ = waiting.send(told);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, oneshot::Sender<Told>>> {
        // The map is whole between any two operations, so a panic elsewhere leaves it usable.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The holder takes its own run's parts, with the configuration that the run began with.
#[async_trait]
impl Bench for Desk<'_> {
    fn scope(&self) -> Option<Scope> {
        (!self.lock().is_empty()).then_some(Scope::Run(self.lease.run_id))
    }

    async fn do_part(&self, claimed: &Claimed, stop: &CancellationToken) -> Result<Value, Undone> {
        self.reconciler.do_part(self.job, claimed, stop).await
    }
}

/// The acknowledged findings that a batch's decisions can ask for.
fn acknowledged_of(all: &HashSet<FindingKey>, ids: &[ReferenceId]) -> Vec<FindingKey> {
    if all.is_empty() {
        return Vec::new();
    }
    let ids: HashSet<&ReferenceId> = ids.iter().collect();
    let about = |key: &&FindingKey| ids.contains(&key.reference_id);
    all.iter().filter(about).cloned().collect()
}

fn understood<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, SurveyError> {
    serde_json::from_value(answer).map_err(|error| {
        SurveyError::GivenUp(format!("its answer is not to be understood: {error}"))
    })
}

fn not_encoded(error: &serde_json::Error) -> SurveyError {
    SurveyError::GivenUp(format!("it can't be put into words: {error}"))
}
