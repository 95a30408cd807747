//! What a contract promises: within how long, and by whose clock.

use std::time::Duration;

use chrono::TimeDelta;

use super::parties::Account;
use super::working::WorkingTime;
use crate::domain::{Observation, Party, PersistenceType, TerritoryOwner};

/// A promise about orders of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLevel {
    /// What reports call it.
    pub name: String,
    /// Of this kind only.
    pub persistence_type: Option<PersistenceType>,
    /// Under any of these terms only.
    pub territory_owners: Option<Vec<TerritoryOwner>>,
    /// Within how long.
    pub within: Within,
    /// Whose time counts.
    pub parties: Vec<Party>,
}

/// How long a promise is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// Working days: each counts 24 hours.
    WorkingDays(u32),
    /// Whatever days they are.
    Time(Duration),
}

impl ServiceLevel {
    /// It is about requests like this.
    pub fn is_about(&self, request: &Observation) -> bool {
        let kind = self.persistence_type;
        let owners = self.territory_owners.as_deref();
        kind.is_none_or(|kind| request.persistence_type == Some(kind))
            && owners.is_none_or(|owners| {
                request
                    .territory_owner
                    .is_some_and(|owner| owners.contains(&owner))
            })
    }

    /// How long it allows.
    pub fn allowed(&self) -> TimeDelta {
        match self.within {
            Within::WorkingDays(days) => TimeDelta::days(i64::from(days)),
            // A configured duration is ten years at most.
            Within::Time(time) => TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX),
        }
    }

    /// How long its parties took so far, and how far that may be off.
    pub fn taken(&self, account: &Account, work: &WorkingTime) -> (TimeDelta, TimeDelta) {
        let figures = account.figures(work);
        let counted = self.parties.iter().filter_map(|party| figures.get(party));
        let mut taken = (TimeDelta::zero(), TimeDelta::zero());
        for figure in counted {
            taken.0 += match self.within {
                Within::WorkingDays(_) => figure.working,
                Within::Time(_) => figure.calendar,
            };
            taken.1 += figure.error;
        }
        taken
    }
}
