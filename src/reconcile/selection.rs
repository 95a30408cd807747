//! Which list calls find what a set of rules is about, and which of the answered ids must be read: pure.
//!
//! Cost follows change. One list call is made for every distinct age among the rules, over the union of their
//! statuses. An id in the answer to `notUpdatedSince = T` has not changed since T, so if it was observed after T,
//! what is remembered of it still holds and it needs no read.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::ids::Org;
use crate::domain::{Observation, Status};
use crate::rules::{Matcher, Rule, is_older_than};
use crate::tesamanager::ListFilter;

/// One list call: requests in these statuses that were not updated for this long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The age that makes them stuck.
    pub age: Duration,
    /// Those with a cancellation in flight, instead of those without.
    pub cancelling: bool,
    /// Never empty.
    pub statuses: Vec<Status>,
}

/// What stands between two instants even where the clocks agree: the second that a `Date` header is cut to, an answer
/// on its way, a change that is stamped before it can be seen.
const IN_BETWEEN: Duration = Duration::from_secs(60);

/// How far apart the clocks are taken to be while no answer has told: more than machines that tell the time at all.
/// It costs reads of what changed shortly before the last look, never a change.
const UNMEASURED: Duration = Duration::from_secs(3_600);

/// How far apart the clocks are taken to have been, by what was measured.
pub fn apart(measured: Option<Duration>) -> Duration {
    measured.unwrap_or(UNMEASURED)
}

/// How much later than an instant of the upstream's one of ours must be to count as later, by the distance of the
/// clocks that was measured since.
pub fn margin(measured: Option<Duration>) -> Duration {
    apart(measured) + IN_BETWEEN
}

/// The list calls for the rules that concern this org. Rules without an age or with an empty list of statuses
/// select nothing: "everything" is never what a missing word means.
pub fn selections(rules: &[Rule], org: &Org) -> Vec<Selection> {
    let mut by_age: BTreeMap<(Duration, bool), Vec<Status>> = BTreeMap::new();
    for Matcher {
        statuses,
        not_updated_for,
        cancelling,
        orgs,
        ..
    } in rules.iter().map(|rule| &rule.matcher)
    {
        let concerned = orgs.as_ref().is_none_or(|orgs| orgs.contains(org));
        let Some(age) = not_updated_for.filter(|_| concerned) else {
            continue;
        };
        let union = by_age.entry((age, *cancelling)).or_default();
        match statuses {
            Some(statuses) => union.extend(statuses.iter().cloned()),
            None => union.extend(Status::open()),
        }
    }
    by_age
        .into_iter()
        .filter(|(_, statuses)| !statuses.is_empty())
        .map(|((age, cancelling), mut statuses)| {
            statuses.sort();
            statuses.dedup();
            Selection {
                age,
                cancelling,
                statuses,
            }
        })
        .collect()
}

impl Selection {
    /// The instant before which a request must have been updated last.
    pub fn threshold(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.age
    }

    /// The list call's filter. `cancelling` is only ever asked for as true: whether a request without the flag
    /// answers to `cancelling=false` is not documented.
    pub fn filter(&self, now: DateTime<Utc>) -> ListFilter {
        ListFilter {
            statuses: Some(self.statuses.clone()),
            cancelling: self.cancelling.then_some(true),
            not_updated_since: Some(self.threshold(now)),
            ..ListFilter::default()
        }
    }

    /// The request is (still) what this selection looks for.
    pub fn covers(&self, request: &Observation, now: DateTime<Utc>) -> bool {
        self.cancelling == request.cancelling
            && self.statuses.contains(&request.status)
            && is_older_than(request, self.age, now)
    }

    /// What is remembered of a listed request still holds, so it needs no read. `margin` is for the clocks, see
    /// [`margin`].
    pub fn proves_unchanged(
        &self,
        remembered: &Observation,
        reobserve_every: Duration,
        margin: Duration,
        now: DateTime<Utc>,
    ) -> bool {
        let fresh_enough = (now - remembered.observed_at)
            .to_std()
            .is_ok_and(|age| age < reobserve_every);
        fresh_enough
            && self.rules_out_change(remembered.observed_at, &remembered.status, margin, now)
    }

