//! A run's notes: which of the last run's decisions it met again, and what it leaves to the next. Pure.

use std::collections::BTreeMap;

use super::lasting::{Lasting, Stand};
use crate::domain::ids::ReferenceId;

/// See the module.
pub struct Notes<'a> {
    previous: Option<&'a Lasting>,
    /// By the places of `previous`.
    met: Vec<bool>,
    next: Lasting,
}

impl<'a> Notes<'a> {
    /// For a run that takes over `previous`, or nothing.
    pub fn new(previous: Option<&'a Lasting>) -> Self {
        Self {
            previous,
            met: vec![false; previous.map_or(0, Lasting::len)],
            next: previous.map(Lasting::with_room_like).unwrap_or_default(),
        }
    }

    /// Nothing was taken over, so everything that is remembered is compared with what this run sees.
    pub fn compares_all(&self) -> bool {
        self.previous.is_none()
    }

    /// The last run's decisions at these places stand; answers how many of each verdict.
    pub fn standing(&mut self, places: &[u32]) -> BTreeMap<&'static str, u64> {
        let mut verdicts = BTreeMap::new();
        for &place in places {
            let place = place as usize;
            let Some((id, stand)) = self.previous.and_then(|previous| previous.get(place)) else {
                continue;
            };
            self.met[place] = true;
            self.next.push(id, stand);
            if let Some(label) = stand.verdict() {
                *verdicts.entry(label).or_default() += 1;
            }
        }
        verdicts
    }

    /// This one was looked at.
    pub fn met(&mut self, id: &ReferenceId) {
        let place = self
            .previous
            .and_then(|previous| previous.position(id.as_str()));
        if let Some(place) = place {
            self.met[place] = true;
        }
    }

    /// What the next run is to know about it.
    pub fn keep(&mut self, id: &ReferenceId, stand: Stand) {
        self.next.push(id.as_str(), stand);
    }

    /// Requests that the last run flagged and this one did not meet: their findings are over. To be asked when
    /// everything was looked at.
    pub fn gone(&self) -> Vec<ReferenceId> {
        let left = self.met.iter().enumerate().filter(|(_, met)| !**met);
        left.filter_map(|(place, _)| self.previous?.get(place))
            .filter(|(_, stand)| stand.has_findings())
            .map(|(id, _)| ReferenceId::new(id))
            .collect()
    }

    /// What the next run may take over.
    pub fn finish(self) -> Lasting {
        self.next.sorted()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::{Status, Verdict};

    #[test]
    fn what_stands_is_handed_on_and_what_is_not_met_is_gone() {
        let stand = |has_findings| {
            let at = |second| DateTime::from_timestamp(second, 0).unwrap();
            let stand = Stand::new(at(1), at(2), has_findings).unwrap();
            stand.about(&Status::NotSent, &Verdict::Flag)
        };
        let mut previous = Lasting::default();
        for id in ["A", "B", "C", "D"] {
            previous.push(id, stand(id != "C"));
        }
        let mut notes = Notes::new(Some(&previous));
        assert!(!notes.compares_all());
        assert_eq!(notes.standing(&[1, 99]), BTreeMap::from([("flag", 1)]));
        notes.met(&"D".into());
        notes.met(&"X".into());
        notes.keep(&"AA".into(), stand(true));
        assert_eq!(
            notes.gone(),
            ["A".into()],
            "nothing is known to be wrong with C"
        );
        let next = notes.finish();
        let ids: Vec<_> = (0..next.len())
            .filter_map(|place| next.get(place))
            .map(|(id, _)| id)
            .collect();
        assert_eq!(ids, ["AA", "B"]);
    }

    #[test]
    fn a_run_that_takes_nothing_over_compares_all() {
        let mut notes = Notes::new(None);
        assert!(notes.compares_all());
        notes.met(&"A".into());
        assert!(notes.standing(&[0]).is_empty() && notes.gone().is_empty());
        assert!(notes.finish().is_empty());
    }
}
