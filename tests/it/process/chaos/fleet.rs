//! The parts: a server, a sandbox as a process, three daemons, and between each daemon and the server a network of its
//! own. A daemon that ends is started again, as a service manager would.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{PgConnection, Row};
use tempfile::TempDir;

use crate::process::daemon::Daemon;
use crate::process::world::{Settings, program, resend_job, run};
use crate::support::cluster::Cluster;
use crate::support::http;
use crate::support::proxy::Proxy;

pub const ORGS: [&str; 4] = ["masmovil", "yoigo", "pepephone", "lebara"];
pub const PER_RUN: i64 = 30;
pub const PER_HOUR: i64 = 120;
/// Of the job that writes, in seconds.
pub const EVERY: i32 = 2;

/// Of 20,000 requests.
const STUCK_PER_ORG: u32 = 400;
const PATIENCE: Duration = Duration::from_secs(120);

/// A daemon's place.
pub struct Replica {
    pub daemon: Daemon,
    pub network: Proxy,
    /// The next look at it; whoever is stopped can't be asked whether he lives.
    pub stopped_until: Option<Instant>,
}

pub struct Fleet {
    pub cluster: Cluster,
    pub replicas: Vec<Replica>,
    pub dir: TempDir,
    /// How often a daemon was started.
    pub lives: usize,
    _sandbox: Sandbox,
    origin: String,
    http: reqwest::Client,
}

/// One write as the sandbox saw it.
#[derive(Debug, serde::Deserialize)]
pub struct Entry {
    pub time: chrono::DateTime<chrono::Utc>,
    pub org: String,
    pub operation: String,
    pub external_reference: Option<String>,
    pub correlation_id: Option<uuid::Uuid>,
    pub answered: Value,
    pub effect: bool,
}

