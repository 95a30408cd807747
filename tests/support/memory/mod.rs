//! A store in memory: what a simulation runs the real kernel over, a million times and from a number.
//!
//! It keeps what SQLite and PostgreSQL keep, and the same conformance suite says so. Where those two differ it is
//! PostgreSQL: several processes share it, and it goes by a clock of its own, which may be wrong.
//!
//! Everything stands in ordered maps behind one mutex. A transaction is a closure under that mutex; it refuses before it
//! writes, so there is never anything to roll back. Each call gives way before its transaction and after it: others run in
//! between, and whoever is killed there has committed nothing, or has committed and never learns it.

mod acknowledgements;
mod attempts;
mod audit;
mod claims;
mod classes;
mod controls;
mod faults;
mod finding_lists;
mod findings;
mod history;
mod housekeeping;
mod identity;
mod intend;
mod looks;
mod notices;
mod orders;
mod rates;
mod replicas;
mod requests;
mod runs;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use tesa_reconciler::clock::Clock;
use tesa_reconciler::store::{Change, Changes, SchemaState, Store, StoreError};
use tokio::sync::broadcast;

pub use faults::{Fault, Faults};

/// One connection. A clone is another connection to the same store, with faults of its own.
pub struct MemoryStore {
    server: Arc<Server>,
    faults: Faults,
    closed: AtomicBool,
    limit: Duration,
}

/// What all connections share.
struct Server {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    faults: Faults,
    steered: broadcast::Sender<()>,
}

/// All that is remembered, a field a noun.
#[derive(Default)]
struct State {
    acknowledgements: acknowledgements::Table,
    attempts: attempts::Table,
    audit: audit::Table,
    claims: claims::Table,
    classes: classes::Table,
    controls: controls::Table,
    findings: findings::Table,
    history: history::Table,
    identity: identity::Table,
    looks: looks::Table,
    notices: notices::Table,
    orders: orders::Table,
    rates: rates::Table,
    replicas: replicas::Table,
    requests: requests::Table,
    runs: runs::Table,
    /// The transaction at work steers running daemons: they hear of it with its commit.
    steers: bool,
}

impl MemoryStore {
    /// A new and empty store that goes by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let state = State {
            identity: identity::Table::marked(clock.uuid().to_string()),
            ..State::default()
        };
        let server = Server {
            state: Mutex::new(state),
            clock,
            faults: Faults::default(),
            steered: broadcast::Sender::new(64),
        };
        Self::connect(Arc::new(server), Duration::from_secs(5))
    }

    fn connect(server: Arc<Server>, limit: Duration) -> Self {
        Self {
            server,
            faults: Faults::default(),
            closed: AtomicBool::new(false),
            limit,
        }
    }

    /// Another connection: what goes wrong on this one does not concern it.
    pub fn another(&self) -> Self {
        self.with_limit(self.limit)
    }

    /// Another connection, whose calls end within `limit`.
    pub fn with_limit(&self, limit: Duration) -> Self {
        Self::connect(Arc::clone(&self.server), limit)
    }

    /// What goes wrong on this connection alone.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// What goes wrong on every connection.
    pub fn server_faults(&self) -> Faults {
        self.server.faults.clone()
    }

    /// Somebody empties it: all is gone but the mark that stands beside it.
    pub fn empty(&self) {
        let mut state = self.server.state();
        *state = State {
            identity: state.identity.emptied(),
            ..State::default()
        };
    }

    /// A call that only looks.
    async fn read<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&State, DateTime<Utc>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.call(operation, |_, _| false, |state, now| work(state, now))
            .await
    }

    /// A call that writes, in one transaction. The instant is the store's own.
    async fn write<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut State, DateTime<Utc>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.call(operation, |_, _| true, work).await
    }

    /// A call that writes if there is anything to write: a store that can only be read fails it only then.
    async fn call<T>(
        &self,
        operation: &'static str,
        writes: impl FnOnce(&State, DateTime<Utc>) -> bool,
        work: impl FnOnce(&mut State, DateTime<Utc>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let unavailable = |detail: &str| StoreError::Unavailable {
            operation,
            detail: detail.to_owned(),
        };
        let limit = self.limit;
        let timeout = StoreError::Timeout {
            operation,
            limit,
            place: String::new(),
        };
        if self.closed.load(Ordering::Relaxed) {
            return Err(unavailable("the connection is closed"));
        }
        let of_server = self.server.faults.meet(operation);
        let fault = of_server.or_else(|| self.faults.meet(operation));
        // How long it takes to the transaction, and as long again to its answer.
        let way = match fault {
            Some(Fault::Away) => return Err(unavailable("connection refused")),
            Some(Fault::Hangs) => limit,
            Some(Fault::Slow(all)) => all / 2,
            _ => Duration::ZERO,
        };
        if way >= limit {
            tokio::time::sleep(limit).await;
            return Err(timeout);
        }
        self.faults.gets_through().await;
        pause(way).await;
        self.faults.meet_doom(operation, false);
        self.faults.gets_through().await;
        let done = {
            let mut state = self.server.state();
            let now = self.server.clock.now();
            if writes(&state, now) {
                match fault {
                    Some(Fault::Full) => return Err(unavailable("no space left on device")),
                    Some(Fault::ReadOnly) => return Err(unavailable("the store is read-only")),
                    _ => {}
                }
            }
            let done = work(&mut state, now);
            if std::mem::take(&mut state.steers) {
                // Nobody may be listening, and that is fine.
                let _ = self.server.steered.send(());
            }
            done
        };
        self.faults.meet_doom(operation, true);
        let back = match fault {
            Some(Fault::AnswerLost) => limit,
            _ => way,
        };
        if way + back > limit || fault == Some(Fault::AnswerLost) {
            tokio::time::sleep(limit - way).await;
            return Err(timeout);
        }
        pause(back).await;
        self.faults.gets_through().await;
        done
    }
}

/// Even what takes no time lets others run.
async fn pause(time: Duration) {
    if time.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(time).await;
    }
}

impl Server {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.write("migrate", |_, _| Ok(vec![])).await
    }

    async fn check_schema(&self) -> Result<SchemaState, StoreError> {
        self.read("check_schema", |_, _| Ok(SchemaState::Current))
            .await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.write("probe", |_, _| Ok(())).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn changes(&self) -> Changes {
        let told = self.server.steered.subscribe();
        let faults = self.faults.clone();
        let hearing = futures::stream::unfold((told, faults), |(mut told, faults)| async move {
            loop {
                let change = match told.recv().await {
                    // Whoever can't reach the store hears nothing from it.
                    Ok(()) if faults.is_away() => continue,
                    Ok(()) => Change::Steered,
                    Err(broadcast::error::RecvError::Lagged(_)) => Change::Missed,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                };
                return Some((change, (told, faults)));
            }
        });
        // What was before nobody told.
        futures::stream::once(std::future::ready(Change::Missed))
            .chain(hearing)
            .boxed()
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}
