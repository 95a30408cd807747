//! What the caps leave, and when the hour has room again: pure.
//!
//! The intent's own transaction has the last word; this is for those who choose how many to read, and for those who ask why
//! nothing is sent.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::AttemptState;
use crate::store::attempts::Attempt;

/// What the hour's cap leaves to an org.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// Writes that may be sent now.
    pub left: usize,
    /// From when on one may be; none where one may be now, or never (the cap is 0).
    pub room_from: Option<DateTime<Utc>>,
}

/// The last hour, as the cap counts it, begins here.
pub fn begin(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::hours(1)
}

/// Judges an org's attempts since the hour [began](begin). One that never left counts for nothing.
pub fn hour(sent: &[Attempt], most: u32, now: DateTime<Utc>) -> Hour {
    let most = most as usize;
    let mut counted: Vec<DateTime<Utc>> = sent
        .iter()
        .filter(|attempt| attempt.state != AttemptState::NotSent)
        .map(|attempt| attempt.intended_at)
        .filter(|at| *at > begin(now))
        .collect();
    counted.sort();
    // So many must be an hour old before the next one goes.
    let in_the_way = (counted.len() + 1).saturating_sub(most);
    let last = in_the_way
        .checked_sub(1)
        .and_then(|place| counted.get(place));
    Hour {
        left: most.saturating_sub(counted.len()),
        room_from: last.map(|at| *at + TimeDelta::hours(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixtures;

    #[test]
    fn the_hour_has_room_again_when_enough_of_its_attempts_are_an_hour_old() {
        let now = fixtures::now();
        let minute = |minute: i64| now + TimeDelta::minutes(minute);
        let sent = |minutes: &[i64]| -> Vec<Attempt> {
            let at = |minutes: &i64| Attempt {
                intended_at: minute(*minutes),
                ..fixtures::attempt(1)
            };
            minutes.iter().map(at).collect()
        };
        let cases = [
            (sent(&[]), 2, 2, None),
            (sent(&[-10]), 2, 1, None),
            (sent(&[-10, -50]), 2, 0, Some(minute(10))),
            // The cap was lowered: two must go before there is room for one.
            (sent(&[-10, -50, -20]), 2, 0, Some(minute(40))),
            (sent(&[-60, -61]), 2, 2, None),
            (sent(&[]), 0, 0, None),
            (sent(&[-10]), 0, 0, None),
        ];
        for (sent, most, left, room_from) in cases {
            assert_eq!(hour(&sent, most, now), Hour { left, room_from }, "{sent:?}");
        }
        let never_left = Attempt {
            state: AttemptState::NotSent,
            ..sent(&[-1]).remove(0)
        };
        assert_eq!(hour(&[never_left], 1, now).left, 1);
    }
}
