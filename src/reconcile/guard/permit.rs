//! The permit that a write needs: the type that makes an unaccounted write impossible to compile.

use uuid::Uuid;

use crate::domain::ids::{AttemptId, Org};
use crate::domain::{Operation, Write};

/// Leave to send one write, once: the guard's word that the ledger row is committed and every check passed.
///
/// Only the guard can make one, because only this folder can reach the constructor:
///
/// ```compile_fail
/// use tesa_reconciler::reconcile::guard::WritePermit;
/// let forged = WritePermit { org: todo!(), attempt: todo!(), correlation_id: todo!(), write: todo!() };
/// ```
///
/// ```compile_fail
/// use tesa_reconciler::reconcile::guard::WritePermit;
/// let forged = WritePermit::mint(todo!(), todo!(), todo!(), todo!());
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
}

impl WritePermit {
    /// Called by the guard alone, right after the store has committed the attempt.
    pub(super) fn mint(org: Org, attempt: AttemptId, correlation_id: Uuid, write: Write) -> Self {
        Self {
            org,
            attempt,
            correlation_id,
            write,
        }
    }

    /// A permit without a ledger, for this crate's own tests of the HTTP client.
    #[cfg(test)]
    pub(crate) fn for_test(org: Org, write: Write) -> Self {
        Self::mint(org, AttemptId(0), Uuid::nil(), write)
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
