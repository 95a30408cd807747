//! What a drill is played on: the real daemon, a sandbox that is a process of its own, and a Prometheus with the
//! shortened rules and a healthy past.

#![expect(
    clippy::print_stderr,
    reason = "what fired when is what a drill is read for"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tempfile::TempDir;
use tesa_reconciler::lifecycle::fault_injection;

use super::super::prometheus::Prometheus;
use super::shortened;
use crate::process::daemon::Daemon;
use crate::process::world::{program, run};
use crate::support::http;

/// The longest that a drill waits for a set of alerts; only met by one that fails.
const PATIENCE: Duration = Duration::from_secs(240);

/// The scene; everything in it ends with this value.
pub struct Scene {
    prometheus: Prometheus,
    pub daemon: Daemon,
    sandbox: Option<Upstream>,
    port: u16,
    dir: TempDir,
}

impl Scene {
    /// All is up, and the daemon has done its duty for long enough that nothing fires or is about to.
    pub async fn healthy(state_url: Option<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        std::fs::create_dir(dir.path().join("wedged")).unwrap();
        let sandbox = sandbox(&dir, port).await;
        let state = state_url
            .unwrap_or_else(|| format!("sqlite:{}", dir.path().join("state.db").display()));
        std::fs::write(
            dir.path().join("tesa-reconciler.toml"),
            config(port, &state),
        )
        .unwrap();
        let word = ["state", "adopt", "--reason", "made for a drill"];
        assert_eq!(run(program(dir.path(), &word)).await.code, Some(0));
        let mut command = program(dir.path(), &["run"]);
        command.env(fault_injection::VARIABLE, dir.path().join("wedged"));
        let mut daemon = Daemon::start(command, dir.path());
        daemon.ready().await;
        daemon.logged("a run ended").await;
        let prometheus = prometheus(&dir, daemon.address());
        let scene = Self {
            prometheus,
            daemon,
            sandbox: Some(sandbox),
            port,
            dir,
        };
        scene.looked_at().await;
        scene.quiet(&[]).await;
        scene
    }

    /// The upstream is killed.
    pub fn kill_upstream(&mut self) {
        self.sandbox = None;
    }

    /// The upstream is there again.
    pub async fn start_upstream(&mut self) {
        self.sandbox = Some(sandbox(&self.dir, self.port).await);
    }

    /// The file that makes a loop stand still.
    pub fn wedge(&self, name: &str) -> PathBuf {
        self.dir.path().join("wedged").join(name)
    }

    /// A run has just ended, and the store knows it: the next begins seconds later.
    pub async fn between_two_runs(&mut self) {
        let runs = self.daemon.times_logged("a run ended");
        self.daemon.logged_again("a run ended", runs + 1).await;
        loop {
            let ended = run(program(
                self.dir.path(),
                &["runs", "--limit", "1", "--output", "json"],
            ))
            .await;
            let rows: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
            if rows.iter().all(|row| !row["outcome"].is_null()) {
                return;
            }
        }
    }

