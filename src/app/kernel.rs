//! The loops that reconcile, and how they end: what a daemon is without its HTTP server, its signals and its log.
//!
//! Apart from `run`, so that a simulation can have several of them in one process, over a store, an upstream and a clock
//! of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Core, Live, changes, keeper, notifier, runs};
use crate::lifecycle::{Heartbeats, Lifecycle};
use crate::schedule::{self, Activator, Parts, ScheduledJob, Ticker};

/// The scheduler comes around every two seconds, but a hung store may hold it for a few calls' time-outs.
const SCHEDULER_MAX_AGE: Duration = Duration::from_secs(60);

/// What the loops share.
pub struct Kernel {
    /// What stays over a reload.
    pub core: Core,
    /// What a reload changes.
    pub live: watch::Receiver<Arc<Live>>,
    /// The jobs, as configured now.
    pub jobs: watch::Receiver<Arc<Vec<ScheduledJob>>>,
    /// Who lives.
    pub heartbeats: Heartbeats,
    /// Their tasks, and the ways to stop them.
    pub lifecycle: Lifecycle,
}

impl Kernel {
    /// Begins them all. The scheduler is woken by what is returned.
    pub fn spawn(&self, ticker: Ticker) -> Arc<Activator> {
        let Self {
            core,
            live,
            jobs,
            heartbeats,
            lifecycle,
        } = self;
        let soft = lifecycle.soft();
        lifecycle.spawn(
            "keeper",
            keeper::keep(core.clone(), live.clone(), heartbeats.clone(), soft.clone()),
        );
        lifecycle.spawn(
            "verifier",
            keeper::verify(core.clone(), live.clone(), heartbeats.clone(), soft.clone()),
        );
        lifecycle.spawn(
            "notifier",
            notifier::tell(core.clone(), live.clone(), heartbeats.clone(), soft.clone()),
        );
        let activator = Arc::new(Activator::default());
        lifecycle.spawn(
            "changes",
            changes::heed(core.store.changes(), Arc::clone(&activator), soft.clone()),
        );
        heartbeats.register(schedule::driver::LOOP_NAME, SCHEDULER_MAX_AGE);
        let parts = Parts {
            store: Arc::clone(&core.store),
            runner: Arc::new(runs::Runs::new(core, live.clone(), soft.clone())),
            clock: Arc::clone(&core.clock),
            ticker,
            jobs: jobs.clone(),
            activator: Arc::clone(&activator),
            stop: soft.clone(),
            tracker: lifecycle.tracker().clone(),
            replica: core.replica.id.clone(),
            zones: core.replica.zones.clone(),
            beat: {
                let heartbeats = heartbeats.clone();
                Arc::new(move || heartbeats.beat(schedule::driver::LOOP_NAME))
            },
        };
        lifecycle.spawn("scheduler", schedule::drive(parts));
        activator
    }

    /// Nothing new is begun and what is in flight is finished, within the drain's time; then the store is told of the end.
    /// `beside` is done while it is told.
    pub async fn drain(&self, within: Duration, beside: impl AsyncFnOnce(Duration)) {
        let begun = tokio::time::Instant::now();
        let left = self.lifecycle.shutdown(within).await;
        if let Some(left) = &left {
            tracing::warn!(tasks = left.tasks, names = ?left.names, "not everything ended in time");
        }
        let time_left = within.saturating_sub(begun.elapsed());
        let words = async {
            tokio::join!(self.core.farewell(time_left), beside(begun.elapsed()));
        };
        if !self.lifecycle.last_words(time_left, words).await {
            tracing::warn!(
                "the store could not be told of the end in time; this process is taken for dead soon"
            );
        }
    }
}
