//! What a daemon costs that has nothing to do.

use std::time::Instant;

use anyhow::Result;

use super::Options;
use super::daemon::Daemon;
use super::figures::Table;
use super::figures::Target::{AtMost, None as NoTarget};
use super::sandbox::Sandbox;

/// Three jobs, each every minute.
const JOBS: &str = r#"
[[job]]
name = "retry-stuck"
kind = "retry_stuck"
every = "1m"
[[job.rule]]
name = "unsent"
statuses = ["NOT_SENT"]
not_updated_for = "30m"
action = "flag"
[[job]]
name = "resolve-issues"
kind = "resolve_issues"
every = "1m"
[[job]]
name = "flag-events"
kind = "flag_events"
every = "1m"
"#;

/// Watches two daemons side by side: one whose upstream is empty, one whose requests do not change.
pub async fn watch(options: &Options, table: &mut Table) -> Result<()> {
    if options.idle.is_zero() {
        return Ok(());
    }
    let worlds = [0, options.ids / 10];
    let mut watched = Vec::new();
    for requests in worlds {
        let sandbox = Sandbox::start(&options.program, requests).await?;
        let mut daemon = Daemon::start(&options.program, &sandbox, None, JOBS).await?;
        // All three look at everything once.
        for _ in 0..3 {
            daemon.process.line("\"message\":\"a run ended\"").await?;
        }
        watched.push((sandbox, daemon));
    }
    let begun = Instant::now();
    let mut before = Vec::new();
    for (_, daemon) in &watched {
        before.push(daemon.process.cpu()?);
    }
    tokio::time::sleep(options.idle).await;
    let watched_for = begun.elapsed().as_secs_f64();
    for ((requests, (_, daemon)), before) in worlds.iter().zip(watched).zip(before) {
        let cpu = daemon.process.cpu()?.saturating_sub(before).as_secs_f64();
        let share = 100.0 * cpu / watched_for;
        let name = |what: &str| format!("idle, three jobs a minute, {requests} requests: {what}");
        let (core, memory) = match requests {
            0 => (AtMost(0.2), AtMost(30.0)),
            _ => (NoTarget, NoTarget),
        };
        table.add(&name("of a core"), share, " %", core);
        table.add(&name("CPU an hour"), share * 36.0, " s", NoTarget);
        let resident = daemon.process.memory("VmRSS")?;
        table.add(&name("memory"), resident, " MB", memory);
        daemon.stop().await?;
    }
    Ok(())
}
