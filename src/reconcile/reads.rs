//! What one run read for whatever reason: each request counts once, and a read of a listed request is held against its list.

use std::collections::HashSet;

use super::claims::Suspicion;
use super::plan::Item;
use super::survey::Batch;
use crate::domain::SkipReason;
use crate::domain::ids::ReferenceId;
use crate::tesamanager::ReadError;

/// See the module.
#[derive(Debug, Default)]
pub struct Reads {
    read: HashSet<ReferenceId>,
    failed: HashSet<ReferenceId>,
    not_found: HashSet<ReferenceId>,
    /// Lists that a read contradicts.
    pub suspicions: Vec<Suspicion>,
}

impl Reads {
    /// This one was read.
    pub fn ok(&mut self, id: &ReferenceId) {
        self.read.insert(id.clone());
    }

    /// This one could not be read.
    pub fn fail(&mut self, id: &ReferenceId, error: &ReadError) {
        match error {
            ReadError::NotFound { .. } => self.not_found.insert(id.clone()),
            _ => self.failed.insert(id.clone()),
        };
    }

    /// Its answer contradicts what was known.
    pub fn contradicts(&mut self, id: &ReferenceId) {
        self.failed.insert(id.clone());
    }

    pub(super) fn batch(&mut self, batch: &Batch) {
        self.read.extend(
            batch
                .fresh
                .iter()
                .map(|(seen, _)| seen.reference_id.clone()),
        );
        for item in &batch.unread {
            let id = item.decision.reference_id.clone();
            match is_not_found(item) {
                true => self.not_found.insert(id),
                false => self.failed.insert(id),
            };
        }
    }

    /// Reading it in this run was of no use.
    pub fn was_in_vain(&self, id: &ReferenceId) -> bool {
        self.failed.contains(id) || self.not_found.contains(id)
    }

    /// Its answer was of no use.
    pub fn has_failed(&self, id: &ReferenceId) -> bool {
        self.failed.contains(id)
    }

    /// Those of another part of the run.
    pub fn absorb(&mut self, other: Self) {
        self.read.extend(other.read);
        self.failed.extend(other.failed);
        self.not_found.extend(other.not_found);
        self.suspicions.extend(other.suspicions);
    }

    /// Requests that were read.
    pub fn count(&self) -> u64 {
        self.read.len() as u64
    }

    /// Requests that could not be.
    pub fn failures(&self) -> u64 {
        self.failed.len() as u64
    }

    /// Requests that the upstream did not know.
    pub fn unknown(&self) -> u64 {
        self.not_found.len() as u64
    }
}

/// The upstream did not know its request.
pub fn is_not_found(item: &Item) -> bool {
    item.decision.verdict.label() == SkipReason::NotFound.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_found() -> ReadError {
        ReadError::NotFound {
            operation: "get_request",
        }
    }

    #[test]
    fn a_request_counts_once_however_often_it_was_read() {
        let mut reads = Reads::default();
        reads.ok(&"R-1".into());
        let mut others = Reads::default();
        others.ok(&"R-1".into());
        others.ok(&"R-2".into());
        reads.absorb(others);
        assert_eq!((reads.count(), reads.failures()), (2, 0));
    }

    #[test]
    fn a_404_is_no_failure_but_was_in_vain() {
        let mut reads = Reads::default();
        reads.fail(&"R-1".into(), &not_found());
        assert_eq!(
            (reads.count(), reads.failures(), reads.unknown()),
            (0, 0, 1)
        );
        assert!(reads.was_in_vain(&"R-1".into()));
        assert!(!reads.was_in_vain(&"R-2".into()));
    }
}
