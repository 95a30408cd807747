//! Which alerts stand, and what the receiver of notifications was told of them.
//!
//! One row an alert, so the book is as small as the configuration, whatever happens and however long the receiver is
//! away. It is level-triggered at both ends: a row follows what stands in the other tables, and what is to be told
//! follows from the row. An alert that came and went before anybody was told leaves nothing to tell; one that was
//! told once is not told again, by whatever process. Because it stands in the store, that holds over restarts and
//! replicas.
//!
//! Telling is at least once: a delivery that failed may have arrived all the same, and is repeated.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::domain::{Alert, AlertName, AlertState};

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Of what.
    pub alert: Alert,
    /// That it stands, or that it has passed.
    pub state: AlertState,
    /// Since when it has stood.
    pub since: DateTime<Utc>,
    /// How many requests or writes it is about; of one that has passed, how many it was last.
    pub count: u64,
    /// When it came into this state.
    pub changed_at: DateTime<Utc>,
    /// Deliveries begun in this state, the one for which it was taken included.
    pub tries: u32,
}

/// See the module.
#[async_trait]
pub trait Notices {
    /// Brings the book in line with what stands now, as far as it is `wanted`: latches of the guard, findings that
    /// nobody has acknowledged, attempts that wait for a person. One transaction, none at all when nothing changed.
    async fn keep_notices(
        &self,
        wanted: &[AlertName],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Takes what is to be told next, if anything is due; nobody else gets it before `until`.
    async fn take_notice(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<Notice>, StoreError>;

    /// The receiver has heard that `alert` is in `state`. If it has changed meanwhile, the change is due at once.
    async fn notice_told(
        &self,
        alert: &Alert,
        state: AlertState,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// The receiver could not be told; the next try is due at `until`.
    async fn postpone_notice(&self, alert: &Alert, until: DateTime<Utc>) -> Result<(), StoreError>;

    /// Gives up telling that `alert` has passed. One that stands (again) is kept.
    async fn give_up_notice(&self, alert: &Alert) -> Result<(), StoreError>;

    /// The alerts that stand and of which the receiver knows.
    async fn told_notices(&self) -> Result<Vec<Notice>, StoreError>;
}
