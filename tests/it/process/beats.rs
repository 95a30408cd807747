//! What stands still shows where it should, and nowhere else. A loop: `/livez`, the watchdog, its beat. A store that
//! hangs: `/readyz` and the errors, while all loops live. A run: its gauge, while all loops live.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use tesa_reconciler::lifecycle::fault_injection;
use tesa_reconciler::sandbox::{Effect, Fault};

use super::daemon::{Daemon, sum};
use super::world::{Settings, World, resend_job};
use crate::support::postgres::Database;
use crate::support::silence::Silence;

/// The scheduler has a minute; twice that is a failure.
const PATIENCE: Duration = Duration::from_secs(110);
/// Half of it is how often a ping comes.
const WATCHDOG: Duration = Duration::from_secs(1);
const LOOPS: [&str; 4] = ["keeper", "notifier", "scheduler", "verifier"];

/// A daemon with a service manager that listens.
struct Watched {
    daemon: Daemon,
    manager: UnixDatagram,
}

impl Watched {
    async fn start(world: &World) -> Self {
        let path = world.path("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let mut command = world.program(&["run"]);
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env(fault_injection::VARIABLE, world.dir.path());
        let mut daemon = Daemon::start(command, world.dir.path());
        daemon.ready().await;
        Self { daemon, manager }
    }

    /// Forgets what was said; answers how often it was a ping.
    fn pings(&self) -> usize {
        let mut buffer = [0; 1024];
        let said = std::iter::from_fn(|| {
            let length = self.manager.recv(&mut buffer).ok()?;
            Some(buffer[..length].starts_with(b"WATCHDOG=1"))
        });
        said.filter(|ping| *ping).count()
    }

    async fn beat(&self, name: &str) -> f64 {
        let label = format!("loop=\"{name}\"");
        let page = self.daemon.metrics().await;
        // A loop that has not beaten yet has no series.
        if !page.contains(&format!("loop_last_beat_timestamp_seconds{{{label}}}")) {
            return 0.0;
        }
        sum(&page, "loop_last_beat_timestamp_seconds", &[&label])
    }

    /// Each of these loops beats once more, and the service manager hears a ping from now on.
    async fn lives(&self, loops: &[&str]) {
        for name in loops {
            let before = self.beat(name).await;
            until(&format!("{name} beats"), async || {
                self.beat(name).await > before
            })
            .await;
        }
        self.pings();
        until("a ping", async || self.pings() > 0).await;
    }
}

pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn wedge(world: &World, name: &str) -> impl Drop + use<> {
    struct Wedge(std::path::PathBuf);
    impl Drop for Wedge {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }
    let file: &Path = &world.path(name);
    std::fs::write(file, "").unwrap();
    Wedge(file.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wedged_scheduler_is_not_alive_and_the_watchdog_hears_no_more() {
    let world = World::new(Settings::default()).await;
    let watched = Watched::start(&world).await;
    watched.lives(&LOOPS).await;
    let wedged = wedge(&world, "scheduler");
    let daemon = &watched.daemon;
    daemon.answers_within("/livez", 503, PATIENCE).await;
    let (_, why) = daemon.get("/livez").await;
    assert_eq!(why, "the loop scheduler does not beat\n");
    // The store is well, and a restart is the service manager's affair.
    assert_eq!(daemon.get("/readyz").await.0, 200);
    // Its beat is the old one, as the alert wants it; the others' go on.
    let old = watched.beat("scheduler").await;
    let keeper = watched.beat("keeper").await;
    assert!(keeper - old > 45.0, "{keeper} - {old}");
    // One that was on its way may still come.
    watched.pings();
    tokio::time::sleep(WATCHDOG * 2).await;
    assert_eq!(watched.pings(), 0, "the watchdog hears that it lives");
    assert_eq!(watched.beat("scheduler").await, old);

    drop(wedged);
    daemon.answers("/livez", 200).await;
    watched.lives(&LOOPS).await;
    watched.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_is_unready_and_no_loop_dies_of_it() {
    let database = Database::migrated().await;
    let silence = Silence::before(&database.url());
    let settings = Settings {
        state_url: Some(silence.url().to_owned()),
        ..Settings::default()
    };
    let world = World::new(settings).await;
    let watched = Watched::start(&world).await;
    let daemon = &watched.daemon;
    let timeouts = async || {
        sum(
            &daemon.metrics().await,
            "store_errors_total",
            &[r#"reason="timeout""#],
        )
    };
    let before = timeouts().await;
    silence.falls();
    daemon.answers("/readyz", 503).await;
    let (_, why) = daemon.get("/readyz").await;
    assert!(why.contains("store: it did not answer within"), "{why}");
    // Each has met the silence by the end of its first beat, and beats once more.
    watched.lives(&LOOPS).await;
    watched.lives(&LOOPS).await;
    assert!(timeouts().await > before, "its calls run out of time");
    assert_eq!(daemon.get("/livez").await, (200, "ok\n".to_owned()));

    silence.ends();
    daemon.answers("/readyz", 200).await;
    // It was silent for so long that a command takes it for dead: until it has said again that it lives.
    watched.lives(&["keeper"]).await;
    watched.lives(&["keeper"]).await;
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    watched.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_run_shows_as_running_and_no_loop_dies_of_it() {
    let settings = Settings {
        // The write waits for its answer far longer than the run may take.
        tesamanager: "request_timeout = \"10m\"".to_owned(),
        jobs: resend_job("every = \"1s\"\ntimeout = \"2s\""),
        ..Settings::default()
    };
    let world = World::new(settings).await;
    world.stuck("ORD-1");
    world.faults(vec![
        Fault::new(Effect::Hang { applied: false }).on(&["writes"]),
    ]);
    let mut watched = Watched::start(&world).await;
    let line = "the run is out of time and stops";
    watched.daemon.logged(line).await;
    watched.lives(&LOOPS).await;
    let page = watched.daemon.metrics().await;
    assert_eq!(sum(&page, "job_running", &[]), 1.0);
    let begun = sum(&page, "job_last_run_timestamp_seconds", &[]);
    // It is in the way of its own next slots, which are accounted for; nothing begins a second one.
    let skipped = [r#"result="skipped_overlap""#];
    until("a slot is skipped", async || {
        watched.daemon.metric("slots_total", &skipped).await > 0.0
    })
    .await;
    let page = watched.daemon.metrics().await;
    assert_eq!(sum(&page, "job_running", &[]), 1.0);
    assert_eq!(sum(&page, "job_last_run_timestamp_seconds", &[]), begun);
    assert_eq!(sum(&page, "job_runs_total", &[]), 0.0);
    assert_eq!(watched.daemon.get("/livez").await.0, 200);
    assert_eq!(watched.daemon.get("/readyz").await.0, 200);
    watched.daemon.stop_now().await;
}
