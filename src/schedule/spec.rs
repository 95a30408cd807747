//! A job's schedule as a value.

use std::time::Duration;

use crate::domain::closed_set;
use crate::zone::Zone;

/// When a job is due, and what happens when it can't run just then.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The instants.
    pub when: When,
    /// What to do when the run before is still going.
    pub overlap: Overlap,
    /// What to do with slots missed while nobody ran.
    pub catch_up: CatchUp,
    /// How old a missed slot may be and still be caught up.
    pub catch_up_window: Duration,
    /// At most so much is added to a slot, the same for the same (job, slot) on every replica.
    pub jitter: Duration,
}

/// The instants of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// Cron with seconds, in a zone: `sec min hour day month weekday`.
    Cron {
        /// The parsed expression.
        cron: Box<croner::Cron>,
        /// As configured.
        text: String,
        /// The zone its fields are meant in.
        zone: Zone,
    },
    /// Every so often, at multiples of the interval since 1970, so that replicas agree without talking.
    Every(Duration),
}

closed_set! {
    /// What to do when the run before is still going.
    Overlap {
        /// The slot is skipped.
        Skip = "skip",
        /// One is kept, and runs right after.
        QueueOne = "queue_one",
    }
}

closed_set! {
    /// What to do with slots missed while nobody ran.
    CatchUp {
        /// Nothing: they are counted as missed.
        Skip = "skip",
        /// The latest within the window runs; the others are counted as missed.
        Latest = "latest",
    }
}

impl When {
    /// Which instants it means depends on what one knows of a zone.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Cron { zone, .. } if !zone.is_utc())
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cron { text, zone, .. } => write!(f, "{text} {zone}"),
            Self::Every(interval) => write!(f, "every {}", humantime::format_duration(*interval)),
        }
    }
}
