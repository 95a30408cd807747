//! Whether a person's "hands off" still holds, by the request as it was read. Pure.
//!
//! It ends when the status or the cancellation is another one than when it was said; of an issue's finding, when the
//! issue is. A new date alone ends nothing; nor does an answer without a date, or with an earlier one than was known
//! then: such an answer may be an old one. What is not read ends nothing either.

use super::issues::label;
use crate::domain::{FindingKind, Issue, Observation};
use crate::store::acknowledgements::{Acknowledgement, AcknowledgementChange, Given};

/// What `request` means for a word that was said of it; none if it means nothing new. `issues` are those that were
/// read with it, if any were.
pub fn judge(
    said: &Acknowledgement,
    request: &Observation,
    issues: Option<&[Issue]>,
) -> Option<AcknowledgementChange> {
    let ended_why = over(said, request, issues);
    let issue = issues
        .into_iter()
        .flatten()
        .find(|issue| is_said_of(said, issue));
    let given = Given {
        status: unknown(&said.given.status, Some(request.status.clone())),
        cancelling: unknown(&said.given.cancelling, Some(request.cancelling)),
        last_updated: unknown(&said.given.last_updated, request.last_updated),
        repeated: unknown(&said.given.repeated, issue.map(|issue| issue.repeated)),
    };
    let order = unknown(&said.external_reference, request.external_reference.clone());
    if ended_why.is_none() && order.is_none() && given == Given::default() {
        return None;
    }
    Some(AcknowledgementChange {
        id: said.id,
        external_reference: order,
        given,
        ended_why,
    })
}

/// What is known now, where nothing was.
fn unknown<T>(then: &Option<T>, now: Option<T>) -> Option<T> {
    now.filter(|_| then.is_none())
}

fn is_said_of(said: &Acknowledgement, issue: &Issue) -> bool {
    said.key.kind == FindingKind::UnresolvedIssue && label(issue) == said.key.detail
}

fn over(said: &Acknowledgement, request: &Observation, issues: Option<&[Issue]>) -> Option<String> {
    let now = request.last_updated?;
    if said.given.last_updated.is_some_and(|then| now < then) {
        return None;
    }
    let moved = (said.given.status.as_ref()).filter(|then| **then != request.status);
    let moved = moved.map(|then| format!("it was {then} and is {}", request.status));
    if said.key.kind == FindingKind::UnresolvedIssue {
        // Nothing more is asked about the issues of a finished request.
        return moved
            .filter(|_| request.status.is_final())
            .or_else(|| issue_over(said, issues?));
    }
    moved.or_else(|| match (said.given.cancelling, request.cancelling) {
        (Some(false), true) => Some("it is being cancelled".to_owned()),
        (Some(true), false) => Some("it is no longer being cancelled".to_owned()),
        _ => None,
    })
}

