//! The one place where live objects are built and wired. Read this to see how the daemon hangs together.
//!
//! ```text
//!   configuration ──► Core: store, upstream client behind its circuit breaker, guard's in-flight set
//!                      │
//!        ┌─────────────┼──────────────┬───────────────┬──────────────┬─────────────┐
//!    scheduler       keeper        verifier       HTTP server     signals      notifier
//!   (slots due,   (heartbeat,    (settles sent  (/metrics /livez (reload, run  (tells people
//!    triggers)    lost runs,      writes by       /readyz)        all, dump,   what waits
//!        │        the sweep)      reading)                        stop)         for them)
//!        ▼
//!    a run: select → observe → decide → guard → act → record   (reconcile/)
//! ```
//!
//! Start is all or nothing: configuration, store and schema, upstream client and listener are all there before the
//! first loop begins, and what a dead process left in doubt is marked so before anything else is done. Everything
//! that a reload may change hangs on one [`Live`] value, which is swapped as a whole.

mod changes;
mod console;
mod core;
mod first_start;
mod keeper;
mod kernel;
mod notifier;
mod once;
mod outage;
mod rates;
mod reader;
mod reload;
mod runs;
mod state_dump;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::ids::ReplicaId;
use crate::http::{self, Health, Pages};
use crate::lifecycle::{Heartbeats, Lifecycle, Notifier, Requests, serve_requests, watchdog};
use crate::schedule::{Activator, ScheduledJob, Ticker};
use crate::store::Actor;
use crate::telemetry::logs::LogHandle;
use crate::telemetry::traces::{self, Traces};
use crate::telemetry::{self, StoreGauges, record};
use crate::zone;

pub use self::core::{
    Core, Live, StartError, Upstream, new_replica, scheduled, scope, store_options,
};
pub use crate::store::replicas::ALIVE_WITHIN;
pub use first_start::adopt;
pub use kernel::Kernel;
pub use once::{OnceDone, OnceReport, run_once};
pub use reader::{Reader, tenth};
pub use reload::{ReadAgain, Reload, log_warnings};

/// What the process gives to the daemon beside the configuration.
pub struct Process {
    /// The time.
    pub clock: SharedClock,
    /// This process among the replicas.
    pub replica: ReplicaId,
    /// The process's tasks and its two ways to stop.
    pub lifecycle: Lifecycle,
    /// What people ask for by signal.
    pub requests: Requests,
    /// The log, for a reload.
    pub log: Option<LogHandle>,
    /// Traces, if they are on.
    pub traces: Option<Traces>,
    /// The metrics page.
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    /// Reads the configuration again, for a reload.
    pub read_again: ReadAgain,
}

/// Where the daemon is reached.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Metrics and health.
    pub http: SocketAddr,
    /// The console, where there is one.
    pub console: Option<SocketAddr>,
}