    /// Prometheus knows all that the rules look at.
    async fn looked_at(&self) {
        let begun = Instant::now();
        let query = "job_org:tesa_reconciler_job_stale:bool == 0";
        while self.prometheus.ask(query).await != Some(Ok(1)) {
            assert!(begun.elapsed() < PATIENCE, "Prometheus knows of no job");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until exactly these fire and no other is about to. One that is not among them may not fire meanwhile.
    pub async fn fires(&self, expected: &[(&str, &str)]) {
        self.wait(expected, |firing, pending| {
            pending.is_empty() && firing.len() == expected.len()
        })
        .await;
    }

    /// Waits until none fires or is about to. One that is not among these may not fire meanwhile.
    pub async fn quiet(&self, expected: &[(&str, &str)]) {
        self.wait(expected, |firing, pending| {
            firing.is_empty() && pending.is_empty()
        })
        .await;
    }

    /// The same, but this one may last.
    pub async fn quiet_but(&self, lasting: &str, expected: &[(&str, &str)]) {
        self.wait(expected, |firing, pending| {
            firing.iter().all(|name| name == lasting) && pending.is_empty()
        })
        .await;
    }

    async fn wait(
        &self,
        expected: &[(&str, &str)],
        enough: impl Fn(&BTreeSet<String>, &BTreeSet<String>) -> bool,
    ) {
        let begun = Instant::now();
        let mut before = None;
        loop {
            let alerts = self.prometheus.alerts().await.unwrap_or_default();
            let named = |state: &str| -> BTreeSet<String> {
                let of_state = alerts.iter().filter(|(_, is)| is == state);
                of_state.map(|(name, _)| short(name)).collect()
            };
            let (firing, pending) = (named("firing"), named("pending"));
            let now = Some((firing.clone(), pending.clone()));
            if before != now {
                eprintln!(
                    "{:>4} s: firing {firing:?}, pending {pending:?}",
                    begun.elapsed().as_secs()
                );
                before = now;
            }
            for name in &firing {
                let known = expected.iter().any(|(expected, _)| name == expected);
                assert!(
                    known,
                    "{name} fires, and should not\n{}",
                    self.daemon.output()
                );
            }
            if enough(&firing, &pending) {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "expected {expected:#?}, but {firing:?} fire and {pending:?} are about to\n{}",
                self.daemon.output()
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// A process that ends with this value.
struct Upstream(Child);

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn short(alert: &str) -> String {
    alert.trim_start_matches("TesaReconciler").to_owned()
}

/// One job, every five seconds: in the shortened minutes that is one every fifty seconds. Nothing is so old that it is
/// stuck, because a backlog is not what the drills are about.
fn config(port: u16, state: &str) -> String {
    format!(
        r#"[tesamanager]
base_url = "http://127.0.0.1:{port}/v1"
orgs = ["masmovil"]
service_account_file = "account.json"

[state]
url = "{state}"

[http]
listen = "127.0.0.1:0"

[safety]
mode = "enforce"

[[job]]
name = "retry-stuck"
kind = "retry_stuck"
every = "5s"

[[job.rule]]
name = "resend-unsent"
statuses = ["NOT_SENT"]
not_updated_for = "3000d"
action = "resend"
"#
    )
}

async fn sandbox(dir: &TempDir, port: u16) -> Upstream {
    let listen = format!("127.0.0.1:{port}");
    let args =
        "sandbox --requests 50 --speed 0 --orgs masmovil --write-service-account account.json";
    let args: Vec<&str> = args.split(' ').chain(["--listen", &listen]).collect();
    let child = program(dir.path(), &args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let child = Upstream(child);
    let begun = Instant::now();
    while http::client()
        .get(format!("http://{listen}/"))
        .send()
        .await
        .is_err()
    {
        assert!(begun.elapsed() < PATIENCE, "the sandbox does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child
}

fn prometheus(dir: &TempDir, target: &str) -> Prometheus {
    let files = ["recording.yml", "alerts.yml"].map(|name| {
        let file = dir.path().join(name);
        std::fs::write(&file, shortened::file(name)).unwrap();
        file
    });
    // Not shortened as far: while the store is away, a scrape may take two seconds.
    let global = "scrape_interval: 3s, scrape_timeout: 3s, evaluation_interval: 2s";
    Prometheus::start(
        target,
        global,
        &[&files[0], &files[1]],
        Some(&healthy_past()),
    )
}

/// Three days without a stale minute. Burn rates are shares of windows up to that long; without a past, the first
/// stale minute would be all that they know.
#[expect(
    clippy::disallowed_methods,
    reason = "Prometheus goes by the machine's clock"
)]
fn healthy_past() -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let (window, step) = (3 * 86_400 / shortened::FACTOR, 60 / shortened::FACTOR);
    let name = "job:tesa_reconciler_stale:max";
    let mut text = format!("# TYPE {name} gauge\n");
    for ago in (1..window / step).rev() {
        let at = now - ago * step;
        let _ = writeln!(text, "{name}{{job=\"tesa-reconciler\"}} 0 {at}");
    }
    text + "# EOF\n"
}
