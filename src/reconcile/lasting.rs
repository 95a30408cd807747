//! Decisions that last: what a run need not make again if nothing changed. Pure.
//!
//! Most of what a sweep looks at is as it was, and would be decided on as before. To look each up in the store, decide
//! anew and find that nothing differs costs far more than the list call that proves it unchanged. So a run leaves to
//! the next one of the same job, in the same process, which of its decisions depend on nothing but the request, the
//! rules and time, and until when (`recall.rs` judges whether they may be used at all). A million of them take some 30
//! bytes each, id and all.
//!
//! Ids are in ascending order here, as lists are when they are looked through: so both are walked side by side.

use chrono::{DateTime, Utc};

use crate::domain::{Status, Verdict};

/// What stands about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    observed: u32,
    until: u32,
    status: u8,
    verdict: u8,
    has_findings: bool,
}

/// No status, or no verdict, is kept.
const NONE: u8 = u8::MAX;

impl Stand {
    /// A decision made on what was observed at `observed_at`, which holds before `until`. None where these are no
    /// instants of our time.
    pub fn new(
        observed_at: DateTime<Utc>,
        until: DateTime<Utc>,
        has_findings: bool,
    ) -> Option<Self> {
        // Cut to the second, both lie earlier: nothing is trusted for longer than it may be.
        let second = |at: DateTime<Utc>| u32::try_from(at.timestamp()).ok();
        Some(Self {
            observed: second(observed_at)?,
            until: second(until.min(DateTime::from_timestamp(u32::MAX.into(), 0)?))?,
            status: NONE,
            verdict: NONE,
            has_findings,
        })
    }

    /// A decision that is to be made anew each time; about its request there may be findings.
    pub fn decided_anew(now: DateTime<Utc>) -> Option<Self> {
        Self::new(now, now, true)
    }

    /// With the status that it was made on, and the verdict that every run counts.
    #[must_use]
    pub fn about(self, status: &Status, verdict: &Verdict) -> Self {
        let place =
            |found: Option<usize>| found.and_then(|at| u8::try_from(at).ok()).unwrap_or(NONE);
        let label = verdict.label();
        Self {
            status: place(Status::KNOWN.iter().position(|known| known == status)),
            verdict: place(Verdict::labels().position(|known| known == label)),
            ..self
        }
    }

    /// It holds at `now`, if the request did not change.
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        (i64::from(self.observed)..i64::from(self.until)).contains(&now.timestamp())
    }

    /// When the request was observed, not later than it really was.
    pub fn observed_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.observed.into(), 0).unwrap_or_default()
    }

    /// The status that it was made on, if it is a documented one.
    pub fn status(&self) -> Option<&'static Status> {
        static KNOWN: [Status; 12] = Status::KNOWN;
        KNOWN.get(usize::from(self.status))
    }

    /// The verdict's label, if every run counts it.
    pub fn verdict(&self) -> Option<&'static str> {
        Verdict::labels().nth(self.verdict.into())
    }

    /// People may see a finding about it.
    pub fn has_findings(&self) -> bool {
        self.has_findings
    }
}

/// All that a run left.
#[derive(Debug, Default)]
pub struct Lasting {
    /// The ids, one behind the other.
    text: String,
    /// Where each ends, and what stands about it.
    stands: Vec<(u32, Stand)>,
}

impl Lasting {
    /// With room for as many as `previous` holds: mostly the next one comes to about the same.
    pub fn with_room_like(previous: &Self) -> Self {
        Self {
            text: String::with_capacity(previous.text.len()),
            stands: Vec::with_capacity(previous.len()),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.stands.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.stands.is_empty()
    }

    /// The id and what stands about it, by place.
    pub fn get(&self, place: usize) -> Option<(&str, Stand)> {
        let &(end, stand) = self.stands.get(place)?;
        let before = place
            .checked_sub(1)
            .and_then(|before| self.stands.get(before));
        let start = before.map_or(0, |&(end, _)| end as usize);
        Some((self.text.get(start..end as usize)?, stand))
    }

    /// Where an id stands.
    pub fn position(&self, id: &str) -> Option<usize> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from.midpoint(to);
            match self.id(middle).cmp(id) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// Tells apart `ids`, which ascend: the places of those that stand and for which `unchanged` says so, and the rest.
    pub fn split<'i>(
        &self,
        ids: impl Iterator<Item = &'i str>,
        unchanged: impl Fn(&str, Stand) -> bool,
    ) -> (Vec<u32>, Vec<&'i str>) {
        let (mut stand, mut rest) = (Vec::new(), Vec::new());
        let mut place = 0;
        for id in ids {
            while place < self.len() && self.id(place) < id {
                place += 1;
            }
            let found = self
                .get(place)
                .filter(|(known, stand)| *known == id && unchanged(id, *stand));
            match (found, u32::try_from(place)) {
                (Some(_), Ok(place)) => stand.push(place),
                _ => rest.push(id),
            }
        }
        (stand, rest)
    }

