//! What the daemon remembers: one trait a noun, no SQL.
//!
//! The traits' bodies are in `sql/`, written once for both back ends; `sqlite/` and `postgres/` hold what is theirs alone;
//! `rows/` is the way from a row to the program's types; `copy` moves everything from the one to the other.
//!
//! The traits are the contract that every back end keeps, and one conformance suite runs against each of them.
//! Time comes in as an argument (a back end with a clock of its own, shared by replicas, may prefer that for
//! leases). Every call has a time-out inside the back end; dropping a call's future rolls its transaction back.
//!
//! Three promises rest on this module rather than on anybody's care:
//! - an attempt is committed before its write is sent ([`Attempts::intend`] checks pause, hold, acknowledgement, caps,
//!   lease and "no other open attempt" in the same transaction that inserts the row);
//! - whoever lost its run changes nothing (every write that a run makes takes its [`runs::RunLease`] and is checked against
//!   it in the same transaction);
//! - a slot runs once ([`Runs::start`] claims it by inserting it);
//! - history is never overwritten (states change by appended steps, and only along
//!   [`AttemptState::predecessors`]).

pub mod acknowledgements;
pub mod attempts;
pub mod audit;
mod backup;
pub mod changes;
pub mod claims;
pub mod classes;
pub mod controls;
mod copy;
pub mod error;
mod fault;
pub mod findings;
pub mod history;
pub mod housekeeping;
pub mod identity;
pub mod looks;
pub mod notices;
mod open;
pub mod orders;
pub mod postgres;
pub mod rates;
pub mod replicas;
pub mod requests;
mod rows;
pub mod runs;
mod schema;
pub mod sqlite;
mod timed;

use async_trait::async_trait;

pub use acknowledgements::Acknowledgements;
pub use attempts::Attempts;
pub use audit::Audit;
pub use backup::{backup, backup_aside};
pub use changes::{Change, Changes};
pub use claims::Claims;
pub use classes::Classes;
pub use controls::Controls;
pub use copy::{Copied, copied_columns, copy};
pub use error::StoreError;
pub use findings::Findings;
pub use history::History;
pub use housekeeping::{Housekeeping, Pruned};
pub use identity::{Doubt, Identity};
pub use looks::Looks;
pub use notices::Notices;
pub use open::{StoreOptions, exists, open, open_for_daemon};
pub use orders::Orders;
pub use rates::Rates;
pub use replicas::Replicas;
pub use requests::Requests;
pub use runs::Runs;

#[expect(unused_imports, reason = "named in the module's text")]
use crate::domain::AttemptState;

/// Everything a back end offers.
#[async_trait]
pub trait Store:
    Requests
    + Runs
    + Attempts
    + Findings
    + Classes
    + Claims
    + Acknowledgements
    + Looks
    + History
    + Notices
    + Orders
    + Controls
    + Audit
    + Replicas
    + Rates
    + Housekeeping
    + Identity
    + Send
    + Sync
    + 'static
{
    /// Brings the schema to this program's version. Safe to call by many at once. Answers what was missing, by number and
    /// name; of several at once more than one may say so.
    async fn migrate(&self) -> Result<Vec<String>, StoreError>;

    /// The schema is there and is this program's version.
    async fn check_schema(&self) -> Result<SchemaState, StoreError>;

    /// Writes what means nothing, for readiness: a store that can only be read allows no write upstream.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Several processes may work on it at once; otherwise one daemon at most holds it.
    fn is_shared(&self) -> bool;

    /// Word of what other processes change, where the back end can tell.
    fn changes(&self) -> Changes;

    /// Closes all connections; called once, last.
    async fn close(&self);
}

/// How the database's schema relates to the one this program wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// All migrations applied; perhaps more, by a newer program, that only added to them.
    Current,
    /// `migrate` (or a start of the daemon) will apply this many.
    Behind {
        /// Migrations not yet applied.
        pending: usize,
    },
    /// A newer program changed what this one needs: it keeps its hands off.
    Ahead,
}

/// One page of a listing: at most `limit` rows with an id below `before`, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// At most so many rows.
    pub limit: u32,
    /// Only rows older than this id; none for the first page.
    pub before: Option<i64>,
}

impl Page {
    /// The newest `limit` rows.
    pub const fn first(limit: u32) -> Self {
        Self {
            limit,
            before: None,
        }
    }
}

/// Who does something, and why: every change of state carries it into the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// A person (`cli:USER`) or the daemon itself (`daemon`).
    pub who: String,
    /// Their reason.
    pub reason: String,
}

/// The daemon's own name as an actor.
pub const DAEMON: &str = "daemon";

impl Actor {
    /// Not the daemon by itself: a person, whose steps are audited.
    pub fn is_person(&self) -> bool {
        self.who != DAEMON
    }

    /// The daemon, acting by itself.
    pub fn daemon(reason: impl Into<String>) -> Self {
        Self {
            who: DAEMON.to_owned(),
            reason: reason.into(),
        }
    }
}

/// The schema is this program's, or an error that says what to do about it.
pub async fn require_current(store: &dyn Store, url: &str) -> Result<(), StoreError> {
    let detail = match store.check_schema().await? {
        SchemaState::Current => return Ok(()),
        SchemaState::Behind { pending } => format!(
            "the store {url} lacks {pending} migration(s): run `tesa-reconciler migrate`, or start the daemon"
        ),
        SchemaState::Ahead => return Err(schema::too_new("open")),
    };
    Err(StoreError::Schema {
        operation: "open",
        detail,
    })
}
