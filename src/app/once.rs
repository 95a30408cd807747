//! `run --once`: each job once, for all orgs, then the end. What an earlier life left in doubt is looked at first.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Core, StartError, keeper, scope};
use crate::clock::SharedClock;
use crate::config::{Config, Job, JobKind};
use crate::domain::ids::{JobName, Org, ReplicaId};
use crate::domain::{RunOutcome, Trigger};
use crate::lifecycle::grace_of;
use crate::reconcile::runner::{RunOrder, RunResult};
use crate::store::Actor;
use crate::store::runs::RunSummary;
use crate::telemetry::store_gauges;
use crate::telemetry::textfile::Sample;

/// What one run came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OnceReport {
    /// The job.
    pub job_name: JobName,
    /// The tenant.
    pub org: Org,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Its numbers.
    #[serde(flatten)]
    pub summary: RunSummary,
}

/// What came of running each job once.
#[derive(Debug)]
pub struct OnceDone {
    /// The runs.
    pub reports: Vec<OnceReport>,
    /// The gauges that the store knows, as they were at the end; none if it did not tell.
    pub gauges: Vec<Sample>,
}

/// Runs `jobs` once each. Stops between two items when told to.
pub async fn run_once(
    config: Config,
    jobs: Vec<Job>,
    actor: Actor,
    clock: SharedClock,
    replica: ReplicaId,
    stop: &CancellationToken,
) -> Result<OnceDone, StartError> {
    let core = Core::start(&config, clock, replica).await?;
    let scope = scope(&config);
    let orgs = config.tesamanager.orgs.clone();
    let live = core.live(config)?;
    let mut reports = Vec::new();
    // Silent for twenty seconds, it would be taken for dead by others, and its writes for nobody's.
    let alive = AbortOnDropHandle::new(tokio::spawn(keeper::stay_alive(
        core.clone(),
        live.config.safety.mode,
    )));
    let drain_timeout = live.config.daemon.drain_timeout;
    let work = async {
        live.verifier.verify_due(None).await?;
        for job in jobs {
            let orgs = if job.kind == JobKind::Housekeeping {
                &orgs[..1]
            } else {
                &orgs[..]
            };
            let job = Arc::new(job);
            for org in orgs {
                if stop.is_cancelled() {
                    return Ok(());
                }
                let order = RunOrder {
                    job: Arc::clone(&job),
                    org: org.clone(),
                    trigger: Trigger::Once,
                    slot: None,
                    actor: actor.clone(),
                };
                if let RunResult::Done {
                    outcome, summary, ..
                } = live.reconciler.run(&order, stop).await?
                {
                    let (job_name, org) = (job.name.clone(), org.clone());
                    reports.push(OnceReport {
                        job_name,
                        org,
                        outcome,
                        summary,
                    });
                }
            }
        }
        Ok(())
    };
    let grace = grace_of(drain_timeout);
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(drain_timeout - 2 * grace).await;
    };
    let result = tokio::select! {
        biased;
        done = work => done,
        () = late => {
            tracing::warn!(?drain_timeout, "not stopped in time: ending now");
            Ok(())
        }
    };
    alive.abort();
    // Cancelled, so that no beat follows the farewell.
    let _ = alive.await;
    let (mode, now) = (live.config.safety.mode, core.clock.now());
    let gauges = store_gauges::samples(&*core.store, &scope, mode, now).await;
    let gauges = gauges.unwrap_or_else(|error| {
        tracing::warn!(%error, "the gauges made from the store are out of date");
        vec![]
    });
    let time_left = if stop.is_cancelled() {
        2 * grace
    } else {
        drain_timeout
    };
    if tokio::time::timeout(time_left, core.farewell(time_left))
        .await
        .is_err()
    {
        tracing::warn!(
            "the store could not be told of the end in time; this process is taken for dead soon"
        );
    }
    result
        .map(|()| OnceDone { reports, gauges })
        .map_err(StartError::Store)
}
