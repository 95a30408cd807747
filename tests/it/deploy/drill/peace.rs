//! What no alert may come of, on a real Prometheus with the shipped rules: a first start over a backlog, the first hour of
//! enforce, a planned stop.

use std::path::Path;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::scene::{Beginning, Scene};
use crate::process::daemon::Daemon;
use crate::process::world::{program, run};

/// Thirty seconds are five of the shortened minutes.
const FLAGGING: &str = r#"
[safety]
mode = "observe"
verify_after = ["1s", "1s", "1s"]

[[job]]
name = "flag-events"
kind = "flag_events"
every = "30s"
"#;

const RETRYING: &str = r#"
[[job]]
name = "retry-stuck"
kind = "retry_stuck"
every = "30s"

[[job.rule]]
name = "resend-unsent"
statuses = ["NOT_SENT"]
not_updated_for = "30m"
action = "resend"
"#;

/// No run of this job has ended.
fn goes_on(daemon: &Daemon, job: &str) -> bool {
    let of_job = |line: &&serde_json::Value| line["job_name"] == job;
    let log = daemon.log();
    let mut ended = log.iter().filter(|line| line["message"] == "a run ended");
    !ended.any(|line| of_job(&line))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_over_a_backlog_and_the_first_repairs() {
    // Twenty reads a second over two thousand requests: a hundred seconds, seventeen of the shortened minutes.
    let beginning = Beginning {
        requests: 2000,
        unsent: 12,
        reads_per_second: 20,
        stopped_for: None,
        duty: format!("{FLAGGING}{RETRYING}"),
        ..Beginning::default()
    };
    let mut scene = Scene::began(beginning, async |_| {}).await;
    let first = scene
        .nothing_fires_while(async |daemon| goes_on(daemon, "flag-events"))
        .await;
    assert!(first > Duration::from_secs(60), "a first run of {first:?}");
    // And then writes are let go, of what has been due for months.
    scene
        .reload("mode = \"observe\"", "mode = \"enforce\"")
        .await;
    let repaired = ["outcome=\"confirmed\""];
    scene
        .nothing_fires_while(async |daemon| daemon.metric("attempts_total", &repaired).await < 12.0)
        .await;
    scene.stays_silent().await;
    scene.daemon.stop().await;
}

/// Makes what stands in SQLite's store so much older.
async fn ages(dir: &Path, seconds: u64) {
    let file = format!("sqlite:{}", dir.join("state.db").display());
    let mut store = SqliteConnection::connect(&file).await.unwrap();
    let by = seconds * 1_000_000;
    for (table, columns) in [
        ("runs", &["started_at", "last_beat", "finished_at"][..]),
        ("job_memory", &["last_slot", "last_started", "last_success"]),
    ] {
        for column in columns {
            let sql = format!("UPDATE {table} SET {column} = {column} - {by}");
            store.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
        }
    }
    store.close().await.unwrap();
}

/// The daemon is there again after so long, and its first run takes its time.
async fn back_after(stopped_for: Duration) {
    let beginning = Beginning {
        stopped_for: Some(stopped_for),
        // So that the run after the stop takes its time.
        reads_per_second: 1,
        duty: FLAGGING.to_owned(),
        ..Beginning::default()
    };
    let scene = Scene::began(beginning, async |dir| {
        let mut once = program(dir, &["run", "--once"]);
        once.env("TESA_RECONCILER__TESAMANAGER__READS_PER_SECOND", "500");
        let once = run(once).await;
        assert_eq!(once.code, Some(0), "{once:?}");
        ages(dir, stopped_for.as_secs()).await;
    })
    .await;
    scene
        .nothing_fires_while(async |daemon| goes_on(daemon, "flag-events"))
        .await;
    scene.stays_silent().await;
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_stop_of_seventy_minutes_and_a_long_run_after_it() {
    // Seven minutes in the shortened time.
    back_after(Duration::from_secs(420)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_takes_two_minutes() {
    back_after(Duration::from_secs(12)).await;
}
