//! Which store this is, and whether it may be acted from.
//!
//! The ledger keeps a write from being sent twice, so one that was lost, emptied, copied or left behind must not pass for
//! a good one. A store has an id, in a row; and the id stands a second time where it survives what empties the tables:
//! in a file beside SQLite's, in a large object of PostgreSQL's. Both are made with the store, and only where there was
//! nothing at all before. PostgreSQL's row also names the database that it is acted from, and a backup of SQLite's file
//! says of itself that it is one.
//!
//! A doubt ends by a person's word ([`Identity::adopt`]), and by nothing else.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Actor, StoreError};

/// Why a store must not be acted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// It is not the one that was here: that was emptied, lost, or replaced.
    Emptied,
    /// It lacks its mark: it was copied or restored to here, or only the mark is left of what was.
    Unmarked,
    /// It is a copy of one in another database.
    Copied,
    /// It is a backup, put back.
    Restored {
        /// When that was made.
        at: DateTime<Utc>,
    },
    /// It was copied elsewhere, to be acted from there.
    Moved {
        /// Where it went.
        to: String,
        /// When.
        at: DateTime<Utc>,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Emptied => f.write_str(
                "the store is not the one that was here before: that one was emptied, lost or replaced, and what it knew of sent writes with it",
            )?,
            Self::Unmarked => f.write_str(
                "the store was copied or restored to here, or parts of it are lost: it may not know of every write that was sent",
            )?,
            Self::Copied => f.write_str(
                "the store is a copy of one in another database, or was restored from a backup: the other may be acted from at the same time, and what was sent since is not in this one",
            )?,
            Self::Restored { at } => write!(
                f,
                "the store is a backup of {}, restored: what was sent since is not in it",
                at.format("%Y-%m-%d %H:%M:%SZ")
            )?,
            Self::Moved { to, at } => write!(
                f,
                "the store was copied to {to} at {}, to be acted from there: set state.url to it",
                at.format("%Y-%m-%d %H:%M:%SZ")
            )?,
        }
        f.write_str(
            ". Nothing is written upstream from it until `tesa-reconciler state adopt --reason …` says that it may be; in observe it can be read",
        )
    }
}

/// See the module.
#[async_trait]
pub trait Identity {
    /// Why this store must not be acted from; none if it may be.
    async fn doubt(&self) -> Result<Option<Doubt>, StoreError>;

    /// It is acted from here, from now on, unless another place is known already. For a start without a doubt.
    async fn settle(&self) -> Result<(), StoreError>;

    /// A person's word that it may be acted from here. Audited; answers what was doubted.
    async fn adopt(&self, actor: &Actor, now: DateTime<Utc>) -> Result<Option<Doubt>, StoreError>;
}

/// What is known of a store's identity.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The row's.
    pub(super) id: Option<String>,
    /// Where it stands a second time.
    pub(super) mark: Option<String>,
    /// Where the row says that it is acted from, and where it is. Alike where a back end has no such thing.
    pub(super) home: Option<String>,
    pub(super) here: Option<String>,
    pub(super) moved: Option<(String, DateTime<Utc>)>,
    /// When the backup was made that it is.
    pub(super) backup: Option<DateTime<Utc>>,
}

impl Known {
    pub(super) fn doubt(self) -> Option<Doubt> {
        if let Some((to, at)) = self.moved {
            return Some(Doubt::Moved { to, at });
        }
        if let Some(at) = self.backup {
            return Some(Doubt::Restored { at });
        }
        match (self.id, self.mark) {
            (_, None) => Some(Doubt::Unmarked),
            (id, mark) if id != mark => Some(Doubt::Emptied),
            _ if self.home.is_some() && self.home != self.here => Some(Doubt::Copied),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_ours_only_if_row_mark_and_place_agree() {
        let word = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        for (id, mark, home, here, doubt) in [
            ("a", "a", "", "1", None),
            ("a", "a", "1", "1", None),
            ("a", "a", "1", "2", Some(Doubt::Copied)),
            ("a", "a", "1", "", Some(Doubt::Copied)),
            ("b", "a", "", "1", Some(Doubt::Emptied)),
            ("", "a", "", "1", Some(Doubt::Emptied)),
            ("a", "", "1", "1", Some(Doubt::Unmarked)),
            ("", "", "", "1", Some(Doubt::Unmarked)),
        ] {
            let known = Known {
                id: word(id),
                mark: word(mark),
                home: word(home),
                here: word(here),
                ..Known::default()
            };
            assert_eq!(known.doubt(), doubt, "{id:?} {mark:?} {home:?} {here:?}");
        }
    }

    #[test]
    fn every_doubt_names_the_way_out() {
        let at = DateTime::UNIX_EPOCH;
        let to = "postgres://there".to_owned();
        for doubt in [
            Doubt::Emptied,
            Doubt::Unmarked,
            Doubt::Copied,
            Doubt::Restored { at },
            Doubt::Moved { to, at },
        ] {
            let said = doubt.to_string();
            assert!(
                said.contains("tesa-reconciler state adopt --reason"),
                "{said}"
            );
        }
    }
}
