//! A sandbox, a folder with a configuration for it, and the program run in that folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tesa_reconciler::clock::SystemClock;
use tesa_reconciler::sandbox::{Entry, Fault, Patch, Patched, Running, Sandbox, SandboxConfig};

use super::daemon::Daemon;

pub const ORG: &str = "masmovil";

/// The longest that a test waits for a state; generous, because it is only met by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A schedule that no test lives to see: runs begin when a test asks for them.
pub const NEVER: &str = "schedule = \"0 0 0 29 2 *\"";

/// What the configuration says beside the addresses; each is the text of a part of the file.
pub struct Settings {
    pub mode: &'static str,
    pub orgs: &'static [&'static str],
    pub tesamanager: String,
    pub safety: String,
    pub daemon: String,
    pub jobs: String,
    /// Where the store is; none means SQLite's file in the folder.
    pub state_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: "enforce",
            orgs: &[ORG],
            tesamanager: "reads_per_second = 5000\nwrites_per_second = 500".to_owned(),
            safety: "verify_after = [\"1s\", \"1s\"]\nbackoff = { initial = \"1s\", max = \"1s\" }"
                .to_owned(),
            daemon: String::new(),
            jobs: resend_job(NEVER),
            state_url: None,
        }
    }
}

impl Settings {
    /// The text of the configuration file. The store is at `default_state` unless the settings say where.
    pub fn configuration(&self, base_url: &str, default_state: &str) -> String {
        let Self {
            mode,
            orgs,
            tesamanager,
            safety,
            daemon,
            jobs,
            state_url,
        } = self;
        let credentials = if tesamanager.contains("token_file") {
            ""
        } else {
            "service_account_file = \"account.json\""
        };
        format!(
            r#"[tesamanager]
base_url = "{base_url}"
orgs = {orgs:?}
{credentials}
{tesamanager}

[state]
url = "{state}"

[http]
listen = "127.0.0.1:0"

[daemon]
{daemon}

[safety]
mode = "{mode}"
{safety}

{jobs}
"#,
            state = state_url.as_deref().unwrap_or(default_state),
        )
    }
}

/// The job that sends unsent requests again, and nothing else.
pub fn resend_job(when: &str) -> String {
    format!(
        r#"[[job]]
name = "retry-stuck"
kind = "retry_stuck"
{when}

[[job.rule]]
name = "resend-unsent"
statuses = ["NOT_SENT"]
not_updated_for = "30m"
action = "resend"
"#
    )
}

/// One job of each kind that looks at requests, with their default rules.
pub fn jobs_of_each_kind() -> String {
    ["retry_stuck", "resolve_issues", "flag_events"]
        .map(|kind| {
            let name = kind.replace('_', "-");
            format!("[[job]]\nname = \"{name}\"\nkind = \"{kind}\"\n{NEVER}\n")
        })
        .join("\n")
}

/// A world without requests in which nothing moves: a test adds what it is about.
pub fn empty_sandbox() -> SandboxConfig {
    SandboxConfig {
        orgs: vec![ORG.to_owned()],
        requests: 0,
        speed: 0.0,
        ..SandboxConfig::default()
    }
}

/// The sandbox, the folder and its configuration.
pub struct World {
    pub sandbox: Running,
    pub dir: TempDir,
    pub settings: Settings,
}

impl World {
    pub async fn new(settings: Settings) -> Self {
        Self::with(empty_sandbox(), settings).await
    }

    pub async fn with(sandbox: SandboxConfig, settings: Settings) -> Self {
        let world = Self::before_the_first_start(sandbox, settings).await;
        // So that it may be acted from at once. Where there is no store to be had, the test is about that.
        if world.settings.mode == "enforce" {
            let word = ["state", "adopt", "--reason", "made for a test"];
            world.run(&word).await;
        }
        world
    }

