//! The words of the business as values: requests, issues, events, writes, attempts, decisions, findings.
//!
//! Everything here is pure: no runtime, no database, no HTTP client (a test reads the `use` lines and holds
//! that). Time comes in as an argument. Whoever wants to know what the daemon is about reads this folder first.

pub mod alert;
pub mod attempt;
pub mod attributes;
pub mod code;
pub mod decision;
pub mod event;
pub mod filter;
pub mod finding;
pub mod happening;
pub mod id_list;
pub mod ids;
pub mod ill_health;
pub mod issue;
pub mod operation;
pub mod party;
pub mod rate;
pub mod request;
pub mod run;
pub mod status;
pub mod write;

pub use alert::{Alert, AlertName, AlertState};
pub use attempt::{AttemptState, IssueVersion, Version};
pub use decision::{Decision, SkipReason, Verdict};
pub use event::{Event, EventCheck};
pub use filter::Filter;
pub use finding::{FindingKind, FindingState};
pub use happening::{Beside, Decided, Happening, Sight, What};
pub use id_list::{IdBatch, IdList, IdSet};
pub use ids::{
    AttemptId, ExternalReference, FindingId, JobName, Org, ReferenceId, RuleName, RunId,
};
pub use ill_health::IllHealth;
pub use issue::Issue;
pub use operation::{Operation, ReadOperation, Safety};
pub use party::Party;
pub use request::{Observation, PersistenceType, Request, TerritoryOwner};
pub use run::{RunOutcome, Trigger};
pub use status::Status;
pub use write::Write;

/// Gives a closed set of words one spelling: its variants, their text, and the way back.
///
/// The text is an interface (configuration, store, metrics labels, JSON output), so it stands once, here.
macro_rules! closed_set {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$vmeta:meta])* $variant:ident = $text:literal ),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $( $(#[$vmeta])* $variant ),+ }

        impl $name {
            /// Every member, in declaration order.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),+ ];

            /// The one spelling used in configuration, store, metrics and output.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text ),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::NotAMember;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $( $text => Ok(Self::$variant), )+
                    other => Err($crate::domain::NotAMember {
                        set: stringify!($name),
                        text: other.to_owned(),
                    }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use closed_set;

/// A text that is not one of a closed set's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {set}")]
pub struct NotAMember {
    /// The set's type name.
    pub set: &'static str,
    /// What was found instead.
    pub text: String,
}
