//! The shortest world that still breaks a promise: what happens, and who is there, is left out as long as it stays broken.

use crate::plan::Plan;
use crate::world::{Ending, live};

/// Tries no more worlds than this.
const TRIES: usize = 200;

pub fn shortest(plan: Plan, ending: Ending) -> (Plan, Ending) {
    let (mut plan, mut ending) = (plan, ending);
    let mut tries = 0;
    let mut place = 0;
    while place < plan.happenings.len() && tries < TRIES {
        let mut less = plan.clone();
        less.happenings.remove(place);
        tries += 1;
        let other = live(&less);
        if other.broken.is_some() {
            (plan, ending) = (less, other);
        } else {
            place += 1;
        }
    }
    (plan, ending)
}
