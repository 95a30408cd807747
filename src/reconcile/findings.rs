//! What a look at some requests showed, against what is remembered of them: which findings are new, which stand, which are
//! over. Pure.
//!
//! A finding is over only by a look that would have seen it. What a list told is no concern of this: see `listed.rs`.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::ids::ReferenceId;
use crate::domain::{FindingKind, Status};
use crate::store::findings::{FindingChanges, FindingKey, LiveFinding, Sighting};

/// An unchanged finding's "last seen" is written down at most this often, so that the cost of a run follows what
/// changed rather than how much is wrong.
const TOUCH_EVERY: Duration = Duration::from_secs(3_600);

/// What tells the finding about the look-up by external reference from others of its request.
pub const LOOK_UP: &str = "look-up";

/// What tells the finding about the list call from others of its request.
pub const LIST: &str = "list_reference_ids";

/// How far a request was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scope {
    /// It was read, with what the job decides on.
    pub read: bool,
    /// Its order was looked up, or is no concern any more because the request is final.
    pub order: bool,
}

impl Scope {
    /// It could not be read: nothing may be concluded.
    pub const FAILED: Self = Self {
        read: false,
        order: false,
    };
    /// It was read.
    pub const READ: Self = Self {
        read: true,
        order: false,
    };
    /// Only its order was looked up.
    pub const ORDER: Self = Self {
        read: false,
        order: true,
    };
    /// Both.
    pub const ALL: Self = Self {
        read: true,
        order: true,
    };

    /// A request in this status was read.
    pub fn at(status: &Status) -> Self {
        match status.is_final() {
            true => Self::ALL,
            false => Self::READ,
        }
    }

    /// It would have seen a finding of this sort.
    fn covers(self, key: &FindingKey) -> bool {
        match (key.kind, key.detail.as_str()) {
            // Only the list that contradicted it can tell.
            (FindingKind::ContractViolation, LIST) => false,
            (FindingKind::DuplicateReference, _) | (FindingKind::ContractViolation, LOOK_UP) => {
                self.order
            }
            _ => self.read,
        }
    }
}

/// What must be written down, of a job's `live` findings about the requests that were `looked` at, for what was seen.
pub fn compare(
    live: Vec<LiveFinding>,
    looked: &HashMap<ReferenceId, Scope>,
    sightings: Vec<Sighting>,
    now: DateTime<Utc>,
) -> FindingChanges {
    let mut changes = FindingChanges::default();
    let live = live.into_iter().filter(|finding| finding.class.is_none());
    let mut live: HashMap<FindingKey, LiveFinding> =
        live.map(|finding| (finding.key.clone(), finding)).collect();
    for seen in one_each(sightings) {
        match live.remove(&seen.key) {
            Some(known) if known.evidence == seen.evidence && known.attention == seen.attention => {
                let age = (now - known.last_seen).to_std().unwrap_or_default();
                if age >= TOUCH_EVERY {
                    changes.touched.push(known.id);
                }
            }
            _ => changes.seen.push(seen),
        }
    }
    let over = live.into_values().filter(|finding| {
        let scope = looked.get(&finding.key.reference_id);
        scope.is_some_and(|scope| scope.covers(&finding.key))
    });
    changes.resolved = over.map(|finding| finding.id).collect();
    changes.resolved.sort();
    changes
}

