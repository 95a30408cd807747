//! Effects that come later than their writes.
//!
//! Nothing ticks here either: before anybody looks at the world or at the ledger, what is due by then is carried out, as of
//! the instant at which it was due.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::Operation;

use super::Sandbox;
use super::world::{Manner, Written};

/// A write whose effect is to come.
#[derive(Debug)]
pub(super) struct Waiting {
    pub due: DateTime<Utc>,
    pub org: String,
    pub operation: Operation,
    pub body: Option<Value>,
    /// Its entry in the ledger.
    pub sequence: u64,
}

/// The effects to come.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// Spares calls the lock while there are none.
    any: AtomicBool,
    waiting: Mutex<Vec<Waiting>>,
}

impl Late {
    pub fn add(&self, write: Waiting) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(write);
        self.any.store(true, Ordering::Release);
    }
}

impl Sandbox {
    /// Carries out what is due. The lock is held meanwhile, so that nobody looks in between.
    pub(super) fn settle_late(&self) {
        let late = &self.0.late;
        if !late.any.load(Ordering::Acquire) {
            return;
        }
        let now = self.0.clock.now();
        let mut waiting = late.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.sort_by_key(|write| (write.due, write.sequence));
        let due = waiting.partition_point(|write| write.due <= now);
        for write in waiting.drain(..due) {
            let Waiting {
                due,
                org,
                operation,
                body,
                sequence,
            } = write;
            let written = self
                .0
                .worlds
                .get(&org)
                .map(|world| world.carry_out(operation, body, due, Manner::Plainly));
            let effect = match written {
                Some(Written::Done { reference_id, .. }) => Some((due, reference_id)),
                _ => None,
            };
            self.0.ledger.came_later(sequence, effect);
        }
        late.any.store(!waiting.is_empty(), Ordering::Release);
    }
}
