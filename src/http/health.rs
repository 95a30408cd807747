//! Alive and ready: what is asked, of whom, and for how long an answer holds.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::{SchemaState, Store, StoreError};

/// How long the store's answers are waited for, and how long they hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) fresh_for: Duration,
    pub(super) time_out: Duration,
}

/// Probes of several watchers must not add up to load; and a prober gives up after a second or so.
const PATIENCE: Patience = Patience {
    fresh_for: Duration::from_secs(1),
    time_out: Duration::from_secs(1),
};

/// Names the loops that should have beaten and did not. Must not block.
pub type StaleLoops = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

type StoreCheck =
    Box<dyn Fn() -> BoxFuture<'static, Result<SchemaState, StoreError>> + Send + Sync>;

/// Whether the process lives and whether it can work.
pub struct Health {
    stale_loops: StaleLoops,
    draining: CancellationToken,
    store: StoreCheck,
    patience: Patience,
    last: Mutex<Option<(Instant, Option<String>)>>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

/// One thing that must be good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Of what.
    pub name: &'static str,
    /// What is wrong, if anything.
    pub problem: Option<String>,
}

impl Check {
    pub(super) fn line(&self) -> String {
        self.complaint()
            .unwrap_or_else(|| format!("{}: ok\n", self.name))
    }

    pub(super) fn complaint(&self) -> Option<String> {
        let problem = self.problem.as_ref()?;
        Some(format!("{}: {problem}\n", self.name))
    }
}

impl Health {
    /// `stale_loops` is all that `/livez` looks at; `store` and `draining` are what `/readyz` looks at.
    pub fn new(
        stale_loops: StaleLoops,
        store: Arc<dyn Store>,
        draining: CancellationToken,
    ) -> Self {
        let check = move || -> BoxFuture<'static, _> {
            let store = Arc::clone(&store);
            Box::pin(async move {
                let schema = store.check_schema().await?;
                // A table that is not there yet is no news beside a migration that is missing.
                if schema == SchemaState::Current {
                    store.probe().await?;
                }
                Ok(schema)
            })
        };
        Self::checking(stale_loops, Box::new(check), draining, PATIENCE)
    }

    pub(super) fn checking(
        stale_loops: StaleLoops,
        store: StoreCheck,
        draining: CancellationToken,
        patience: Patience,
    ) -> Self {
        Self {
            stale_loops,
            draining,
            store,
            patience,
            last: Mutex::default(),
        }
    }

    /// The loops that stand still.
    pub fn stale_loops(&self) -> Vec<String> {
        (self.stale_loops)()
    }

    /// All checks, good ones too. Ends within the store's time-out; cancel safe.
    pub async fn readiness(&self) -> Vec<Check> {
        // A drain must be seen at once, so it is never remembered.
        let draining = self.draining.is_cancelled();
        vec![
            // True by construction: this process would not have started, and keeps the old one on a bad reload.
            Check {
                name: "configuration",
                problem: None,
            },
            Check {
                name: "store",
                problem: self.store_problem().await,
            },
            Check {
                name: "drain",
                problem: draining.then(|| "the process is stopping".to_owned()),
            },
        ]
    }

    async fn store_problem(&self) -> Option<String> {
        let mut last = self.last.lock().await;
        if let Some((at, problem)) = &*last
            && at.elapsed() < self.patience.fresh_for
        {
            return problem.clone();
        }
        let answer = tokio::time::timeout(self.patience.time_out, (self.store)()).await;
        let problem = match answer {
            Ok(Ok(SchemaState::Current)) => None,
            Ok(Ok(SchemaState::Behind { pending })) => Some(format!(
                "{pending} migrations are not applied (`tesa-reconciler migrate` applies them)"
            )),
            Ok(Ok(SchemaState::Ahead)) => {
                Some("its schema is newer than this program; start the newer one".to_owned())
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_elapsed) => Some(format!(
                "it did not answer within {:?}",
                self.patience.time_out
            )),
        };
        *last = Some((Instant::now(), problem.clone()));
        problem
    }
}
