//! What a drill is played on: the real daemon, a sandbox that is a process of its own, and a Prometheus with the
//! shortened rules and a healthy past.

#![expect(
    clippy::print_stderr,
    reason = "what fired when is what a drill is read for"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use tesa_reconciler::lifecycle::fault_injection;

use super::super::prometheus::Prometheus;
use super::shortened;
use crate::process::daemon::Daemon;
use crate::process::outage::deaf_to_limits;
use crate::process::world::{program, run};
use crate::support::http;

/// The longest that a drill waits for a set of alerts; only met by one that fails.
const PATIENCE: Duration = Duration::from_secs(240);

/// How a scene begins.
pub struct Beginning {
    /// Where the store is; none means SQLite's file.
    pub state_url: Option<String>,
    /// How many daemons work on it.
    pub daemons: usize,
    /// Requests of the upstream.
    pub requests: u32,
    /// How many of them were never sent.
    pub unsent: u32,
    /// How many reads the daemon is allowed.
    pub reads_per_second: u32,
    /// How long ago the healthy past ended; none means that there was none.
    pub stopped_for: Option<Duration>,
    /// The configuration's end: mode and jobs.
    pub duty: String,
}

impl Default for Beginning {
    fn default() -> Self {
        Self {
            state_url: None,
            daemons: 1,
            requests: 50,
            unsent: 0,
            reads_per_second: 200,
            stopped_for: Some(Duration::ZERO),
            duty: EVERY_FIVE_SECONDS.to_owned(),
        }
    }
}

/// One job, every five seconds: in the shortened minutes that is one every fifty seconds. Nothing is so old that it is
/// stuck, because a backlog is not what the drills are about.
const EVERY_FIVE_SECONDS: &str = r#"
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
"#;

/// The scene; everything in it ends with this value.
pub struct Scene {
    prometheus: Prometheus,
    pub daemon: Daemon,
    /// The second one, and where it listens.
    other: Option<Daemon>,
    other_at: String,
    sandbox: Option<Upstream>,
    port: u16,
    beginning: Beginning,
    dir: TempDir,
}

impl Scene {
    /// All is up, and the daemon has done its duty for long enough that nothing fires or is about to.
    pub async fn healthy(beginning: Beginning) -> Self {
        let mut scene = Self::began(beginning, async |_| {}).await;
        scene.daemon.logged("a run ended").await;
        scene.looked_at().await;
        scene.quiet(&[]).await;
        scene
    }

    /// All is up, and nothing is waited for. `before` the daemons start, something may be done to the store.
    pub async fn began(beginning: Beginning, before: impl AsyncFnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        std::fs::create_dir(dir.path().join("wedged")).unwrap();
        let sandbox = sandbox(&dir, port, &beginning).await;
        let file = format!("sqlite:{}", dir.path().join("state.db").display());
        let state = beginning.state_url.as_deref().unwrap_or(&file);
        std::fs::write(
            dir.path().join("tesa-reconciler.toml"),
            config(port, state, &beginning),
        )
        .unwrap();
        if beginning.duty.contains("\"enforce\"") {
            let word = ["state", "adopt", "--reason", "made for a drill"];
            assert_eq!(run(program(dir.path(), &word)).await.code, Some(0));
        }
        before(dir.path()).await;
        let mut daemon = start(&dir, "127.0.0.1:0");
        daemon.ready().await;
        let other_at = format!("127.0.0.1:{}", free_port());
        let mut targets = vec![daemon.address().to_owned()];
        let mut other = None;
        if beginning.daemons > 1 {
            let mut second = start(&dir, &other_at);
            second.ready().await;
            targets.push(other_at.clone());
            other = Some(second);
        }
        let prometheus = prometheus(&dir, &targets.join("', '"), &beginning);
        Self {
            prometheus,
            daemon,
            other,
            other_at,
            sandbox: Some(sandbox),
            port,
            beginning,
            dir,
        }
    }

    /// The second daemon dies without a word.
    pub async fn kill_the_other(&mut self) {
        self.other.take().expect("there are two").kill().await;
    }

    /// And another one takes its place, and its address.
    pub async fn start_the_other(&mut self) {
        let mut second = start(&self.dir, &self.other_at);
        second.ready().await;
        self.other = Some(second);
    }

