//! The seeded world: which requests there are when the sandbox starts.
//!
//! Nothing is stored: [`Plan::head`] makes any request anew from the seed, so a million of them cost no memory.

use chrono::{DateTime, Duration, Utc};

use crate::domain::Status;
use crate::domain::request::{PersistenceType, PortabilityIndicator, TerritoryOwner};
use crate::sandbox::dice::{Dice, Scramble, Shuffle, fold, mix};

use super::ages::stuck_after;
use super::head::Head;
use super::item::Item;
use super::story;

/// What an org's world is made from.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Plan {
    /// The org's own seed.
    pub seed: u64,
    /// How many requests are seeded; their indexes are below this.
    pub requests: u32,
    /// When the world began: ages count back from here.
    pub start: DateTime<Utc>,
    stuck_unsent: u32,
    fresh_unsent: u32,
    by_rank: Shuffle,
    by_place: Shuffle,
    ids: Scramble,
}

/// Of the requests that are not unsent. Most of a real gateway's requests are over and done with.
const SHARES: &[(Status, f64)] = &[
    (Status::Finished, 45.0),
    (Status::Canceled, 7.0),
    (Status::Rejected, 3.0),
    (Status::Validating, 8.0),
    (Status::Processing, 11.0),
    (Status::Processed, 5.0),
    (Status::IncidenceTesa, 3.0),
    (Status::IncidenceOperator, 4.0),
    (Status::Installing, 7.0),
    (Status::IncidenceInstalling, 1.5),
    (Status::Installed, 1.5),
];
const STUCK_UNSENT: f64 = 0.03;
const FRESH_UNSENT: f64 = 0.01;
const CANCELLING: f64 = 0.02;
/// Of the open requests that are not unsent, this share is older than its status's default age.
const STUCK: f64 = 0.1;
const DAY: u64 = 86_400;

const ID_PREFIX: &str = "TS";

impl Plan {
    /// `stuck_unsent`: exactly so many NOT_SENT requests, all of them stuck; by default about 3 % stuck ones and
    /// 1 % fresh ones.
    pub fn new(
        seed: u64,
        org: &str,
        requests: u32,
        stuck_unsent: Option<usize>,
        start: DateTime<Utc>,
    ) -> Self {
        let seed = mix(seed ^ fold(org));
        let share = |of: f64| (f64::from(requests) * of).round() as u32;
        let exact = stuck_unsent.map(|n| u32::try_from(n).unwrap_or(u32::MAX).min(requests));
        Self {
            seed,
            requests,
            start,
            stuck_unsent: exact.unwrap_or(share(STUCK_UNSENT)),
            fresh_unsent: if exact.is_some() {
                0
            } else {
                share(FRESH_UNSENT)
            },
            by_rank: Shuffle::new(requests, mix(seed ^ 1)),
            by_place: Shuffle::new(requests, mix(seed ^ 2)),
            ids: Scramble(mix(seed ^ 3) as u32),
        }
    }

    /// The reference id of any request, seeded or not.
    pub fn reference_id(&self, index: u32) -> String {
        format!("{ID_PREFIX}{:08X}", self.ids.forth(index))
    }

    /// The index behind a reference id; `None` for what this world would never issue.
    pub fn index(&self, reference_id: &str) -> Option<u32> {
        let digits = reference_id.strip_prefix(ID_PREFIX)?;
        let index = self.ids.back(u32::from_str_radix(digits, 16).ok()?);
        (self.reference_id(index) == reference_id).then_some(index)
    }

    /// The seeded request at a place of the list: stable, in no order that means anything.
    pub fn at_place(&self, place: u32) -> u32 {
        self.by_place.at(place)
    }

    /// A request as seeded.
    pub fn head(&self, index: u32) -> Head {
        let mut dice = Dice::of(self.seed, [u64::from(index), 0x6865_6164]);
        let rank = self.by_rank.at(index);
        let unsent = rank < self.stuck_unsent + self.fresh_unsent;
        let status = if unsent {
            Status::NotSent
        } else {
            dice.weighted(SHARES).unwrap_or(Status::Finished)
        };
        let cancelling = !unsent && !status.is_final() && dice.chance(CANCELLING);
        let limit = stuck_after(&status, cancelling).map(|age| age.as_secs());
        let (stuck, age) = match limit {
            None => (false, dice.between(DAY, 400 * DAY)),
            Some(limit) if unsent => match rank < self.stuck_unsent {
                true => (true, dice.between(limit + 60, limit + DAY)),
                false => (false, dice.between(0, limit / 3)),
            },
            Some(limit) => match dice.chance(STUCK) {
                true => (true, dice.between(limit + limit / 50, 4 * limit)),
                false => (false, dice.between(60, limit * 4 / 5)),
            },
        };
        let last_updated =
            self.start - seconds(age) - Duration::milliseconds(dice.between(1, 999) as i64);
        let before = if unsent {
            dice.between(0, 5)
        } else {
            dice.between(3_600, 20 * DAY)
        };
        let kind = if dice.chance(0.8) {
            PersistenceType::Activation
        } else {
            PersistenceType::Termination
        };
        Head {
            index,
            external: None,
            kind,
            status,
            cancelling,
            auto_installation: dice.chance(0.3),
            territory_owner: dice
                .weighted(&[
                    (TerritoryOwner::Neba, 0.5),
                    (TerritoryOwner::VulaCommercial, 0.3),
                    (TerritoryOwner::VulaRegulated, 0.2),
                ])
                .unwrap_or(TerritoryOwner::Neba),
            portability: dice
                .pick(PortabilityIndicator::ALL)
                .copied()
                .filter(|_| kind == PersistenceType::Activation),
            created: last_updated - seconds(before),
            last_updated,
            moves_from: (!stuck).then_some(self.start),
            step: 0,
            second: false,
        }
    }

    /// A request as seeded, with its story.
    pub fn item(&self, index: u32) -> Item {
        story::tell(self.seed, self.head(index))
    }
}

fn seconds(seconds: u64) -> Duration {
    // Some hundred days at most: far inside the range.
    Duration::seconds(seconds as i64)
}

#[cfg(test)]
mod tests;
