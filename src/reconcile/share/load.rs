//! How much somebody has in hand of each run: enough to keep the run's rate busy, and not more, so that at its end nobody
//! sits on parts that others could do.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::RunId;
use crate::store::work::WorkKind;

/// Batches of one run at a time: one that ends, one in full swing, one that begins. Writes go one after the other.
const ENOUGH: u32 = 3;

/// After a trouble with a run's part, how long to leave that run to others, who may fare better.
const REST: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Load {
    runs: Mutex<HashMap<RunId, OfRun>>,
    /// Told when there is less in hand.
    pub(super) less: Notify,
}

#[derive(Debug, Default)]
struct OfRun {
    in_hand: u32,
    rests_until: Option<Instant>,
}

const fn weight(kind: WorkKind) -> u32 {
    match kind {
        WorkKind::Read => 1,
        WorkKind::Act => ENOUGH,
    }
}

impl Load {
    /// The runs of which no more is to be taken now.
    pub(super) fn busy(&self, now: Instant) -> Vec<RunId> {
        let mut runs = self.lock();
        runs.retain(|_, run| run.in_hand > 0 || run.rests_until.is_some_and(|until| until > now));
        let rests = |run: &OfRun| run.rests_until.is_some_and(|until| until > now);
        runs.iter()
            .filter(|(_, run)| run.in_hand >= ENOUGH || rests(run))
            .map(|(id, _)| *id)
            .collect()
    }

    /// How many parts are in hand, or as many as are enough for a run.
    pub(super) fn in_hand(&self) -> u32 {
        let all: u32 = self.lock().values().map(|run| run.in_hand).sum();
        all.min(ENOUGH)
    }

    pub(super) fn begin(&self, run: RunId, kind: WorkKind) {
        self.lock().entry(run).or_default().in_hand += weight(kind);
    }

    pub(super) fn end(&self, run: RunId, kind: WorkKind, troubled: bool) {
        if let Some(run) = self.lock().get_mut(&run) {
            run.in_hand = run.in_hand.saturating_sub(weight(kind));
            if troubled {
                run.rests_until = Some(Instant::now() + REST);
            }
        }
        self.less.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, OfRun>> {
        // The map is whole between any two operations, so a panic elsewhere leaves it usable.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_busy_with_three_batches_or_one_write_or_after_a_trouble() {
        let (load, now) = (Load::default(), Instant::now());
        let (one, two) = (RunId(1), RunId(2));
        load.begin(one, WorkKind::Read);
        load.begin(one, WorkKind::Read);
        assert!(load.busy(now).is_empty());
        load.begin(one, WorkKind::Read);
        assert_eq!((load.busy(now), load.in_hand()), (vec![one], 3));
        load.end(one, WorkKind::Read, false);
        assert!(load.busy(now).is_empty());
        load.begin(two, WorkKind::Act);
        assert_eq!(load.busy(now), [two]);
        load.end(two, WorkKind::Act, true);
        assert_eq!(load.busy(now), [two], "it rests");
        assert!(load.busy(Instant::now() + REST).is_empty());
    }
}
