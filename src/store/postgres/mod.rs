//! PostgreSQL: one database, as many replicas as one likes.
//!
//! Transactions run at READ COMMITTED: each statement sees what was committed before *it* began. What a decision
//! rests on is therefore locked by a statement of its own first (an advisory lock named after the org, or after job
//! and org; see [`lock`]), and read by the statements after it. A check and its lock in one statement would look at the
//! world from before the wait. Row locks re-check their `WHERE` after a wait, so single rows need nothing more.
//!
//! Whose heartbeat is how old is judged by the database's own clock, never by the caller's: replicas whose clocks
//! differ by minutes would otherwise declare each other dead. So wherever a call takes both "before when" and "now",
//! only the difference of the two counts here. Everything that people read or that schedules rest on keeps the
//! caller's time.
//!
//! The database ends what takes too long by itself (statement, lock and idle time-outs on every connection), so that
//! a call given up here doesn't go on there.

#[macro_use]
mod dialect;

mod changes;
mod connect;
mod explain;
mod history;
mod identity;
mod lock;
mod looks;
mod rates;
mod requests;
mod schema;
#[allow(
    clippy::duplicate_mod,
    reason = "each back end compiles the bodies for itself"
)]
#[path = "../sql/mod.rs"]
mod sql;
mod sqlstate;
mod values;

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, Postgres, Transaction};

use sql::audit;
pub(super) use sql::audit::append as append_audit;
#[doc(hidden)]
pub use sql::hot_statements::{HOT, HOT_HERE};
pub(super) use sqlstate::of as meaning_of;
pub(super) use values::json_rows;

use super::changes::Changes;
use super::fault::Fault;
use super::timed::Timed;
use super::{SchemaState, Store, StoreError, StoreOptions};

#[expect(clippy::disallowed_types, reason = "this is the SQL's place")]
type Pool = sqlx::PgPool;

/// How often a transaction is tried that the database itself took back for another's sake.
const TRIES: u32 = 4;

/// The wait before it is tried again, times the number of the try: the other is done by then.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Replicas that probe at the same instant needn't wait for each other.
const PROBE: &str = "
    UPDATE identity SET probes = probes + 1
    WHERE only_row = (SELECT only_row FROM identity FOR UPDATE SKIP LOCKED)";

/// A store in a PostgreSQL database.
#[derive(Debug)]
pub struct PgStore {
    pool: Pool,
    options: PgConnectOptions,
    timed: Timed,
    patience: Duration,
    migrate_timeout: Duration,
}

impl PgStore {
    /// Connects to the database at `url`. Its schema is neither looked at nor changed. The password comes from
    /// [`StoreOptions::password_file`], the ways of TLS from the URL (`sslmode`, `sslrootcert`).
    pub async fn open(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let timed = Timed::new(options.call_timeout, sqlstate::of);
        let connect = timed
            .call("open", async { connect::options(url, options) })
            .await?;
        let timed = timed.at(&connect::place(&connect));
        let store = Self {
            pool: connect::pool(connect.clone(), options),
            options: connect,
            timed,
            patience: connect::patience(options),
            migrate_timeout: options.migrate_timeout,
        };
        // At once, so that a wrong password or name is told at the start and not by the first call.
        store
            .call("open", || async {
                let reached = store.pool.acquire().await;
                reached.map_err(|error| explain::unreached(error, &store.options))?;
                Ok(())
            })
            .await?;
        Ok(store)
    }

    /// Runs `work` as the call `operation`: bounded, counted, its errors read; and once more from the start when the
    /// database rolled it back to let another transaction pass (a deadlock, a failed serialisation). That is safe
    /// for every call, because then nothing of it was kept. No other error is answered by a repetition.
    async fn call<T, W>(
        &self,
        operation: &'static str,
        work: impl Fn() -> W + Send + Sync,
    ) -> Result<T, StoreError>
    where
        W: Future<Output = Result<T, Fault>> + Send,
    {
        self.call_within(self.timed.clone(), operation, work).await
    }

    /// The same with another limit.
    async fn call_within<T, W>(
        &self,
        timed: Timed,
        operation: &'static str,
        work: impl Fn() -> W + Send + Sync,
    ) -> Result<T, StoreError>
    where
        W: Future<Output = Result<T, Fault>> + Send,
    {
        let tried = async {
            let mut tries = 1;
            loop {
                match work().await {
                    Err(Fault::Sql(error)) if tries < TRIES && sqlstate::rolled_back(&error) => {
                        tokio::time::sleep(TRY_AGAIN_AFTER * tries).await;
                        tries += 1;
                    }
                    Err(Fault::Sql(sqlx::Error::PoolTimedOut)) => {
                        return Err(Fault::Unavailable(format!(
                            "no connection to PostgreSQL was to be had within {:?}: it is away or starting, or all connections are in use",
                            self.patience
                        )));
                    }
                    done => return done,
                }
            }
        };
        timed.call(operation, tried).await
    }

    /// A connection beside the pool, whose statements may take as long as `limit`.
    pub(super) async fn alone(&self, limit: Duration) -> Result<PgConnection, Fault> {
        connect::alone(&self.options, limit).await
    }

    /// Begins a transaction for what can be read again from the upstream: its commit doesn't wait for the disk. The next
    /// one that does takes it along, in their order, so a crash loses the last of them and never one from the middle
    /// (postgresql.org/docs/current/wal-async-commit.html). Dropped, it is rolled back.
    async fn unhurried(&self) -> Result<Transaction<'static, Postgres>, Fault> {
        let mut tx = self.begin().await?;
        sqlx::query("SET LOCAL synchronous_commit = off")
            .execute(&mut *tx)
            .await?;
        Ok(tx)
    }

    /// Autovacuum sees to space and statistics by itself.
    async fn tidy(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Where what only reads is asked.
    fn reading(&self) -> &Pool {
        &self.pool
    }

    /// Begins a transaction. Dropped, it is rolled back.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, Fault> {
        Ok(self.pool.begin().await?)
    }

    /// Commits what running daemons should look at now, and tells them.
    async fn steer(&self, mut tx: Transaction<'static, Postgres>) -> Result<(), Fault> {
        changes::tell(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

#[async_trait]
impl Store for PgStore {
    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.timed
            .with_limit(self.migrate_timeout)
            .call(
                "migrate",
                schema::migrate(&self.options, self.migrate_timeout),
            )
            .await
    }

    async fn check_schema(&self) -> Result<SchemaState, StoreError> {
        self.call("check_schema", || schema::check(&self.pool))
            .await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.call("probe", || async {
            let mut tx = self.unhurried().await?;
            sqlx::query(PROBE).execute(&mut *tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn changes(&self) -> Changes {
        changes::listen(self.options.clone())
    }

    async fn close(&self) {
        // Bounded like every call: a connection that hangs must not keep the process from ending.
        let closing = async {
            self.pool.close().await;
            Ok(())
        };
        // The time-out is counted and logged by its metric; there is nothing else left to do about it.
        let _ = self.timed.call("close", closing).await;
    }
}
