//! How requests move on by themselves: a pure function from a request and an instant to its next change.
//!
//! Nothing ticks. Where a request stands *now* follows from where it was last seen and the time since, so an
//! idle sandbox costs nothing, a manual clock may jump a week, and every run with one seed is the same.

use chrono::{DateTime, Duration, Utc};

use crate::domain::Status;
use crate::sandbox::dice::Dice;

use super::ages::dwell;
use super::head::Head;

/// The rules of a world's movement.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct Movement {
    /// The world's seed.
    pub seed: u64,
    /// Simulated seconds per second of the clock; nothing moves at 0.
    pub speed: f64,
}

/// A change that a request makes by itself.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox) struct Move {
    /// When.
    pub at: DateTime<Utc>,
    /// Whereto.
    pub to: Status,
    /// It stays there until somebody acts.
    pub sticks: bool,
}

// A share of what moves gets stuck on its way, so that a long rehearsal does not run out of work.
const STICKS: f64 = 0.04;

impl Movement {
    /// The request's next change by itself, if it is due by `now`.
    pub fn next(&self, head: &Head, now: DateTime<Utc>) -> Option<Move> {
        let from = head.moves_from?;
        if self.speed <= 0.0 || from >= now || head.status.is_final() {
            return None;
        }
        let mut dice = Dice::of(
            self.seed,
            [u64::from(head.index), u64::from(head.step), 0x6D6F_7665],
        );
        let (least, most) = dwell(&head.status, head.cancelling);
        let simulated = dice.between(least, most) as f64 + dice.fraction();
        let real = simulated * 1e6 / self.speed;
        // Beyond what can be added to an instant is never.
        let at = from.checked_add_signed(Duration::microseconds(real.min(9e15) as i64))?;
        if at > now {
            return None;
        }
        let to = follows(head, &mut dice)?;
        let sticks = !to.is_final() && dice.chance(STICKS);
        Some(Move { at, to, sticks })
    }

    /// Moves the head on to `now`, telling `seen` of every change after it was made.
    pub fn catch_up(&self, head: &mut Head, now: DateTime<Utc>, mut seen: impl FnMut(&Head)) {
        while let Some(step) = self.next(head, now) {
            head.status = step.to;
            head.cancelling &= !head.status.is_final();
            head.touch(step.at);
            head.moves_from = (!step.sticks).then_some(step.at);
            seen(head);
        }
    }
}

/// Where a request goes from here. The vendor documents no graph of transitions: this is one that makes sense.
fn follows(head: &Head, dice: &mut Dice) -> Option<Status> {
    use Status as S;
    if head.cancelling {
        return Some(S::Canceled);
    }
    match head.status {
        S::NotSent => Some(S::Validating),
        S::Validating => dice.weighted(&[
            (S::Processing, 0.88),
            (S::Rejected, 0.07),
            (S::IncidenceOperator, 0.05),
        ]),
        S::Processing => dice.weighted(&[
            (S::Processed, 0.82),
            (S::IncidenceTesa, 0.08),
            (S::IncidenceOperator, 0.10),
        ]),
        S::Processed => dice.weighted(&[(S::Installing, 0.95), (S::IncidenceOperator, 0.05)]),
        S::IncidenceTesa | S::IncidenceOperator => Some(S::Processing),
        S::Installing => dice.weighted(&[(S::Installed, 0.87), (S::IncidenceInstalling, 0.13)]),
        S::IncidenceInstalling => Some(S::Installing),
        S::Installed => Some(S::Finished),
        S::Rejected | S::Canceled | S::Finished | S::Unknown(_) => None,
    }
}
