//! Word that somebody steered: what spares the others the wait for their next look.
//!
//! It is a hint and no more. Whoever listens looks at the store afresh at each, and looks now and then without one,
//! so a hint that is lost costs a second and not a trigger.

use futures::stream::{BoxStream, StreamExt};

/// One item each time a trigger, pause, resume, latch or release was committed by any process, and one whenever some
/// may have been missed. Never ends; does nothing while nobody polls it; safe to drop at any moment.
pub type Changes = BoxStream<'static, ()>;

/// Of a back end that has no way to tell.
pub(super) fn none() -> Changes {
    futures::stream::pending().boxed()
}
