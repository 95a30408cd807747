//! Word of what other processes did: what spares the others the wait for their next look.
//!
//! It is a hint and no more. Whoever listens looks at the store afresh at each, and looks now and then without one,
//! so a hint that is lost costs a second and not a trigger.

use futures::stream::{BoxStream, StreamExt};

/// What was committed by any process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A trigger, pause, resume, latch or release.
    Steered,
    /// One may have been missed.
    Missed,
}

/// One item each time. Never ends; does nothing while nobody polls it; safe to drop at any moment.
pub type Changes = BoxStream<'static, Change>;

/// When there is no way to tell.
pub(super) fn none() -> Changes {
    futures::stream::pending().boxed()
}
