//! `demo`: the whole thing at work on this machine: a sandbox with stuck requests and some ill luck, the daemon in
//! `enforce` on an embedded store, live progress, and at the end both ledgers side by side.
//!
//! Everything is on loopback and in a temporary directory, which goes with the end. Ages are real (the sandbox seeds
//! requests that are stuck already); what a night would take is told to happen within seconds by the schedule and
//! the pauses below, nothing else differs from a real installation.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::exit::{Exit, Failure};
use super::output;
use crate::app::{self, Process};
use crate::clock::{Clock as _, SharedClock, SystemClock};
use crate::config::{self, Overrides};
use crate::console::{self, Role};
use crate::domain::AttemptState;
use crate::lifecycle::{Lifecycle, Requests, Signals, steer};
use crate::sandbox::{Answered, Effect, Fault, Running, Sandbox, SandboxConfig};
use crate::store::attempts::{Attempt, AttemptFilter};
use crate::store::{self, Actor, Page, Store, StoreOptions};
use crate::telemetry;

const PROGRESS_EVERY: Duration = Duration::from_secs(3);
/// Who may act in the console.
const OPERATOR: &str = "demo";
const ORGS: [&str; 2] = ["masmovil", "yoigo"];

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End after so long; otherwise on Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Requests per org in the sandbox
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    requests: u32,
    /// Stuck unsent requests per org
    #[arg(long, value_name = "N", default_value_t = 40)]
    stuck: usize,
    /// Decides everything that looks like chance
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Share of writes that take effect but whose answer is lost
    #[arg(long, value_name = "0..1", default_value_t = 0.1)]
    lost_answer_rate: f64,
}

