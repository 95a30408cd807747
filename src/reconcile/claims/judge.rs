//! What a list said of a request, held against what a read of it says. Pure.
//!
//! A request may change between the two, and then both were right. So a read contradicts a list only where its own date
//! lies before the list by a margin for the clocks and for what the upstream needs until its lists show what it stamped.
//! Whether an instant is compared by the second or by the millisecond, and whether it is included, is not documented:
//! what lies that close is no contradiction either.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{Filter, Observation};
use crate::rules::classes::{Ask, Class};

/// As close to the threshold of an age as a filter may differ from ours.
const RESOLUTION: TimeDelta = TimeDelta::seconds(1);

/// When the lists were asked, and how much later a change may be stamped.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The ages count from it.
    pub now: DateTime<Utc>,
    /// What is dated later than so long before `now` may have changed after a list was answered.
    pub margin: Duration,
}

/// What came of looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The read says the same.
    Agrees,
    /// It may have changed in between, or has no date.
    CantTell,
    /// It says otherwise.
    Contradicts(Filter),
}

/// Of a request that the list named.
pub fn listed(ask: &Ask, read: &Observation, asked: Asked) -> Judgement {
    let Some(wrong) = first_that_fails(ask, read, asked) else {
        return Judgement::Agrees;
    };
    if is_settled(read, asked) {
        Judgement::Contradicts(wrong)
    } else {
        Judgement::CantTell
    }
}

/// Of a request that the list did not name, although it named it without `filter`.
pub fn left_out(ask: &Ask, filter: Filter, read: &Observation, asked: Asked) -> Judgement {
    if first_that_fails(ask, read, asked).is_some() || is_close(ask, read, asked) {
        return Judgement::Agrees;
    }
    if is_settled(read, asked) {
        Judgement::Contradicts(filter)
    } else {
        Judgement::CantTell
    }
}

/// Of a member of a class: the list that put it there wrongly, the filter, and whether that list named it.
pub fn member<'c>(
    class: &'c Class,
    read: &Observation,
    asked: Asked,
) -> Option<(&'c Ask, Filter, bool)> {
    if let Judgement::Contradicts(filter) = listed(&class.within, read, asked) {
        return Some((&class.within, filter, true));
    }
    class.without.iter().find_map(|ask| {
        // What makes such a list differ from others is its flag, which is the first that it asks for.
        let filter = ask.filters().find(|filter| *filter != Filter::Statuses)?;
        match left_out(ask, filter, read, asked) {
            Judgement::Contradicts(filter) => Some((ask, filter, false)),
            Judgement::Agrees | Judgement::CantTell => None,
        }
    })
}

/// The first filter of the question that does not hold of what was read.
fn first_that_fails(ask: &Ask, read: &Observation, asked: Asked) -> Option<Filter> {
    let holds = |filter: Filter| match filter {
        Filter::Statuses => ask
            .status
            .as_ref()
            .is_none_or(|wanted| *wanted == read.status),
        Filter::PersistenceType => {
            ask.persistence_type.is_none() || ask.persistence_type == read.persistence_type
        }
        Filter::Cancelling => !ask.cancelling || read.cancelling,
        Filter::AutoInstallation => !ask.auto_installation || read.auto_installation == Some(true),
        Filter::NotUpdatedSince => ask.age.is_none_or(|age| {
            let updated = read.last_updated;
            updated.is_some_and(|updated| updated <= threshold(asked, age) + RESOLUTION)
        }),
    };
    ask.filters().find(|filter| !holds(*filter))
}

fn threshold(asked: Asked, age: Duration) -> DateTime<Utc> {
    asked.now - age
}

/// Dated about the threshold of the age that was asked for.
fn is_close(ask: &Ask, read: &Observation, asked: Asked) -> bool {
    ask.age.is_some_and(|age| {
        let updated = read.last_updated;
        updated.is_none_or(|updated| updated >= threshold(asked, age) - RESOLUTION)
    })
}

