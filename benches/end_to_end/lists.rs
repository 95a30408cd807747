//! What lists decide: a cold start, and what stands, each by a process of its own that runs once.
//!
//! The upstream takes 20 ms for each answer, unless said otherwise, and the rate is the default one. A run reads details
//! of what it flagged for a few seconds more; they are not counted, as calls, and they are part of the time all the same.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use tesa_reconciler::clock::{Clock as _, SystemClock};
use tesa_reconciler::store::findings::FindingFilter;
use tesa_reconciler::store::runs::{RunFilter, RunRow};
use tesa_reconciler::store::{self, Page, StoreOptions};

use super::Options;
use super::figures::Target::AtMost;
use super::figures::{Table, median};
use super::postgres::Postgres;
use super::sandbox::{ORG, Sandbox};

const LATENCY: &str = "20ms";

/// Of 20,000 requests so many are stuck and unsent; others are stuck elsewhere.
const SOME: u32 = 3_300;

/// A place to run in: the default jobs on a store of its own.
struct Place {
    dir: tempfile::TempDir,
    url: String,
}

/// What one run cost.
struct Cost {
    wall: Duration,
    cpu: Duration,
    /// MB at most.
    peak: f64,
    lists: u64,
    began: DateTime<Utc>,
}

impl Place {
    fn new(url: Option<String>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = format!("sqlite:{}", dir.path().join("state.db").display());
        Ok(Self {
            url: url.unwrap_or(file),
            dir,
        })
    }

    fn configure(&self, sandbox: &Sandbox, safety: &str, reads_per_second: u32) -> Result<()> {
        let text = format!(
            "[tesamanager]\nbase_url = {:?}\norgs = [{ORG:?}]\nservice_account_file = {:?}\n\
             reads_per_second = {reads_per_second}\n[state]\nurl = {:?}\n[safety]\n{safety}\n",
            sandbox.base_url(),
            sandbox.account(),
            self.url,
        );
        Ok(std::fs::write(
            self.dir.path().join("tesa-reconciler.toml"),
            text,
        )?)
    }

