//! Whole sweeps: the first one against the floor, the next one after a little change, and how much memory they take.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::daemon::{Daemon, Sweep, flag_events, retry_stuck};
use super::figures::Target::{AtLeast, AtMost, None as NoTarget};
use super::figures::{Table, median};
use super::postgres::Postgres;
use super::sandbox::Sandbox;
use super::{Options, floor};

/// One request in so many changes between two sweeps.
const ONE_IN: usize = 1_000;

/// Between two sweeps that follow change: a little more than the margin for the clocks (`clocks::margin`, of clocks
/// that agree), within which what changed is read once more.
const APART: Duration = Duration::from_secs(63);

/// Of the floor's speed, on either store.
const PROMISED: f64 = 0.5;

/// What is held against the floor: `flag_events`' first sweep, which reads each request's events.
struct Contender {
    store: String,
    ratios: Vec<f64>,
    rates: Vec<f64>,
    cpu: Vec<f64>,
}

/// First sweeps of a fresh store, each beside a run of the floor.
pub async fn compare(
    options: &Options,
    postgres: Option<&Postgres>,
    table: &mut Table,
) -> Result<()> {
    let sandbox = Sandbox::start(&options.program, options.ids).await?;
    let ids = Arc::new(sandbox.ids().await?);
    ensure!(ids.len() == options.ids as usize, "the sandbox lost some");
    let mut contenders = Vec::new();
    for store in &options.stores {
        contenders.push(Contender {
            store: store.clone(),
            ratios: vec![],
            rates: vec![],
            cpu: vec![],
        });
    }
    let mut floors = Vec::new();
    // The first one warms the sandbox up.
    floor::run(&sandbox, &ids).await?;
    for _ in 0..options.runs {
        for contender in &mut contenders {
            let before = per_second(ids.len(), floor::run(&sandbox, &ids).await?);
            let url = match postgres.filter(|_| contender.store == "postgres") {
                Some(server) => Some(server.database().await?),
                None => None,
            };
            let sweep = first(options, &sandbox, url.as_deref()).await?;
            ensure!(
                sweep.run.summary.observed == u64::from(options.ids),
                "not everything was read: {:?}",
                sweep.run
            );
            let rate = per_second(ids.len(), sweep.took);
            eprintln!("{}: {rate:.0}/s, floor {before:.0}/s", contender.store);
            floors.push(before);
            contender.ratios.push(rate / before);
            contender.rates.push(rate);
            let thousands = f64::from(options.ids) / 1_000.0;
            contender
                .cpu
                .push(sweep.cpu.as_secs_f64() * 1_000.0 / thousands);
        }
    }
    let name = |what: &str| format!("first sweep of {} by reading: {what}", options.ids);
    table.add(&name("floor"), median(&floors), " reads/s", NoTarget);
    for contender in &contenders {
        let what = &contender.store;
        let rate = median(&contender.rates);
        table.add(&name(what), rate, " reads/s", NoTarget);
        let target = AtLeast(PROMISED);
        let ratio = median(&contender.ratios);
        table.add(&name(&format!("{what}: of the floor")), ratio, "", target);
        let cpu = median(&contender.cpu);
        let what = format!("{what}: CPU for 1,000 requests");
        table.add(&name(&what), cpu, " ms", NoTarget);
    }
    Ok(())
}

/// A first sweep by the daemon, on a fresh store: in this database, else on SQLite.
pub async fn first(options: &Options, sandbox: &Sandbox, url: Option<&str>) -> Result<Sweep> {
    let mut daemon = Daemon::start(&options.program, sandbox, url, &flag_events()).await?;
    let sweep = daemon.sweep().await?;
    daemon.stop().await?;
    Ok(sweep)
}

pub fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// A job whose sweeps follow change, and what they came to.
struct Follower {
    job: &'static str,
    sandbox: Sandbox,
    daemon: Daemon,
    ids: Vec<String>,
    first: Duration,
    lists: Vec<f64>,
    reads: Vec<f64>,
    shares: Vec<f64>,
}

impl Follower {
    async fn start(options: &Options, job: &'static str, jobs: &str) -> Result<Self> {
        let sandbox = Sandbox::start(&options.program, options.ids).await?;
        let mut daemon = Daemon::start(&options.program, &sandbox, None, jobs).await?;
        let first = daemon.sweep().await?.took;
        Ok(Self {
            job,
            ids: sandbox.ids().await?,
            sandbox,
            daemon,
            first,
            lists: vec![],
            reads: vec![],
            shares: vec![],
        })
    }

    /// Half of the change is new orders, half is orders that moved on.
    async fn change(&self, round: usize, half: usize) -> Result<()> {
        self.sandbox.add_stuck(half).await?;
        let moved = round * half..(round + 1) * half;
        self.sandbox.touch(&self.ids[moved]).await
    }

    async fn sweep(&mut self, changed: usize) -> Result<()> {
        let before = self.sandbox.calls().await?;
        let took = self.daemon.sweep().await?.took;
        let after = self.sandbox.calls().await?;
        self.lists.push((after.lists - before.lists) as f64);
        self.reads
            .push((after.reads - before.reads) as f64 / changed as f64);
        self.shares.push(self.share(took));
        Ok(())
    }

    fn share(&self, took: Duration) -> f64 {
        100.0 * took.as_secs_f64() / self.first.as_secs_f64()
    }
}

/// The sweeps after the first, with one request in a thousand changed before each.
pub async fn follow_change(options: &Options, table: &mut Table) -> Result<()> {
    let half = (options.ids as usize / ONE_IN).max(1).div_ceil(2);
    let mut followers = vec![Follower::start(options, "flag_events", &flag_events()).await?];
    for round in 0..options.runs {
        tokio::time::sleep(APART).await;
        for follower in &mut followers {
            follower.change(round, half).await?;
            follower.sweep(2 * half).await?;
        }
    }
    for mut follower in followers {
        follower.daemon.restart(&options.program).await?;
        let restarted = follower.daemon.sweep().await?.took;
        let restarted = follower.share(restarted);
        follower.daemon.stop().await?;
        let Follower {
            job,
            lists,
            reads,
            shares,
            ..
        } = follower;
        let name = |what: &str| format!("next {job}, 0.1 % changed: {what}");
        table.add(&name("list calls"), median(&lists), "", AtMost(5.0));
        let reads = median(&reads);
        table.add(&name("reads for one that changed"), reads, "", AtMost(1.5));
        table.add(
            &name("of the first's time"),
            median(&shares),
            " %",
            AtMost(3.0),
        );
        let what = name("the first after a restart, of the first's time");
        table.add(&what, restarted, " %", NoTarget);
    }
    Ok(())
}

/// The peak of a first sweep and the one after it, by the size of the world.
pub async fn memory(options: &Options, table: &mut Table) -> Result<()> {
    for (ids, promised) in [
        (options.ids / 10, AtMost(45.0)),
        (options.ids, NoTarget),
        (options.large, AtMost(200.0)),
    ] {
        if ids == 0 {
            continue;
        }
        let peak = peak(&options.program, ids).await?;
        let figure = format!("peak memory, two sweeps of {ids}");
        table.add(&figure, peak, " MB", promised);
    }
    Ok(())
}

async fn peak(program: &Path, ids: u32) -> Result<f64> {
    let sandbox = Sandbox::start(program, ids).await?;
    let mut daemon = Daemon::start(program, &sandbox, None, &retry_stuck("flag")).await?;
    for _ in 0..2 {
        daemon.sweep().await?;
    }
    let peak = daemon.process.memory("VmHWM")?;
    daemon.stop().await?;
    Ok(peak)
}
