//! What Prometheus costs: the number of series is that of the configuration, whatever the number of requests, and a
//! scrape is quick while the daemon is at work on all of them.

use std::time::{Duration, Instant};

use sqlx::{Connection, SqliteConnection};
use tesa_reconciler::sandbox::SandboxConfig;

use super::daemon::{Daemon, sum};
use super::world::{NEVER, Settings, World, empty_sandbox};
use crate::metrics::promtool;

/// What a scrape may take.
const LIMIT: Duration = Duration::from_millis(50);
const SCRAPES: usize = 100;
/// A machine that has much else to do may spoil a round, but hardly all of them.
const ROUNDS: usize = 3;
/// Enough for the run to go on for as long as the rounds take, at the rate below.
const READ: u32 = 40_000;

/// The three jobs that exist by default, for the two tenants of the example, and so many requests.
async fn world(requests: u32) -> World {
    let orgs = vec!["masmovil".to_owned(), "yoigo".to_owned()];
    let sandbox = SandboxConfig {
        orgs,
        requests: requests / 2,
        ..empty_sandbox()
    };
    let jobs = ["retry_stuck", "resolve_issues", "flag_events"].map(|kind| {
        let name = kind.replace('_', "-");
        // An hour is enough for any number of requests; the test does not wait for it.
        format!("[[job]]\nname = \"{name}\"\nkind = \"{kind}\"\ntimeout = \"1h\"\n{NEVER}\n")
    });
    let settings = Settings {
        mode: "observe",
        tesamanager: "reads_per_second = 1000".to_owned(),
        jobs: jobs.concat(),
        ..Settings::default()
    };
    let world = World::with(sandbox, settings).await;
    let file = world.path("tesa-reconciler.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let both = text.replace("orgs = [\"masmovil\"]", "orgs = [\"masmovil\", \"yoigo\"]");
    std::fs::write(&file, both).unwrap();
    world
}

/// So many requests are known to be stuck already, from a job of long ago whose findings nobody resolves meanwhile.
async fn remember_stuck(world: &World, requests: u32) {
    let ended = world.run(&["migrate"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let url = format!("sqlite:{}", world.store_file().display());
    let mut store = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
         INSERT INTO findings (org, reference_id, kind, detail, job_name, state, evidence, since, first_seen, last_seen)
         SELECT CASE n % 2 WHEN 0 THEN 'masmovil' ELSE 'yoigo' END, 'OLD-' || n, 'stuck_request', 'VALIDATING', 'old',
             'open', '', n, n, n FROM numbers",
    )
    .bind(requests)
    .execute(&mut store)
    .await
    .unwrap();
    store.close().await.unwrap();
}

fn series(page: &str) -> usize {
    let lines = page.lines();
    lines
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .count()
}

/// Counted call by call; the requests observed are counted when the run ends.
fn reads(page: &str) -> f64 {
    sum(
        page,
        "upstream_requests_total",
        &[r#"operation="get_request""#],
    )
}

/// The 99th of a hundred scrapes, sorted, one after the other.
async fn ninety_ninth(daemon: &Daemon) -> Duration {
    let mut took = Vec::new();
    for _ in 0..SCRAPES {
        let begun = Instant::now();
        daemon.metrics().await;
        took.push(begun.elapsed());
    }
    took.sort();
    took[SCRAPES * 99 / 100 - 1]
}

/// A daemon that reads many requests, and knows of a hundred thousand stuck ones.
async fn at_work(world: &World) -> Daemon {
    remember_stuck(world, 100_000).await;
    let daemon = world.daemon().await;
    let ended = world.run(&["trigger", "flag-events"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    super::beats::until("requests are read", async || {
        reads(&daemon.metrics().await) > 100.0
    })
    .await;
    daemon
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_are_as_many_for_ten_requests_as_for_a_hundred_thousand() {
    let few = world(10).await;
    let daemon = few.daemon().await;
    for job in ["retry-stuck", "resolve-issues", "flag-events"] {
        let ended = few.run(&["trigger", job, "--wait"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let page = daemon.metrics().await;
    let (with_ten, observed) = (series(&page), sum(&page, "requests_observed_total", &[]));
    assert!(observed > 0.0 && with_ten <= 1000, "{with_ten} series");
    assert_eq!(promtool(&page), Ok(()));
    daemon.stop().await;

    let many = world(2_000).await;
    let daemon = at_work(&many).await;
    super::beats::until("all are known to be stuck", async || {
        daemon.metric("requests_stuck", &[]).await >= 100_000.0
    })
    .await;
    assert_eq!(series(&daemon.metrics().await), with_ten);
    eprintln!("{with_ten} series");
    daemon.stop_now().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_is_quick_while_a_run_reads() {
    let many = world(READ).await;
    let daemon = at_work(&many).await;
    let mut rounds = Vec::new();
    while rounds.len() < ROUNDS && !rounds.iter().any(|took| *took < LIMIT) {
        let before = reads(&daemon.metrics().await);
        rounds.push(ninety_ninth(&daemon).await);
        let page = daemon.metrics().await;
        let read = reads(&page) - before;
        eprintln!(
            "p99 of {SCRAPES} scrapes: {:?}, {read} requests read meanwhile",
            rounds.last()
        );
        assert!(
            read > 0.0 && sum(&page, "job_running", &[]) > 0.0,
            "nothing was going on"
        );
    }
    assert!(
        rounds.iter().any(|took| *took < LIMIT),
        "p99 of each round: {rounds:?}"
    );
    daemon.stop_now().await;
}
