//! What is known of an order beside its requests as they stand: what was written to it, whether it was ever seen
//! doubled, and whether a person said that it may be tried again.
//!
//! Lists forget: a second request that an upstream no longer names is there all the same. So what was once seen beside
//! another request stays here until a read shows it final, or a person lets it go.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::attempts::{Attempt, IntentRefused};
use super::{Actor, StoreError};
use crate::domain::ids::{ExternalReference, Org, ReferenceId};
use crate::domain::{AttemptId, PersistenceType, Status};

/// Everything that decides whether another write may go to an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFacts {
    /// Every attempt for it, oldest first.
    pub attempts: Vec<Attempt>,
    /// See [`Marks`].
    pub marks: Marks,
}

/// What is marked about an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The last time that a person said it may be tried again.
    pub retry: Option<Retry>,
    /// Its requests, where more than one is known.
    pub requests: Vec<KnownRequest>,
}

/// A person's word that an order may be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// When.
    pub at: DateTime<Utc>,
    /// What was tried up to here stands in the way no longer.
    pub last_attempt: AttemptId,
}

/// A request that was once seen to answer to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRequest {
    /// Which.
    pub reference_id: ReferenceId,
    /// Where it stood when it was last read; none if it never was, or is forgotten.
    pub status: Option<Status>,
    /// What it is, likewise.
    pub persistence_type: Option<PersistenceType>,
    /// It was known when a person said that the order may be tried again.
    pub let_go: bool,
}

/// A question that the intent's transaction asks about the order as it is then, under the locks that let no other
/// intent in between.
#[derive(Clone)]
pub struct Recheck(Arc<Question>);

type Question = dyn Fn(&OrderFacts) -> Result<(), IntentRefused> + Send + Sync;

impl Recheck {
    /// Asks `question`. It must neither wait nor call the store.
    pub fn new(
        question: impl Fn(&OrderFacts) -> Result<(), IntentRefused> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(question))
    }

    /// Its answer.
    pub fn ask(&self, facts: &OrderFacts) -> Result<(), IntentRefused> {
        (self.0)(facts)
    }
}

impl std::fmt::Debug for Recheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recheck")
    }
}

/// See the module.
#[async_trait]
pub trait Orders {
    /// The marks of those of `orders` that have any. A few hundred orders a call.
    async fn order_marks(
        &self,
        org: &Org,
        orders: &[ExternalReference],
    ) -> Result<Vec<(ExternalReference, Marks)>, StoreError>;

    /// These requests were seen to answer to one order.
    async fn note_duplicates(
        &self,
        org: &Org,
        order: &ExternalReference,
        requests: &[ReferenceId],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// A person says that an order may be tried again: the attempts made so far and the requests known so far stand
    /// in its way no longer, and what was remembered of these requests is forgotten, so that it is read afresh. Audited
    /// (`retry`). While an attempt for the order is open nothing is changed, and the answer is that attempt.
    async fn retry_order(
        &self,
        org: &Org,
        order: &ExternalReference,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Result<(), AttemptId>, StoreError>;
}
