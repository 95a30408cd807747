//! When a sent write is looked at: pure, from the ledger's row and the configuration alone.
//!
//! Every pause of `verify_after` counts from the last instant at which the write may have been on its way. Where the
//! upstream accepted it, that is when its answer was recorded. Where nobody knows its answer, it may have left until its
//! permit was worth nothing any more, and may have been under way until its time-out, whoever died meanwhile. So the
//! same row is due at the same instant for whoever finds it: its sender, a sweep, a restart, another replica.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::guard::GOOD_FOR;
use crate::domain::AttemptState;
use crate::store::attempts::Attempt;

/// One look to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Not before.
    pub due: DateTime<Utc>,
    /// No pause is left after it, so it may prove that there was no effect.
    pub last: bool,
}

/// What the configuration says of looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looks {
    request_timeout: Duration,
    verify_after: Vec<Duration>,
}

impl Looks {
    /// `request_timeout` bounds a write from its first byte to its whole answer.
    pub fn new(request_timeout: Duration, verify_after: Vec<Duration>) -> Self {
        Self {
            request_timeout,
            verify_after,
        }
    }

    /// The next look at an attempt that awaits verification.
    pub fn next(&self, attempt: &Attempt) -> Look {
        self.after(attempt, attempt.verifications)
    }

    /// The look that follows `made` looks.
    pub fn after(&self, attempt: &Attempt, made: u32) -> Look {
        let under_way_until = if attempt.state == AttemptState::Accepted {
            attempt.changed_at
        } else {
            attempt.intended_at + self.longest_way()
        };
        let made = made as usize;
        let gone_by: Duration = self.verify_after.iter().take(made + 1).sum();
        Look {
            due: under_way_until + gone_by,
            last: made + 1 >= self.verify_after.len(),
        }
    }

    /// So long after an intent its write, of which no answer is known, is first looked at.
    pub fn first_after_intent(&self) -> Duration {
        self.longest_way() + self.first()
    }

    /// The first look at a write that was accepted `now`.
    pub fn first_after_acceptance(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.first()
    }

    fn first(&self) -> Duration {
        self.verify_after.first().copied().unwrap_or_default()
    }

    /// From the intent until nothing of the write can be under way any more.
    fn longest_way(&self) -> Duration {
        GOOD_FOR + self.request_timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixtures;

    const MINUTE: Duration = Duration::from_secs(60);

    fn looks(minutes: &[u32]) -> Looks {
        let pauses = minutes.iter().map(|minutes| MINUTE * *minutes).collect();
        Looks::new(Duration::from_secs(10), pauses)
    }

    /// Seconds from the intent to the look, and whether it is the last.
    fn look(looks: &Looks, state: AttemptState, made: u32) -> (i64, bool) {
        let attempt = Attempt {
            state,
            intended_at: fixtures::now(),
            // Its answer came, or a sweep found it, three seconds after its intent.
            changed_at: fixtures::now() + Duration::from_secs(3),
            verifications: made,
            ..fixtures::attempt(1)
        };
        let look = looks.next(&attempt);
        ((look.due - fixtures::now()).num_seconds(), look.last)
    }

    #[test]
    fn every_pause_counts_from_the_last_instant_at_which_the_write_may_have_been_under_way() {
        use AttemptState::{Accepted, Unknown};
        // (pauses in minutes, state, looks made, seconds from the intent, is it the last)
        let cases: &[(&[u32], AttemptState, u32, i64, bool)] = &[
            (&[30], Unknown, 0, 11 + 1_800, true),
            (&[30], Accepted, 0, 3 + 1_800, true),
            (&[1, 5, 15], Unknown, 0, 11 + 60, false),
            (&[1, 5, 15], Unknown, 1, 11 + 360, false),
            (&[1, 5, 15], Unknown, 2, 11 + 1_260, true),
            (&[1, 5, 15], Accepted, 0, 3 + 60, false),
            (&[1, 5, 15], Accepted, 2, 3 + 1_260, true),
            // Fewer pauses are configured since.
            (&[1, 5], Unknown, 7, 11 + 360, true),
        ];
        for (pauses, state, made, seconds, last) in cases {
            let found = look(&looks(pauses), *state, *made);
            assert_eq!(
                found,
                (*seconds, *last),
                "{pauses:?} {state} after {made} looks"
            );
        }
    }

    #[test]
    fn what_a_step_says_of_its_first_look_is_what_the_row_says_later() {
        let looks = looks(&[1, 5]);
        let unanswered = fixtures::attempt(1);
        assert_eq!(
            looks.next(&unanswered).due,
            unanswered.intended_at + looks.first_after_intent()
        );
        let accepted = Attempt {
            state: AttemptState::Accepted,
            ..unanswered
        };
        assert_eq!(
            looks.next(&accepted).due,
            looks.first_after_acceptance(accepted.changed_at)
        );
    }
}
