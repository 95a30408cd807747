//! The daemon as a process of its own, on a store of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;
use tesa_reconciler::domain::ids::JobName;
use tesa_reconciler::store::runs::{RunFilter, RunRow};
use tesa_reconciler::store::{self, Page, Store, StoreOptions};

use super::floor::IN_FLIGHT;
use super::process::Process;
use super::sandbox::{ORG, Sandbox};

/// Never due by itself, so that a sweep begins when it is told to.
const NEVER: &str = "schedule = \"0 0 0 29 2 *\"\ntimeout = \"23h\"";

/// The job whose sweeps are measured, and how: one read a request; what it decides is written down, and (unless the
/// rule leaves the request alone) a finding too.
pub fn retry_stuck(action: &str) -> String {
    format!(
        "[[job]]\nname = \"retry-stuck\"\nkind = \"retry_stuck\"\n{NEVER}\n[[job.rule]]\nname = \"unsent\"\n\
         statuses = [\"NOT_SENT\"]\nnot_updated_for = \"30m\"\naction = \"{action}\"\n"
    )
}

/// Two reads a request, and all that changed is looked at.
pub fn flag_events() -> String {
    format!("[[job]]\nname = \"flag-events\"\nkind = \"flag_events\"\n{NEVER}\n")
}

/// A job that needs no upstream, to be triggered while another one runs.
pub fn housekeeping() -> String {
    format!("[[job]]\nname = \"housekeeping\"\nkind = \"housekeeping\"\n{NEVER}\n")
}

/// A daemon that is up.
pub struct Daemon {
    /// The process.
    pub process: Process,
    /// A second way to its store, as the commands have it.
    pub store: Arc<dyn Store>,
    /// `http://127.0.0.1:port`
    pub pages: String,
    dir: TempDir,
}

/// One sweep's figures.
pub struct Sweep {
    /// From the claim to the end, as the run's row has it.
    pub took: Duration,
    /// User and system time.
    pub cpu: Duration,
    /// The run.
    pub run: RunRow,
}

impl Daemon {
    /// Starts one on a fresh store: a file in a directory of its own, or an empty database at `url`.
    pub async fn start(
        program: &Path,
        sandbox: &Sandbox,
        url: Option<&str>,
        jobs: &str,
    ) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let url = match url {
            Some(url) => url.to_owned(),
            None => format!("sqlite:{}", dir.path().join("state.db").display()),
        };
        let text = format!(
            "[tesamanager]\nbase_url = {:?}\norgs = [{ORG:?}]\nservice_account_file = {:?}\n\
             max_in_flight = {IN_FLIGHT}\nreads_per_second = 100000\n[state]\nurl = {url:?}\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[daemon]\nlog_format = \"json\"\n{jobs}",
            sandbox.base_url(),
            sandbox.account(),
        );
        std::fs::write(dir.path().join("tesa-reconciler.toml"), text)?;
        let (process, pages) = run(program, dir.path()).await?;
        let store = store::open(&url, &StoreOptions::default()).await?;
        Ok(Self {
            process,
            store,
            pages,
            dir,
        })
    }

    /// Ends it in good order and starts it again on what it left.
    pub async fn restart(&mut self, program: &Path) -> Result<()> {
        self.process.stop()?;
        (self.process, self.pages) = run(program, self.dir.path()).await?;
        Ok(())
    }

    /// Runs its only job now and waits for the end.
    pub async fn sweep(&mut self) -> Result<Sweep> {
        let before = self.process.cpu()?;
        self.process.signal("USR1")?;
        self.ended(None, before).await
    }

    /// Waits for the end of a run of `job`, or of any.
    pub async fn ended(&mut self, job: Option<&str>, before: Duration) -> Result<Sweep> {
        loop {
            let line = self.process.line("\"message\":\"a run ended\"").await?;
            if job.is_none_or(|job| line.contains(job)) {
                break;
            }
        }
        let cpu = self.process.cpu()?.saturating_sub(before);
        let filter = RunFilter {
            job_name: job.map(JobName::new),
            ..RunFilter::default()
        };
        // The row is written a moment after the line.
        loop {
            let runs = self.store.runs(&filter, Page::first(1)).await?;
            let run = runs.into_iter().next().context("no run")?;
            let Some(finished) = run.finished_at else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let took = (finished - run.started_at).to_std()?;
            return Ok(Sweep { took, cpu, run });
        }
    }

    /// Ends it in good order.
    pub async fn stop(mut self) -> Result<()> {
        self.store.close().await;
        self.process.stop()
    }
}

/// The process, ready, and where its pages are.
async fn run(program: &Path, dir: &Path) -> Result<(Process, String)> {
    let mut process = Process::start(program, &["run"], dir)?;
    let ready: Value = serde_json::from_str(&process.line("\"message\":\"ready\"").await?)?;
    let address = ready.get("address").and_then(Value::as_str);
    let pages = format!("http://{}", address.context("no address")?);
    Ok((process, pages))
}
