//! The permit that a write needs: the type that makes an unaccounted write impossible to compile.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::InForce;
use crate::domain::ids::{AttemptId, Org};
use crate::domain::{Operation, Write};

/// Leave to send one write, once: the guard's word that the ledger row is committed and every check passed.
///
/// Only the guard can make one, because only this folder can reach the constructor:
///
/// ```compile_fail
/// use tesa_reconciler::reconcile::guard::WritePermit;
/// let forged = WritePermit { org: todo!(), attempt: todo!(), correlation_id: todo!(), write: todo!(), asked: todo!(), in_force: todo!() };
/// ```
///
/// ```compile_fail
/// use tesa_reconciler::reconcile::guard::WritePermit;
/// let forged = WritePermit::mint(todo!(), todo!(), todo!(), todo!(), todo!(), todo!());
/// ```
///
/// It is not `Clone`, and sending consumes it:
///
/// ```compile_fail
/// fn twice(permit: tesa_reconciler::reconcile::guard::WritePermit) {
///     let again = permit.clone();
/// }
/// ```
#[derive(Debug)]
pub struct WritePermit {
    org: Org,
    attempt: AttemptId,
    correlation_id: Uuid,
    write: Write,
    asked: Instant,
    in_force: InForce,
}

/// A write that did not leave by so long after its row was asked for does not leave at all. A process that stood still
/// in between (stopped, its machine moved) is taken for dead by then or soon after, and its row for a write that may have been sent:
/// others read what came of it, find nothing, and send it themselves. This must end well before that begins.
pub const GOOD_FOR: Duration = Duration::from_secs(1);

impl WritePermit {
    /// Called by the guard alone, right after the store has committed the attempt; `asked` is before it was asked to.
    pub(super) fn mint(
        org: Org,
        attempt: AttemptId,
        correlation_id: Uuid,
        write: Write,
        asked: Instant,
        in_force: InForce,
    ) -> Self {
        Self {
            org,
            attempt,
            correlation_id,
            write,
            asked,
            in_force,
        }
    }

    /// A permit without a ledger, for this crate's own tests of the HTTP client.
    #[cfg(test)]
    pub(crate) fn for_test(org: Org, write: Write) -> Self {
        let (nobody, now) = (Uuid::nil(), Instant::now());
        Self::mint(org, AttemptId(0), nobody, write, now, InForce::default())
    }

    /// The same permit, by a configuration that is over.
    #[cfg(test)]
    pub(crate) fn withdrawn(self) -> Self {
        self.in_force.end();
        self
    }

    /// The same permit, asked for so much earlier.
    #[cfg(test)]
    pub(crate) fn aged(mut self, by: Duration) -> Self {
        self.asked -= by;
        self
    }

    /// It is too late to send it; asked right before it is.
    pub fn has_expired(&self) -> bool {
        self.asked.elapsed() > GOOD_FOR
    }

    /// The configuration that allowed it is over; asked right before it is sent.
    pub fn is_withdrawn(&self) -> bool {
        self.in_force.has_ended()
    }

    /// Whose order it is.
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// The committed ledger row.
    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// Ties the call to our log and ledger (`Request-Correlation-Id`).
    pub fn correlation_id(&self) -> Uuid {
        self.correlation_id
    }

    /// What may be sent.
    pub fn write(&self) -> &Write {
        &self.write
    }

    /// Which operation that is.
    pub fn operation(&self) -> Operation {
        self.write.operation()
    }
}