    /// There is no store yet, and in `enforce` none is begun on.
    pub async fn before_the_first_start(sandbox: SandboxConfig, settings: Settings) -> Self {
        let anywhere = ([127, 0, 0, 1], 0).into();
        let sandbox = Sandbox::start(sandbox, Arc::new(SystemClock), anywhere)
            .await
            .expect("a free port on loopback");
        let dir = tempfile::tempdir().unwrap();
        let world = Self {
            sandbox,
            dir,
            settings,
        };
        world
            .sandbox
            .write_service_account(&world.path("account.json"))
            .unwrap();
        world.write_configuration();
        world
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn store_file(&self) -> PathBuf {
        self.path("state.db")
    }

    /// Writes the configuration as the settings now say.
    pub fn write_configuration(&self) {
        let sqlite = format!("sqlite:{}", self.store_file().display());
        let text = self
            .settings
            .configuration(&self.sandbox.base_url(), &sqlite);
        std::fs::write(self.path("tesa-reconciler.toml"), text).unwrap();
    }

    /// The program in this folder, with nothing from the environment of the tests that could concern it.
    pub fn program(&self, args: &[&str]) -> Command {
        program(self.dir.path(), args)
    }

    /// Runs a command to its end.
    pub async fn run(&self, args: &[&str]) -> Ended {
        run(self.program(args)).await
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub async fn daemon(&self) -> Daemon {
        let mut daemon = self.start_daemon();
        daemon.ready().await;
        daemon
    }

    /// Starts the daemon, whatever becomes of it.
    pub fn start_daemon(&self) -> Daemon {
        Daemon::start(self.program(&["run"]), self.dir.path())
    }

    /// A request that was never sent, three hours ago.
    pub fn stuck(&self, external: &str) -> Patched {
        self.patch(json!({"external_reference": external, "status": "NOT_SENT", "age": "3h"}))
    }

    pub fn patch(&self, patch: Value) -> Patched {
        let patch: Patch = serde_json::from_value(patch).unwrap();
        self.sandbox.handle().patch(&patch).unwrap()
    }

    pub fn faults(&self, faults: Vec<Fault>) {
        self.sandbox.handle().set_faults(faults).unwrap();
    }

    /// Every write that reached the sandbox.
    pub fn writes(&self) -> Vec<Entry> {
        self.sandbox.handle().ledger()
    }

    /// How many of them changed something.
    pub fn effects(&self) -> usize {
        self.writes().iter().filter(|entry| entry.effect).count()
    }

    /// The ledger as the command prints it.
    pub async fn attempts(&self) -> Vec<Value> {
        self.rows(&["attempts", "--limit", "10000"]).await
    }

    /// The states of all attempts, oldest first.
    pub async fn states(&self) -> Vec<String> {
        let attempts = self.attempts().await;
        let state = |row: &Value| row["state"].as_str().unwrap().to_owned();
        attempts.iter().rev().map(state).collect()
    }

    /// What a command prints as JSON rows.
    pub async fn rows(&self, args: &[&str]) -> Vec<Value> {
        let ended = self.run(&[args, &["--output", "json"]].concat()).await;
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        serde_json::from_str(&ended.stdout).expect("rows of JSON")
    }

    /// Waits until every attempt is in one of these states, and there are `count`.
    pub async fn await_states(&self, count: usize, allowed: &[&str]) {
        let mut seen = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            seen = self.states().await;
            if seen.len() == count && seen.iter().all(|state| allowed.contains(&state.as_str())) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not {count} attempts in {allowed:?}, but {seen:?}");
    }
}

/// The program, free of the tests' environment.
pub fn program(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tesa-reconciler"));
    command
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("USER", "tester")
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    command
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on stdout"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
        }
    }
}

/// Runs a program to its end while the sandbox, which lives in this process, goes on.
pub async fn run(mut command: Command) -> Ended {
    let ending = tokio::task::spawn_blocking(move || command.output());
    ending.await.unwrap().expect("the program starts").into()
}

/// Waits for a state, and says which one did not come.
pub async fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
