//! Which claims a run looks at.

use super::{Answers, Survey, SurveyError};
use crate::domain::Filter;
use crate::domain::ids::ReferenceId;
use crate::reconcile::select::algebra;
use crate::reconcile::survey::CHUNK;
use crate::rules::classes::Ask;

/// Named requests that each run reads.
const LISTED: usize = 2;

/// Requests that are read more of each list that has jumped, or whose filter is in doubt; of so many lists at most.
const MORE: usize = 3;
const LISTS: usize = 4;

/// One look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// At the answer to this question.
    pub ask: Ask,
    /// At this request.
    pub id: ReferenceId,
    /// The list left it out, though it names it when asked without this filter; none if the list named it.
    pub left_out: Option<Filter>,
}

/// Whose turn it is.
#[derive(Debug, Default)]
pub struct Turn {
    /// Counts from run to run, so that every list and every filter has its turn.
    pub number: u64,
    /// Lists that name far more, or far fewer, than before.
    pub jumped: Vec<Ask>,
}

impl Survey<'_> {
    /// Draws this run's samples. One more list is asked for the one that was left out.
    pub(super) async fn samples(
        &self,
        lists: &Answers<'_>,
        turn: &Turn,
        doubted: &[Filter],
    ) -> Result<Vec<Sample>, SurveyError> {
        let mut samples = Vec::new();
        let asks: Vec<&Ask> = lists.keys().copied().collect();
        let named: Vec<&Ask> = asks
            .iter()
            .copied()
            .filter(|ask| !lists[ask].is_empty())
            .collect();
        for nth in 0..LISTED {
            if !named.is_empty() {
                let ask = in_turn(&named, turn.number, nth);
                samples.extend(self.listed_one(ask, lists, &samples));
            }
        }
        if !asks.is_empty() {
            let ask = in_turn(&asks, turn.number, LISTED);
            let filters: Vec<Filter> = ask.filters().collect();
            let round = turn.number / asks.len() as u64;
            if !filters.is_empty() {
                let filter = *in_turn(&filters.iter().collect::<Vec<_>>(), round, 0);
                samples.extend(self.one_left_out(ask, filter, lists).await?);
            }
        }
        let suspicious = named.iter().filter(|ask| {
            turn.jumped.contains(ask) || ask.filters().any(|filter| doubted.contains(&filter))
        });
        for ask in suspicious.take(LISTS) {
            for _ in 0..MORE {
                samples.extend(self.listed_one(ask, lists, &samples));
            }
        }
        for filter in doubted {
            if let Some(ask) = asks
                .iter()
                .find(|ask| ask.filters().any(|it| it == *filter))
            {
                samples.extend(self.one_left_out(ask, *filter, lists).await?);
            }
        }
        Ok(samples)
    }

    /// As many of one list as a run looks at.
    pub(super) fn named_samples(&self, ask: &Ask, lists: &Answers<'_>) -> Vec<Sample> {
        let mut samples = Vec::new();
        for _ in 0..LISTED {
            samples.extend(self.listed_one(ask, lists, &samples));
        }
        samples
    }

    /// Another one than those that were drawn, if there is any.
    fn listed_one(&self, ask: &Ask, lists: &Answers<'_>, drawn: &[Sample]) -> Option<Sample> {
        let is_drawn = |id: &str| drawn.iter().any(|one| one.id.as_str() == id);
        let (listed, random) = (lists.get(ask)?, self.clock.random());
        let mut tries =
            (0..=drawn.len() as u64).filter_map(|next| pick(listed, random.wrapping_add(next)));
        let id = tries.find(|id| !is_drawn(id))?;
        Some(Sample {
            ask: ask.clone(),
            id: ReferenceId::new(id),
            left_out: None,
        })
    }

    /// One that the list of what did not change leaves out; rather one that was last known with a date from before, for of a
    /// new one there is nothing to find out.
    pub(super) async fn one_called_changed(
        &self,
        ask: &Ask,
        all: &[&str],
        unchanged: &[&str],
    ) -> Result<Option<Sample>, SurveyError> {
        let changed = algebra::minus(all, unchanged);
        let from = self.clock.random().checked_rem(changed.len() as u64);
        let Some(from) = from.and_then(|from| changed.get(from as usize..)) else {
            return Ok(None);
        };
        let some: Vec<ReferenceId> = from
            .iter()
            .take(CHUNK)
            .map(|id| ReferenceId::new(*id))
            .collect();
        let since = self.context.now - ask.age.unwrap_or_default();
        let mut known = self.store.observations(self.context.org, &some).await?;
        known.retain(|seen| seen.last_updated.is_some_and(|updated| updated < since));
        known.sort_by(|a, b| a.reference_id.cmp(&b.reference_id));
        let known: Vec<&str> = known
            .iter()
            .map(|seen| seen.reference_id.as_str())
            .collect();
        let id = pick(&known, self.clock.random()).or_else(|| from.first().copied());
        Ok(id.map(|id| Sample {
            ask: ask.clone(),
            id: ReferenceId::new(id),
            left_out: Some(Filter::NotUpdatedSince),
        }))
    }

    async fn one_left_out(
        &self,
        ask: &Ask,
        filter: Filter,
        lists: &Answers<'_>,
    ) -> Result<Option<Sample>, SurveyError> {
        let wider = self.ask(&without(ask, filter), self.max_list_ids).await?;
        let left_out = algebra::minus(&wider.sorted(), &lists[ask]);
        Ok(pick(&left_out, self.clock.random()).map(|id| Sample {
            ask: ask.clone(),
            id: ReferenceId::new(id),
            left_out: Some(filter),
        }))
    }
}

/// The same question without one of its filters.
pub(super) fn without(ask: &Ask, filter: Filter) -> Ask {
    let mut wider = ask.clone();
    match filter {
        Filter::Statuses => wider.status = None,
        Filter::PersistenceType => wider.persistence_type = None,
        Filter::Cancelling => wider.cancelling = false,
        Filter::AutoInstallation => wider.auto_installation = false,
        Filter::NotUpdatedSince => wider.age = None,
    }
    wider
}

/// The one whose turn it is, `nth` from there. `all` is not empty.
fn in_turn<'a, T>(all: &[&'a T], number: u64, nth: usize) -> &'a T {
    let place = (number as usize).wrapping_add(nth) % all.len();
    all[place]
}

fn pick<'a>(ids: &[&'a str], random: u64) -> Option<&'a str> {
    let place = random.checked_rem(ids.len() as u64)?;
    ids.get(place as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_has_its_turn() {
        let all = [1, 2, 3];
        let all: Vec<&i32> = all.iter().collect();
        let turns: Vec<i32> = (0..6).map(|number| *in_turn(&all, number, 1)).collect();
        assert_eq!(turns, [2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn a_pick_is_one_of_them_or_nothing() {
        assert_eq!(pick(&[], 7), None);
        assert_eq!(pick(&["a", "b"], 6), Some("a"));
        assert_eq!(pick(&["a", "b"], u64::MAX), Some("b"));
    }
}
