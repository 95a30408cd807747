//! An alert: something that stands until a person acts or it passes by itself, and that people want to hear of.
//!
//! It is named by what it is about (a job, an org, a kind of finding) and never by a request, so there are only as
//! many as the configuration has names, however many requests are in trouble.

use super::ids::{JobName, Org};
use super::{FindingKind, NotAMember, closed_set};

closed_set! {
    /// What stands.
    AlertName {
        /// The guard holds a job until a person releases it.
        GuardHeld = "guard_held",
        /// The outcome of writes can't be settled by reading.
        NeedsHuman = "needs_human",
        /// Requests for which all attempts were used up.
        GivenUp = "given_up",
        /// Open findings of a kind of which there were none before.
        NewFindingKind = "new_finding_kind",
    }
}

closed_set! {
    /// What there is to tell of an alert.
    AlertState {
        /// It stands.
        Open = "open",
        /// It has passed.
        Resolved = "resolved",
    }
}

/// Which alert.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Alert {
    /// [`AlertName::GuardHeld`].
    GuardHeld {
        /// The tenant.
        org: Org,
        /// The job that is held.
        job_name: JobName,
    },
    /// [`AlertName::NeedsHuman`].
    NeedsHuman {
        /// The tenant.
        org: Org,
    },
    /// [`AlertName::GivenUp`].
    GivenUp {
        /// The tenant.
        org: Org,
    },
    /// [`AlertName::NewFindingKind`].
    NewFindingKind {
        /// The tenant.
        org: Org,
        /// The kind.
        kind: FindingKind,
    },
}

impl Alert {
    /// Its name.
    pub const fn name(&self) -> AlertName {
        match self {
            Self::GuardHeld { .. } => AlertName::GuardHeld,
            Self::NeedsHuman { .. } => AlertName::NeedsHuman,
            Self::GivenUp { .. } => AlertName::GivenUp,
            Self::NewFindingKind { .. } => AlertName::NewFindingKind,
        }
    }

    /// The tenant.
    pub const fn org(&self) -> &Org {
        match self {
            Self::GuardHeld { org, .. }
            | Self::NeedsHuman { org }
            | Self::GivenUp { org }
            | Self::NewFindingKind { org, .. } => org,
        }
    }

    /// What tells it apart from others of its name and org: the job or the kind; empty where nothing does.
    pub fn subject(&self) -> &str {
        match self {
            Self::GuardHeld { job_name, .. } => job_name.as_str(),
            Self::NewFindingKind { kind, .. } => kind.as_str(),
            Self::NeedsHuman { .. } | Self::GivenUp { .. } => "",
        }
    }

    /// The way back from [`Alert::name`], [`Alert::org`] and [`Alert::subject`].
    ///
    /// # Errors
    /// The subject is no kind of finding, where it should be one.
    pub fn from_parts(name: AlertName, org: Org, subject: &str) -> Result<Self, NotAMember> {
        Ok(match name {
            AlertName::GuardHeld => Self::GuardHeld {
                org,
                job_name: subject.into(),
            },
            AlertName::NeedsHuman => Self::NeedsHuman { org },
            AlertName::GivenUp => Self::GivenUp { org },
            AlertName::NewFindingKind => Self::NewFindingKind {
                org,
                kind: subject.parse()?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_its_parts() {
        let org = || Org::new("yoigo");
        for (name, subject) in [
            (AlertName::GuardHeld, "retry-stuck"),
            (AlertName::NeedsHuman, ""),
            (AlertName::GivenUp, ""),
            (AlertName::NewFindingKind, "event_sequence_gap"),
        ] {
            let alert = Alert::from_parts(name, org(), subject).unwrap();
            assert_eq!((alert.name(), alert.org()), (name, &org()));
            assert_eq!(alert.subject(), subject);
        }
        assert!(Alert::from_parts(AlertName::NewFindingKind, org(), "gap").is_err());
    }
}
