//! What the ledger says about writing to an order again: pure, from its attempts alone.
//!
//! Nothing of this lives in memory between runs, so a restart, a second replica or a person's trigger neither
//! shortens nor lengthens a pause: the same ledger gives the same answer.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::{AttemptState, Issue, Operation, Version};
use crate::store::attempts::Attempt;

/// How often, and after which pauses, one operation may be tried on one order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Then a person.
    pub max_attempts: u32,
    /// The first pause.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
}

/// Whether the ledger lets a write go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing stands in the way.
    Clear,
    /// A write's outcome isn't known: no other may be sent, of whatever operation.
    InDoubt {
        /// Which.
        why: String,
        /// Reading could not settle it, so a person must.
        needs_human: bool,
    },
    /// A person must look.
    GivenUp(String),
    /// Not before this instant.
    BackingOff {
        /// When the pause ends.
        until: DateTime<Utc>,
        /// Why there is one.
        why: String,
    },
}

/// Judges the attempts of one order (in any sequence) for another write of `operation`, the request being at
/// `version` now.
///
/// Where the write is meant for an `issue`, only attempts at that issue count: five issues of one order are five
/// errands. One that came back (`repeated`) may have come back under a new number, so there all of them count, and a
/// repair that doesn't last ends with a person.
pub fn standing(
    attempts: &[Attempt],
    operation: Operation,
    issue: Option<&Issue>,
    version: &Version,
    policy: RetryPolicy,
    now: DateTime<Utc>,
) -> Standing {
    if let Some(open) = attempts.iter().find(|attempt| attempt.state.is_open()) {
        let next = open.verify_at.map_or_else(String::new, |at| {
            format!("; it is looked at from {}", super::plan::instant(at))
        });
        return Standing::InDoubt {
            why: format!(
                "attempt {} ({}) is {}, not settled yet{next}",
                open.id, open.operation, open.state
            ),
            needs_human: open.state == AttemptState::NeedsHuman,
        };
    }
    let mut same: Vec<&Attempt> = attempts
        .iter()
        .filter(|attempt| attempt.operation == operation && is_same_errand(attempt, issue))
        .collect();
    same.sort_by_key(|attempt| (attempt.intended_at, attempt.id));
    let Some(last) = same.last() else {
        return Standing::Clear;
    };
    if was_refused(last) && last.before == *version {
        return Standing::GivenUp(format!(
            "attempt {} was refused with {} and the request has not changed since",
            last.id,
            last.http_status
                .map_or_else(|| "no status".to_owned(), |status| status.to_string()),
        ));
    }
    let tried = same.iter().filter(|attempt| counts(attempt)).count();
    if tried >= policy.max_attempts as usize {
        return Standing::GivenUp(format!(
            "{tried} of {} attempts used, the last ({}) is {}",
            policy.max_attempts, last.id, last.state
        ));
    }
    let until = last.changed_at + pause(policy, same.len(), last.correlation_id.as_u128());
    if now < until {
        return Standing::BackingOff {
            until,
            why: format!("attempt {} is {}", last.id, last.state),
        };
    }
    Standing::Clear
}

fn is_same_errand(attempt: &Attempt, issue: Option<&Issue>) -> bool {
    issue.is_none_or(|issue| issue.repeated || attempt.issue_sequence == issue.issue_sequence)
}

/// Reached the upstream's judgement. What never left, or was turned away at the door (401, 429), says nothing
/// about the request, so it costs none of its attempts; it still costs the pause.
fn counts(attempt: &Attempt) -> bool {
    match attempt.state {
        AttemptState::NotSent => false,
        AttemptState::Rejected => was_refused(attempt),
        _ => true,
    }
}

/// A definite refusal of this write, as opposed to of our token or our pace.
fn was_refused(attempt: &Attempt) -> bool {
    attempt.state == AttemptState::Rejected && !matches!(attempt.http_status, Some(401 | 429))
}

