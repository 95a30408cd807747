//! Guard and caps over all that a rehearsal would have sent: which of it would have been held, and which put off.
//!
//! Those that a job wants between two of its runs come together. What the guard holds waits for a person, and what a cap puts
//! off goes later: neither moves anything else here, because what would have followed is not known.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Act, Outcome};
use crate::domain::ids::{JobName, Org};

/// What bounds writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Caps {
    /// Held are more than so many …
    pub hold_above_count: u32,
    /// … and more than this share of the org's open requests.
    pub hold_above_fraction: f64,
    /// By a run.
    pub per_run: u32,
    /// In an hour, of an org.
    pub per_hour: u32,
    /// How far apart each job's runs are.
    pub every: BTreeMap<JobName, Duration>,
    /// The open requests of each org.
    pub open: BTreeMap<Org, u64>,
}

/// Marks what would not have gone at once.
pub fn apply(acts: &mut [Act], caps: &Caps) {
    acts.sort_by(|a, b| (a.at, &a.org, &a.reference_id).cmp(&(b.at, &b.org, &b.reference_id)));
    let mut runs: BTreeMap<(Org, JobName, i64), Vec<usize>> = BTreeMap::new();
    for (place, act) in acts.iter().enumerate() {
        if matches!(act.outcome, Outcome::WouldNot | Outcome::HandsOff) {
            continue;
        }
        let every = caps
            .every
            .get(&act.job_name)
            .map_or(1, Duration::as_secs)
            .max(1);
        let run = act
            .at
            .timestamp()
            .div_euclid(i64::try_from(every).unwrap_or(i64::MAX));
        let key = (act.org.clone(), act.job_name.clone(), run);
        runs.entry(key).or_default().push(place);
    }
    for ((org, ..), of_run) in &runs {
        let open = caps.open.get(org).copied().unwrap_or_default();
        let many = of_run.len() as f64;
        if of_run.len() > caps.hold_above_count as usize
            && many > caps.hold_above_fraction * open as f64
        {
            for place in of_run {
                // What was sent was let go.
                if acts[*place].outcome != Outcome::AsDone {
                    acts[*place].outcome = Outcome::GuardWouldHold;
                }
            }
        } else {
            for place in of_run.iter().skip(caps.per_run as usize) {
                acts[*place].put_off = acts[*place].outcome != Outcome::AsDone;
            }
        }
    }
    let mut sent: BTreeMap<Org, VecDeque<DateTime<Utc>>> = BTreeMap::new();
    for act in acts {
        let goes = !matches!(
            act.outcome,
            Outcome::WouldNot | Outcome::HandsOff | Outcome::GuardWouldHold
        );
        if !goes || act.put_off {
            continue;
        }
        let of_hour = sent.entry(act.org.clone()).or_default();
        while of_hour
            .front()
            .is_some_and(|first| act.at - *first >= TimeDelta::hours(1))
        {
            of_hour.pop_front();
        }
        if of_hour.len() >= caps.per_hour as usize {
            act.put_off = act.outcome != Outcome::AsDone;
        } else {
            of_hour.push_back(act.at);
        }
    }
}
