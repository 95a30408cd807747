//! SIGUSR2: the full state into the log, from memory first and from the store as far as it answers.

use super::{Core, Live};
use crate::lifecycle::Heartbeats;

/// Logs it. A store that is away is said, and does not hide the rest.
pub async fn log(core: &Core, live: &Live, heartbeats: &Heartbeats) {
    tracing::info!(
        replica = %core.replica.id,
        version = core.replica.version,
        started_at = %core.replica.started_at,
        mode = %live.config.safety.mode,
        orgs = live.config.tesamanager.orgs.len(),
        stale_loops = ?heartbeats.stale(tokio::time::Instant::now()),
        "state: process"
    );
    for job in &live.config.jobs {
        tracing::info!(
            job_name = %job.name,
            kind = %job.kind,
            schedule = %job.schedule.when,
            rules = job.rules.len(),
            "state: job"
        );
    }
    if let Err(error) = log_store(core).await {
        tracing::warn!(%error, "state: the store does not answer");
    }
}

async fn log_store(core: &Core) -> Result<(), crate::store::StoreError> {
    let now = core.clock.now();
    for pause in core.store.pauses(now).await? {
        let job_name = pause
            .job_name
            .as_ref()
            .map_or("(all)", |name| name.as_str());
        tracing::info!(
            job_name,
            who = pause.who,
            reason = pause.reason,
            "state: paused"
        );
    }
    for latch in core.store.latches().await? {
        tracing::info!(job_name = %latch.job_name, org = %latch.org, reason = latch.reason, "state: held by the guard");
    }
    for circuit in core.store.circuits(now).await? {
        let cause = circuit.cause.map(|cause| cause.as_str());
        let probe_at = circuit.probe_at.map(tracing::field::display);
        tracing::info!(org = %circuit.org, state = circuit.state, cause, probe_at, "state: circuit");
    }
    for count in core.store.attempt_counts().await? {
        if count.state.is_open() {
            tracing::info!(operation = %count.operation, state = %count.state, count = count.count, "state: open attempts");
        }
    }
    for runs in core.store.last_runs().await? {
        let outcome = runs
            .last_outcome
            .map_or("running", |outcome| outcome.as_str());
        tracing::info!(job_name = %runs.job_name, org = %runs.org, last_started = %runs.last_started, outcome, "state: last run");
    }
    Ok(())
}
