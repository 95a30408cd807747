//! What a read says about a write whose effect isn't proven: pure.
//!
//! A write that was accepted, or whose answer got lost, is looked at after each pause of `verify_after`
//! ([`super::looks`] says when). Seeing
//! the expected state settles it at once, if it differs from what was read right before the write and is not dated
//! earlier: an undated one is a person's to judge, an undocumented status says nothing. *Not* seeing it settles nothing
//! until the last look: the upstream may be slow. At the last look, an unknown write is `ineffective` only on proof,
//! which is: the upstream's own date of change, the status and the set of requests for the order are what they were
//! right before the write, after all the pauses; of an operation whose repetition does no harm, it is enough that the
//! request can still be read. One where something else moved is a person's business if a repetition could do harm. An
//! accepted write without a visible effect is a person's, whatever the operation. A read that is older than what was known proves
//! nothing either way.

use chrono::{DateTime, Utc};

use crate::domain::ids::ReferenceId;
use crate::domain::{AttemptState, Issue, Operation, Safety, Status, Version};
use crate::store::attempts::Attempt;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The request now; none when the upstream no longer knows it.
    pub version: Option<Version>,
    /// That is dated earlier than what was known of it.
    pub older_than_known: bool,
    /// Every request that answers to the order, where that was asked (after a create).
    pub references: Option<Vec<ReferenceId>>,
    /// Those of them that were known, and let go by a person, before the write.
    pub beside: Vec<ReferenceId>,
    /// The issue that the write was to solve, where there is one.
    pub issue: Option<Issue>,
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The expected state was seen.
    Confirmed(String),
    /// Proven to have had no effect.
    Ineffective(String),
    /// Look again after the next pause.
    NotYet(String),
    /// Reading can't settle it.
    NeedsHuman(String),
}

/// The effect that a write was sent for, in words, and whether its date proves it.
struct Effect {
    words: String,
    proven: bool,
}

/// Judges one look at an attempt.
pub fn judge(attempt: &Attempt, evidence: &Evidence, last_look: bool) -> Judgement {
    let seen = match expected_state(attempt, evidence) {
        Some(effect) if effect.proven => return Judgement::Confirmed(effect.words),
        Some(effect) => {
            let seen = format!(
                "{}, but no date proves that it came after the write",
                effect.words
            );
            return undetermined(seen, last_look);
        }
        None => describe(attempt, evidence),
    };
    if evidence.older_than_known || !last_look {
        return undetermined(seen, last_look);
    }
    // It said yes, and nothing shows: both can't be so, whatever the operation. A repetition would hide it.
    if attempt.state == AttemptState::Accepted {
        return Judgement::NeedsHuman(format!("accepted, but no effect shows: {seen}"));
    }
    match attempt.operation.safety() {
        // Repeating it does no harm (the upstream refuses it when it does not apply), so no proof is needed.
        Safety::Safe | Safety::Conditional if evidence.version.is_some() => {
            Judgement::Ineffective(seen)
        }
        Safety::Unsafe if proves_no_effect(attempt, evidence) => Judgement::Ineffective(seen),
        _ => Judgement::NeedsHuman(seen),
    }
}

fn undetermined(seen: String, last_look: bool) -> Judgement {
    if last_look {
        Judgement::NeedsHuman(seen)
    } else {
        Judgement::NotYet(seen)
    }
}

/// The expected state, if it shows and was not there right before the write.
fn expected_state(attempt: &Attempt, evidence: &Evidence) -> Option<Effect> {
    if attempt.operation.is_create_request() {
        // Right before the write the order had this one request and those beside it, so another one is the write's own.
        let mut found = evidence.references.iter().flatten();
        if let Some(other) =
            found.find(|id| **id != attempt.reference_id && !evidence.beside.contains(id))
        {
            return Some(Effect {
                words: format!("request {other} now answers to the order too"),
                proven: true,
            });
        }
    }
    let by_issue = attempt.issue_sequence.is_some() && is_about_its_issue(attempt.operation);
    if by_issue {
        return solved(attempt, evidence);
    }
    let now = evidence
        .version
        .as_ref()
        .filter(|_| !evidence.older_than_known)?;
    // What nobody documented may mean anything.
    if !now.status.is_known() {
        return None;
    }
    let words = moved_as_expected(attempt, now)?;
    let proven = is_dated_since(attempt.before.last_updated, now.last_updated);
    Some(Effect { words, proven })
}

