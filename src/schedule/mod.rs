//! When jobs run: the schedule as a value, the pure decision about it, the alarm clock and the loop around them.
//!
//! `spec` (what a person configured) → `slots` (its instants) → `decide` (the fate of each, pure) → `driver` (the loop
//! that acts on it, woken by `ticker`). What the driver needs of others stands in `needs`.

pub mod decide;
pub mod driver;
mod interval;
pub mod ports;
pub mod slots;
pub mod spec;
pub mod ticker;

pub use driver::{Activator, Parts, drive};
pub use ports::{RunRequest, Runner, ScheduleStore, ScheduledJob};
pub use spec::{CatchUp, Overlap, Spec, When};
pub use ticker::Ticker;

use chrono::{DateTime, Utc};

use crate::domain::ids::JobName;

/// When a job would fire next by its schedule alone, whatever a pause or a run that goes on may do to it.
pub fn next_due(spec: &Spec, job: &JobName, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let slot = spec.when.next_after(now)?;
    Some(slot + decide::delay(job, spec, slot))
}
