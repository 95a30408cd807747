//! How far an instant of the upstream's and one of ours may be apart: pure.
//!
//! An id in the answer to `notUpdatedSince = T` has not changed since T, so if it was read after T, what is remembered of
//! it still holds. But T is the upstream's, and the read was at ours.

use std::time::Duration;

/// How far apart the clocks are taken to be while no answer has told: more than machines that tell the time at all.
/// It costs reads of what changed shortly before the last look, never a change.
const UNMEASURED: Duration = Duration::from_secs(3_600);

/// How far apart the clocks are taken to have been, by what was measured.
pub fn apart(measured: Option<Duration>) -> Duration {
    measured.unwrap_or(UNMEASURED)
}

/// How much later than an instant of the upstream's one of ours must be to count as later, by the distance of the
/// clocks that was measured since, and by the time that a change takes until lists show it.
pub fn margin(measured: Option<Duration>, settle_time: Duration) -> Duration {
    apart(measured) + settle_time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_nobody_measured_are_taken_to_be_an_hour_apart() {
        let settle = Duration::from_secs(60);
        assert_eq!(margin(Some(Duration::ZERO), settle), settle);
        assert_eq!(margin(Some(settle), settle), settle * 2);
        assert_eq!(margin(None, settle), UNMEASURED + settle);
    }
}
