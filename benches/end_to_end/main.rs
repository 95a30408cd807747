//! What a sweep costs, end to end: the release binary as a daemon, against the sandbox as a process of its own.
//!
//! `cargo bench --bench end_to_end` prints the table of `docs/performance.md`. The floor is measured in the same
//! rounds, alternating with what is held against it: a bare loop of the same HTTP client that asks for the same list
//! and the same requests, reads every body to its end, and does nothing else. So a busy machine slows both.
//!
//! Set by the environment: `IDS` (100000), `LARGE` (1000000; 0 leaves it out), `RUNS` (5), `STORES`
//! (sqlite,postgres), `PARTS` (lists,first,peers,next,steer,memory,idle), `IDLE` (seconds, 70; 0 leaves it out), `PROGRAM` (another binary than the one just built).
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what it is for"
)]

mod daemon;
mod figures;
mod floor;
mod idle;
mod lists;
mod peers;
mod postgres;
mod process;
mod responsive;
mod sandbox;
mod sweeps;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tesa_reconciler::clock::{Clock as _, SystemClock};

use figures::Table;
use postgres::Postgres;

/// What the environment asks for.
pub struct Options {
    /// Requests in the world of most figures.
    pub ids: u32,
    /// Requests in the large world.
    pub large: u32,
    /// Rounds, of which the medians are taken.
    pub runs: usize,
    /// `sqlite`, `postgres`.
    pub stores: Vec<String>,
    /// What is measured.
    pub parts: Vec<String>,
    /// How long the idle daemons are watched.
    pub idle: Duration,
    /// The binary.
    pub program: PathBuf,
}

impl Options {
    fn from_environment() -> Result<Self> {
        let list = |name, all: &str| -> Result<Vec<String>> {
            let list: String = set(name, all.to_owned())?;
            Ok(list.split(',').map(str::to_owned).collect())
        };
        Ok(Self {
            ids: set("IDS", 100_000)?,
            large: set("LARGE", 1_000_000)?,
            runs: set("RUNS", 5)?,
            stores: list("STORES", "sqlite,postgres")?,
            parts: list("PARTS", "lists,first,peers,next,steer,memory,idle")?,
            idle: Duration::from_secs(set("IDLE", 70)?),
            program: set("PROGRAM", env!("CARGO_BIN_EXE_tesa-reconciler").into())?,
        })
    }
}

fn set<T: std::str::FromStr>(name: &str, default: T) -> Result<T> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .map_err(|_| anyhow::anyhow!("{name}={text} can't be read")),
        Err(_) => Ok(default),
    }
}

fn main() -> Result<()> {
    // The daemon's own: the floor shall have the same threads.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |cores| cores.get().min(4)))
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let options = Options::from_environment()?;
        measure(&options).await
    })
}

async fn measure(options: &Options) -> Result<()> {
    let load_before = load()?;
    let postgres = match options.stores.iter().any(|store| store == "postgres") {
        true => Some(Postgres::start().await?),
        false => None,
    };
    let mut table = Table::default();
    let wanted = |part: &str| options.parts.iter().any(|wanted| wanted == part);
    if wanted("lists") {
        lists::decide(options, postgres.as_ref(), &mut table).await?;
    }
    if wanted("first") {
        sweeps::compare(options, postgres.as_ref(), &mut table).await?;
    }
    if wanted("peers") {
        peers::compare(options, &mut table).await?;
    }
    if wanted("next") {
        sweeps::follow_change(options, &mut table).await?;
    }
    if wanted("steer") {
        responsive::during_a_sweep(options, postgres.as_ref(), &mut table).await?;
    }
    if wanted("memory") {
        sweeps::memory(options, &mut table).await?;
    }
    if wanted("idle") {
        idle::watch(options, &mut table).await?;
    }
    println!(
        "{}, {} cores; {}; load {load_before} before and {} after; {} rounds\n",
        processor()?,
        std::thread::available_parallelism()?,
        SystemClock.now().format("%Y-%m-%d"),
        load()?,
        options.runs,
    );
    table.print();
    Ok(())
}

fn load() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}

fn processor() -> Result<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
    let model = text.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split(": ").nth(1));
    Ok(name.unwrap_or("unknown processor").to_owned())
}
