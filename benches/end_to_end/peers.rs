//! The daemon's first sweep beside what somebody would write in an afternoon: see `benches/peers`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::Options;
use super::figures::Target::{AtLeast, None as NoTarget};
use super::figures::{Table, median};
use super::sandbox::{ORG, Sandbox, TOKEN};
use super::sweeps::{first, per_second};

/// Of the best peer's speed.
const PROMISED: f64 = 1.5;

struct Peer {
    name: &'static str,
    command: Vec<PathBuf>,
    rates: Vec<f64>,
}

/// Those that this machine has what they need for.
fn installed() -> Vec<Peer> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    let python = std::env::var_os("PEER_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let node = folder.join("node");
    let has_aiohttp = runs(Command::new(&python).args(["-c", "import aiohttp"]));
    let has_modules = node.join("node_modules/better-sqlite3").is_dir()
        && runs(Command::new("node").arg("--version"));
    let mut peers = Vec::new();
    if has_aiohttp {
        let command = vec![python, folder.join("python/sweep.py")];
        peers.push(Peer {
            name: "aiohttp",
            command,
            rates: vec![],
        });
    }
    if has_modules {
        let command = vec!["node".into(), node.join("sweep.mjs")];
        peers.push(Peer {
            name: "undici",
            command,
            rates: vec![],
        });
    }
    peers
}

fn runs(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

impl Peer {
    /// How long its sweep takes, by its own clock: starting its runtime is not counted.
    fn sweep(&self, sandbox: &Sandbox, requests: u32) -> Result<Duration> {
        let dir = tempfile::tempdir()?;
        let (program, script) = (&self.command[0], &self.command[1]);
        let output = Command::new(program)
            .arg(script)
            .args([&sandbox.base_url(), TOKEN, ORG])
            .arg(dir.path().join("looks.db"))
            .output()?;
        let said = String::from_utf8(output.stdout)?;
        let error = String::from_utf8_lossy(&output.stderr);
        let numbers: Vec<&str> = said.split_whitespace().collect();
        let [looked, failed, seconds] = numbers[..] else {
            bail!("{}: {said} {error}", self.name);
        };
        let all = looked == requests.to_string() && failed == "0";
        ensure!(all, "{}: not everything was read: {said}", self.name);
        let seconds: f64 = seconds.parse().context("seconds")?;
        Ok(Duration::from_secs_f64(seconds))
    }
}

/// In turns, against the same sandbox.
pub async fn compare(options: &Options, table: &mut Table) -> Result<()> {
    let mut peers = installed();
    if peers.is_empty() {
        eprintln!("no peer is installed: see benches/peers/README.md");
        return Ok(());
    }
    let sandbox = Sandbox::start(&options.program, options.ids).await?;
    let count = options.ids as usize;
    let mut ours = Vec::new();
    for _ in 0..options.runs {
        let sweep = first(options, &sandbox, None).await?;
        ours.push(per_second(count, sweep.took));
        for peer in &mut peers {
            let took = peer.sweep(&sandbox, options.ids)?;
            peer.rates.push(per_second(count, took));
        }
    }
    let name = |what: &str| format!("first sweep of {} beside peers: {what}", options.ids);
    let ours = median(&ours);
    table.add(&name("the daemon, sqlite"), ours, " reads/s", NoTarget);
    let mut best = 0.0_f64;
    for peer in &peers {
        let rate = median(&peer.rates);
        table.add(&name(peer.name), rate, " reads/s", NoTarget);
        best = best.max(rate);
    }
    let target = AtLeast(PROMISED);
    table.add(&name("of the best one"), ours / best, "", target);
    Ok(())
}
