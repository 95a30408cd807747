//! Two loops beside the scheduler: one keeps the books in order (heartbeat, lost runs, forgotten attempts), one
//! settles sent writes by reading. Both live through any outage of the store or the upstream.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use super::{Core, Live};
use crate::domain::ids::ReplicaId;
use crate::lifecycle::Beats;
use crate::store::StoreError;
use crate::store::runs::RunRow;
use crate::telemetry::record;

/// A run whose heartbeat is older than this is lost: twelve beats missed.
pub const RUN_ALIVE_WITHIN: Duration = Duration::from_secs(60);

const KEEP_EVERY: Duration = Duration::from_secs(5);
const VERIFY_EVERY: Duration = Duration::from_secs(1);

/// A hung store holds a loop for a few calls' time-outs; more than that is a loop that stands still.
const KEEPER_MAX_AGE: Duration = Duration::from_secs(60);
/// A verification reads upstream, with retries: a slow upstream is no dead loop.
const VERIFIER_MAX_AGE: Duration = Duration::from_secs(300);

const KEEPER: &str = "keeper";
const VERIFIER: &str = "verifier";

/// Keeps the books in order until `stop`.
pub async fn keep(
    core: Core,
    live: watch::Receiver<Arc<Live>>,
    beats: Beats,
    stop: CancellationToken,
) {
    beats.register(KEEPER, KEEPER_MAX_AGE);
    let mut outage = Outage::new("the books can't be kept");
    loop {
        outage.note(keep_once(&core, &live).await);
        beats.beat(KEEPER);
        record::beat(KEEPER, core.clock.now());
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(KEEP_EVERY) => {}
        }
    }
    beats.retire(KEEPER);
}

async fn keep_once(core: &Core, live: &watch::Receiver<Arc<Live>>) -> Result<(), StoreError> {
    let now = core.clock.now();
    core.store.beat_replica(&core.replica, now).await?;
    let lost = core
        .store
        .reap_lost(Some(now - RUN_ALIVE_WITHIN), now)
        .await?;
    report_lost(&lost);
    recover(core).await?;
    // While the store is away the last share stands: the others are likely as alive as before.
    live.borrow().set_share(core.replicas());
    Ok(())
}

/// Writes that a dead process left without an answer become `unknown`, and are then verified.
pub async fn recover(core: &Core) -> Result<(), StoreError> {
    let now = core.clock.now();
    let live = core
        .store
        .live_replicas(now - super::ALIVE_WITHIN, now)
        .await?;
    core.set_replicas(live.len());
    let alive: Vec<ReplicaId> = live.into_iter().map(|replica| replica.id).collect();
    for attempt in core.store.recover_intended(&alive, now, now).await? {
        record::attempt(attempt.operation, attempt.state);
        tracing::warn!(
            attempt = attempt.id.0,
            operation = %attempt.operation,
            org = %attempt.org,
            "the process that sent a write is gone; the write is verified by reading"
        );
    }
    Ok(())
}

/// Counts and logs runs that were found lost.
pub fn report_lost(lost: &[RunRow]) {
    record::runs_lost(lost.len() as u64);
    for run in lost {
        tracing::error!(
            run_id = run.id.0,
            job_name = %run.job_name,
            org = %run.org,
            replica = run.replica,
            "a run is lost: its process died; what it sent is verified"
        );
    }
}

/// Settles sent writes until `stop`.
pub async fn verify(
    core: Core,
    live: watch::Receiver<Arc<Live>>,
    beats: Beats,
    stop: CancellationToken,
) {
    beats.register(VERIFIER, VERIFIER_MAX_AGE);
    let mut outage = Outage::new("sent writes can't be verified");
    loop {
        let current = live.borrow().clone();
        tokio::select! {
            () = stop.cancelled() => break,
            done = verify_once(&core, &current) => outage.note(done),
        }
        beats.beat(VERIFIER);
        record::beat(VERIFIER, core.clock.now());
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(VERIFY_EVERY) => {}
        }
    }
    beats.retire(VERIFIER);
}

async fn verify_once(core: &Core, live: &Live) -> Result<(), StoreError> {
    live.verifier.sweep(&core.replica.id).await?;
    live.verifier.verify_due(None).await?;
    Ok(())
}
