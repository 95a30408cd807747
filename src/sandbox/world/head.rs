//! What a request is at a glance: enough to list it, filter it and move it on.
//!
//! Kept apart from its events, issues and personal data, because a list over a million requests makes a million
//! of these and nothing more.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::Status;
use crate::domain::request::{PersistenceType, PortabilityIndicator, TerritoryOwner};

/// A request without its stories.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox) struct Head {
    /// Its number in the world; the reference id follows from it.
    pub index: u32,
    /// The operator's id, where it does not follow from the index (that is: where it was not seeded).
    pub external: Option<Arc<str>>,
    pub kind: PersistenceType,
    pub status: Status,
    pub cancelling: bool,
    pub auto_installation: bool,
    pub territory_owner: TerritoryOwner,
    pub portability: Option<PortabilityIndicator>,
    pub created: DateTime<Utc>,
    pub last_updated: DateTime<Utc>,
    /// Since when it has been about to move by itself; `None`: stuck until somebody acts.
    pub moves_from: Option<DateTime<Utc>>,
    /// How often it changed; each change rolls its own dice.
    pub step: u32,
    /// It was made beside another request of its order.
    pub second: bool,
}

/// The prefix of seeded external references.
pub const EXTERNAL_PREFIX: &str = "SBX-";

impl Head {
    /// The operator's id.
    pub fn external_reference(&self) -> Arc<str> {
        self.external
            .clone()
            .unwrap_or_else(|| seeded_external(self.index).into())
    }

    /// Telefónica's number of the request.
    pub fn request_number(&self) -> i64 {
        70_000_000 + i64::from(self.index)
    }

    /// Sets the time of a change: always later than before, even when a test's clock stands still, because
    /// `last_updated` is what tells two states apart.
    pub fn touch(&mut self, at: DateTime<Utc>) {
        self.last_updated = at.max(self.last_updated + chrono::Duration::microseconds(1));
        self.step += 1;
    }
}

/// The external reference of a seeded request.
pub(in crate::sandbox) fn seeded_external(index: u32) -> String {
    format!("{EXTERNAL_PREFIX}{:07}", u64::from(index) + 1)
}

/// The index behind a seeded external reference, if it is spelled exactly as [`seeded_external`] does.
pub(in crate::sandbox) fn seeded_index(external: &str) -> Option<u32> {
    let number: u64 = external.strip_prefix(EXTERNAL_PREFIX)?.parse().ok()?;
    let index = u32::try_from(number.checked_sub(1)?).ok()?;
    (seeded_external(index) == external).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_reference_leads_back_to_its_index() {
        for index in [0, 41, 9_999_999, u32::MAX] {
            assert_eq!(seeded_index(&seeded_external(index)), Some(index));
        }
    }

    #[test]
    fn only_the_exact_spelling_is_a_seeded_reference() {
        for wrong in [
            "SBX-1",
            "SBX-0000000",
            "sbx-0000001",
            "SBX-+000001",
            "X",
            "SBX-00000001",
        ] {
            assert_eq!(seeded_index(wrong), None, "{wrong}");
        }
    }
}
