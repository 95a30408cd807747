//! The whole daemon, a sandbox and a receiver: from a run that is held to a person's telephone and back.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tesa_reconciler::app::{self, Process, StartError};
use tesa_reconciler::clock::{Clock, SystemClock};
use tesa_reconciler::config::{self, Config, Overrides};
use tesa_reconciler::domain::RunOutcome;
use tesa_reconciler::domain::ids::ReplicaId;
use tesa_reconciler::lifecycle::{Lifecycle, Requests};
use tesa_reconciler::sandbox::{Running, Sandbox, SandboxConfig};
use tesa_reconciler::store::runs::{RunFilter, RunRow};
use tesa_reconciler::store::{Actor, Page, Store};
use tesa_reconciler::telemetry;
use tokio::task::JoinHandle;

use super::receiver::Receiver;
use super::{job, opened, org};

/// A daemon that finds too many requests stuck at once.
struct Daemon {
    dir: TempDir,
    store: Arc<dyn Store>,
    lifecycle: Lifecycle,
    requests: Requests,
    next: Arc<Mutex<Config>>,
    base: String,
    _sandbox: Running,
    task: JoinHandle<Result<(), StartError>>,
}

fn configuration(base: &str, dir: &Path, notify: &str) -> Config {
    let text = format!(
        "{base}\n[state]\nurl = \"sqlite:{}\"\n{notify}",
        dir.join("t.db").display()
    );
    config::parse(&text, "t.toml", std::iter::empty(), &Overrides::default()).unwrap()
}

impl Daemon {
    async fn start(notify: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        std::fs::write(&token, "good-for-tests").unwrap();
        let world = SandboxConfig {
            orgs: vec![org().to_string()],
            requests: 100,
            speed: 0.0,
            stuck_unsent: Some(20),
            tokens: vec!["good-for-tests".to_owned()],
            ..SandboxConfig::default()
        };
        let anywhere: SocketAddr = ([127, 0, 0, 1], 0).into();
        let sandbox = Sandbox::start(world, Arc::new(SystemClock), anywhere)
            .await
            .unwrap();
        let base = format!(
            "[tesamanager]\nbase_url = \"{}\"\norgs = [\"{}\"]\ntoken_file = \"{}\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n\
             [safety]\nmode = \"enforce\"\nhold_above_count = 5\nhold_above_fraction = 0.01\nmax_writes_per_run = 1\n\
             [[job]]\nname = \"{}\"\nkind = \"retry_stuck\"\nevery = \"1s\"\n",
            sandbox.base_url(),
            org(),
            token.display(),
            job()
        );
        let next = Arc::new(Mutex::new(configuration(&base, dir.path(), notify)));
        let (lifecycle, requests) = (Lifecycle::default(), Requests::default());
        let store = opened(dir.path()).await;
        let word = Actor::daemon("made for a test");
        app::adopt(&*store, &word, SystemClock.now()).await.unwrap();
        let process = Process {
            clock: Arc::new(SystemClock),
            replica: ReplicaId::new("one"),
            lifecycle: lifecycle.clone(),
            requests: requests.clone(),
            log: None,
            traces: None,
            metrics: telemetry::metrics::recorder().unwrap().handle(),
            read_again: {
                let next = Arc::clone(&next);
                std::sync::Arc::new(move || Ok(next.lock().unwrap().clone()))
            },
        };
        let config = next.lock().unwrap().clone();
        Self {
            task: tokio::spawn(app::run(config, process, |_| {})),
            dir,
            store,
            lifecycle,
            requests,
            next,
            base,
            _sandbox: sandbox,
        }
    }

    /// SIGHUP, with another [notify].
    fn reload(&self, notify: &str) {
        *self.next.lock().unwrap() = configuration(&self.base, self.dir.path(), notify);
        self.requests.reload.notify_one();
    }

    /// Waits for a run that was held.
    async fn held(&self) -> RunRow {
        let filter = RunFilter {
            outcome: Some(RunOutcome::Held),
            ..RunFilter::default()
        };
        self.run(filter, 0).await
    }

    /// Waits for a run that began after `run` and is over.
    async fn one_after(&self, run: &RunRow) {
        self.run(RunFilter::default(), run.id.0).await;
    }

    async fn run(&self, filter: RunFilter, after: i64) -> RunRow {
        let found = async {
            loop {
                let runs = self.store.runs(&filter, Page::first(2)).await.unwrap();
                let over = |run: &RunRow| run.id.0 > after && run.outcome.is_some();
                if let Some(run) = runs.into_iter().find(over) {
                    return run;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), found)
            .await
            .unwrap()
    }

    /// A person releases the guard. The job is paused first: so many are still stuck that its next run would be held
    /// anew.
    async fn release(&self) {
        let actor = Actor {
            who: "cli:operator".to_owned(),
            reason: "a known outage".to_owned(),
        };
        let now = SystemClock.now();
        let paused = self.store.pause(Some(&job()), None, &actor, now).await;
        paused.unwrap();
        let going_on = async || {
            let runs = self.store.runs(&RunFilter::default(), Page::first(2)).await;
            runs.unwrap().iter().any(|run| run.outcome.is_none())
        };
        while going_on().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let released = self.store.release_guard(&job(), &org(), &actor, now).await;
        assert!(released.unwrap());
    }

    /// Ends in good order, and soon.
    async fn stop(self) {
        self.lifecycle.stop();
        tokio::time::timeout(Duration::from_secs(10), self.task)
            .await
            .expect("the end waits for something")
            .unwrap()
            .unwrap();
    }
}

fn to(receiver: &Receiver) -> String {
    format!(
        "[notify]\nurl = \"{}\"\nalerts = [\"guard_held\"]\n",
        receiver.url()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correlated_hold_is_told_once_and_its_release_too() {
    let receiver = Receiver::start().await;
    let daemon = Daemon::start(&to(&receiver)).await;
    let held = daemon.held().await;
    receiver.got(1).await;
    // The next run finds the guard latched, which is no news.
    daemon.one_after(&held).await;
    assert_eq!(receiver.count(), 1);
    daemon.release().await;
    receiver.got(2).await;
    daemon.stop().await;
    let bodies = receiver.bodies();
    let told: Vec<_> = bodies
        .iter()
        .map(|body| (body["alert"].as_str(), body["state"].as_str()))
        .collect();
    let held = |state| (Some("guard_held"), Some(state));
    assert_eq!(told, [held("open"), held("resolved")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_receiver_delays_neither_a_run_nor_the_end() {
    let receiver = Receiver::start().await;
    receiver.answer_after(Duration::from_secs(600));
    let daemon = Daemon::start(&format!("{}timeout = \"60s\"\n", to(&receiver))).await;
    receiver.got(1).await;
    // The delivery hangs from here to the end.
    let held = daemon.held().await;
    daemon.one_after(&held).await;
    daemon.stop().await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_names_a_receiver_and_then_another() {
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let daemon = Daemon::start("").await;
    daemon.held().await;
    daemon.reload(&to(&first));
    first.got(1).await;
    daemon.release().await;
    daemon.reload(&to(&second));
    second.got(1).await;
    daemon.stop().await;
    assert_eq!(first.bodies()[0]["state"], "open");
    assert_eq!(second.bodies()[0]["state"], "resolved");
    assert_eq!((first.count(), second.count()), (1, 1));
}
