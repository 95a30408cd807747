//! Rows as a database gives them, and the way from and to the program's own types.
//!
//! The row types hold only what every driver knows (integers, texts, booleans, and [`Micros`] for instants), so they
//! serve every back end: a back end's statements have to name their columns alike. A word that is
//! in no closed set, or an instant out of range, is a row that contradicts itself, never a panic.

pub(super) mod acknowledgements;
pub(super) mod attempts;
pub(super) mod classes;
pub(super) mod controls;
pub(super) mod correlation;
pub(super) mod findings;
pub(super) mod history;
pub(super) mod looks;
mod micros;
pub(super) mod notices;
pub(super) mod open_counts;
pub(super) mod orders;
pub(super) mod rates;
pub(super) mod requests;
pub(super) mod runs;

use std::str::FromStr;

use chrono::{DateTime, Utc};

pub(super) use self::micros::Micros;
use super::fault::Fault;
use crate::domain::NotAMember;
use crate::domain::attributes::Attributes;

/// An instant as it is stored.
pub(super) fn stamp(at: DateTime<Utc>) -> Micros {
    Micros(at.timestamp_micros())
}

/// An instant that may be absent, as it is stored.
pub(super) fn stamp_opt(at: Option<DateTime<Utc>>) -> Option<Micros> {
    at.map(stamp)
}

/// A stored instant.
pub(super) fn instant(column: &str, Micros(stored): Micros) -> Result<DateTime<Utc>, Fault> {
    DateTime::from_timestamp_micros(stored)
        .ok_or_else(|| Fault::Row(format!("{column} is {stored}, which is no instant")))
}

/// A stored instant that may be absent.
pub(super) fn instant_opt(
    column: &str,
    stored: Option<Micros>,
) -> Result<Option<DateTime<Utc>>, Fault> {
    stored.map(|stored| instant(column, stored)).transpose()
}

/// A stored word of a closed set.
pub(super) fn word<T: FromStr<Err = NotAMember>>(column: &str, stored: &str) -> Result<T, Fault> {
    stored
        .parse()
        .map_err(|error| Fault::Row(format!("{column}: {error}")))
}

/// A stored word that may be absent.
pub(super) fn word_opt<T: FromStr<Err = NotAMember>>(
    column: &str,
    stored: Option<&str>,
) -> Result<Option<T>, Fault> {
    stored.map(|stored| word(column, stored)).transpose()
}

/// Stored attributes of a request.
pub(super) fn attributes(column: &str, stored: Option<&str>) -> Result<Attributes, Fault> {
    let read = stored.map(Attributes::from_text).transpose();
    // The error would quote them.
    let read = read.map_err(|_| Fault::Row(format!("{column} is no object of texts")))?;
    Ok(read.unwrap_or_default())
}

/// A number that can't be negative nor larger than its type.
pub(super) fn number<T: TryFrom<i64>>(column: &str, stored: i64) -> Result<T, Fault> {
    T::try_from(stored).map_err(|_| Fault::Row(format!("{column} is {stored}, out of its range")))
}

/// A count as it is stored; one that no database can hold is stored as the largest.
pub(super) fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Rows from a driver to the program's type, the first bad one ends it.
pub(super) fn all<R, T: TryFrom<R, Error = Fault>>(rows: Vec<R>) -> Result<Vec<T>, Fault> {
    rows.into_iter().map(T::try_from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RunOutcome;

    #[test]
    fn instants_keep_their_microseconds_and_may_lie_before_1970() {
        for stored in [0, 1, -1, 1_793_448_000_123_456, -62_135_596_800_000_000] {
            assert_eq!(stamp(instant("t", Micros(stored)).unwrap()).0, stored);
        }
    }

    #[test]
    fn what_can_not_be_is_named_with_its_column() {
        let says = |fault| match fault {
            Fault::Row(detail) => detail,
            other => panic!("{other:?}"),
        };
        assert!(
            says(instant("runs.slot", Micros(i64::MAX)).unwrap_err()).starts_with("runs.slot is")
        );
        let outcome = word::<RunOutcome>("runs.outcome", "great").unwrap_err();
        assert_eq!(says(outcome), "runs.outcome: \"great\" is not a RunOutcome");
        let sent = number::<u32>("runs.sent", -1).unwrap_err();
        assert_eq!(says(sent), "runs.sent is -1, out of its range");
    }
}
