//! Two loops beside the scheduler: one keeps the books in order (heartbeat, lost runs, forgotten attempts), one
//! settles sent writes by reading. Both live through any outage of the store or the upstream.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use super::{Core, Live};
use crate::domain::ids::ReplicaId;
use crate::domain::run::Mode;
use crate::lifecycle::Heartbeats;
use crate::reconcile::looks::Looks;
use crate::store::StoreError;
use crate::store::runs::RunRow;
use crate::telemetry::record;

const KEEP_EVERY: Duration = Duration::from_secs(5);

/// How long the store must have answered before silence is held against anybody: two beats, for whoever lives.
const HEARING_AFTER: Duration = Duration::from_secs(10);

/// Pauses before a look upstream are minutes.
const VERIFY_EVERY: Duration = Duration::from_secs(2);

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
    heartbeats: Heartbeats,
    stop: CancellationToken,
) {
    heartbeats.register(KEEPER, KEEPER_MAX_AGE);
    let mut outage = Outage::new("the books can't be kept");
    let mut hearing = Hearing::default();
    loop {
        let kept = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            kept = keep_once(&core, &live, &hearing) => kept,
        };
        hearing.note(kept.is_ok());
        outage.note(kept);
        heartbeats.beat(KEEPER);
        record::beat(KEEPER, core.clock.now());
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = tokio::time::sleep(KEEP_EVERY) => {}
        }
    }
    heartbeats.retire(KEEPER);
}

/// Says that this process lives, every few seconds until it is dropped: for one that has no other loops.
pub async fn stay_alive(core: Core, mode: Mode) {
    let mut outage = Outage::new("nobody can be told that this process lives");
    loop {
        outage.note(core.beat(mode).await);
        tokio::time::sleep(KEEP_EVERY).await;
    }
}

async fn keep_once(
    core: &Core,
    live: &watch::Receiver<Arc<Live>>,
    hearing: &Hearing,
) -> Result<(), StoreError> {
    let now = core.clock.now();
    let mode = live.borrow().config.safety.mode;
    core.beat(mode).await?;
    for pause in core.store.end_pauses(now).await? {
        let scope = pause
            .job_name
            .map_or_else(|| "every job".to_owned(), |job| job.to_string());
        tracing::info!(
            scope,
            who = pause.who,
            reason = pause.reason,
            "a pause has ended by itself"
        );
    }
    if hearing.is_good() {
        let silent_since = now - super::ALIVE_WITHIN;
        let lost = core.store.reap_lost(Some(silent_since), now).await?;
        report_lost(&lost);
        let looks = live.borrow().reconciler.looks.clone();
        recover(core, &looks).await?;
    }
    Ok(())
}

/// Whether others' silence means anything. While the store is away nobody can say that he lives, so when it is back
/// everyone's last beat is old: whoever comes first would declare all the others dead.
#[derive(Debug, Default)]
struct Hearing {
    /// Since when the store has answered without a break.
    since: Option<Instant>,
}

impl Hearing {
    fn note(&mut self, answered: bool) {
        self.since = if answered {
            self.since.or_else(|| Some(Instant::now()))
        } else {
            None
        };
    }

    fn is_good(&self) -> bool {
        self.since
            .is_some_and(|since| since.elapsed() >= HEARING_AFTER)
    }
}

/// Writes that a dead process left without an answer become `unknown`, and are verified after their pauses.
pub async fn recover(core: &Core, looks: &Looks) -> Result<(), StoreError> {
    let now = core.clock.now();
    let alive = core
        .store
        .live_replicas(now - super::ALIVE_WITHIN, now)
        .await?;
    let alive: Vec<ReplicaId> = alive.into_iter().map(|replica| replica.id).collect();
    let first_look = looks.first_after_intent();
    let recovered = core.store.recover_intended(&alive, first_look, now).await?;
    for attempt in recovered {
        record::attempt(attempt.operation, attempt.state);
        tracing::warn!(
            attempt = attempt.id.0,
            operation = %attempt.operation,
            org = %attempt.org,
            reference_id = attempt.reference_id.as_str(),
            external_reference = attempt.external_reference.as_str(),
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
    heartbeats: Heartbeats,
    stop: CancellationToken,
) {
    heartbeats.register(VERIFIER, VERIFIER_MAX_AGE);
    let mut outage = Outage::new("sent writes can't be verified");
    loop {
        let current = live.borrow().clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            done = verify_once(&core, &current) => outage.note(done),
        }
        heartbeats.beat(VERIFIER);
        record::beat(VERIFIER, core.clock.now());
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = tokio::time::sleep(VERIFY_EVERY) => {}
        }
    }
    heartbeats.retire(VERIFIER);
}

async fn verify_once(core: &Core, live: &Live) -> Result<(), StoreError> {
    live.verifier.sweep(&core.replica.id).await?;
    live.verifier.verify_due(None).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_an_outage_everyone_gets_the_time_for_a_beat_before_he_is_judged() {
        let mut hearing = Hearing::default();
        for _outage in 0..2 {
            assert!(!hearing.is_good());
            hearing.note(true);
            tokio::time::advance(HEARING_AFTER - Duration::from_millis(1)).await;
            hearing.note(true);
            assert!(!hearing.is_good());
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(hearing.is_good());
            hearing.note(false);
        }
    }
}