/// An issue is another one when it is solved, has come back, or carries another code. One that isn't listed any more is
/// not known to be any of these.
fn issue_over(said: &Acknowledgement, issues: &[Issue]) -> Option<String> {
    let mut same = issues
        .iter()
        .filter(|issue| is_said_of(said, issue))
        .peekable();
    if same.peek().is_none() {
        let number = said.key.detail.split_once(' ')?.0;
        let other = issues.iter().find(|issue| {
            issue
                .issue_sequence
                .is_some_and(|sequence| sequence.to_string() == number)
        })?;
        return Some(format!("issue {} is now {}", said.key.detail, label(other)));
    }
    let mut open = same.filter(|issue| !issue.resolved).peekable();
    if open.peek().is_none() {
        return Some(format!("issue {} is resolved", said.key.detail));
    }
    let came_back = said.given.repeated == Some(false) && open.all(|issue| issue.repeated);
    came_back.then(|| format!("issue {} has come back", said.key.detail))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::Status;
    use crate::reconcile::fixtures;
    use crate::store::findings::FindingKey;

    fn said(kind: FindingKind, detail: &str) -> Acknowledgement {
        let said = fixtures::acknowledgement();
        let key = FindingKey {
            kind,
            detail: detail.to_owned(),
            ..said.key.clone()
        };
        Acknowledgement { key, ..said }
    }

    fn issue(sequence: i64, code: &str) -> Issue {
        Issue {
            id: None,
            reference_id: "R-1".into(),
            issue_sequence: Some(sequence),
            issue_code: code.into(),
            resolved: false,
            repeated: false,
            last_updated: None,
        }
    }

    #[test]
    fn it_ends_with_status_or_cancelling_and_with_nothing_else() {
        let unsent = fixtures::unsent();
        let later = |by: i64| {
            unsent
                .last_updated
                .map(|then| then + TimeDelta::minutes(by))
        };
        let moved = |status: Status, by: i64| Observation {
            status,
            last_updated: later(by),
            ..unsent.clone()
        };
        let cancelling = |last_updated| Observation {
            cancelling: true,
            last_updated,
            ..unsent.clone()
        };
        let cases = [
            ("unchanged", unsent.clone(), None),
            ("a new date alone", moved(Status::NotSent, 60), None),
            (
                "another status",
                moved(Status::Validating, 60),
                Some("it was NOT_SENT and is VALIDATING"),
            ),
            (
                "another status of the same instant",
                moved(Status::Validating, 0),
                Some("it was NOT_SENT and is VALIDATING"),
            ),
            ("an old answer", moved(Status::Validating, -60), None),
            (
                "a cancellation",
                cancelling(later(1)),
                Some("it is being cancelled"),
            ),
            ("an undated one", cancelling(None), None),
        ];
        let said = said(FindingKind::StuckRequest, "NOT_SENT");
        for (name, request, expected) in cases {
            let change = judge(&said, &request, Some(&[]));
            let why = change.and_then(|change| change.ended_why);
            assert_eq!(why.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn one_of_an_issue_ends_with_the_issue() {
        let resolved = Issue {
            resolved: true,
            ..issue(3, "CLI-012")
        };
        let repeated = Issue {
            repeated: true,
            ..issue(3, "CLI-012")
        };
        type Case<'a> = (&'a str, Option<&'a [Issue]>, Option<&'a str>);
        let cases: &[Case<'_>] = &[
            ("not read", None, None),
            ("an empty list", Some(&[]), None),
            ("still there", Some(&[issue(3, "CLI-012")]), None),
            ("others", Some(&[issue(1, "CLI-012"), issue(33, "X")]), None),
            (
                "resolved",
                Some(std::slice::from_ref(&resolved)),
                Some("issue 3 CLI-012 is resolved"),
            ),
            (
                "resolved, and there again",
                Some(&[resolved.clone(), issue(3, "CLI-012")]),
                None,
            ),
            (
                "back",
                Some(&[repeated]),
                Some("issue 3 CLI-012 has come back"),
            ),
            (
                "another code",
                Some(&[issue(3, "CTO-1")]),
                Some("issue 3 CLI-012 is now 3 CTO-1"),
            ),
        ];
        let said = said(FindingKind::UnresolvedIssue, "3 CLI-012");
        let moved = Observation {
            last_updated: Some(fixtures::now()),
            ..fixtures::in_status(Status::IncidenceOperator)
        };
        for (name, issues, expected) in cases {
            let change = judge(&said, &moved, *issues);
            let why = change.and_then(|change| change.ended_why);
            assert_eq!(why.as_deref(), *expected, "{name}");
        }
        let finished = fixtures::in_status(Status::Finished);
        let change = judge(&said, &finished, None).unwrap();
        assert_eq!(
            change.ended_why.as_deref(),
            Some("it was NOT_SENT and is FINISHED")
        );
    }

    #[test]
    fn what_was_not_known_is_filled_in_and_ends_nothing() {
        let unsent = fixtures::unsent();
        let known = said(FindingKind::StuckRequest, "NOT_SENT");
        let bare = Acknowledgement {
            external_reference: None,
            given: Given::default(),
            ..known.clone()
        };
        let change = judge(&bare, &unsent, None).unwrap();
        assert_eq!(change.external_reference, unsent.external_reference);
        let given = Given {
            repeated: None,
            ..known.given.clone()
        };
        assert_eq!((change.given, change.ended_why), (given, None));
        assert_eq!(judge(&known, &unsent, None), None);
    }
}
