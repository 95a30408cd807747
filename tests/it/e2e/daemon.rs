//! The daemon's own parts, wired as `app` wires them, with the tests in the place of scheduler and loops.

use std::path::Path;
use std::sync::Arc;

use tesa_reconciler::app::{self, Core, Live, StartError, new_replica};
use tesa_reconciler::clock::{ManualClock, SharedClock};
use tesa_reconciler::config::{self, Config, Overrides};
use tesa_reconciler::domain::{RunOutcome, Trigger};
use tesa_reconciler::reconcile::runner::{RunOrder, RunResult};
use tesa_reconciler::reconcile::survey::{PlanSink, SurveyError, Tally};
use tesa_reconciler::sandbox::Running;
use tesa_reconciler::store::runs::RunSummary;
use tesa_reconciler::store::{self, Actor, Store, StoreError, StoreOptions};
use tesa_reconciler::tesamanager::Tesamanager;
use tokio_util::sync::CancellationToken;

use super::ORG;

/// The whole configuration. Rates are high because they run on the machine's clock.
pub fn configuration(
    sandbox: &Running,
    dir: &Path,
    safety: &str,
    jobs: &str,
    tesamanager: &str,
) -> String {
    let credentials = if tesamanager.contains("service_account_file") {
        String::new()
    } else {
        format!("token_file = \"{}\"", dir.join("token").display())
    };
    let tesamanager = tesamanager.replace("DIR", &dir.display().to_string());
    let mode = if safety.contains("mode =") {
        ""
    } else {
        "mode = \"enforce\""
    };
    format!(
        r#"
[tesamanager]
base_url = "{}"
orgs = ["{ORG}"]
{credentials}
reads_per_second = 100000
writes_per_second = 10000
{tesamanager}
[state]
url = "sqlite:{}"
[safety]
{mode}
{safety}
{jobs}
"#,
        sandbox.base_url(),
        dir.join("t.db").display(),
    )
}

pub fn parse(text: &str) -> Config {
    match config::parse(text, "test.toml", std::iter::empty(), &Overrides::default()) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}\n{text}"),
    }
}

/// A daemon without its loops: a test does what they would do, when it wants it done.
pub struct Daemon {
    life: Option<(Core, Arc<Live>)>,
}

impl Daemon {
    pub async fn start(text: &str, clock: Arc<ManualClock>) -> Self {
        // Fails only where another test has installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = parse(text);
        let clock: SharedClock = clock;
        let replica = new_replica(&clock);
        if !store::exists(&config.state.url) {
            let options = StoreOptions::default();
            let store = store::open(&config.state.url, &options).await.unwrap();
            store.migrate().await.unwrap();
            let word = Actor::daemon("made for a test");
            app::adopt(&*store, &word, clock.now()).await.unwrap();
            store.close().await;
        }
        let core = loop {
            match Core::start(&config, Arc::clone(&clock), replica.clone()).await {
                // A process takes its tasks along at once; here the last one of a killed life may still be recording.
                Err(StartError::Store(StoreError::Busy { .. })) => tokio::task::yield_now().await,
                started => break started.unwrap(),
            }
        };
        let live = Arc::new(core.live(config).unwrap());
        Self {
            life: Some((core, live)),
        }
    }

    /// The process is gone; nothing is written down any more.
    pub fn kill(&mut self) {
        self.life = None;
    }

    pub fn core(&self) -> &Core {
        &self.life.as_ref().expect("it lives").0
    }

    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.life.as_ref().expect("it lives").1)
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.core().store
    }

    pub fn reload(&mut self, text: &str) {
        let core = self.core().clone();
        let live = Arc::new(core.live(parse(text)).unwrap());
        self.life = Some((core, live));
    }

    /// The same daemon around another store or upstream of a test's own.
    pub async fn around(
        &self,
        store: Arc<dyn Store>,
        upstream: Option<Arc<dyn Tesamanager>>,
    ) -> Self {
        let clock = Arc::clone(&self.core().clock);
        let core = Core::over(store, clock).await.unwrap();
        let config = Config::clone(&self.live().config);
        let live = Arc::new(match upstream {
            Some(upstream) => core.live_over(config, upstream),
            None => core.live(config).unwrap(),
        });
        Self {
            life: Some((core, live)),
        }
    }

    pub fn order(&self, job: &str, trigger: Trigger) -> RunOrder {
        RunOrder {
            job: Arc::clone(&self.live().jobs[job]),
            org: super::org(),
            trigger,
            slot: None,
            actor: Actor::daemon("test"),
        }
    }

    /// One run to its end.
    pub async fn run(&self, job: &str) -> Result<(RunOutcome, RunSummary), StoreError> {
        self.run_as(
            &self.order(job, Trigger::Schedule),
            &CancellationToken::new(),
        )
        .await
    }

    pub async fn run_as(
        &self,
        order: &RunOrder,
        stop: &CancellationToken,
    ) -> Result<(RunOutcome, RunSummary), StoreError> {
        match self.live().reconciler.run(order, stop).await? {
            RunResult::Done {
                outcome, summary, ..
            } => Ok((outcome, summary)),
            other => panic!("it did not run: {other:?}"),
        }
    }

    pub async fn plan(&self, job: &str, sink: &mut dyn PlanSink) -> Result<Tally, SurveyError> {
        let order = self.order(job, Trigger::Manual);
        let stop = CancellationToken::new();
        self.live().reconciler.plan(&order, &stop, sink).await
    }

    /// What the verifier's loop does each second.
    pub async fn verify(&self) -> Result<(), StoreError> {
        let (core, live) = (self.core(), self.live());
        live.verifier.sweep(&core.replica.id).await?;
        live.verifier.verify_due(None).await.map(drop)
    }
}

/// Such jobs can be configured.
pub fn is_sound(jobs: &str) -> bool {
    let text = format!(
        "[tesamanager]\nbase_url = \"http://127.0.0.1:1\"\norgs = [\"{ORG}\"]\ntoken_file = \"token\"\n{jobs}"
    );
    config::parse(
        &text,
        "test.toml",
        std::iter::empty(),
        &Overrides::default(),
    )
    .is_ok()
}