/// It has not changed since before the list was asked.
fn is_settled(read: &Observation, asked: Asked) -> bool {
    let updated = read.last_updated;
    updated.is_some_and(|updated| updated < asked.now - asked.margin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{PersistenceType, Status};
    use crate::reconcile::fixtures;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn asked() -> Asked {
        Asked {
            now: fixtures::now(),
            margin: Duration::from_secs(60),
        }
    }

    fn aged() -> Ask {
        Ask {
            status: Some(Status::NotSent),
            age: Some(HOUR),
            ..Ask::default()
        }
    }

    fn updated(before: TimeDelta) -> Observation {
        Observation {
            last_updated: Some(fixtures::now() - before),
            ..fixtures::unsent()
        }
    }

    #[test]
    fn a_listed_request_is_held_against_every_filter() {
        let cancelling = Ask {
            cancelling: true,
            ..aged()
        };
        let ours = Ask {
            auto_installation: true,
            ..aged()
        };
        let terminations = Ask {
            persistence_type: Some(PersistenceType::Termination),
            ..aged()
        };
        let unsent = fixtures::unsent();
        let elsewhere = fixtures::in_status(Status::Processing);
        let cases = [
            ("as listed", aged(), unsent.clone(), Judgement::Agrees),
            (
                "another status",
                aged(),
                elsewhere,
                Judgement::Contradicts(Filter::Statuses),
            ),
            (
                "not cancelling",
                cancelling,
                unsent.clone(),
                Judgement::Contradicts(Filter::Cancelling),
            ),
            (
                "not ours",
                ours,
                unsent.clone(),
                Judgement::Contradicts(Filter::AutoInstallation),
            ),
            (
                "an activation",
                terminations,
                unsent,
                Judgement::Contradicts(Filter::PersistenceType),
            ),
            (
                "younger",
                aged(),
                updated(TimeDelta::minutes(30)),
                Judgement::Contradicts(Filter::NotUpdatedSince),
            ),
            (
                "changed since",
                aged(),
                updated(TimeDelta::seconds(30)),
                Judgement::CantTell,
            ),
            (
                "a second younger",
                aged(),
                updated(TimeDelta::hours(1) - RESOLUTION),
                Judgement::Agrees,
            ),
            (
                "undated",
                aged(),
                Observation {
                    last_updated: None,
                    ..fixtures::unsent()
                },
                Judgement::CantTell,
            ),
        ];
        for (name, ask, read, expected) in cases {
            assert_eq!(listed(&ask, &read, asked()), expected, "{name}");
        }
    }

    #[test]
    fn a_member_of_a_class_is_held_against_the_lists_that_it_is_not_in_too() {
        let cancelling = Ask {
            cancelling: true,
            ..Ask::default()
        };
        let class = Class {
            rule: 0,
            status: Status::NotSent,
            cancelling: false,
            within: aged(),
            without: vec![cancelling.clone()],
            is_residual: false,
        };
        assert_eq!(member(&class, &fixtures::unsent(), asked()), None);
        let being_cancelled = Observation {
            cancelling: true,
            ..fixtures::unsent()
        };
        let wrong = member(&class, &being_cancelled, asked());
        assert_eq!(wrong, Some((&cancelling, Filter::Cancelling, false)));
        let elsewhere = fixtures::in_status(Status::Processing);
        let wrong = member(&class, &elsewhere, asked());
        assert_eq!(wrong, Some((&aged(), Filter::Statuses, true)));
    }

    #[test]
    fn a_request_that_was_left_out_is_one_that_should_not_have_been() {
        let by = Filter::NotUpdatedSince;
        let cases = [
            (
                "older",
                updated(TimeDelta::hours(2)),
                Judgement::Contradicts(by),
            ),
            (
                "younger",
                updated(TimeDelta::minutes(30)),
                Judgement::Agrees,
            ),
            (
                "of that very age",
                updated(TimeDelta::hours(1)),
                Judgement::Agrees,
            ),
            (
                "undated",
                Observation {
                    last_updated: None,
                    ..fixtures::unsent()
                },
                Judgement::Agrees,
            ),
            (
                "elsewhere",
                fixtures::in_status(Status::Finished),
                Judgement::Agrees,
            ),
        ];
        for (name, read, expected) in cases {
            assert_eq!(left_out(&aged(), by, &read, asked()), expected, "{name}");
        }
        // Without an age, one that changed a moment ago may have changed after the list.
        let ask = Ask {
            age: None,
            ..aged()
        };
        let fresh = updated(TimeDelta::seconds(5));
        assert_eq!(
            left_out(&ask, Filter::Statuses, &fresh, asked()),
            Judgement::CantTell
        );
    }
}