    fn id(&self, place: usize) -> &str {
        self.get(place).map_or("", |(id, _)| id)
    }

    /// Adds one, in any order until [`Self::sorted`]. What does not fit is left out: it is decided anew.
    pub fn push(&mut self, id: &str, stand: Stand) {
        if let Ok(end) = u32::try_from(self.text.len() + id.len()) {
            self.text.push_str(id);
            self.stands.push((end, stand));
        }
    }

    /// In order, each id once, in no more room than it needs.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        let ascends = (1..self.len()).all(|place| self.id(place - 1) < self.id(place));
        if ascends {
            self.text.shrink_to_fit();
            self.stands.shrink_to_fit();
            return self;
        }
        let mut all: Vec<(&str, Stand)> = (0..self.len())
            .filter_map(|place| self.get(place))
            .collect();
        // Stable, so that of one id the latest comes last.
        all.sort_by_key(|(id, _)| *id);
        let mut sorted = Self::with_room_like(&self);
        for (place, &(id, stand)) in all.iter().enumerate() {
            if all.get(place + 1).is_none_or(|(next, _)| *next != id) {
                sorted.push(id, stand);
            }
        }
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SkipReason;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    fn stand(observed: i64, until: i64) -> Stand {
        Stand::new(at(observed), at(until), false).unwrap()
    }

    fn lasting(ids: &[&str]) -> Lasting {
        let mut lasting = Lasting::default();
        for (place, id) in ids.iter().enumerate() {
            lasting.push(id, stand(place as i64, 100));
        }
        lasting.sorted()
    }

    #[test]
    fn a_decision_holds_from_its_observation_until_it_ends() {
        let stand = stand(10, 20);
        for (second, holds) in [(9, false), (10, true), (19, true), (20, false)] {
            assert_eq!(stand.holds(at(second)), holds, "at {second}");
        }
        let half = at(10) + chrono::TimeDelta::milliseconds(600);
        let cut = Stand::new(half, half, false).unwrap();
        assert!(cut.observed_at() < half && !cut.holds(half));
        let anew = Stand::decided_anew(at(10)).unwrap();
        assert!(anew.has_findings() && !anew.holds(at(9)) && !anew.holds(at(10)));
        let forever = Stand::new(at(0), DateTime::<Utc>::MAX_UTC, false).unwrap();
        assert!(forever.holds(at(1_000_000_000)));
        assert_eq!(Stand::new(DateTime::<Utc>::MIN_UTC, at(0), false), None);
    }

    #[test]
    fn status_and_verdict_come_back() {
        let skip = Verdict::Skip {
            reason: SkipReason::NotStuck,
            instead_of: None,
        };
        for status in Status::KNOWN {
            for verdict in [&Verdict::Flag, &Verdict::Ignore, &skip] {
                let kept = stand(0, 1).about(&status, verdict);
                assert_eq!(kept.status(), Some(&status));
                assert_eq!(kept.verdict(), Some(verdict.label()));
            }
        }
        assert_eq!((stand(0, 1).status(), stand(0, 1).verdict()), (None, None));
        let strange = stand(0, 1).about(&Status::parse("MOON"), &Verdict::Flag);
        assert_eq!(strange.status(), None);
    }

    #[test]
    fn whatever_the_order_ids_are_found_once_and_the_latest_counts() {
        let lasting = lasting(&["C", "A", "", "B", "A", "ñ"]);
        let all: Vec<_> = (0..lasting.len())
            .filter_map(|place| lasting.get(place))
            .collect();
        let expected = [("", 2), ("A", 4), ("B", 3), ("C", 0), ("ñ", 5)];
        assert_eq!(
            all,
            expected.map(|(id, observed)| (id, stand(observed, 100)))
        );
        for (place, (id, _)) in expected.iter().enumerate() {
            assert_eq!(lasting.position(id), Some(place));
        }
        assert_eq!(lasting.position("BB"), None);
        assert_eq!(Lasting::default().position("A"), None);
    }

    #[test]
    fn a_list_is_split_into_what_stands_and_the_rest() {
        let lasting = lasting(&["A", "C", "D", "F"]);
        let ids = ["A", "B", "C", "D", "E", "G"];
        let (stand, rest) = lasting.split(ids.into_iter(), |id, _| id != "C");
        assert_eq!((stand, rest), (vec![0, 2], vec!["B", "C", "E", "G"]));
        let (stand, rest) = Lasting::default().split(ids.into_iter(), |_, _| true);
        assert_eq!((stand, rest), (vec![], ids.to_vec()));
    }
}
