//! Which attempts this process is at work on right now.
//!
//! An `intended` row whose sender is gone (a panic, a store outage while the answer was recorded, an aborted task)
//! must not stay `intended` until the next restart. The sweep tells such a row from one being sent by this set.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

/// The set, shared by guard and sweep. Keyed by correlation id, which is known before the row is.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Mutex<HashSet<Uuid>>>);

impl InFlight {
    /// Marks an attempt until the mark is dropped.
    pub fn mark(&self, correlation_id: Uuid) -> InFlightMark {
        self.lock().insert(correlation_id);
        InFlightMark {
            set: self.clone(),
            correlation_id,
        }
    }

    /// Somebody is at work on it.
    pub fn contains(&self, correlation_id: Uuid) -> bool {
        self.lock().contains(&correlation_id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Uuid>> {
        // The set is whole between any two operations, so a panic elsewhere leaves it usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says "at work" as long as it lives.
#[derive(Debug)]
pub struct InFlightMark {
    set: InFlight,
    correlation_id: Uuid,
}

impl Drop for InFlightMark {
    fn drop(&mut self) {
        self.set.lock().remove(&self.correlation_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_lasts_as_long_as_its_holder_even_through_a_panic() {
        let set = InFlight::default();
        let id = Uuid::from_u64_pair(1, 2);
        let inside = set.clone();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _mark = inside.mark(id);
            assert!(inside.contains(id));
            panic!("on purpose");
        }));
        assert!(outcome.is_err());
        assert!(!set.contains(id));
    }
}
