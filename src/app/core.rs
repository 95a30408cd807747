//! What lives as long as the process, and what a reload makes anew from it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use secrecy::SecretString;

use super::first_start::is_new;
use super::rates::StoredRates;
use crate::clock::SharedClock;
use crate::config::{self, Config, Job, JobKind, State};
use crate::console::PasswordError;
use crate::domain::ids::{JobName, ReplicaId};
use crate::domain::run::Mode;
use crate::http::BindError;
use crate::notify::{Webhook, webhook::WebhookError};
use crate::reconcile::answers::Answers;
use crate::reconcile::breaker::Breaker;
use crate::reconcile::guard::{InFlight, InForce};
use crate::reconcile::looks::Looks;
use crate::reconcile::runner::Reconciler;
use crate::reconcile::verifier::Verifier;
use crate::schedule::ScheduledJob;
use crate::schedule::ticker::AlarmError;
use crate::store::replicas::ReplicaRow;
use crate::store::{self, Actor, Doubt, SchemaState, Store, StoreError, StoreOptions};
use crate::telemetry::Scope;
use crate::telemetry::traces::TracesError;
use crate::tesamanager::{BuildError, HttpTesamanager, InProcess, MOST_IN_FLIGHT, Tesamanager};
use crate::zone;

/// Why the daemon can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store can't be opened, is held by another daemon, or has a newer schema.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store must not be acted from.
    #[error("{0}")]
    Doubt(Doubt),
    /// The store is new, and would be acted from.
    #[error(
        "the store {url} is new, and safety.mode is enforce. If there was another one before, what it knew of sent writes is lost: \
         look for it, or restore a backup (`docs/operations.md`, \"A lost or restored store\"). If this is the first start, start with \
         `mode = \"observe\"` and read `tesa-reconciler plan`; `tesa-reconciler state adopt --reason …` says that it may be acted from at once"
    )]
    New {
        /// Where it is.
        url: String,
    },
    /// The upstream's client can't be built.
    #[error(transparent)]
    Upstream(#[from] BuildError),
    /// The receiver of notifications can't be called.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The trace collector can't be called.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// The HTTP server's address can't be had.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The console lets nobody in.
    #[error(transparent)]
    Console(#[from] PasswordError),
    /// The alarm clock does not start.
    #[error(transparent)]
    Alarm(#[from] AlarmError),
    /// Something of the operating system.
    #[error(transparent)]
    Io(std::io::Error),
}

/// How the store is opened that `[state]` names.
pub fn store_options(state: &State) -> StoreOptions {
    StoreOptions {
        password_file: state.password_file.clone(),
        ..StoreOptions::default()
    }
}

/// What lives as long as the process.
#[derive(Clone)]
pub struct Core {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: SharedClock,
    /// This process among the replicas.
    pub replica: ReplicaRow,
    /// Attempts being sent right now.
    pub in_flight: InFlight,
    /// What came of them, on its way into the ledger.
    pub answers: Answers,
    /// What is known of the circuits; each client made anew continues it.
    breakers: Arc<crate::reconcile::breaker::Circuits>,
    upstream: Upstream,
}

/// Where the upstream is.
#[derive(Clone)]
pub enum Upstream {
    /// At the other end of `base_url`.
    Network,
    /// In this process, and good with this token: a simulation's.
    InProcess(Arc<dyn InProcess>, SecretString),
}

/// What a reload makes anew and swaps as a whole.
pub struct Live {
    /// The configuration.
    pub config: Arc<Config>,
    /// Runs jobs.
    pub reconciler: Reconciler,
    /// Settles attempts.
    pub verifier: Verifier,
    /// The jobs by name.
    pub jobs: HashMap<JobName, Arc<Job>>,
    /// Whom to tell.
    pub webhook: Option<Arc<Webhook>>,
}

impl Core {
    /// Opens the store for this process alone (or among its replicas), brings the schema up to date, and marks what
    /// dead processes left: their runs are `lost`, their unanswered writes `unknown`. Nothing else has begun by then.
    pub async fn start(
        config: &Config,
        clock: SharedClock,
        replica: ReplicaId,
    ) -> Result<Self, StartError> {
        let store =
            store::open_for_daemon(&config.state.url, &store_options(&config.state)).await?;
        if store.check_schema().await? != SchemaState::Ahead {
            let migrations = store.migrate().await?;
            if !migrations.is_empty() {
                tracing::info!(?migrations, "the schema is brought up to date");
            }
        }
        store::require_current(&*store, &config.state.url).await?;
        // A doubt says more.
        if config.safety.mode == Mode::Enforce
            && store.doubt().await?.is_none()
            && is_new(&*store).await?
        {
            let url = config.state.url.clone();
            return Err(StartError::New { url });
        }
        Self::take_up(config, store, Upstream::Network, clock, replica).await
    }

    /// Takes up a store that is open and up to date, as [`Core::start`] does.
    pub async fn take_up(
        config: &Config,
        store: Arc<dyn Store>,
        upstream: Upstream,
        clock: SharedClock,
        replica: ReplicaId,
    ) -> Result<Self, StartError> {
        match store.doubt().await? {
            None => store.settle().await?,
            Some(doubt) if config.safety.mode == Mode::Enforce => {
                return Err(StartError::Doubt(doubt));
            }
            Some(doubt) => tracing::warn!(%doubt, "the store is in doubt"),
        }
        let core = Self {
            upstream,
            ..Self::over_as(replica, store, clock, config.safety.mode).await?
        };
        core.recover(&looks(config)).await?;
        Ok(core)
    }

    /// Around a store that is open and up to date.
    pub async fn over(store: Arc<dyn Store>, clock: SharedClock) -> Result<Self, StoreError> {
        // What only reads tells nobody how it goes about writing.
        Self::over_as(new_replica(&clock), store, clock, Mode::Observe).await
    }

    async fn over_as(
        id: ReplicaId,
        store: Arc<dyn Store>,
        clock: SharedClock,
        mode: Mode,
    ) -> Result<Self, StoreError> {
        let now = clock.now();
        let replica = ReplicaRow {
            id,
            host: host_name(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            zones: zone::version().name.clone(),
            mode,
            started_at: now,
            last_beat: now,
        };
        let answers = Answers::new(Arc::clone(&store));
        Ok(Self {
            store,
            clock,
            replica,
            in_flight: InFlight::default(),
            answers,
            breakers: Arc::default(),
            upstream: Upstream::Network,
        })
    }

    /// Says that this process lives, and in which mode.
    pub async fn beat(&self, mode: Mode) -> Result<(), StoreError> {
        let replica = ReplicaRow {
            mode,
            ..self.replica.clone()
        };
        self.store.beat_replica(&replica, self.clock.now()).await
    }

    async fn recover(&self, looks: &Looks) -> Result<(), StoreError> {
        let now = self.clock.now();
        if !self.store.is_shared() {
            // Nobody else can be alive: whoever still has a row here died without taking it away.
            for dead in self.store.live_replicas(DateTime::UNIX_EPOCH, now).await? {
                self.store.retire_replica(&dead.id).await?;
            }
        }
        self.beat(self.replica.mode).await?;
        let beat_before = self.store.is_shared().then(|| now - super::ALIVE_WITHIN);
        let lost = self.store.reap_lost(beat_before, now).await?;
        super::keeper::report_lost(&lost);
        super::keeper::recover(self, looks).await
    }

    /// Builds what a configuration decides.
    pub fn live(&self, config: Config) -> Result<Live, StartError> {
        let clock = Arc::clone(&self.clock);
        let rates = StoredRates::new(Arc::clone(&self.store), Arc::clone(&clock));
        let rates = Arc::new(rates);
        let settings = &config.tesamanager;
        let client = match &self.upstream {
            Upstream::Network => HttpTesamanager::with_rates(settings, clock, rates)?,
            Upstream::InProcess(upstream, token) => {
                let (upstream, token) = (Arc::clone(upstream), token.clone());
                HttpTesamanager::in_process(settings, clock, rates, upstream, token)?
            }
        };
        let webhook = config.notify.as_ref().map(Webhook::new).transpose()?;
        let prompt = self.behind_breaker(Arc::new(client.prompt()));
        let upstream = self.behind_breaker(Arc::new(client));
        Ok(Live {
            webhook: webhook.map(Arc::new),
            ..self.wire(config, upstream, prompt)
        })
    }

    /// The same for those who write nothing anywhere: neither what they take of the rate nor what they learn of the
    /// upstream's health.
    pub fn live_for_reading(&self, config: Config) -> Result<Live, StartError> {
        let client = HttpTesamanager::new(&config.tesamanager, Arc::clone(&self.clock))?;
        let prompt = Arc::new(client.prompt());
        Ok(self.wire(config, Arc::new(client), prompt))
    }

    /// Builds what takes the place of `old`. If runs would act otherwise under it, those of `old` act no longer, from
    /// this moment on.
    pub fn live_after(&self, old: &Live, config: Config) -> Result<Live, StartError> {
        let mut live = self.live(config)?;
        let in_force = &old.reconciler.in_force;
        if config::acts_otherwise(&old.config, &live.config) {
            in_force.end();
        } else {
            live.reconciler.in_force = in_force.clone();
        }
        Ok(live)
    }

    /// The same around any upstream, and telling nobody.
    pub fn live_over(&self, config: Config, upstream: Arc<dyn Tesamanager>) -> Live {
        let upstream = self.behind_breaker(upstream);
        self.wire(config, Arc::clone(&upstream), upstream)
    }

    fn behind_breaker(&self, upstream: Arc<dyn Tesamanager>) -> Arc<dyn Tesamanager> {
        Arc::new(Breaker::new(
            upstream,
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            Arc::clone(&self.breakers),
        ))
    }

    /// `prompt` is the same upstream for those for whom somebody waits.
    fn wire(
        &self,
        config: Config,
        upstream: Arc<dyn Tesamanager>,
        prompt: Arc<dyn Tesamanager>,
    ) -> Live {
        let reconciler = Reconciler {
            api: upstream,
            prompt_api: Arc::clone(&prompt),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            replica: self.replica.id.clone(),
            in_flight: self.in_flight.clone(),
            in_force: InForce::default(),
            safety: config.safety.clone(),
            looks: looks(&config),
            answers: self.answers.clone(),
            max_in_flight: config.tesamanager.max_in_flight.unwrap_or(MOST_IN_FLIGHT),
            max_list_ids: config.tesamanager.max_list_ids.into(),
            retention: config.state.retention,
            history_retention: config.state.history_retention,
            reads_per_second: config.tesamanager.reads_per_second,
            job_names: config.jobs.iter().map(|job| job.name.clone()).collect(),
            settle_time: config.tesamanager.settle_time,
            unsupported_filters: config.tesamanager.unsupported_filters.clone(),
        };
        let verifier = Verifier::new(
            prompt,
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            self.in_flight.clone(),
            looks(&config),
        );
        let jobs = config
            .jobs
            .iter()
            .map(|job| (job.name.clone(), Arc::new(job.clone())))
            .collect();
        Live {
            config: Arc::new(config),
            reconciler,
            verifier,
            jobs,
            webhook: None,
        }
    }

    /// Notes something in the audit. The deed itself is done, so a failure is only logged.
    pub async fn note(&self, action: &str, actor: &Actor) {
        let subject = format!("{} on {}", self.replica.id, self.replica.host);
        if let Err(error) = self
            .store
            .note(action, &subject, actor, self.clock.now())
            .await
        {
            tracing::warn!(action, %error, "could not be noted in the audit");
        }
    }

    /// The last words of a process: what came of its writes, for so long, and that it goes.
    pub async fn farewell(&self, within: Duration) {
        self.answers.all_recorded(within).await;
        self.retire().await;
    }

    /// The process goes in good order.
    async fn retire(&self) {
        self.note("stop", &Actor::daemon("stopped in good order"))
            .await;
        if let Err(error) = self.store.retire_replica(&self.replica.id).await {
            tracing::warn!(%error, "the store could not be told of the end");
        }
        self.store.close().await;
    }
}

/// A name for this process among the replicas. Never the host's name alone: replicas may share that.
pub fn new_replica(clock: &SharedClock) -> ReplicaId {
    ReplicaId::new(clock.uuid().to_string())
}

/// When sent writes are looked at, as configured.
fn looks(config: &Config) -> Looks {
    Looks::new(
        config.tesamanager.request_timeout,
        config.safety.verify_after.clone(),
    )
}

/// What the gauges are about.
pub fn scope(config: &Config) -> Scope {
    Scope {
        jobs: config.jobs.iter().map(|job| job.name.clone()).collect(),
        orgs: config.tesamanager.orgs.clone(),
    }
}

/// The jobs as the scheduler sees them.
pub fn scheduled(config: &Config) -> Vec<ScheduledJob> {
    let orgs = &config.tesamanager.orgs;
    config
        .jobs
        .iter()
        .map(|job| ScheduledJob {
            name: job.name.clone(),
            spec: job.schedule.clone(),
            // Housekeeping is about the store, which is one for all orgs.
            orgs: match job.kind {
                JobKind::Housekeeping => orgs.iter().take(1).cloned().collect(),
                _ => orgs.clone(),
            },
        })
        .collect()
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_else(|_| "unknown".to_owned())
}