    /// A listed request that was observed then, in this status, has not changed since.
    pub fn rules_out_change(
        &self,
        observed_at: DateTime<Utc>,
        status: &Status,
        margin: Duration,
        now: DateTime<Utc>,
    ) -> bool {
        let observed_after = observed_at > self.threshold(now) + margin;
        // The upstream just said that it is in one of these statuses. If we remember another one, a date of
        // change was not kept upstream, and only a read can tell.
        let agrees = self.statuses.contains(status);
        observed_after && agrees
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixtures;
    use crate::rules::Action;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);

    fn rule(matcher: Matcher) -> Rule {
        Rule {
            name: "rule".into(),
            matcher,
            action: Action::Flag,
            party: None,
        }
    }

    fn aged(statuses: Option<Vec<Status>>, age: Duration) -> Matcher {
        Matcher {
            statuses,
            not_updated_for: Some(age),
            ..Matcher::default()
        }
    }

    #[test]
    fn rules_of_one_age_share_one_list_call() {
        let rules = [
            rule(aged(Some(vec![Status::Installed]), DAY)),
            rule(aged(Some(vec![Status::NotSent]), 30 * MINUTE)),
            rule(aged(Some(vec![Status::Processing, Status::Installed]), DAY)),
        ];
        let found = selections(&rules, &fixtures::org());
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].statuses, [Status::NotSent]);
        assert_eq!(found[1].statuses, [Status::Processing, Status::Installed]);
    }

    #[test]
    fn empty_selection_selects_nothing() {
        let rules = [
            rule(aged(Some(vec![]), DAY)),
            rule(Matcher::default()),
            rule(Matcher {
                orgs: Some(vec!["yoigo".into()]),
                ..aged(Some(vec![Status::NotSent]), DAY)
            }),
        ];
        assert_eq!(selections(&rules, &fixtures::org()), []);
        assert_eq!(selections(&[], &fixtures::org()), []);
        let empty = ListFilter {
            statuses: Some(vec![]),
            ..ListFilter::default()
        };
        assert!(empty.selects_nothing());
    }

    #[test]
    fn a_rule_without_statuses_means_the_open_ones() {
        let rules = [rule(Matcher {
            cancelling: true,
            ..aged(None, DAY)
        })];
        let found = selections(&rules, &fixtures::org());
        assert!(found[0].cancelling && found[0].statuses.len() == Status::open().count());
        assert_eq!(found[0].filter(fixtures::now()).cancelling, Some(true));
    }

    #[test]
    fn a_listed_request_is_read_only_when_it_may_have_changed() {
        let now = fixtures::now();
        let selection = Selection {
            age: 30 * MINUTE,
            cancelling: false,
            statuses: vec![Status::NotSent],
        };
        let observed = |minutes_ago: i64, status: Status| Observation {
            observed_at: now - chrono::Duration::minutes(minutes_ago),
            status,
            ..fixtures::unsent()
        };
        let (agree, apart) = (Some(Duration::ZERO), Some(10 * MINUTE));
        // (observed so many minutes ago, as being in, reobserve after, clocks apart, needs no read)
        let cases = [
            (1, Status::NotSent, DAY, agree, true),
            (28, Status::NotSent, DAY, agree, true),
            (29, Status::NotSent, DAY, agree, false), // within the margin
            (30, Status::NotSent, DAY, agree, false),
            (600, Status::NotSent, DAY, agree, false),
            (1, Status::Validating, DAY, agree, false), // contradicts the list
            (10, Status::NotSent, 5 * MINUTE, agree, false), // trusted no longer than configured
            (-5, Status::NotSent, DAY, agree, false), // observed "later than now": the clock jumped
            (18, Status::NotSent, DAY, apart, true),
            (19, Status::NotSent, DAY, apart, false), // may be later by our clock alone
            (1, Status::NotSent, DAY, None, false),   // nobody knows how far apart the clocks are
        ];
        for (minutes_ago, status, reobserve, apart, expected) in cases {
            let remembered = observed(minutes_ago, status.clone());
            assert_eq!(
                selection.proves_unchanged(&remembered, reobserve, margin(apart), now),
                expected,
                "{minutes_ago} min ago as {status}, clocks {apart:?} apart"
            );
        }
    }
}