/// Runs the daemon until it is told to stop. `ready` is told where it is reached once all is up.
pub async fn run(
    config: Config,
    process: Process,
    ready: impl FnOnce(Addresses),
) -> Result<(), StartError> {
    let Process {
        clock,
        replica,
        lifecycle,
        requests,
        log,
        traces,
        metrics,
        read_again,
    } = process;
    let notifier = Notifier::from_env();
    let listener = http::bind(config.http.listen, "[http].listen").await?;
    let address = listener.local_addr().map_err(StartError::Io)?;
    let opened = console::open(&config).await?;
    let core = Core::start(&config, Arc::clone(&clock), replica).await?;
    let drain_timeout = config.daemon.drain_timeout;

    record::build_info();
    let mode = config.safety.mode;
    record::mode(mode);
    record::reload(true, clock.now());
    let scope = scope(&config);
    telemetry::initialise(&scope);
    let scheduled = scheduled(&config);
    tell_intervals(&[], &scheduled, clock.now());
    let (scope, scope_seen) = watch::channel(scope);
    let (jobs, jobs_seen) = watch::channel(Arc::new(scheduled));
    let settings = config.clone();
    let (live, live_seen) = watch::channel(Arc::new(core.live(config)?));
    let console = console::pages(&settings, &core, live_seen.clone())?;

    let heartbeats = Heartbeats::default();
    let pages = Arc::new(Pages {
        metrics: metrics.clone(),
        store: StoreGauges::new(
            Arc::clone(&core.store),
            scope_seen,
            Arc::clone(&clock),
            ALIVE_WITHIN,
        ),
        health: health(&core, &heartbeats, &lifecycle),
    });
    // Outlives the drain, so that the drain can be watched.
    let served = tokio_util::sync::CancellationToken::new();
    let server = tokio::spawn(http::serve(listener, http::router(pages), served.clone()));
    let addresses = Addresses {
        http: address,
        console: opened.as_ref().map(|opened| opened.address),
    };
    let console = opened
        .zip(console)
        .map(|(opened, pages)| tokio::spawn(http::serve(opened.listener, pages, served.clone())));

    lifecycle.spawn(
        "metrics upkeep",
        telemetry::metrics::upkeep(metrics, lifecycle.soft().clone()),
    );
    let kernel = Kernel {
        core: core.clone(),
        live: live_seen.clone(),
        jobs: jobs_seen,
        heartbeats: heartbeats.clone(),
        lifecycle: lifecycle.clone(),
    };
    let activator = kernel.spawn(Ticker::start(Arc::clone(&clock)).await?);

    serve_people(
        &lifecycle,
        &requests,
        reload::Reload {
            core: core.clone(),
            live,
            jobs,
            scope,
            log,
            notifier: notifier.clone(),
            read_again,
        },
        activator,
        live_seen,
        &heartbeats,
    );
    tokio::spawn(watchdog::watch(
        notifier.clone(),
        heartbeats.clone(),
        lifecycle.hard().clone(),
    ));

    notifier.ready(&format!("serving on http://{address}"));
    core.note("start", &Actor::daemon("started")).await;
    tracing::info!(
        %address,
        console = addresses.console.map(tracing::field::display),
        replica = %core.replica.id,
        version = env!("CARGO_PKG_VERSION"),
        revision = record::REVISION.unwrap_or("not a release"),
        zones = %zone::version(),
        %mode,
        "ready"
    );
    ready(addresses);

    lifecycle.soft().cancelled().await;
    tracing::info!(
        ?drain_timeout,
        "stopping: nothing new is begun, what is in flight is finished"
    );
    notifier.stopping("draining");
    let flush = async |since: Duration| {
        if let Some(traces) = &traces {
            traces
                .flush(traces::flush_within(drain_timeout, since))
                .await;
        }
    };
    kernel.drain(drain_timeout, flush).await;
    served.cancel();
    // The server ends by itself within its own bound; what it still serves is not worth waiting for.
    server.abort();
    if let Some(console) = console {
        console.abort();
    }
    tracing::info!("stopped");
    Ok(())
}

/// Exports how far apart each job's slots lie. A job that is gone gets zero, so that no alert waits for it.
fn tell_intervals(before: &[ScheduledJob], jobs: &[ScheduledJob], now: DateTime<Utc>) {
    for job in jobs {
        let pause = job.spec.when.longest_pause(now).unwrap_or_default();
        record::job_interval(&job.name, pause);
    }
    for gone in before {
        if !jobs.iter().any(|job| job.name == gone.name) {
            record::job_interval(&gone.name, Duration::ZERO);
        }
    }
}

fn health(core: &Core, heartbeats: &Heartbeats, lifecycle: &Lifecycle) -> Health {
    let stale = {
        let heartbeats = heartbeats.clone();
        Arc::new(move || {
            let stale = heartbeats.stale(tokio::time::Instant::now());
            stale.into_iter().map(str::to_owned).collect()
        })
    };
    Health::new(stale, Arc::clone(&core.store), lifecycle.soft().clone())
}

/// What people ask for by signal, each kind on a task of its own, so that none waits for another.
fn serve_people(
    lifecycle: &Lifecycle,
    requests: &Requests,
    reload: reload::Reload,
    activator: Arc<Activator>,
    live: watch::Receiver<Arc<Live>>,
    heartbeats: &Heartbeats,
) {
    let core = reload.core.clone();
    let reload = Arc::new(reload);
    lifecycle.spawn(
        "reload",
        serve_requests(
            Arc::clone(&requests.reload),
            lifecycle.soft().clone(),
            move || {
                let reload = Arc::clone(&reload);
                async move { reload.run().await }
            },
        ),
    );
    lifecycle.spawn(
        "run all",
        serve_requests(
            Arc::clone(&requests.poke),
            lifecycle.soft().clone(),
            move || {
                activator.run_all();
                std::future::ready(())
            },
        ),
    );
    let heartbeats = heartbeats.clone();
    lifecycle.spawn(
        "state dump",
        serve_requests(
            Arc::clone(&requests.dump),
            lifecycle.soft().clone(),
            move || {
                let (core, heartbeats, live) =
                    (core.clone(), heartbeats.clone(), live.borrow().clone());
                async move { state_dump::log(&core, &live, &heartbeats).await }
            },
        ),
    );
}
