//! The permit that a write needs: the type that makes an unaccounted write impossible to compile.

use std::time::Duration;

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
/// let forged = WritePermit { org: todo!(), attempt: todo!(), correlation_id: todo!(), write: todo!(), terms: todo!() };
/// ```
///
/// ```compile_fail
/// use tesa_reconciler::reconcile::guard::WritePermit;
/// let forged = WritePermit::mint(todo!(), todo!(), todo!(), todo!(), todo!());
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
    terms: Terms,
}

/// A write that did not leave by so long after its row was asked for does not leave at all: whoever paused the job, or
/// found the row of a process that stood still, need not think of it any more.
pub const GOOD_FOR: Duration = Duration::from_secs(1);

/// Under which terms a permit is worth something.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    leave_by: Duration,
    in_force: InForce,
}

impl Terms {
    /// `asked` is the clock's uptime right before the store was asked for the row: what that found (no pause, no other
    /// attempt) was so at that instant at the latest.
    pub(super) fn new(asked: Duration, in_force: InForce) -> Self {
        Self {
            leave_by: asked + GOOD_FOR,
            in_force,
        }
    }

    fn check(&self, uptime: Duration) -> Result<(), &'static str> {
        if self.in_force.has_ended() {
            return Err("the configuration was reloaded after its row was written");
        }
        if uptime > self.leave_by {
            return Err(
                "too much time went by since its row was written: others may take it for lost",
            );
        }
        Ok(())
    }
}

impl WritePermit {
    /// Called by the guard alone, right after the store has committed the attempt.
    pub(super) fn mint(
        org: Org,
        attempt: AttemptId,
        correlation_id: Uuid,
        write: Write,
        terms: Terms,
    ) -> Self {
        Self {
            org,
            attempt,
            correlation_id,
            write,
            terms,
        }
    }

    /// A permit without a ledger, for this crate's own tests of the HTTP client: its row was asked for when its clock began.
    #[cfg(test)]
    pub(crate) fn for_test(org: Org, write: Write) -> Self {
        let terms = Terms::new(Duration::ZERO, InForce::default());
        Self::mint(org, AttemptId(0), Uuid::nil(), write, terms)
    }

    /// The same permit, by a configuration that is over.
    #[cfg(test)]
    pub(crate) fn withdrawn(self) -> Self {
        self.terms.in_force.end();
        self
    }

    /// May it leave at this uptime? If not, why not. Asked when its first byte is about to leave.
    pub fn check(&self, uptime: Duration) -> Result<(), &'static str> {
        self.terms.check(uptime)
    }

    /// How long it may still leave.
    pub fn time_left(&self, uptime: Duration) -> Duration {
        self.terms.leave_by.saturating_sub(uptime)
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
