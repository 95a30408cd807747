//! Every kind of call the sandbox answers, under one name: what faults are aimed at and statistics count.

use std::fmt;
use std::str::FromStr;

use crate::domain::{NotAMember, Operation, ReadOperation};

/// One of the sixteen operations, or the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// One of the twelve writes.
    Write(Operation),
    /// One of the four reads.
    Read(ReadOperation),
    /// `POST /oauth/token`.
    Token,
}

impl Call {
    /// All seventeen, in a fixed order.
    pub fn all() -> impl Iterator<Item = Self> {
        let writes = Operation::ALL.iter().copied().map(Self::Write);
        let reads = ReadOperation::ALL.iter().copied().map(Self::Read);
        writes.chain(reads).chain([Self::Token])
    }

    /// The operation's name as in configuration and metrics; `token` for the token endpoint.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write(operation) => operation.as_str(),
            Self::Read(operation) => operation.as_str(),
            Self::Token => "token",
        }
    }

    /// Its place in [`Call::all`].
    pub(super) const fn place(self) -> usize {
        // Field-less enums number their variants in declaration order, which is the order of `ALL`.
        match self {
            Self::Write(operation) => operation as usize,
            Self::Read(operation) => Operation::ALL.len() + operation as usize,
            Self::Token => Operation::ALL.len() + ReadOperation::ALL.len(),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Call {
    type Err = NotAMember;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::all()
            .find(|call| call.as_str() == text)
            .ok_or_else(|| NotAMember {
                set: "operation",
                text: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_its_own_place_and_its_name_leads_back() {
        for (place, call) in Call::all().enumerate() {
            assert_eq!(call.place(), place);
            assert_eq!(call.as_str().parse(), Ok(call));
        }
        assert_eq!(Call::all().count(), 17);
    }
}