/// Each finding once: what tells it from others may be the same twice (two open issues without a number and with one code),
/// and then it says both, in an order that does not depend on the upstream's.
fn one_each(mut sightings: Vec<Sighting>) -> Vec<Sighting> {
    sightings.sort_by(|a, b| (&a.key, &a.evidence).cmp(&(&b.key, &b.evidence)));
    let mut each: Vec<Sighting> = Vec::with_capacity(sightings.len());
    for seen in sightings {
        match each.last_mut().filter(|last| last.key == seen.key) {
            Some(last) => {
                if last.evidence != seen.evidence {
                    last.evidence = format!("{}; {}", last.evidence, seen.evidence);
                }
                last.attention = last.attention.or(seen.attention);
                last.since = last.since.min(seen.since);
            }
            None => each.push(seen),
        }
    }
    each
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::{Attention, FindingState};
    use crate::domain::ids::{ClassId, FindingId};
    use crate::reconcile::fixtures;
    use crate::reconcile::plan;

    fn seen(evidence: &str) -> Sighting {
        let request = fixtures::in_status(Status::Validating);
        plan::sighting(
            &request,
            FindingKind::UnresolvedIssue,
            "1 CLI-012",
            evidence,
        )
    }

    fn of_kind(kind: FindingKind, detail: &str) -> Sighting {
        plan::sighting(&fixtures::unsent(), kind, detail, "a")
    }

    fn remembered(sighting: &Sighting, minutes_ago: i64) -> LiveFinding {
        LiveFinding {
            id: FindingId(7),
            key: sighting.key.clone(),
            state: FindingState::Open,
            attention: sighting.attention,
            evidence: sighting.evidence.clone(),
            last_seen: fixtures::now() - chrono::Duration::minutes(minutes_ago),
            class: None,
            missing_since: None,
        }
    }

    fn compared(
        live: &Sighting,
        minutes_ago: i64,
        look: Scope,
        now_seen: &[Sighting],
    ) -> FindingChanges {
        let looked = HashMap::from([("R-1".into(), look)]);
        let live = vec![remembered(live, minutes_ago)];
        compare(live, &looked, now_seen.to_vec(), fixtures::now())
    }

    #[test]
    fn a_new_one_is_written_an_unchanged_one_once_an_hour_and_a_changed_one_at_once() {
        let mut urgent = seen("a");
        urgent.attention = Some(Attention::GivenUp);
        assert_eq!(
            compared(&seen("a"), 5, Scope::READ, &[seen("a")]),
            FindingChanges::default()
        );
        assert_eq!(
            compared(&seen("a"), 61, Scope::READ, &[seen("a")]).touched,
            [FindingId(7)]
        );
        for changed in [seen("b"), urgent] {
            let changes = compared(&seen("a"), 5, Scope::READ, std::slice::from_ref(&changed));
            assert_eq!((changes.seen, changes.resolved), (vec![changed], vec![]));
        }
        let nothing = compare(vec![], &HashMap::new(), vec![seen("a")], fixtures::now());
        assert_eq!(nothing.seen, [seen("a")]);
    }

    #[test]
    fn only_a_look_that_would_have_seen_it_says_that_it_is_over() {
        let duplicate = of_kind(FindingKind::DuplicateReference, "");
        let look_up = of_kind(FindingKind::ContractViolation, LOOK_UP);
        let list = of_kind(FindingKind::ContractViolation, LIST);
        let answer = of_kind(FindingKind::ContractViolation, "get_request");
        for (finding, failed, read, looked_up) in [
            (&seen("a"), false, true, true),
            (&answer, false, true, true),
            (&duplicate, false, false, true),
            (&look_up, false, false, true),
            (&list, false, false, false),
        ] {
            let over = |look| !compared(finding, 5, look, &[]).resolved.is_empty();
            let got = (over(Scope::FAILED), over(Scope::READ), over(Scope::ALL));
            assert_eq!(got, (failed, read, looked_up), "{:?}", finding.key);
        }
    }

    #[test]
    fn two_of_one_name_are_one_finding_whatever_their_order() {
        let both = |first: &str, second: &str| {
            let changes = compared(&seen("x"), 5, Scope::READ, &[seen(first), seen(second)]);
            changes
                .seen
                .into_iter()
                .map(|one| one.evidence)
                .collect::<Vec<_>>()
        };
        assert_eq!(both("a", "b"), ["a; b"]);
        assert_eq!(both("b", "a"), ["a; b"]);
        assert_eq!(both("a", "a"), ["a"]);
        let standing = compared(&seen("a; b"), 5, Scope::READ, &[seen("b"), seen("a")]);
        assert_eq!(standing, FindingChanges::default());
    }

    #[test]
    fn what_a_list_told_is_not_compared_with_reads() {
        let live = LiveFinding {
            class: Some(ClassId(1)),
            ..remembered(&seen("a"), 5)
        };
        let looked = HashMap::from([("R-1".into(), Scope::ALL)]);
        let changes = compare(vec![live], &looked, vec![], fixtures::now());
        assert_eq!(changes, FindingChanges::default());
    }
}