/// The pause after the `nth` attempt (from 1): doubling, capped, and the upper half of it spread by `seed` so
/// that requests that failed together do not come back together. The seed is the attempt's own correlation id:
/// random between attempts, the same at every look.
pub fn pause(policy: RetryPolicy, nth: usize, seed: u128) -> Duration {
    let doublings = u32::try_from(nth.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(30);
    let full = policy
        .initial
        .saturating_mul(1 << doublings)
        .min(policy.max);
    let half = full / 2;
    // The low 32 bits of a random id, as a share of one.
    let share = (seed & 0xFFFF_FFFF) as f64 / f64::from(u32::MAX);
    half + half.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::reconcile::fixtures;

    const POLICY: RetryPolicy = RetryPolicy {
        max_attempts: 3,
        initial: Duration::from_secs(600),
        max: Duration::from_secs(21_600),
    };
    const OPERATION: Operation = Operation::CreateActivation;

    fn ledger(states: &[(AttemptState, Option<u16>)]) -> Vec<Attempt> {
        states
            .iter()
            .enumerate()
            .map(|(index, (state, http_status))| Attempt {
                state: *state,
                http_status: *http_status,
                ..fixtures::attempt(index as i64 + 1)
            })
            .collect()
    }

    fn judge(attempts: &[Attempt], after: Duration) -> &'static str {
        let version = fixtures::attempt(1).before;
        match standing(
            attempts,
            OPERATION,
            None,
            &version,
            POLICY,
            fixtures::now() + after,
        ) {
            Standing::Clear => "clear",
            Standing::InDoubt { .. } => "in_doubt",
            Standing::GivenUp(_) => "given_up",
            Standing::BackingOff { .. } => "backing_off",
        }
    }

    #[test]
    fn the_ledger_decides() {
        use AttemptState::*;
        let long = Duration::from_secs(86_400);
        type Case<'a> = (
            &'a str,
            &'a [(AttemptState, Option<u16>)],
            Duration,
            &'a str,
        );
        let cases: &[Case<'_>] = &[
            ("no attempt", &[], Duration::ZERO, "clear"),
            ("just intended", &[(Intended, None)], long, "in_doubt"),
            (
                "accepted, not verified",
                &[(Accepted, Some(201))],
                long,
                "in_doubt",
            ),
            ("unknown", &[(Unknown, None)], long, "in_doubt"),
            (
                "a person must settle",
                &[(NeedsHuman, None)],
                long,
                "in_doubt",
            ),
            (
                "ineffective, too early",
                &[(Ineffective, None)],
                Duration::ZERO,
                "backing_off",
            ),
            (
                "ineffective, pause over",
                &[(Ineffective, None)],
                long,
                "clear",
            ),
            (
                "stuck again after success",
                &[(Confirmed, Some(201))],
                Duration::ZERO,
                "backing_off",
            ),
            (
                "refused, unchanged",
                &[(Rejected, Some(406))],
                long,
                "given_up",
            ),
            (
                "turned away for pace",
                &[(Rejected, Some(429))],
                long,
                "clear",
            ),
            (
                "turned away for the token",
                &[(Rejected, Some(401))],
                Duration::ZERO,
                "backing_off",
            ),
            (
                "never left, four times",
                &[(NotSent, None); 4],
                long,
                "clear",
            ),
            (
                "three without effect",
                &[(Ineffective, None); 3],
                long,
                "given_up",
            ),
            (
                "an old doubt counts too",
                &[(Unknown, None), (Ineffective, None)],
                long,
                "in_doubt",
            ),
        ];
        for (name, states, after, expected) in cases {
            assert_eq!(judge(&ledger(states), *after), *expected, "{name}");
        }
    }

    #[test]
    fn gives_up_after_max_attempts() {
        use AttemptState::*;
        let long = Duration::from_secs(86_400);
        assert_eq!(judge(&ledger(&[(Ineffective, None); 2]), long), "clear");
        assert_eq!(judge(&ledger(&[(Ineffective, None); 3]), long), "given_up");
        assert_eq!(judge(&ledger(&[(Ineffective, None); 9]), long), "given_up");
    }

    #[test]
    fn a_refusal_is_judged_afresh_once_the_request_changed() {
        let attempts = ledger(&[(AttemptState::Rejected, Some(406))]);
        let mut version = attempts[0].before.clone();
        version.last_updated = Some(fixtures::now());
        let later = fixtures::now() + Duration::from_secs(86_400);
        assert_eq!(
            standing(&attempts, OPERATION, None, &version, POLICY, later),
            Standing::Clear
        );
    }

    #[test]
    fn another_operation_has_its_own_count_but_shares_the_doubt() {
        let version = fixtures::attempt(1).before;
        let judge = |attempts: &[Attempt]| {
            standing(
                attempts,
                Operation::CancelRequest,
                None,
                &version,
                POLICY,
                fixtures::now(),
            )
        };
        assert_eq!(
            judge(&ledger(&[(AttemptState::Ineffective, None); 3])),
            Standing::Clear
        );
        assert!(matches!(
            judge(&ledger(&[(AttemptState::Unknown, None)])),
            Standing::InDoubt { .. }
        ));
    }

    #[test]
    fn each_issue_has_its_own_count_unless_it_came_back() {
        let tried = |issue_sequence| Attempt {
            operation: Operation::ResolveIncident,
            state: AttemptState::Confirmed,
            issue_sequence: Some(issue_sequence),
            ..fixtures::attempt(issue_sequence)
        };
        let attempts: Vec<Attempt> = (1..=3).map(tried).collect();
        let version = fixtures::attempt(1).before;
        let judge = |repeated| {
            let issue = Issue {
                id: None,
                reference_id: "R-1".into(),
                issue_sequence: Some(4),
                issue_code: "CLI-012".into(),
                resolved: false,
                repeated,
                last_updated: None,
            };
            let operation = Operation::ResolveIncident;
            standing(
                &attempts,
                operation,
                Some(&issue),
                &version,
                POLICY,
                fixtures::now(),
            )
        };
        assert_eq!(judge(false), Standing::Clear);
        assert!(matches!(judge(true), Standing::GivenUp(_)));
    }

    #[test]
    fn pauses_double_up_to_the_cap_and_keep_at_least_half() {
        for (nth, full) in [(1, 600), (2, 1_200), (3, 2_400), (7, 21_600), (500, 21_600)] {
            let shortest = pause(POLICY, nth, 0);
            let longest = pause(POLICY, nth, u128::from(u32::MAX));
            assert_eq!(
                (shortest.as_secs(), longest.as_secs()),
                (full / 2, full),
                "{nth}"
            );
        }
    }

    #[test]
    fn the_same_attempt_always_pauses_the_same() {
        let seed = Uuid::from_u64_pair(1, 2).as_u128();
        assert_eq!(pause(POLICY, 2, seed), pause(POLICY, 2, seed));
    }
}
