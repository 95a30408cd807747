//! What goes wrong between the kernel and its store, switched on and off by whoever holds the handle.
//!
//! Nothing here rolls dice: which call meets what is said beforehand, so a schedule of faults is all that a replay needs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

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
pub struct Faults(Arc<Switches>);

#[derive(Debug)]
struct Switches {
    plan: Mutex<Plan>,
    way: watch::Sender<Way>,
    doom: Mutex<Option<Doom>>,
}

/// At the next call of this name its caller is gone: before its transaction, or after it.
struct Doom {
    operation: &'static str,
    after: bool,
    end: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Doom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doom")
            .field("operation", &self.operation)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

/// Whether calls get through at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// They wait until it is open again.
    Held,
    /// They wait for ever: whoever calls is gone.
    Cut,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            plan: Mutex::default(),
            way: watch::Sender::new(Way::Open),
            doom: Mutex::default(),
        }
    }
}

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

    /// Its caller stands still, or goes on: calls wait, and so do their answers.
    pub fn hold(&self, still: bool) {
        let way = if still { Way::Held } else { Way::Open };
        self.0.way.send_if_modified(|now| {
            let changes = *now != Way::Cut && *now != way;
            if changes {
                *now = way;
            }
            changes
        });
    }

    /// Its caller is gone: no call gets through any more, and no answer either.
    pub fn cut(&self) {
        self.0.way.send_replace(Way::Cut);
    }

    /// Its caller is gone at the next call of this name; `end` ends it, and cuts the way.
    pub fn doom(&self, operation: &'static str, after: bool, end: impl FnOnce() + Send + 'static) {
        *self.planned_doom() = Some(Doom {
            operation,
            after,
            end: Box::new(end),
        });
    }

    /// It lives on.
    pub fn doom_is_off(&self) {
        *self.planned_doom() = None;
    }

    pub(super) fn meet_doom(&self, operation: &'static str, after: bool) {
        let is_met = |doom: &mut Doom| doom.operation == operation && doom.after == after;
        let met = self.planned_doom().take_if(is_met);
        if let Some(met) = met {
            (met.end)();
        }
    }

    fn planned_doom(&self) -> std::sync::MutexGuard<'_, Option<Doom>> {
        self.0.doom.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once a call, or its answer, gets through.
    pub(super) async fn gets_through(&self) {
        let mut way = self.0.way.subscribe();
        // The sender lives as long as this does.
        let _ = way.wait_for(|way| *way == Way::Open).await;
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
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
