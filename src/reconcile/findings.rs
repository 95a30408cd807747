//! What a run saw against what is remembered: which findings are new, which still stand, which are over. Pure.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::FindingId;
use crate::domain::ids::ReferenceId;
use crate::store::findings::{FindingChanges, FindingKey, LiveFinding, Sighting};

/// An unchanged finding's "last seen" is written down at most this often, so that the cost of a run follows what
/// changed rather than how much is stuck.
pub const TOUCH_EVERY: Duration = Duration::from_secs(3_600);

/// The findings of one job and org while a run compares them with what it sees.
#[derive(Debug)]
pub struct Comparison {
    /// By request, because a request is looked at, or left, as a whole.
    unseen: HashMap<ReferenceId, Vec<LiveFinding>>,
    /// Remembered, but only a further look (that may not come in this run) can say whether they still stand.
    aside: Vec<LiveFinding>,
    now: DateTime<Utc>,
}

impl Comparison {
    /// Begins with everything that is remembered and not resolved.
    pub fn new(live: Vec<LiveFinding>, now: DateTime<Utc>) -> Self {
        let mut comparison = Self {
            unseen: HashMap::new(),
            aside: Vec::new(),
            now,
        };
        comparison.add(live);
        comparison
    }

    /// Takes more that is remembered and not resolved, of requests that were not looked at yet.
    pub fn add(&mut self, live: Vec<LiveFinding>) {
        for finding in live {
            let of_request = self.unseen.entry(finding.key.reference_id.clone());
            of_request.or_default().push(finding);
        }
    }

    /// Compares what was seen; answers what must be written down for it.
    pub fn compare(&mut self, sightings: impl IntoIterator<Item = Sighting>) -> FindingChanges {
        let mut changes = FindingChanges::default();
        for sighting in sightings {
            match self.take(&sighting.key) {
                Some(known)
                    if known.evidence == sighting.evidence
                        && known.attention == sighting.attention =>
                {
                    let age = (self.now - known.last_seen).to_std().unwrap_or_default();
                    if age >= TOUCH_EVERY {
                        changes.touched.push(known.id);
                    }
                }
                _ => changes.seen.push(sighting),
            }
        }
        changes
    }

    /// Leaves out what this run did not look at: nothing may be concluded about it.
    pub fn leave(&mut self, id: &ReferenceId) {
        self.unseen.remove(id);
    }

    /// Leaves out this one, unless [`Comparison::restore`] says that it was looked at after all.
    pub fn set_aside(&mut self, key: &FindingKey) {
        if let Some(finding) = self.take(key) {
            self.aside.push(finding);
        }
    }

    /// What was set aside is compared after all.
    pub fn restore(&mut self, key: &FindingKey) {
        if let Some(index) = self.aside.iter().position(|finding| finding.key == *key) {
            let finding = self.aside.swap_remove(index);
            self.unseen
                .entry(key.reference_id.clone())
                .or_default()
                .push(finding);
        }
    }

    /// What is remembered and was not seen: over. To be asked once, when *everything* was looked at.
    pub fn resolved(self) -> Vec<FindingId> {
        let unseen = self.unseen.into_values().flatten();
        let mut ids: Vec<FindingId> = unseen.map(|finding| finding.id).collect();
        ids.sort();
        ids
    }

    fn take(&mut self, key: &FindingKey) -> Option<LiveFinding> {
        let findings = self.unseen.get_mut(&key.reference_id)?;
        let index = findings.iter().position(|finding| finding.key == *key)?;
        Some(findings.swap_remove(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::Attention;
    use crate::domain::finding::FindingState;
    use crate::domain::{FindingKind, Status};
    use crate::reconcile::fixtures;
    use crate::reconcile::plan;

    fn seen(evidence: &str) -> Sighting {
        let request = fixtures::in_status(Status::Validating);
        plan::sighting(&request, FindingKind::StuckRequest, "VALIDATING", evidence)
    }

    fn remembered(id: i64, sighting: &Sighting, minutes_ago: i64) -> LiveFinding {
        LiveFinding {
            id: FindingId(id),
            key: sighting.key.clone(),
            state: FindingState::Open,
            attention: sighting.attention,
            evidence: sighting.evidence.clone(),
            last_seen: fixtures::now() - chrono::Duration::minutes(minutes_ago),
            class: None,
            missing_since: None,
        }
    }

    #[test]
    fn a_new_one_is_written_an_unchanged_one_is_not() {
        let mut comparison = Comparison::new(vec![remembered(1, &seen("a"), 5)], fixtures::now());
        assert_eq!(comparison.compare([seen("a")]), FindingChanges::default());
        assert_eq!(comparison.compare([seen("b")]).seen, [seen("b")]);
        assert_eq!(comparison.resolved(), []);
    }

    #[test]
    fn an_old_sighting_is_renewed_once_an_hour() {
        let mut comparison = Comparison::new(vec![remembered(1, &seen("a"), 61)], fixtures::now());
        assert_eq!(comparison.compare([seen("a")]).touched, [FindingId(1)]);
    }

    #[test]
    fn changed_evidence_or_attention_is_written() {
        let mut urgent = seen("a");
        urgent.attention = Some(Attention::GivenUp);
        for now_seen in [seen("b"), urgent] {
            let mut comparison =
                Comparison::new(vec![remembered(1, &seen("a"), 5)], fixtures::now());
            assert_eq!(comparison.compare([now_seen.clone()]).seen, [now_seen]);
            assert_eq!(comparison.resolved(), []);
        }
    }

    #[test]
    fn what_is_not_seen_is_resolved_unless_it_could_not_be_looked_at() {
        let start = || Comparison::new(vec![remembered(7, &seen("a"), 5)], fixtures::now());
        assert_eq!(start().resolved(), [FindingId(7)]);
        let mut unreadable = start();
        unreadable.leave(&"R-1".into());
        assert_eq!(unreadable.resolved(), []);
        let mut aside = start();
        aside.set_aside(&seen("a").key);
        assert_eq!(aside.resolved(), []);
        let mut looked_at_after_all = start();
        looked_at_after_all.set_aside(&seen("a").key);
        looked_at_after_all.restore(&seen("a").key);
        assert_eq!(looked_at_after_all.resolved(), [FindingId(7)]);
    }
}
