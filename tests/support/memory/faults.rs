//! What goes wrong between the kernel and its store, switched on and off by whoever holds the handle.
//!
//! Nothing here rolls dice: which call meets what is said beforehand, so a schedule of faults is all that a replay needs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It takes so long in all, half of it before its transaction: past the time-out it may have been committed or not.
    Slow(Duration),
    /// The store can't be reached.
    Away,
    /// There is no room: what writes fails, what reads does not.
    Full,
    /// It can only be read.
    ReadOnly,
    /// It is committed, and the answer never comes.
    AnswerLost,
    /// It waits until its time-out, and nothing is committed.
    Hangs,
}

/// A handle; its clones switch the same.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    /// Every call meets it until further notice.
    standing: Option<Fault>,
    /// Each is met by one call, of this name if there is one, in order.
    next: VecDeque<(Option<&'static str>, Fault)>,
}

impl Faults {
    /// Every call meets this until it is set otherwise.
    pub fn set(&self, fault: Option<Fault>) {
        self.plan().standing = fault;
    }

    /// The next call meets this; where an operation is named, the next call of it.
    pub fn once(&self, operation: Option<&'static str>, fault: Fault) {
        self.plan().next.push_back((operation, fault));
    }

    /// Nothing goes wrong from now on, what was planned included.
    pub fn stop(&self) {
        *self.plan() = Plan::default();
    }

    pub(super) fn is_away(&self) -> bool {
        self.plan().standing == Some(Fault::Away)
    }

    /// What a call of this name meets.
    pub(super) fn meet(&self, operation: &'static str) -> Option<Fault> {
        let mut plan = self.plan();
        let planned = plan
            .next
            .iter()
            .position(|(of, _)| of.is_none_or(|of| of == operation));
        let planned = planned.and_then(|at| plan.next.remove(at));
        planned.map(|(_, fault)| fault).or(plan.standing)
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