    /// Runs `retry-stuck` once.
    async fn once(&self, program: &Path, sandbox: &Sandbox) -> Result<Cost> {
        let before = sandbox.calls().await?.lists;
        let (began, start) = (SystemClock.now(), Instant::now());
        let mut run = std::process::Command::new("/usr/bin/time");
        run.args(["-f", "%U %S %M", "-o", "cost"])
            .arg(program)
            .args(["run", "--once", "--job", "retry-stuck"])
            .current_dir(self.dir.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let ended = run.status().context("/usr/bin/time (Debian: time)")?;
        let wall = start.elapsed();
        ensure!(ended.success(), "the run ended with {ended}");
        let cost = std::fs::read_to_string(self.dir.path().join("cost"))?;
        let figures: Vec<f64> = cost
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [user, system, kilobytes] = figures[..] else {
            anyhow::bail!("time said {cost:?}")
        };
        Ok(Cost {
            wall,
            cpu: Duration::from_secs_f64(user + system),
            peak: kilobytes / 1_024.0,
            lists: sandbox.calls().await?.lists - before,
            began,
        })
    }

    /// So that it may be acted from at once.
    fn adopt(&self, program: &Path) -> Result<()> {
        let adopted = std::process::Command::new(program)
            .args(["state", "adopt", "--reason", "made to be measured"])
            .current_dir(self.dir.path())
            .status()?;
        ensure!(adopted.success(), "state adopt ended with {adopted}");
        Ok(())
    }

    async fn last_run(&self) -> Result<RunRow> {
        let store = store::open(&self.url, &StoreOptions::default()).await?;
        let runs = store.runs(&RunFilter::default(), Page::first(1)).await?;
        store.close().await;
        runs.into_iter().next().context("no run")
    }

    /// How many findings are open.
    async fn findings(&self) -> Result<u64> {
        let store = store::open(&self.url, &StoreOptions::default()).await?;
        let counts = store.finding_counts().await?;
        let some = store
            .findings(&FindingFilter::default(), Page::first(1))
            .await?;
        ensure!(!some.is_empty(), "nothing was found");
        store.close().await;
        Ok(counts.iter().map(|count| count.count).sum())
    }
}

const OBSERVE: &str = "mode = \"observe\"";

/// The default rate, and one at which details are soon known.
const RATE: u32 = 50;
const FAST: u32 = 100_000;

/// See the module.
pub async fn decide(
    options: &Options,
    postgres: Option<&Postgres>,
    table: &mut Table,
) -> Result<()> {
    let program = &options.program;
    let sandbox = Sandbox::of(program, 20_000, SOME, LATENCY).await?;
    let place = Place::new(None)?;
    place.configure(&sandbox, OBSERVE, RATE)?;
    let cost = place.once(program, &sandbox).await?;
    let name = format!(
        "20,000 requests, {} stuck, empty store: ",
        place.findings().await?
    );
    table.add(
        &format!("{name}run --once"),
        cost.wall.as_secs_f64(),
        " s",
        AtMost(5.0),
    );
    table.add(
        &format!("{name}list calls"),
        cost.lists as f64,
        "",
        AtMost(50.0),
    );

    let sandbox = Sandbox::of(program, options.ids, options.ids, LATENCY).await?;
    for store in &options.stores {
        let of = |what: &str| format!("{} stuck, empty store, {store}: {what}", options.ids);
        let place = Place::new(database(postgres, store).await?)?;
        place.configure(&sandbox, OBSERVE, RATE)?;
        let cost = place.once(program, &sandbox).await?;
        ensure!(
            place.findings().await? >= options.ids.into(),
            "not all were found"
        );
        table.add(
            &of("every finding open"),
            cost.wall.as_secs_f64(),
            " s",
            AtMost(10.0),
        );
        table.add(&of("list calls"), cost.lists as f64, "", AtMost(50.0));
    }
    let place = Place::new(None)?;
    let enforce = "mode = \"enforce\"\nhold_above_count = 10000000\nmax_writes_per_run = 2";
    place.configure(&sandbox, enforce, RATE)?;
    place.adopt(program)?;
    let cost = place.once(program, &sandbox).await?;
    let sent = sandbox.first_write().await?.context("nothing was sent")?;
    let name = format!(
        "{} stuck, empty store: the first repair is sent",
        options.ids
    );
    let took = (sent - cost.began).to_std()?.as_secs_f64();
    table.add(&name, took, " s", AtMost(5.0));
    drop(sandbox);

    let sandbox = Sandbox::of(program, options.ids, options.ids, "0s").await?;
    for store in &options.stores {
        let place = Place::new(database(postgres, store).await?)?;
        place.configure(&sandbox, OBSERVE, FAST)?;
        // Until nothing is left to be read.
        loop {
            place.once(program, &sandbox).await?;
            if place.last_run().await?.summary.observed < 10 {
                break;
            }
        }
        let (mut walls, mut cpus) = (Vec::new(), Vec::new());
        for _ in 0..options.runs {
            let cost = place.once(program, &sandbox).await?;
            cpus.push(cost.cpu.as_secs_f64());
            let run = place.last_run().await?;
            let took = run.finished_at.context("it goes on")? - run.started_at;
            walls.push(took.to_std()?.as_secs_f64());
        }
        // Each is a process of its own: after a restart, or another replica's.
        let of = |what: &str| format!("next run, {} standing, {store}: {what}", options.ids);
        table.add(&of("CPU of the process"), median(&cpus), " s", AtMost(0.15));
        table.add(&of("from claim to end"), median(&walls), " s", AtMost(0.3));
    }
    drop(sandbox);
    if options.large > 0 {
        let sandbox = Sandbox::of(program, options.large, options.large, "0s").await?;
        let place = Place::new(None)?;
        place.configure(&sandbox, OBSERVE, RATE)?;
        place.once(program, &sandbox).await?;
        let cost = place.once(program, &sandbox).await?;
        let of = |what: &str| format!("next run, {} standing: {what}", options.large);
        table.add(
            &of("CPU of the process"),
            cost.cpu.as_secs_f64(),
            " s",
            AtMost(2.0),
        );
        table.add(&of("peak memory"), cost.peak, " MB", AtMost(200.0));
    }
    Ok(())
}

async fn database(postgres: Option<&Postgres>, store: &str) -> Result<Option<String>> {
    Ok(match postgres.filter(|_| store == "postgres") {
        Some(server) => {
            let url = server.database().await?;
            let store = store::open(&url, &StoreOptions::default()).await?;
            store.migrate().await?;
            store.close().await;
            Some(url)
        }
        None => None,
    })
}
