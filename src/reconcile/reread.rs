//! Before a write, all that its decision rests on is read again: the request, and the issue or the events where the rule
//! is about those.
//!
//! A request's own date does not move when one of its issues is resolved. So a write that was decided on for an issue
//! is sent only for that issue as it stood then, and one for an inconsistent event only while there is such an event.

use super::events;
use super::plan::{Intent, instant, sighting};
use crate::config::{Job, JobKind};
use crate::domain::ids::Org;
use crate::domain::{Event, FindingKind, Issue, Observation, Request};
use crate::store::findings::Sighting;
use crate::tesamanager::{ReadError, Tesamanager};

/// What a decision rests on, as it stands now.
#[derive(Debug)]
pub struct Ground {
    /// The request.
    pub request: Request,
    /// What the rule is about beside it.
    pub beside: Beside,
}

/// See [`Ground::beside`].
#[derive(Debug)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// The request's issues.
    Issues(Vec<Issue>),
    /// Its events.
    Events(Vec<Event>),
}

/// Reads it.
pub async fn read(
    api: &dyn Tesamanager,
    org: &Org,
    job: &Job,
    seen: &Observation,
    intent: &Intent,
) -> Result<Ground, ReadError> {
    let id = &seen.reference_id;
    let request = api.get_request(org, id).await?;
    let beside = if intent.issue.is_some() {
        Beside::Issues(api.get_request_issues(org, id).await?)
    } else if job.kind == JobKind::FlagEvents {
        Beside::Events(api.get_request_events(org, id).await?)
    } else {
        Beside::Nothing
    };
    Ok(Ground { request, beside })
}

/// Whether the decision still holds: the issue it is about as it stands now, or what changed, in words.
pub fn still_holds(
    job: &Job,
    seen: &Observation,
    decided_on: Option<&Issue>,
    now: &Observation,
    beside: &Beside,
) -> Result<Option<Issue>, String> {
    if now.version() != seen.version() {
        return Err(format!("the request: now {}", now.status));
    }
    match (decided_on, beside) {
        (None, Beside::Events(events)) => {
            let found = events::check(now, events, &job.event_checks);
            if found.iter().any(|found| events::is_mark(&found.key)) {
                Ok(None)
            } else {
                Err("its events: none is marked inconsistent any more".to_owned())
            }
        }
        (None, _) => Ok(None),
        (Some(issue), Beside::Issues(issues)) => still_stands(issue, issues).map(Some),
        (Some(_), _) => Err("its issues were not read".to_owned()),
    }
}

fn still_stands(decided_on: &Issue, issues: &[Issue]) -> Result<Issue, String> {
    let code = &decided_on.issue_code;
    let mut same = issues.iter().filter(|issue| is_same(decided_on, issue));
    match (same.next(), same.next()) {
        (Some(issue), None) if issue == decided_on => Ok(issue.clone()),
        (Some(issue), None) if issue.resolved => Err(format!("issue {code}: now resolved")),
        (Some(_), None) => Err(format!("issue {code}: no longer as it was")),
        (None, _) => Err(format!("issue {code}: no longer there")),
        (Some(_), Some(_)) => Err(format!("issue {code}: now there more than once")),
    }
}

/// By its number within the request, or by the next best that it has.
fn is_same(one: &Issue, other: &Issue) -> bool {
    match (one.issue_sequence, one.id) {
        (Some(sequence), _) => other.issue_sequence == Some(sequence),
        (None, Some(id)) => other.id == Some(id),
        (None, None) => other.issue_code == one.issue_code,
    }
}

/// A request that reads as older than it was known to be: in words, and as people shall see it.
pub fn contradiction(seen: &Observation) -> (String, Sighting) {
    let date = seen
        .last_updated
        .map_or_else(|| "without a date".to_owned(), instant);
    let why = format!(
        "it reads as {} ({date}), which is older than what was read before: one of the two is wrong",
        seen.status
    );
    let found = sighting(seen, FindingKind::ContractViolation, "last_updated", &*why);
    (why, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Status;
    use crate::reconcile::fixtures;

    fn issue() -> Issue {
        Issue {
            id: Some(7),
            reference_id: "R-1".into(),
            issue_sequence: Some(2),
            issue_code: "CLI-012".into(),
            resolved: false,
            repeated: false,
            last_updated: Some(fixtures::now()),
        }
    }

    #[test]
    fn an_issue_stands_only_as_it_was_decided_on() {
        let other = Issue {
            issue_sequence: Some(3),
            ..issue()
        };
        let resolved = Issue {
            resolved: true,
            ..issue()
        };
        let touched = Issue {
            last_updated: None,
            ..issue()
        };
        let cases = [
            (vec![issue(), other.clone()], None),
            (vec![resolved], Some("now resolved")),
            (vec![touched], Some("no longer as it was")),
            (vec![other], Some("no longer there")),
            (vec![], Some("no longer there")),
            (vec![issue(), issue()], Some("more than once")),
        ];
        for (issues, wrong) in cases {
            let name = format!("{issues:?}");
            match (still_stands(&issue(), &issues), wrong) {
                (Ok(found), None) => assert_eq!(found, issue()),
                (Err(why), Some(wrong)) => assert!(why.contains(wrong), "{name}: {why}"),
                (answer, _) => panic!("{name}: {answer:?}"),
            }
        }
    }

    #[test]
    fn an_issue_without_a_number_is_told_by_its_id_and_then_by_its_code() {
        let unnumbered = Issue {
            issue_sequence: None,
            ..issue()
        };
        let nameless = Issue {
            id: None,
            ..unnumbered.clone()
        };
        for decided_on in [unnumbered, nameless] {
            let found = still_stands(&decided_on, std::slice::from_ref(&decided_on));
            assert_eq!(found, Ok(decided_on));
        }
    }

    #[test]
    fn a_request_that_reads_older_says_so() {
        let (why, found) = contradiction(&fixtures::in_status(Status::Validating));
        assert!(why.contains("VALIDATING"), "{why}");
        assert_eq!(found.key.kind, FindingKind::ContractViolation);
    }
}
