//! How a run began and how it ended.

use super::closed_set;

closed_set! {
    /// A run's outcome.
    RunOutcome {
        /// All done.
        Succeeded = "succeeded",
        /// Some items failed.
        Partial = "partial",
        /// Nothing useful could be done.
        Failed = "failed",
        /// The guard stopped it.
        Held = "held",
        /// Drained, or out of time.
        Aborted = "aborted",
        /// Its replica died.
        Lost = "lost",
    }
}

impl RunOutcome {
    /// Whether the job did its duty. It did where some items failed: one request that can never be read must not
    /// make the whole job look dead for ever, and each of its items is tried again and counted by itself.
    pub const fn did_its_duty(self) -> bool {
        matches!(self, Self::Succeeded | Self::Partial)
    }
}

closed_set! {
    /// Why a run began.
    Trigger {
        /// Its slot was due.
        Schedule = "schedule",
        /// A slot missed while nobody ran.
        CatchUp = "catch_up",
        /// SIGUSR1.
        Signal = "signal",
        /// `trigger`, or the console.
        Manual = "manual",
        /// `run --once`.
        Once = "once",
    }
}

closed_set! {
    /// What became of a slot.
    SlotResult {
        /// It ran.
        Run = "run",
        /// Another replica had it.
        Deduplicated = "deduplicated",
        /// The run before it was still going.
        SkippedOverlap = "skipped_overlap",
        /// The job was paused.
        SkippedPaused = "skipped_paused",
        /// Nobody was there, and it is past its catch-up window.
        Missed = "missed",
    }
}

closed_set! {
    /// What the daemon may do.
    Mode {
        /// Read, decide, record, flag: no write ever leaves.
        Observe = "observe",
        /// Also write.
        Enforce = "enforce",
    }
}
