//! What a read says about a write whose effect isn't proven: pure.
//!
//! A write that was accepted, or whose answer got lost, is looked at after each pause of `verify_after`. Seeing
//! the expected state settles it at once. *Not* seeing it settles nothing until the last look: the upstream may be
//! slow. At the last look, an unknown write is `ineffective` only on proof, which is: the upstream's own date of
//! change, the status and the set of requests for the order are what they were right before the write, after all
//! the pauses. An accepted write without a visible effect, or one where something else moved, is a person's
//! business if a repetition could do harm.

use crate::domain::ids::ReferenceId;
use crate::domain::{AttemptState, Issue, Operation, Safety, Status, Version};
use crate::store::attempts::Attempt;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The request now; none when the upstream no longer knows it.
    pub version: Option<Version>,
    /// Every request that answers to the order, where that was asked (after a create).
    pub references: Option<Vec<ReferenceId>>,
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

/// Judges one look at an attempt.
pub fn judge(attempt: &Attempt, evidence: &Evidence, last_look: bool) -> Judgement {
    if let Some(seen) = expected_state(attempt, evidence) {
        return Judgement::Confirmed(seen);
    }
    let seen = describe(attempt, evidence);
    if !last_look {
        return Judgement::NotYet(seen);
    }
    match attempt.operation.safety() {
        // Repeating it does no harm (the upstream refuses it when it does not apply), so no proof is needed.
        Safety::Safe | Safety::Conditional if evidence.version.is_some() => {
            Judgement::Ineffective(seen)
        }
        Safety::Unsafe
            if attempt.state == AttemptState::Unknown && proves_no_effect(attempt, evidence) =>
        {
            Judgement::Ineffective(seen)
        }
        _ => Judgement::NeedsHuman(seen),
    }
}

/// The effect that the write was sent for, in words, if it shows.
fn expected_state(attempt: &Attempt, evidence: &Evidence) -> Option<String> {
    let version = evidence.version.as_ref();
    match attempt.operation {
        Operation::CreateActivation | Operation::CreateTermination => {
            // Right before the write the order had exactly one request, so another one is the write's own.
            let others = evidence.references.iter().flatten();
            if let Some(other) = others.into_iter().find(|id| **id != attempt.reference_id) {
                return Some(format!("request {other} now answers to the order too"));
            }
            version
                .filter(|version| version.status != Status::NotSent)
                .map(|version| format!("status is {}", version.status))
        }
        Operation::CancelRequest => version
            .filter(|version| version.cancelling || version.status == Status::Canceled)
            .map(|_| "the cancellation shows".to_owned()),
        Operation::CreateStatusCto => version
            .filter(|version| **version != attempt.before)
            .map(|_| "the request was updated".to_owned()),
        Operation::ResolveIncident
        | Operation::CreateAccess
        | Operation::TerminateAccess
        | Operation::ChangeCto
        | Operation::CreatePort
        | Operation::CreatePort2
        | Operation::CreateInstallationIncident
        | Operation::CreateInstallationEnd => match &evidence.issue {
            Some(issue) => issue
                .resolved
                .then(|| format!("issue {} is resolved", issue.issue_code)),
            None => version
                .filter(|version| {
                    version.status.is_known() && version.status != attempt.before.status
                })
                .map(|version| {
                    format!(
                        "status went from {} to {}",
                        attempt.before.status, version.status
                    )
                }),
        },
    }
}

/// Nothing that the upstream dates or counts has moved since right before the write.
fn proves_no_effect(attempt: &Attempt, evidence: &Evidence) -> bool {
    let unchanged = evidence.version.as_ref() == Some(&attempt.before);
    // Without a date of change, "looks the same" proves nothing.
    let dated = attempt.before.last_updated.is_some();
    let alone = !attempt.operation.is_create_request()
        || evidence.references.as_deref() == Some(std::slice::from_ref(&attempt.reference_id));
    unchanged && dated && alone
}

fn describe(attempt: &Attempt, evidence: &Evidence) -> String {
    match &evidence.version {
        None => "the upstream no longer knows the request".to_owned(),
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
            issue: None,
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
}