fn moved_as_expected(attempt: &Attempt, now: &Version) -> Option<String> {
    let before = &attempt.before;
    match attempt.operation {
        Operation::CreateActivation | Operation::CreateTermination => {
            (now.status != Status::NotSent && now.status != before.status)
                .then(|| format!("status is {}", now.status))
        }
        Operation::CancelRequest => {
            let canceled = now.status == Status::Canceled && before.status != Status::Canceled;
            let cancelling = now.cancelling && !before.cancelling;
            (canceled || cancelling).then(|| "the cancellation shows".to_owned())
        }
        Operation::CreateStatusCto => (now != before).then(|| "the request was updated".to_owned()),
        _ => (now.status != before.status)
            .then(|| format!("status went from {} to {}", before.status, now.status)),
    }
}

/// A question about a box solves nothing.
fn is_about_its_issue(operation: Operation) -> bool {
    !operation.is_create_request()
        && !matches!(
            operation,
            Operation::CancelRequest | Operation::CreateStatusCto
        )
}

/// The issue reads as resolved, and did not right before the write. Where the upstream dates no issues, the request's
/// own date must have moved.
fn solved(attempt: &Attempt, evidence: &Evidence) -> Option<Effect> {
    let issue = evidence.issue.as_ref().filter(|issue| issue.resolved)?;
    if attempt.before_issue.is_some_and(|before| before.resolved) {
        return None;
    }
    let dated_before = attempt.before_issue.and_then(|before| before.last_updated);
    let proven = match (dated_before, issue.last_updated) {
        (Some(before), Some(now)) => now >= before,
        _ => {
            let now = evidence.version.as_ref();
            let now = now.and_then(|now| now.last_updated);
            !evidence.older_than_known
                && is_dated_since(attempt.before.last_updated, now)
                && now != attempt.before.last_updated
        }
    };
    Some(Effect {
        words: format!("issue {} is resolved", issue.issue_code),
        proven,
    })
}

fn is_dated_since(before: Option<DateTime<Utc>>, now: Option<DateTime<Utc>>) -> bool {
    matches!((before, now), (Some(before), Some(now)) if now >= before)
}

/// Nothing that the upstream dates or counts has moved since right before the write.
fn proves_no_effect(attempt: &Attempt, evidence: &Evidence) -> bool {
    let unchanged = evidence.version.as_ref() == Some(&attempt.before);
    // Without a date of change, "looks the same" proves nothing.
    let dated = attempt.before.last_updated.is_some();
    let is_known = |id: &ReferenceId| *id == attempt.reference_id || evidence.beside.contains(id);
    let alone = !attempt.operation.is_create_request()
        || evidence.references.as_ref().is_some_and(|found| {
            found.contains(&attempt.reference_id) && found.iter().all(is_known)
        });
    unchanged && dated && alone
}

