//! The documented filters of the list call.

use chrono::{DateTime, Utc};

use crate::domain::request::PersistenceType;
use crate::domain::{self, Status};

use super::config::Ages;
use super::dice::Dice;
use super::world::Head;

/// What a list call asks for: every filter given must match.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub statuses: Option<Vec<Status>>,
    pub external_reference: Option<String>,
    pub auto_installation: Option<bool>,
    pub cancelling: Option<bool>,
    pub persistence_type: Option<PersistenceType>,
    pub not_updated_since: Option<DateTime<Utc>>,
    /// No query: leaves out what was made by then beside another request of its order.
    pub no_second_from: Option<DateTime<Utc>>,
    /// No query: leaves out this share, by a roll.
    pub omits: Option<(u64, f64)>,
    /// No query: how `not_updated_since` compares.
    pub ages: Ages,
}

impl Filter {
    /// Reads a query string's decoded pairs.
    ///
    /// # Errors
    /// What is malformed, in words. An unknown parameter is refused, or a misspelled filter would answer everything.
    pub fn parse(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut filter = Self::default();
        for (name, value) in pairs {
            let malformed = |wanted: &str| format!("{name} must be {wanted}");
            match name.as_str() {
                "statuses" => {
                    let statuses: Vec<_> = value.split(',').map(Status::parse).collect();
                    if !statuses.iter().all(Status::is_known) {
                        return Err(malformed("documented statuses, separated by ','"));
                    }
                    filter.statuses = Some(statuses);
                }
                "externalReference" => filter.external_reference = Some(value),
                "autoInstallation" => {
                    filter.auto_installation =
                        Some(value.parse().map_err(|_| malformed("true or false"))?);
                }
                "cancelling" => {
                    filter.cancelling =
                        Some(value.parse().map_err(|_| malformed("true or false"))?);
                }
                "persistence_type" => {
                    let kind = value
                        .parse()
                        .map_err(|_| malformed("ACTIVATION or TERMINATION"))?;
                    filter.persistence_type = Some(kind);
                }
                "notUpdatedSince" => {
                    let since = DateTime::parse_from_rfc3339(&value).map_err(|_| {
                        malformed("an RFC 3339 date-time (a '+' in it is sent as %2B)")
                    })?;
                    filter.not_updated_since = Some(since.to_utc());
                }
                _ => return Err(format!("{name} is not a filter of this operation")),
            }
        }
        Ok(filter)
    }

    /// Takes no notice of one.
    pub fn ignore(&mut self, which: domain::Filter) {
        match which {
            domain::Filter::Statuses => self.statuses = None,
            domain::Filter::PersistenceType => self.persistence_type = None,
            domain::Filter::Cancelling => self.cancelling = None,
            domain::Filter::AutoInstallation => self.auto_installation = None,
            domain::Filter::NotUpdatedSince => self.not_updated_since = None,
        }
    }

    /// Whether a request is asked for. The external reference is left to the caller, who has an index for it.
    pub fn matches(&self, head: &Head) -> bool {
        fn fits<T: PartialEq>(wanted: Option<T>, is: T) -> bool {
            wanted.is_none_or(|wanted| wanted == is)
        }
        self.statuses
            .as_ref()
            .is_none_or(|wanted| wanted.contains(&head.status))
            && fits(self.auto_installation, head.auto_installation)
            && fits(self.cancelling, head.cancelling)
            && fits(self.persistence_type, head.kind)
            && self
                .not_updated_since
                .is_none_or(|since| self.ages.is_older(head.last_updated, since))
            && self
                .no_second_from
                .is_none_or(|from| !head.second || head.created > from)
            && self
                .omits
                .is_none_or(|(roll, share)| !Dice::of(roll, [u64::from(head.index)]).chance(share))
    }
}
