//! SIGUSR1 runs every job, SIGUSR2 tells the state, and none is lost while it starts.

use super::daemon::signal;
use super::world::{NEVER, Settings, World, resend_job, wait_for};

/// Two jobs that the schedule never runs.
fn two_jobs() -> Settings {
    let flag = format!("[[job]]\nname = \"flag-events\"\nkind = \"flag_events\"\n{NEVER}\n");
    Settings {
        jobs: resend_job(NEVER) + &flag,
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigusr1_runs_every_job_and_sigusr2_tells_the_state() {
    let world = World::new(two_jobs()).await;
    world.stuck("ORD-1");
    let mut daemon = world.daemon().await;
    daemon.signal("USR1");
    daemon.logged_again("a run ended", 2).await;
    let runs = world.rows(&["runs"]).await;
    let mut ran: Vec<_> = runs
        .iter()
        .map(|run| (run["job_name"].as_str().unwrap(), run["trigger"].as_str()))
        .collect();
    ran.sort_unstable();
    let expected = [
        ("flag-events", Some("signal")),
        ("retry-stuck", Some("signal")),
    ];
    assert_eq!(ran, expected);
    assert_eq!(world.effects(), 1);

    daemon.signal("USR2");
    let process = daemon.logged("state: process").await;
    assert_eq!(process["mode"], "enforce");
    let last = daemon.logged_again("state: last run", 2).await;
    assert_eq!(last["outcome"], "succeeded");
    assert_eq!(daemon.times_logged("state: job"), 2);
    daemon.stop().await;
}

/// The handlers for these signals are installed, as the kernel tells.
fn catches(pid: u32, signals: &[u32]) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| signals.iter().all(|signal| mask & (1 << (signal - 1)) != 0))
}

/// HUP, USR1, USR2, TERM.
const HANDLED: &[u32] = &[1, 10, 12, 15];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_during_the_start_are_not_lost() {
    let world = World::new(two_jobs()).await;
    let mut daemon = world.start_daemon();
    let pid = daemon.pid();
    wait_for("the handlers", || catches(pid, HANDLED)).await;
    for name in ["USR1", "HUP", "USR2"] {
        signal(pid, name);
    }
    daemon.logged("ready").await;
    daemon.logged_again("a run ended", 2).await;
    daemon.logged("the configuration is reloaded").await;
    daemon.logged("state: process").await;
    daemon.stop().await;

    let mut daemon = world.start_daemon();
    let pid = daemon.pid();
    wait_for("the handlers", || catches(pid, HANDLED)).await;
    signal(pid, "TERM");
    assert_eq!(daemon.exit().await, Some(0), "{}", daemon.output());
}
