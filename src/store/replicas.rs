//! Who is alive: every process that works on this store, by its heartbeat.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::domain::ids::ReplicaId;
use crate::domain::run::Mode;

/// How long a process that says nothing counts as alive, and a run with it: four beats missed. Beats come every five
/// seconds, and one more may be lost to a store call that hangs until its time-out. Longer only means that a dead
/// process's jobs wait longer. Shorter would declare lost who is merely slow, which is safe (what a lost run wants to
/// write is refused by its token) but wastes the run and alarms people.
pub const ALIVE_WITHIN: Duration = Duration::from_secs(20);

/// A living process.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ReplicaRow {
    /// Its identity, made anew at every start.
    pub id: ReplicaId,
    /// The machine's name, for people.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The version of the zone data by which it knows local time.
    pub zones: String,
    /// Whether it writes, by the configuration that it goes by now.
    pub mode: Mode,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Its last heartbeat.
    pub last_beat: DateTime<Utc>,
}

/// See the module.
#[async_trait]
pub trait Replicas {
    /// Says that this process lives (inserts or renews its row).
    async fn beat_replica(
        &self,
        replica: &ReplicaRow,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// This process goes in good order: its row is removed.
    async fn retire_replica(&self, id: &ReplicaId) -> Result<(), StoreError>;

    /// Those whose last beat is at or after `since`, as seen at `now`; oldest start first. A back end with a clock of
    /// its own takes only the difference of the two.
    async fn live_replicas(
        &self,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<ReplicaRow>, StoreError>;
}