    /// Changes the configuration, and tells the daemon.
    pub async fn reload(&mut self, from: &str, to: &str) {
        let file = self.dir.path().join("tesa-reconciler.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
        self.daemon.signal("HUP");
    }

    /// Nothing fires for as long as `lasts` says yes; answers how long that was.
    pub async fn nothing_fires_while(
        &self,
        mut lasts: impl AsyncFnMut(&Daemon) -> bool,
    ) -> Duration {
        let begun = Instant::now();
        while lasts(&self.daemon).await {
            let alerts = self.prometheus.alerts().await.unwrap_or_default();
            let firing: Vec<_> = alerts.iter().filter(|(_, is)| is == "firing").collect();
            assert!(firing.is_empty(), "{firing:?}\n{}", self.daemon.output());
            assert!(begun.elapsed() < PATIENCE, "{}", self.daemon.output());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        begun.elapsed()
    }

    /// And nothing fires for some shortened minutes more.
    pub async fn stays_silent(&self) {
        let begun = Instant::now();
        self.nothing_fires_while(async |_| begun.elapsed() < Duration::from_secs(40))
            .await;
    }

    /// What is wrong with the upstream from now on; nothing, if empty.
    pub async fn trouble(&self, faults: Value) {
        let url = format!("http://127.0.0.1:{}/_sandbox/faults", self.port);
        let rules = json!({ "faults": faults });
        let answer = http::client().post(url).json(&rules).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// The upstream is killed.
    pub fn kill_upstream(&mut self) {
        self.sandbox = None;
    }

    /// The upstream is there again.
    pub async fn start_upstream(&mut self) {
        self.sandbox = Some(sandbox(&self.dir, self.port, &self.beginning).await);
    }

    /// The file that makes a loop stand still.
    pub fn wedge(&self, name: &str) -> PathBuf {
        self.dir.path().join("wedged").join(name)
    }

    /// How long SQLite's log is now.
    pub fn log_of_the_store(&self) -> u64 {
        let log = self.dir.path().join("state.db-wal");
        log.metadata().unwrap().len()
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

fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

fn start(dir: &TempDir, listen: &str) -> Daemon {
    let mut command = program(dir.path(), &["run", "--listen-http", listen]);
    command.env(fault_injection::VARIABLE, dir.path().join("wedged"));
    // Deaf, so that a file that may not grow is an error to it, as a full disk is.
    Daemon::start(deaf_to_limits(&command), dir.path())
}

fn config(port: u16, state: &str, beginning: &Beginning) -> String {
    let Beginning {
        duty,
        reads_per_second,
        ..
    } = beginning;
    format!(
        r#"[tesamanager]
base_url = "http://127.0.0.1:{port}/v1"
orgs = ["masmovil"]
service_account_file = "account.json"
reads_per_second = {reads_per_second}

[state]
url = "{state}"

{duty}"#
    )
}

async fn sandbox(dir: &TempDir, port: u16, beginning: &Beginning) -> Upstream {
    let listen = format!("127.0.0.1:{port}");
    let args = format!(
        "sandbox --requests {} --stuck-unsent {} --speed 0 --orgs masmovil --write-service-account account.json",
        beginning.requests, beginning.unsent
    );
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

fn prometheus(dir: &TempDir, targets: &str, beginning: &Beginning) -> Prometheus {
    let files = ["recording.yml", "alerts.yml"].map(|name| {
        let file = dir.path().join(name);
        std::fs::write(&file, shortened::file(name)).unwrap();
        file
    });
    // Not shortened as far: while the store is away, a scrape may take two seconds.
    let global = "scrape_interval: 3s, scrape_timeout: 3s, evaluation_interval: 2s";
    let past = beginning
        .stopped_for
        .map(|ago| healthy_past(beginning.daemons, ago));
    Prometheus::start(targets, global, &[&files[0], &files[1]], past.as_deref())
}

/// Three days without a stale minute and with all daemons alive, until so long ago. Burn rates are shares of windows up to
/// that long; without a past, the first stale minute would be all that they know.
#[expect(
    clippy::disallowed_methods,
    reason = "Prometheus goes by the machine's clock"
)]
fn healthy_past(daemons: usize, ended: Duration) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let (window, step) = (3 * 86_400 / shortened::FACTOR, 60 / shortened::FACTOR);
    let now = now - ended.as_secs();
    let mut text = String::new();
    for (name, value) in [
        ("job:tesa_reconciler_replicas_live:max", daemons),
        ("job:tesa_reconciler_stale:max", 0),
    ] {
        let _ = writeln!(text, "# TYPE {name} gauge");
        for ago in (1..window / step).rev() {
            let at = now - ago * step;
            let _ = writeln!(text, "{name}{{job=\"tesa-reconciler\"}} {value} {at}");
        }
    }
    text + "# EOF\n"
}
