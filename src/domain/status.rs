//! A request's status: the twelve that the vendor documents, and room for one that it does not.

use std::fmt;

use super::code::Code;

/// Where a request stands. The list is the vendor's `TesaStatus`; a status outside it is kept as a [`Code`], shown,
/// flagged, and never acted on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Not yet handed to Telefónica: the one status in which a create is safe to repeat, after a duplicate check.
    NotSent,
    /// Telefónica is checking it.
    Validating,
    /// Refused for its data: final, needs a person.
    Rejected,
    /// Telefónica is working on it.
    Processing,
    /// Worked on; waits for Telefónica or the installer.
    Processed,
    /// Telefónica has an incident to solve.
    IncidenceTesa,
    /// The operator has an incident to solve.
    IncidenceOperator,
    /// An installer is at it.
    Installing,
    /// An incident during the installation.
    IncidenceInstalling,
    /// Installed; waits for the final message.
    Installed,
    /// Final: cancelled.
    Canceled,
    /// Final: done.
    Finished,
    /// Not in the vendor's list.
    Unknown(Code),
}

impl Status {
    /// The twelve documented ones.
    pub const KNOWN: [Status; 12] = [
        Self::NotSent,
        Self::Validating,
        Self::Rejected,
        Self::Processing,
        Self::Processed,
        Self::IncidenceTesa,
        Self::IncidenceOperator,
        Self::Installing,
        Self::IncidenceInstalling,
        Self::Installed,
        Self::Canceled,
        Self::Finished,
    ];

    /// The word on the wire, or what may be shown of it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::NotSent => "NOT_SENT",
            Self::Validating => "VALIDATING",
            Self::Rejected => "REJECTED",
            Self::Processing => "PROCESSING",
            Self::Processed => "PROCESSED",
            Self::IncidenceTesa => "INCIDENCE_TESA",
            Self::IncidenceOperator => "INCIDENCE_OPERATOR",
            Self::Installing => "INSTALLING",
            Self::IncidenceInstalling => "INCIDENCE_INSTALLING",
            Self::Installed => "INSTALLED",
            Self::Canceled => "CANCELED",
            Self::Finished => "FINISHED",
            Self::Unknown(code) => code.as_str(),
        }
    }

    /// Reads the word on the wire; never fails, because a status that nobody documented is a fact to be shown.
    pub fn parse(text: &str) -> Self {
        Self::KNOWN
            .iter()
            .find(|known| known.as_str() == text)
            .cloned()
            .unwrap_or_else(|| Self::Unknown(Code::new(text)))
    }

    /// What the upstream said, for the person who asks.
    pub fn said(&self) -> &str {
        match self {
            Self::Unknown(code) => code.said(),
            known => known.as_str(),
        }
    }

    /// Nothing more happens to a request in this status.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Rejected | Self::Canceled | Self::Finished)
    }

    /// In the vendor's list.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }

    /// The known statuses that are not final: what "open" means in the guard's share and in selections.
    pub fn open() -> impl Iterator<Item = Status> {
        Self::KNOWN.into_iter().filter(|status| !status.is_final())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl serde::Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Status {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Ok(Self::parse(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_status_reads_back() {
        for status in Status::KNOWN {
            assert_eq!(Status::parse(status.as_str()), status);
        }
    }

    #[test]
    fn an_undocumented_status_is_kept_and_is_neither_known_nor_final() {
        let status = Status::parse("ON_THE_MOON");
        assert_eq!(status.as_str(), "ON_THE_MOON");
        assert!(!status.is_known() && !status.is_final());
    }

    #[test]
    fn nine_statuses_are_open() {
        assert_eq!(Status::open().count(), 9);
    }
}
