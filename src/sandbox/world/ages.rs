//! How long each status lasts: the ages at which a request counts as stuck, and how it moves on before that.
//!
//! One table, so that what the seeding calls stuck is what the project's default ages call stuck.

use std::time::Duration;

use crate::domain::Status;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The age after which a request in this status counts as stuck by the project's default; none for a final one.
pub(in crate::sandbox) fn stuck_after(status: &Status, cancelling: bool) -> Option<Duration> {
    let seconds = match status {
        status if status.is_final() => return None,
        _ if cancelling => 48 * HOUR,
        Status::NotSent => 30 * MINUTE,
        Status::Validating => 48 * HOUR,
        Status::Processing | Status::IncidenceInstalling => 5 * DAY,
        Status::Processed => 3 * DAY,
        Status::IncidenceOperator => 2 * DAY,
        Status::IncidenceTesa => 7 * DAY,
        Status::Installing => 12 * DAY,
        Status::Installed => DAY,
        Status::Rejected | Status::Canceled | Status::Finished | Status::Unknown(_) => return None,
    };
    Some(Duration::from_secs(seconds))
}

/// How long a request stays in a status before it moves on by itself, in seconds: at least, at most.
pub(in crate::sandbox) fn dwell(status: &Status, cancelling: bool) -> (u64, u64) {
    match status {
        _ if cancelling => (30 * MINUTE, 12 * HOUR),
        Status::NotSent => (MINUTE, 20 * MINUTE),
        Status::Validating => (30 * MINUTE, 24 * HOUR),
        Status::Processing => (6 * HOUR, 3 * DAY),
        Status::Processed => (6 * HOUR, 2 * DAY),
        Status::IncidenceTesa => (12 * HOUR, 5 * DAY),
        Status::IncidenceOperator => (4 * HOUR, 36 * HOUR),
        Status::Installing => (DAY, 8 * DAY),
        Status::IncidenceInstalling => (DAY, 4 * DAY),
        _ => (HOUR, 20 * HOUR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_moves_by_itself_moves_before_it_counts_as_stuck() {
        for status in Status::open() {
            for cancelling in [false, true] {
                // A cancellation may begin late in a short status; its own age counts then.
                let limit = stuck_after(&status, cancelling).map(|age| age.as_secs());
                assert!(limit >= Some(dwell(&status, cancelling).1), "{status}");
            }
        }
    }

    #[test]
    fn final_and_undocumented_statuses_never_count_as_stuck() {
        assert_eq!(stuck_after(&Status::Finished, true), None);
        assert_eq!(stuck_after(&Status::parse("ON_THE_MOON"), false), None);
    }
}
