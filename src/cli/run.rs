//! `run`: the daemon, or with `--once` each job once.

use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::common::{Common, find_jobs, person};
use super::exit::{Exit, Failure};
use super::output::{self, Row};
use super::watched::Watched;
use crate::app::{self, OnceReport, Process, StartError};
use crate::clock::{SharedClock, SystemClock};
use crate::config::{Config, Job};
use crate::domain::ids::ReplicaId;
use crate::lifecycle::{Lifecycle, Requests, Signals, steer};
use crate::telemetry;
use crate::telemetry::logs::LogHandle;
use crate::telemetry::textfile::Sample;
use crate::telemetry::traces::{self, Traces};

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Run each job once, then exit with the worst outcome
    #[arg(long)]
    once: bool,
    /// With --once: only this job (may be given several times)
    #[arg(long = "job", value_name = "NAME", requires = "once")]
    jobs: Vec<String>,
    /// With --once: print no report; the log tells of each run
    #[arg(long, requires = "once")]
    quiet: bool,
    /// With --once: end with 0, not with 3, where some items failed or the guard held
    #[arg(long, requires = "once")]
    partial_is_success: bool,
    #[command(flatten)]
    watched: Watched,
}

/// Runs the daemon until a signal stops it, or the jobs once.
pub async fn run(common: &Common, args: &RunArgs, signals: Signals) -> Result<Exit, Failure> {
    let lifecycle = Lifecycle::default();
    let requests = Requests::default();
    // Before anything else: a SIGTERM during a slow start counts already.
    tokio::spawn(steer(signals, lifecycle.clone(), requests.clone()));
    if args.once {
        return once(common, args, &lifecycle).await;
    }
    let config = common.load()?;
    let clock: SharedClock = Arc::new(SystemClock);
    let replica = app::new_replica(&clock);
    let (traces, log) = start_telling(&config, &replica)?;
    let metrics = telemetry::metrics::install()
        .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
    let read_again = {
        let common = common.clone();
        Arc::new(move || common.load().map_err(|failure| failure.message))
    };
    let process = Process {
        clock,
        replica,
        lifecycle,
        requests,
        log: Some(log),
        traces,
        metrics,
        read_again,
    };
    app::run(config, process, |_| {}).await?;
    Ok(Exit::Done)
}

/// The log, and traces if they are on.
fn start_telling(
    config: &Config,
    replica: &ReplicaId,
) -> Result<(Option<Traces>, LogHandle), Failure> {
    let traces = config.traces.as_ref();
    let traces = traces.map(|settings| Traces::start(settings, replica));
    let traces = traces.transpose().map_err(StartError::from)?;
    let log = install_log(config, traces.as_ref())?;
    app::log_warnings(config);
    Ok((traces, log))
}

/// Whatever goes wrong, a configuration with a mistake included, whoever watches is told how it ended.
async fn once(common: &Common, args: &RunArgs, lifecycle: &Lifecycle) -> Result<Exit, Failure> {
    let mut gauges = Vec::new();
    let result = once_untold(common, args, lifecycle, &mut gauges).await;
    let exit = result
        .as_ref()
        .map_or_else(|failure| failure.exit, |exit| *exit);
    args.watched.tell(exit, &gauges).await;
    match result {
        Ok(Exit::PartialOrHeld) if args.partial_is_success => Ok(Exit::Done),
        result => result,
    }
}

async fn once_untold(
    common: &Common,
    args: &RunArgs,
    lifecycle: &Lifecycle,
    gauges: &mut Vec<Sample>,
) -> Result<Exit, Failure> {
    let config = common.load()?;
    let clock: SharedClock = Arc::new(SystemClock);
    let replica = app::new_replica(&clock);
    let (traces, _log) = start_telling(&config, &replica)?;
    let jobs = find_jobs(&config, &args.jobs)?;
    let jobs: Vec<Job> = jobs.into_iter().cloned().collect();
    let actor = person("run --once")?;
    let done = app::run_once(config, jobs, actor, clock, replica, lifecycle.soft()).await;
    if let Some(traces) = &traces {
        traces.flush(traces::FLUSH).await;
    }
    let done = done?;
    *gauges = done.gauges;
    if !args.quiet {
        output::list(common.format, &done.reports)?;
    }
    let outcomes = done.reports.iter().map(|report| Exit::from(report.outcome));
    Ok(outcomes.fold(Exit::Done, Exit::worse))
}

/// Sets the process's log up as configured, and `traces` beside it.
pub fn install_log(config: &Config, traces: Option<&Traces>) -> Result<LogHandle, Failure> {
    let (format, filter) = (config.daemon.log_format, &config.daemon.log_level);
    telemetry::logs::install(format, filter, Arc::new(SystemClock), traces)
        .map_err(|error| Failure::new(Exit::Configuration, error.to_string()))
}

/// A token that the first SIGTERM or SIGINT cancels, for commands that serve until then.
pub fn stop_on_signal(signals: Signals) -> CancellationToken {
    let lifecycle = Lifecycle::default();
    let stop = lifecycle.soft().clone();
    tokio::spawn(steer(signals, lifecycle, Requests::default()));
    stop
}

impl Row for OnceReport {
    const COLUMNS: &'static [&'static str] = &[
        "job",
        "org",
        "outcome",
        "selected",
        "read",
        "unchanged",
        "to act",
        "sent",
        "flagged",
        "skipped",
        "capped",
        "failed",
        "trouble",
    ];
    const FIRST: &'static [&'static str] = &["job_name", "org", "outcome"];
    fn cells(&self) -> Vec<String> {
        let summary = &self.summary;
        vec![
            self.job_name.to_string(),
            self.org.to_string(),
            self.outcome.to_string(),
            summary.selected.to_string(),
            summary.observed.to_string(),
            summary.unchanged.to_string(),
            summary.to_act.to_string(),
            summary.sent.to_string(),
            summary.flagged.to_string(),
            summary.skipped.to_string(),
            summary.capped.to_string(),
            summary.failed.to_string(),
            summary.trouble.clone(),
        ]
    }
}
