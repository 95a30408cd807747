//! Whom each class has: list algebra where lists tell, reads where they don't.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::algebra;
use crate::domain::id_list;
use crate::domain::{IdList, Observation};
use crate::reconcile::claims::Answers;
use crate::reconcile::claims::judge::{self, Judgement};
use crate::reconcile::reads::Reads;
use crate::reconcile::survey::{CHUNK, Survey, SurveyError};
use crate::rules::classes::{self, Ask, Class, ClassKey};
use crate::rules::{Rule, Subject};

/// A class with its requests.
#[derive(Debug)]
pub struct Members<'a> {
    /// Which.
    pub class: &'a Class,
    /// By which rule.
    pub rule: &'a Rule,
    /// What its findings say.
    pub key: ClassKey,
    /// Who is in it, in ascending order.
    pub ids: Vec<&'a str>,
}

impl Survey<'_> {
    /// The members of each class. The first rule that matches wins: who is in a class is in none after it. Who is `moving`
    /// while this is asked is in none at all; the next run sees where it has come to.
    pub async fn members<'a>(
        &self,
        classes: &'a [Class],
        rules: &'a [Rule],
        lists: &Answers<'a>,
        moving: Vec<&'a str>,
        reads: &mut Reads,
    ) -> Result<Vec<Members<'a>>, SurveyError> {
        let mut all = Vec::with_capacity(classes.len());
        let mut taken = moving;
        for class in classes {
            let mut ids = algebra::minus(answer(lists, &class.within), &taken);
            for ask in &class.without {
                ids = algebra::minus(&ids, answer(lists, ask));
            }
            if class.is_residual {
                let moved;
                (ids, moved) = self.matching(class, rules, ids, reads).await?;
                taken = algebra::union(taken, &moved);
            }
            taken = algebra::union(taken, &ids);
            let rule = &rules[class.rule];
            all.push(Members {
                class,
                rule,
                key: classes::key(class, rule),
                ids,
            });
        }
        Ok(all)
    }

    /// Those of a residual class that its rule matches, by what is remembered of them where the list proves that they did
    /// not change since, else by a read. Those that can't be read are no members: nobody knows. Then those that have changed
    /// since the list.
    async fn matching<'a>(
        &self,
        class: &Class,
        rules: &[Rule],
        ids: Vec<&'a str>,
        reads: &mut Reads,
    ) -> Result<(Vec<&'a str>, Vec<&'a str>), SurveyError> {
        let matcher = &rules[class.rule].matcher;
        let matches = |request: &Observation| {
            let subject = Subject {
                org: self.context.org,
                request,
                issue: None,
            };
            request.status == class.status && matcher.matches(subject, self.context.now)
        };
        let (mut matching, mut moved): (HashSet<String>, HashSet<String>) = Default::default();
        let (mut unread, mut unproven) = (Vec::new(), Vec::new());
        for chunk in id_list::chunks(ids.iter().copied(), CHUNK) {
            let mut known = self.store.observations(self.context.org, &chunk).await?;
            known.retain(|seen| self.may_stand(class, seen));
            let ids: HashSet<_> = known.iter().map(|seen| &seen.reference_id).collect();
            unread.extend(chunk.iter().filter(|id| !ids.contains(id)).cloned());
            let (proven, others): (Vec<_>, Vec<_>) =
                known.into_iter().partition(|seen| self.stands(class, seen));
            unproven.extend(others);
            let found = proven.iter().filter(|seen| matches(seen));
            matching.extend(found.map(|seen| seen.reference_id.to_string()));
        }
        // What was read longer ago than the class's age is proven by a list that asks for a higher one: else a class that
        // takes longer to read than its age would never be known.
        let unchanged = self.unchanged_since(class, &unproven).await?;
        let unchanged = unchanged.sorted();
        for seen in unproven {
            if !algebra::contains(&unchanged, seen.reference_id.as_str()) {
                unread.push(seen.reference_id);
            } else if matches(&seen) {
                matching.insert(seen.reference_id.to_string());
            }
        }
        for chunk in unread.chunks(self.batch) {
            let batch = self.read(chunk.to_vec()).await?;
            reads.batch(&batch);
            let found = batch.fresh.iter().filter(|(seen, _)| matches(seen));
            matching.extend(found.map(|(seen, _)| seen.reference_id.to_string()));
            let changed = batch.fresh.iter().filter(|(seen, _)| {
                let look = judge::listed(&class.within, seen, self.asked());
                look == Judgement::CantTell && seen.last_updated.is_some()
            });
            moved.extend(changed.map(|(seen, _)| seen.reference_id.to_string()));
        }
        let those =
            |set: &HashSet<String>| ids.iter().copied().filter(|id| set.contains(*id)).collect();
        Ok((those(&matching), those(&moved)))
    }

    /// Those of the class that did not change since the first of these reads.
    async fn unchanged_since(
        &self,
        class: &Class,
        reads: &[Observation],
    ) -> Result<IdList, SurveyError> {
        let first = reads.iter().map(|seen| seen.observed_at).min();
        let since = first.and_then(|first| (self.context.now - first).to_std().ok());
        let (Some(since), Some(_)) = (since, class.within.age) else {
            return Ok(IdList::default());
        };
        let ask = Ask {
            age: Some(since.saturating_add(self.clock_margin())),
            ..class.within.clone()
        };
        self.ask(&ask, self.max_list_ids).await
    }

    fn may_stand(&self, class: &Class, seen: &Observation) -> bool {
        agrees(class, seen) && is_recent(seen, self.job.reobserve_every, self.context.now)
    }

    /// What is remembered of a request that the class's list named still stands.
    pub fn stands(&self, class: &Class, seen: &Observation) -> bool {
        let (now, margin) = (self.context.now, self.clock_margin());
        is_unchanged(class, seen, self.job.reobserve_every, margin, now)
    }
}

