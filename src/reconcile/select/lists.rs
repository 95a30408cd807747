//! The answers to a job's list calls.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chrono::{DateTime, Utc};

use super::algebra;
use crate::domain::{IdList, ReadOperation};
use crate::reconcile::survey::{Survey, SurveyError};
use crate::rules::classes::Ask;
use crate::tesamanager::{ListFilter, ReadError};

/// A question as the upstream is asked it; ages count from `now`.
pub fn filter(ask: &Ask, now: DateTime<Utc>) -> ListFilter {
    ListFilter {
        statuses: ask.status.clone().map(|status| vec![status]),
        external_reference: None,
        auto_installation: ask.auto_installation.then_some(true),
        cancelling: ask.cancelling.then_some(true),
        persistence_type: ask.persistence_type,
        not_updated_since: ask.age.map(|age| now - age),
    }
}

/// The ids that each question answered.
#[derive(Debug, Default)]
pub struct Lists {
    answers: BTreeMap<Ask, IdList>,
    /// The answers to what was asked once more.
    again: Vec<(Ask, IdList)>,
}

impl Lists {
    /// In ascending order, each once.
    pub fn sorted(&self) -> BTreeMap<&Ask, Vec<&str>> {
        self.answers
            .iter()
            .map(|(ask, ids)| (ask, ids.sorted()))
            .collect()
    }

    /// Whom two answers to one question don't agree on; in ascending order.
    pub fn moving<'l>(&'l self, answers: &BTreeMap<&Ask, Vec<&'l str>>) -> Vec<&'l str> {
        let mut moving = Vec::new();
        for (ask, again) in &self.again {
            let (first, again) = (
                answers.get(ask).map_or(&[][..], Vec::as_slice),
                again.sorted(),
            );
            moving = algebra::union(moving, &algebra::minus(first, &again));
            moving = algebra::union(moving, &algebra::minus(&again, first));
        }
        moving
    }
}

impl Survey<'_> {
    /// Asks each question, in this order. Answers more ids in all than a run may be about are an error.
    pub async fn ask_all(&self, asks: &[&Ask]) -> Result<Lists, SurveyError> {
        let mut lists = Lists::default();
        let mut left = self.max_list_ids;
        for ask in asks {
            let ids = self.ask(ask, left).await?;
            left -= ids.len() as u64;
            match lists.answers.entry((*ask).clone()) {
                Entry::Occupied(_) => lists.again.push(((*ask).clone(), ids)),
                Entry::Vacant(first) => {
                    first.insert(ids);
                }
            }
        }
        Ok(lists)
    }

    /// The ids that one question answers; more than `most` are an error.
    pub async fn ask(&self, ask: &Ask, most: u64) -> Result<IdList, SurveyError> {
        let mut ids = IdList::default();
        let filter = filter(ask, self.context.now);
        self.list(&filter, |batch| ids.push(batch)).await?;
        if ids.len() as u64 > most {
            let operation = ReadOperation::ListReferenceIds.as_str();
            return Err(ReadError::too_many_ids(operation, self.max_list_ids).into());
        }
        Ok(ids)
    }
}
