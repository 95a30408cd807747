//! SIGHUP: the whole configuration is read and checked again, and swapped as a whole or not at all.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Core, Live, scheduled, scope, tell_intervals};
use crate::config::{self, Config};
use crate::domain::run::Mode;
use crate::lifecycle::Notifier;
use crate::schedule::ScheduledJob;
use crate::store::Actor;
use crate::telemetry::logs::LogHandle;
use crate::telemetry::{self, Scope, record};

/// What a reload changes.
pub struct Reload {
    /// What stays.
    pub core: Core,
    /// What runs use from their next start on.
    pub live: watch::Sender<Arc<Live>>,
    /// What the scheduler looks at.
    pub jobs: watch::Sender<Arc<Vec<ScheduledJob>>>,
    /// What the gauges are about.
    pub scope: watch::Sender<Scope>,
    /// The log's filter.
    pub log: Option<LogHandle>,
    /// The service manager is told.
    pub notifier: Notifier,
    /// Reads the configuration.
    pub read_again: ReadAgain,
}

/// Reads the configuration. It may take its time: it is called where that holds nobody up.
pub type ReadAgain = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

impl Reload {
    /// Reloads. Any error keeps the old configuration, is logged and shows in a metric.
    pub async fn run(&self) {
        self.notifier.reloading();
        // A file system that hangs must not keep a thread from which a SIGTERM is to be heard.
        let read_again = Arc::clone(&self.read_again);
        let read = tokio::task::spawn_blocking(move || read_again()).await;
        let read = read.unwrap_or_else(|error| Err(format!("reading it broke off: {error}")));
        self.adopt(read).await;
    }

    /// Puts what was read in force, if it is sound.
    pub async fn adopt(&self, read: Result<Config, String>) {
        let now = self.core.clock.now();
        let read = match read {
            Ok(config) => self.may_act(config).await,
            refused => refused,
        };
        match read.and_then(|config| self.swap(config)) {
            Ok(changed) => {
                record::reload(true, now);
                tracing::info!(?changed, "the configuration is reloaded");
                let live = Arc::clone(&self.live.borrow());
                // What did not change was said when it did.
                if !changed.is_empty() {
                    log_warnings(&live.config);
                }
                // Until it is told, people are told the mode that was.
                let mode = live.config.safety.mode;
                if let Err(error) = self.core.beat(mode).await {
                    tracing::warn!(%error, "the store could not be told the mode");
                }
                let actor = Actor::daemon(format!("reloaded: {}", shown(&changed)));
                self.core.note("reload", &actor).await;
                self.notifier.ready("reloaded");
            }
            Err(error) => {
                record::reload(false, now);
                tracing::error!(
                    error,
                    "the configuration is not reloaded: the old one stays in force"
                );
                self.notifier
                    .ready("the configuration could not be reloaded: the old one stays in force");
            }
        }
    }

    /// From a store in doubt nothing is enforced.
    async fn may_act(&self, config: Config) -> Result<Config, String> {
        if config.safety.mode == Mode::Observe {
            return Ok(config);
        }
        match self.core.store.doubt().await {
            Ok(None) => Ok(config),
            Ok(Some(doubt)) => Err(doubt.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn swap(&self, config: Config) -> Result<Vec<&'static str>, String> {
        let old = self.live.borrow().clone();
        let changed = config::changed_sections(&old.config, &config);
        let waits = config::restart_needed(&old.config, &config);
        if !waits.is_empty() {
            tracing::warn!(keys = ?waits, "these changes take effect with the next start only");
        }
        if let Some(log) = &self.log {
            log.set_filter(&config.daemon.log_level)
                .map_err(|error| error.to_string())?;
        }
        let scope = scope(&config);
        let jobs = scheduled(&config);
        let live = self
            .core
            .live_after(&old, config)
            .map_err(|error| error.to_string())?;
        record::mode(live.config.safety.mode);
        telemetry::initialise(&scope);
        tell_intervals(&self.jobs.borrow(), &jobs, self.core.clock.now());
        // Runs must know a job before the scheduler asks for it.
        self.live.send_replace(Arc::new(live));
        self.scope.send_replace(scope);
        self.jobs.send_replace(Arc::new(jobs));
        Ok(changed)
    }
}

/// Says what of a valid configuration may not be meant.
pub fn log_warnings(config: &Config) {
    for warning in config::warnings(config) {
        tracing::warn!("configuration: {warning}");
    }
}

fn shown(changed: &[&str]) -> String {
    if changed.is_empty() {
        "nothing changed".to_owned()
    } else {
        changed.join(", ")
    }
}