/// It was read as what the class is about. Where the lists don't tell the status, whatever it was may be remembered.
fn agrees(class: &Class, seen: &Observation) -> bool {
    class.within.status.is_none()
        || (class.status == seen.status && class.cancelling == seen.cancelling)
}

fn is_recent(seen: &Observation, reobserve_every: Duration, now: DateTime<Utc>) -> bool {
    let age = (now - seen.observed_at).to_std();
    age.is_ok_and(|age| age < reobserve_every)
}

/// What was read of a request, which the class's list has named, still stands: it was read after the instant that the list
/// asked for, and the list says that nothing happened since then. `margin` is for the clocks, see `clocks.rs`.
fn is_unchanged(
    class: &Class,
    seen: &Observation,
    reobserve_every: Duration,
    margin: Duration,
    now: DateTime<Utc>,
) -> bool {
    agrees(class, seen)
        && is_recent(seen, reobserve_every, now)
        && class
            .within
            .age
            .is_some_and(|age| seen.observed_at > now - age + margin)
}

/// Every question of the classes was asked.
fn answer<'l, 'a>(lists: &'l Answers<'a>, ask: &classes::Ask) -> &'l [&'a str] {
    lists.get(ask).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Status;
    use crate::reconcile::fixtures;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_was_read_stands_while_the_list_proves_it() {
        let class = Class {
            rule: 0,
            status: Status::NotSent,
            cancelling: false,
            within: classes::Ask {
                status: Some(Status::NotSent),
                age: Some(30 * MINUTE),
                ..classes::Ask::default()
            },
            without: vec![],
            is_residual: true,
        };
        let read = |minutes: u32| Observation {
            observed_at: fixtures::now() - MINUTE * minutes,
            ..fixtures::unsent()
        };
        let stands = |seen: &Observation, margin| {
            is_unchanged(&class, seen, 600 * MINUTE, margin, fixtures::now())
        };
        assert!(stands(&read(5), MINUTE));
        assert!(!stands(&read(29), MINUTE), "the clocks may be apart");
        assert!(
            !stands(&read(40), MINUTE),
            "it may have changed before the list's instant"
        );
        assert!(
            !stands(&read(5), 60 * MINUTE),
            "nobody knows how far the clocks are apart"
        );
        let elsewhere = Observation {
            status: Status::Validating,
            ..read(5)
        };
        assert!(
            !stands(&elsewhere, MINUTE),
            "a date of change was not kept upstream"
        );
        assert!(
            !is_unchanged(&class, &read(5), MINUTE, MINUTE, fixtures::now()),
            "too long ago"
        );
    }
}
