//! What the driver needs of the rest of the world, and no more: so that it can be tested without a database and
//! without a reconciler, and so that `schedule` stays ignorant of the upstream.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Spec;
use crate::domain::ids::{JobName, Org, ReplicaId, RunId, TriggerId};
use crate::domain::{RunOutcome, Trigger};
use crate::store::controls::{Pause, TriggerRow};
use crate::store::replicas::ALIVE_WITHIN;
use crate::store::runs::{RunLease, Started, UnrunSlots};
use crate::store::{Actor, Controls, Replicas, Runs, StoreError};

/// A job as the driver sees it.
#[derive(Debug, Clone)]
pub struct ScheduledJob {
    /// Unique.
    pub name: JobName,
    /// When it runs.
    pub spec: Spec,
    /// For each of these it runs on its own.
    pub orgs: Vec<Org>,
}

/// A run that the driver wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRequest {
    /// The job.
    pub job: JobName,
    /// The tenant.
    pub org: Org,
    /// Why now.
    pub trigger: Trigger,
    /// The slot to claim, for a run that the schedule asks for.
    pub slot: Option<DateTime<Utc>>,
    /// The people's requests that this run answers. The driver answers them.
    pub triggers: Vec<TriggerId>,
    /// For whom.
    pub actor: Actor,
}

/// Carries runs out.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Starts the run in the store ([`Runs::start`]), which claims its slot. The driver gives up on it after
    /// [`super::driver::STORE_PATIENCE`] and asks again later, so it must be cancel safe.
    async fn claim(&self, request: &RunRequest) -> Result<Started, StoreError>;

    /// Does the work of a run that was claimed, and ends it in the store. Runs on a task of its own; drains by
    /// itself when the process stops.
    async fn execute(&self, request: RunRequest, lease: RunLease) -> RunOutcome;

    /// [`Runner::execute`] panicked: ends the run as failed, so that it doesn't look alive until it is reaped.
    async fn panicked(&self, lease: &RunLease);
}

/// What the driver needs of the store. Every store has it.
#[async_trait]
pub trait ScheduleStore: Send + Sync {
    /// See [`Runs::last_slot`].
    async fn last_slot(
        &self,
        job: &JobName,
        org: &Org,
    ) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// See [`Runs::record_unrun`].
    async fn record_unrun(&self, slots: &UnrunSlots, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// See [`Runs::set_back`].
    async fn set_back(
        &self,
        job: &JobName,
        org: &Org,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// See [`Controls::take_triggers`].
    async fn take_triggers(
        &self,
        replica: &ReplicaId,
        now: DateTime<Utc>,
    ) -> Result<Vec<TriggerRow>, StoreError>;

    /// See [`Controls::answer_triggers`].
    async fn answer_triggers(&self, ids: &[TriggerId], run: RunId) -> Result<(), StoreError>;

    /// See [`Controls::pauses`].
    async fn pauses(&self, now: DateTime<Utc>) -> Result<Vec<Pause>, StoreError>;

    /// The newest zone data that a living process goes by.
    async fn newest_zones(&self, now: DateTime<Utc>) -> Result<Option<String>, StoreError>;
}

#[async_trait]
impl<S: Runs + Controls + Replicas + Send + Sync + ?Sized> ScheduleStore for S {
    async fn last_slot(
        &self,
        job: &JobName,
        org: &Org,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        Runs::last_slot(self, job, org).await
    }

    async fn record_unrun(&self, slots: &UnrunSlots, now: DateTime<Utc>) -> Result<(), StoreError> {
        Runs::record_unrun(self, slots, now).await
    }

    async fn set_back(
        &self,
        job: &JobName,
        org: &Org,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        Runs::set_back(self, job, org, now).await
    }

    async fn take_triggers(
        &self,
        replica: &ReplicaId,
        now: DateTime<Utc>,
    ) -> Result<Vec<TriggerRow>, StoreError> {
        Controls::take_triggers(self, replica, now).await
    }

    async fn answer_triggers(&self, ids: &[TriggerId], run: RunId) -> Result<(), StoreError> {
        Controls::answer_triggers(self, ids, run).await
    }

    async fn pauses(&self, now: DateTime<Utc>) -> Result<Vec<Pause>, StoreError> {
        Controls::pauses(self, now).await
    }

    async fn newest_zones(&self, now: DateTime<Utc>) -> Result<Option<String>, StoreError> {
        let live = self.live_replicas(now - ALIVE_WITHIN, now).await?;
        Ok(live.into_iter().map(|replica| replica.zones).max())
    }
}