impl Fleet {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (sandbox, origin) = sandbox(&dir).await;
        let cluster = Cluster::start().await;
        let jobs = resend_job(&format!("every = \"{EVERY}s\""))
            + "\n[[job]]\nname = \"housekeeping\"\nkind = \"housekeeping\"\nevery = \"5s\"\n";
        let settings = Settings {
            orgs: &ORGS,
            tesamanager:
                "reads_per_second = 5000\nwrites_per_second = 60\nrequest_timeout = \"4s\""
                    .to_owned(),
            safety: format!(
                "max_writes_per_run = {PER_RUN}\nmax_writes_per_hour = {PER_HOUR}\nhold_above_count = 1000000\n\
                 verify_after = [\"1s\", \"2s\"]\nbackoff = {{ initial = \"1s\", max = \"2s\" }}\nmax_attempts = 9"
            ),
            jobs,
            state_url: Some(cluster.url()),
            ..Settings::default()
        };
        let text = settings.configuration(&format!("{origin}/v1"), "");
        std::fs::write(dir.path().join("tesa-reconciler.toml"), text).unwrap();
        let word = ["state", "adopt", "--reason", "made for a test"];
        let adopted = run(program(dir.path(), &word)).await;
        assert_eq!(adopted.code, Some(0), "{adopted:?}");
        let mut fleet = Self {
            cluster,
            replicas: Vec::new(),
            dir,
            lives: 0,
            _sandbox: sandbox,
            origin,
            http: http::client(),
        };
        fleet.trouble_upstream().await;
        for _ in 0..3 {
            let network = Proxy::start(fleet.cluster.home());
            let daemon = fleet.daemon(&network);
            fleet.replicas.push(Replica {
                daemon,
                network,
                stopped_until: None,
            });
        }
        for replica in &mut fleet.replicas {
            replica.daemon.ready().await;
        }
        fleet
    }

    fn daemon(&mut self, network: &Proxy) -> Daemon {
        self.lives += 1;
        let mut command = program(self.dir.path(), &["run"]);
        command.env(
            "TESA_RECONCILER__STATE__URL",
            network.url(&self.cluster.url()),
        );
        Daemon::start(command, self.dir.path())
    }

    /// Starts again whoever ended (a start while the store is away ends at once), lets go on whoever was stopped.
    pub fn tend(&mut self) {
        for place in 0..self.replicas.len() {
            let replica = &mut self.replicas[place];
            if replica
                .stopped_until
                .is_some_and(|until| until <= Instant::now())
            {
                replica.daemon.signal("CONT");
                replica.stopped_until = None;
            }
            if replica.stopped_until.is_none() && !replica.daemon.lives() {
                let network = Proxy::start(self.cluster.home());
                let daemon = self.daemon(&network);
                self.replicas[place] = Replica {
                    daemon,
                    network,
                    stopped_until: None,
                };
            }
        }
    }

    /// Lost answers of every kind.
    async fn trouble_upstream(&self) {
        let faults = json!([
            {"do": {"drop": {"applied": true}}, "operations": ["writes"], "rate": 0.06},
            {"do": {"drop": {"applied": false}}, "operations": ["writes"], "rate": 0.04},
            {"do": {"hang": {"applied": true}}, "operations": ["writes"], "rate": 0.01},
            {"do": {"error": {"status": 502, "applied": true}}, "operations": ["writes"], "rate": 0.02},
            {"do": {"latency": {"ms": 20, "jitter_ms": 60}}, "operations": ["writes"]},
        ]);
        self.set_faults(faults).await;
    }

    async fn set_faults(&self, faults: Value) {
        let url = format!("{}/_sandbox/faults", self.origin);
        let body = json!({ "faults": faults });
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }

    /// All is well again, and nothing new is to be written.
    pub async fn heal(&mut self) {
        self.set_faults(json!([])).await;
        for replica in &mut self.replicas {
            replica.network.heal();
            replica.stopped_until = replica.stopped_until.map(|_| Instant::now());
        }
        self.tend();
        let pause = ["pause", "--all", "--reason", "the storm is over"];
        let begun = Instant::now();
        loop {
            let ended = run(program(self.dir.path(), &pause)).await;
            if ended.code == Some(0) {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{ended:?}");
        }
    }

    /// Waits until nothing goes on: no run, no write whose outcome could still be learnt by reading. Says how long that
    /// took.
    pub async fn settle(&mut self) -> Duration {
        let begun = Instant::now();
        loop {
            self.tend();
            let mut connection = self.cluster.connect().await;
            let running = count(&mut connection, "FROM runs WHERE outcome IS NULL").await;
            let open = "FROM attempts WHERE state IN ('intended', 'accepted', 'unknown')";
            let open = count(&mut connection, open).await;
            if running + open == 0 {
                break;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{running} runs and {open} attempts are still open"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for replica in &mut self.replicas {
            replica.daemon.ready().await;
            replica.daemon.answers("/readyz", 200).await;
        }
        begun.elapsed()
    }

    /// Every write that reached the sandbox.
    pub async fn ledger(&self) -> Vec<Entry> {
        let url = format!("{}/_sandbox/ledger", self.origin);
        let answer = self.http.get(url).send().await.unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        serde_json::from_value(answer["entries"].take()).unwrap()
    }

    /// Everything stops in good order.
    pub async fn end(mut self) {
        for replica in self.replicas.drain(..) {
            replica.daemon.stop().await;
        }
    }
}

/// The sandbox's process; it ends with this value.
struct Sandbox(Child);

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first column of the first row of `SELECT count(*) …`.
pub async fn count(connection: &mut PgConnection, from: &'static str) -> i64 {
    let statement = format!("SELECT count(*) {from}");
    let row = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_one(connection);
    row.await.unwrap().get(0)
}

async fn sandbox(dir: &TempDir) -> (Sandbox, String) {
    let said = dir.path().join("sandbox.stderr");
    let (requests, stuck) = (5_000.to_string(), STUCK_PER_ORG.to_string());
    let orgs = ORGS.join(",");
    let mut command = program(
        dir.path(),
        &[
            "sandbox",
            "--listen",
            "127.0.0.1:0",
            "--requests",
            &requests,
            "--orgs",
            &orgs,
        ],
    );
    command
        .args(["--stuck-unsent", &stuck, "--speed", "0"])
        .args(["--write-service-account", "account.json"])
        .stdout(Stdio::null())
        .stderr(File::create(&said).unwrap());
    let child = Sandbox(command.spawn().expect("the program starts"));
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(&said).unwrap();
        let line = text.lines().find(|line| line.ends_with("/_sandbox/faults"));
        if let Some(origin) = line.and_then(|line| line.split_whitespace().last()) {
            return (
                child,
                origin.trim_end_matches("/_sandbox/faults").to_owned(),
            );
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "the sandbox does not start: {text}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