fn describe(attempt: &Attempt, evidence: &Evidence) -> String {
    match &evidence.version {
        None => "the upstream no longer knows the request".to_owned(),
        Some(version) if evidence.older_than_known => format!(
            "it reads as {}, but older than what was read before: one of the two is wrong",
            version.status
        ),
        Some(version) if *version == attempt.before => {
            format!("unchanged: still {}", version.status)
        }
        Some(version) => format!("changed, but not as expected: {}", version.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixtures;

    fn word(judgement: &Judgement) -> &'static str {
        match judgement {
            Judgement::Confirmed(_) => "confirmed",
            Judgement::Ineffective(_) => "ineffective",
            Judgement::NotYet(_) => "not_yet",
            Judgement::NeedsHuman(_) => "needs_human",
        }
    }

    fn unchanged() -> Evidence {
        Evidence {
            version: Some(fixtures::unsent().version()),
            references: Some(vec!["R-1".into()]),
            ..Evidence::default()
        }
    }

    fn moved_to(status: Status) -> Evidence {
        let mut evidence = unchanged();
        evidence.version = Some(Version {
            status,
            cancelling: false,
            last_updated: Some(fixtures::now()),
        });
        evidence
    }

    #[test]
    fn a_create_is_settled_by_what_is_read() {
        use AttemptState::{Accepted, Unknown};
        let second = Evidence {
            references: Some(vec!["R-2".into(), "R-1".into()]),
            ..unchanged()
        };
        let nothing_listed = Evidence {
            references: Some(vec![]),
            ..unchanged()
        };
        let gone = Evidence::default();
        let touched = moved_to(Status::NotSent);
        let taken_up = moved_to(Status::Validating);
        // (what was seen, the attempt's state, at an earlier look, at the last look)
        let cases = [
            (&taken_up, Unknown, "confirmed", "confirmed"),
            (&taken_up, Accepted, "confirmed", "confirmed"),
            (&second, Unknown, "confirmed", "confirmed"),
            (&unchanged(), Unknown, "not_yet", "ineffective"),
            (&unchanged(), Accepted, "not_yet", "needs_human"),
            (&touched, Unknown, "not_yet", "needs_human"),
            (&nothing_listed, Unknown, "not_yet", "needs_human"),
            (&gone, Unknown, "not_yet", "needs_human"),
        ];
        for (evidence, state, early, last) in cases {
            let attempt = Attempt {
                state,
                ..fixtures::attempt(1)
            };
            assert_eq!(
                word(&judge(&attempt, evidence, false)),
                early,
                "{evidence:?} {state}"
            );
            assert_eq!(
                word(&judge(&attempt, evidence, true)),
                last,
                "{evidence:?} {state}"
            );
        }
    }

    #[test]
    fn an_accepted_write_without_effect_is_told_alike_for_every_operation() {
        for operation in Operation::ALL {
            let attempt = Attempt {
                operation: *operation,
                state: AttemptState::Accepted,
                ..fixtures::attempt(1)
            };
            assert_eq!(word(&judge(&attempt, &unchanged(), false)), "not_yet");
            let judgement = judge(&attempt, &unchanged(), true);
            assert_eq!(
                judgement,
                Judgement::NeedsHuman(
                    "accepted, but no effect shows: unchanged: still NOT_SENT".to_owned()
                ),
                "{operation}"
            );
        }
    }

    #[test]
    fn looking_the_same_without_a_date_of_change_proves_nothing() {
        let mut attempt = fixtures::attempt(1);
        attempt.before.last_updated = None;
        let mut evidence = unchanged();
        evidence.version = Some(attempt.before.clone());
        assert_eq!(word(&judge(&attempt, &evidence, true)), "needs_human");
    }

    #[test]
    fn no_unsafe_write_is_called_ineffective_while_anything_moved() {
        for operation in Operation::ALL {
            if operation.safety() != Safety::Unsafe {
                continue;
            }
            let attempt = Attempt {
                operation: *operation,
                ..fixtures::attempt(1)
            };
            let judgement = judge(&attempt, &moved_to(Status::NotSent), true);
            assert_eq!(word(&judgement), "needs_human", "{operation}");
        }
    }

    #[test]
    fn an_issue_counts_as_solved_only_when_it_reads_resolved() {
        let attempt = Attempt {
            operation: Operation::ResolveIncident,
            issue_sequence: Some(1),
            ..fixtures::attempt(1)
        };
        let with = |resolved| Evidence {
            issue: Some(Issue {
                id: None,
                reference_id: "R-1".into(),
                issue_sequence: Some(1),
                issue_code: "CLI-012".into(),
                resolved,
                repeated: false,
                last_updated: None,
            }),
            ..moved_to(Status::Processing)
        };
        assert_eq!(word(&judge(&attempt, &with(true), false)), "confirmed");
        assert_eq!(word(&judge(&attempt, &with(false), false)), "not_yet");
        assert_eq!(word(&judge(&attempt, &with(false), true)), "ineffective");
    }

    #[test]
    fn a_cancellation_shows_as_flag_or_as_status() {
        let attempt = Attempt {
            operation: Operation::CancelRequest,
            ..fixtures::attempt(1)
        };
        let mut cancelling = unchanged();
        cancelling.version.as_mut().unwrap().cancelling = true;
        assert_eq!(word(&judge(&attempt, &cancelling, false)), "confirmed");
        assert_eq!(
            word(&judge(&attempt, &moved_to(Status::Canceled), false)),
            "confirmed"
        );
        assert_eq!(word(&judge(&attempt, &unchanged(), true)), "ineffective");
    }

    #[test]
    fn what_was_there_before_the_write_confirms_nothing() {
        let issue = |resolved, seconds: Option<i64>| Issue {
            id: None,
            reference_id: "R-1".into(),
            issue_sequence: Some(1),
            issue_code: "CLI-012".into(),
            resolved,
            repeated: false,
            last_updated: seconds.map(|at| fixtures::now() + chrono::TimeDelta::seconds(at)),
        };
        // (the issue before, the issue now, at the last look)
        let cases = [
            (issue(true, Some(0)), issue(true, Some(0)), "needs_human"),
            (issue(true, Some(0)), issue(true, Some(9)), "needs_human"),
            (issue(false, Some(0)), issue(true, Some(0)), "confirmed"),
            (issue(false, Some(0)), issue(true, Some(9)), "confirmed"),
            (issue(false, Some(9)), issue(true, Some(0)), "needs_human"),
            // Undated, beside a request that is dated as before.
            (issue(false, None), issue(true, None), "needs_human"),
        ];
        for (before, now, expected) in cases {
            let attempt = Attempt {
                operation: Operation::CreateAccess,
                issue_sequence: Some(1),
                before_issue: Some(before.version()),
                ..fixtures::attempt(1)
            };
            let evidence = Evidence {
                issue: Some(now.clone()),
                ..unchanged()
            };
            let early = if expected == "confirmed" {
                expected
            } else {
                "not_yet"
            };
            assert_eq!(
                word(&judge(&attempt, &evidence, false)),
                early,
                "{before:?} {now:?}"
            );
            if !before.resolved {
                assert_eq!(
                    word(&judge(&attempt, &evidence, true)),
                    expected,
                    "{before:?} {now:?}"
                );
            }
        }
        // An order that was being cancelled already.
        let mut cancelling = fixtures::attempt(1);
        cancelling.operation = Operation::CancelRequest;
        cancelling.before.cancelling = true;
        let evidence = Evidence {
            version: Some(cancelling.before.clone()),
            ..unchanged()
        };
        assert_eq!(word(&judge(&cancelling, &evidence, false)), "not_yet");
    }

    #[test]
    fn a_status_without_a_word_or_without_a_date_confirms_nothing() {
        let dated = |status, last_updated| Evidence {
            version: Some(Version {
                status,
                cancelling: false,
                last_updated,
            }),
            ..unchanged()
        };
        let before = fixtures::attempt(1).before.last_updated;
        let earlier = before.map(|date| date - chrono::TimeDelta::seconds(1));
        let mut older = dated(Status::Validating, before);
        older.older_than_known = true;
        let cases = [
            (
                dated(Status::parse("ON_THE_MOON"), Some(fixtures::now())),
                "needs_human",
            ),
            (dated(Status::Validating, None), "needs_human"),
            (dated(Status::Validating, earlier), "needs_human"),
            (dated(Status::Validating, before), "confirmed"),
            (older, "needs_human"),
        ];
        for (evidence, expected) in cases {
            for operation in [Operation::CreateActivation, Operation::CreatePort] {
                let attempt = Attempt {
                    operation,
                    ..fixtures::attempt(1)
                };
                let judged = judge(&attempt, &evidence, true);
                assert_eq!(word(&judged), expected, "{operation} {evidence:?}");
            }
        }
        // One whose repetition does no harm may be repeated, but not on a read that is older than what was known.
        let mut stale = unchanged();
        stale.older_than_known = true;
        let attempt = Attempt {
            operation: Operation::CancelRequest,
            ..fixtures::attempt(1)
        };
        assert_eq!(word(&judge(&attempt, &unchanged(), true)), "ineffective");
        assert_eq!(word(&judge(&attempt, &stale, true)), "needs_human");
    }

    #[test]
    fn a_request_that_a_person_let_go_before_the_write_is_not_its_effect() {
        let evidence = |found: &[&str]| Evidence {
            references: Some(found.iter().map(|id| (*id).into()).collect()),
            beside: vec!["R-2".into()],
            ..unchanged()
        };
        let attempt = fixtures::attempt(1);
        let both = evidence(&["R-1", "R-2"]);
        assert_eq!(word(&judge(&attempt, &both, false)), "not_yet");
        assert_eq!(word(&judge(&attempt, &both, true)), "ineffective");
        let third = evidence(&["R-1", "R-2", "R-3"]);
        assert_eq!(word(&judge(&attempt, &third, false)), "confirmed");
        let without_itself = evidence(&["R-2"]);
        assert_eq!(word(&judge(&attempt, &without_itself, true)), "needs_human");
    }
}