/// Runs the demonstration.
pub async fn run(args: &DemoArgs, signals: Signals) -> Result<Exit, Failure> {
    let lifecycle = Lifecycle::default();
    let requests = Requests::default();
    tokio::spawn(steer(signals, lifecycle.clone(), requests.clone()));
    let dir = tempfile::tempdir()?;
    let sandbox = start_sandbox(args).await?;
    let file = dir.path().join("tesa-reconciler.toml");
    let password = SystemClock.uuid().to_string();
    let line = console::line(OPERATOR, &password, Role::Operator, &SystemClock)
        .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
    std::fs::write(dir.path().join("console-passwords"), line)?;
    write_configuration(&sandbox, dir.path(), &file)?;
    let config = config::load(&file, std::iter::empty(), &Overrides::default())
        .map_err(|errors| Failure::new(Exit::Internal, errors.to_string()))?;
    let url = config.state.url.clone();
    super::run::install_log(&config, None)?;
    let store = store::open(&url, &StoreOptions::default()).await?;
    store.migrate().await?;
    let word = Actor::daemon("made for the demonstration");
    app::adopt(&*store, &word, SystemClock.now()).await?;
    store.close().await;
    let metrics = telemetry::metrics::install()
        .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
    let clock: SharedClock = Arc::new(SystemClock);
    let process = Process {
        replica: app::new_replica(&clock),
        clock,
        lifecycle: lifecycle.clone(),
        requests,
        log: None,
        traces: None,
        metrics,
        read_again: Arc::new(|| Err("the demonstration's configuration stays as it is".to_owned())),
    };
    let (up, ready) = oneshot::channel();
    let daemon = tokio::spawn(app::run(config, process, move |addresses| {
        let _ = up.send(addresses);
    }));
    if let Ok(addresses) = ready.await {
        if let Some(console) = addresses.console {
            output::note(&format!(
                "console at http://{console}/ (name {OPERATOR}, password {password})"
            ));
        }
        output::note(&format!(
            "sandbox at {} (its paths are assumptions), {} orgs with {} requests each, {} of them unsent and stuck; \
             {:.0} % of the answers to writes get lost",
            sandbox.base_url(),
            ORGS.len(),
            args.requests,
            args.stuck,
            args.lost_answer_rate * 100.0
        ));
        output::note(&format!(
            "daemon ready; metrics at http://{}/metrics",
            addresses.http
        ));
        match args.duration {
            Some(duration) => output::note(&format!("ends in {duration:?}, or on Ctrl-C")),
            None => output::note("ends on Ctrl-C"),
        }
        let store = store::open(&url, &StoreOptions::default()).await?;
        watch(&*store, &lifecycle, args.duration).await?;
        store.close().await;
    }
    lifecycle.stop();
    daemon
        .await
        .map_err(|error| Failure::new(Exit::Internal, error.to_string()))??;
    let store = store::open(&url, &StoreOptions::default()).await?;
    let summary = Summary::new(&attempts(&*store).await?, &sandbox);
    store.close().await;
    output::text(&summary.to_string())?;
    sandbox.shutdown().await?;
    Ok(if summary.agrees() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

async fn start_sandbox(args: &DemoArgs) -> Result<Running, Failure> {
    let config = SandboxConfig {
        orgs: ORGS.iter().map(ToString::to_string).collect(),
        requests: args.requests,
        seed: args.seed,
        stuck_unsent: Some(args.stuck),
        faults: vec![
            Fault::new(Effect::Drop { applied: true })
                .on(&["writes"])
                .rate(args.lost_answer_rate),
        ],
        ..SandboxConfig::default()
    };
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Sandbox::start(config, Arc::new(SystemClock), anywhere)
        .await
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

fn write_configuration(sandbox: &Running, dir: &Path, file: &Path) -> Result<(), Failure> {
    let account = dir.join("service-account.json");
    sandbox.write_service_account(&account)?;
    let text = format!(
        r#"[tesamanager]
base_url = "{base}"
orgs = ["{}", "{}"]
service_account_file = "{account}"
reads_per_second = 2000
writes_per_second = 10

[state]
url = "sqlite:{store}"

[http]
listen = "127.0.0.1:0"

[console]
listen = "127.0.0.1:0"
password_file = "console-passwords"

[daemon]
log_level = "warn"
drain_timeout = "10s"

[safety]
mode = "enforce"
max_writes_per_run = 10
max_writes_per_hour = 1000
verify_after = ["1s", "2s", "3s"]
backoff = {{ initial = "2s", max = "10s" }}

[[job]]
name = "retry-stuck"
kind = "retry_stuck"
every = "2s"

[[job]]
name = "flag-events"
kind = "flag_events"
every = "10s"
"#,
        ORGS[0],
        ORGS[1],
        base = sandbox.base_url(),
        account = account.display(),
        store = dir.join("demo.db").display(),
    );
    Ok(std::fs::write(file, text)?)
}

/// Says how far it is, until told to stop or the time is over.
async fn watch(
    store: &dyn Store,
    lifecycle: &Lifecycle,
    duration: Option<Duration>,
) -> Result<(), Failure> {
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let mut tick = tokio::time::interval(PROGRESS_EVERY);
    loop {
        tokio::select! {
            () = lifecycle.soft().cancelled() => return Ok(()),
            () = &mut over => return Ok(()),
            _ = tick.tick() => {
                let counts = by_state(&attempts(store).await?);
                let findings: u64 =
                    store.finding_counts().await?.iter().map(|count| count.count).sum();
                let of = |state| counts.get(&state).copied().unwrap_or_default();
                output::note(&format!(
                    "  writes: {} sent, {} confirmed by reading, {} waiting for their proof, {} without effect; \
                     findings open: {findings}",
                    counts.values().sum::<usize>(),
                    of(AttemptState::Confirmed),
                    of(AttemptState::Accepted) + of(AttemptState::Unknown) + of(AttemptState::Intended),
                    of(AttemptState::Ineffective) + of(AttemptState::NotSent) + of(AttemptState::Rejected),
                ));
            }
        }
    }
}

async fn attempts(store: &dyn Store) -> Result<Vec<Attempt>, Failure> {
    let page = Page::first(100_000);
    Ok(store.attempts(&AttemptFilter::default(), page).await?)
}

fn by_state(attempts: &[Attempt]) -> BTreeMap<AttemptState, usize> {
    let mut counts = BTreeMap::new();
    for attempt in attempts {
        *counts.entry(attempt.state).or_default() += 1;
    }
    counts
}

/// Both ledgers side by side.
struct Summary {
    ours: BTreeMap<AttemptState, usize>,
    /// Writes that the sandbox got, and how many of them had an effect.
    received: usize,
    effects: usize,
    /// Writes that the sandbox got and our ledger knows nothing of.
    unaccounted: usize,
    /// Orders that got more than one effect.
    doubled: usize,
    /// Attempts that we call confirmed without an effect upstream, or without effect although there was one.
    misjudged: usize,
    lost_answers: usize,
}

impl Summary {
    fn new(attempts: &[Attempt], sandbox: &Running) -> Self {
        let entries = sandbox.handle().ledger();
        let known: HashMap<Uuid, &Attempt> = attempts
            .iter()
            .map(|attempt| (attempt.correlation_id, attempt))
            .collect();
        let id = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Uuid>().ok());
        let attempt = |text| id(text).and_then(|id| known.get(&id).copied());
        let mut per_order: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.effect) {
            *per_order
                .entry((entry.org.clone(), entry.external_reference.clone()))
                .or_default() += 1;
        }
        Self {
            ours: by_state(attempts),
            received: entries.len(),
            effects: entries.iter().filter(|entry| entry.effect).count(),
            unaccounted: entries
                .iter()
                .filter(|entry| attempt(&entry.correlation_id).is_none())
                .count(),
            doubled: per_order.values().filter(|effects| **effects > 1).count(),
            misjudged: entries
                .iter()
                .filter_map(|entry| Some((entry.effect, attempt(&entry.correlation_id)?.state)))
                .filter(|(effect, state)| match state {
                    AttemptState::Confirmed => !effect,
                    AttemptState::Ineffective | AttemptState::NotSent | AttemptState::Rejected => {
                        *effect
                    }
                    _ => false,
                })
                .count(),
            lost_answers: entries
                .iter()
                .filter(|entry| entry.answered == Answered::Lost)
                .count(),
        }
    }

    fn agrees(&self) -> bool {
        self.unaccounted == 0 && self.doubled == 0 && self.misjudged == 0
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "our ledger:")?;
        for (state, count) in &self.ours {
            writeln!(f, "  {count:>5} {state}")?;
        }
        writeln!(f, "the sandbox's ledger:")?;
        writeln!(
            f,
            "  {:>5} writes received, {} with an effect",
            self.received, self.effects
        )?;
        writeln!(f, "  {:>5} answers lost on the way back", self.lost_answers)?;
        writeln!(f, "compared:")?;
        writeln!(
            f,
            "  {:>5} writes that our ledger does not know",
            self.unaccounted
        )?;
        writeln!(f, "  {:>5} orders with more than one effect", self.doubled)?;
        writeln!(f, "  {:>5} attempts judged wrongly", self.misjudged)?;
        write!(
            f,
            "{}",
            if self.agrees() {
                "the ledgers agree"
            } else {
                "THE LEDGERS DISAGREE"
            }
        )
    }
}
