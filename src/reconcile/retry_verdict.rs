//! What the ledger says about writing to an order again: pure, from what is known of the order alone.
//!
//! Nothing of this lives in memory between runs, so a restart, a second replica or a person's trigger neither
//! shortens nor lengthens a pause: the same ledger gives the same answer.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::ids::ReferenceId;
use crate::domain::{
    AttemptState, Issue, Operation, PersistenceType, Safety, SkipReason, Status, Version,
};
use crate::store::attempts::Attempt;
use crate::store::orders::{KnownRequest, OrderFacts};

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

/// A write that somebody would like to send again, or for the first time.
#[derive(Debug, Clone, Copy)]
pub struct Errand<'a> {
    /// Which write.
    pub operation: Operation,
    /// About which request.
    pub reference_id: &'a ReferenceId,
    /// Where that stands now.
    pub version: &'a Version,
    /// The issue that it is meant to solve.
    pub issue: Option<&'a Issue>,
}

/// Whether the ledger lets a write go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryVerdict {
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
    /// The order has two requests of this kind: a create might make a third.
    Doubled(String),
    /// Not before this instant.
    BackingOff {
        /// When the pause ends.
        until: DateTime<Utc>,
        /// Why there is one.
        why: String,
    },
}

impl RetryVerdict {
    /// Why not, in a word and in a sentence; none if nothing stands in the way.
    pub fn refusal(&self) -> Option<(SkipReason, String)> {
        Some(match self {
            Self::Clear => return None,
            Self::InDoubt { why, .. } => (SkipReason::InDoubt, why.clone()),
            Self::GivenUp(why) => (SkipReason::GivenUp, why.clone()),
            Self::Doubled(why) => (SkipReason::DuplicateReference, why.clone()),
            Self::BackingOff { until, why } => {
                let next = super::plan::instant(*until);
                (
                    SkipReason::BackingOff,
                    format!("{why}; next try from {next}"),
                )
            }
        })
    }

    /// Nothing changes it but a person, or the upstream.
    pub fn waits_for_a_retry(&self) -> bool {
        matches!(self, Self::GivenUp(_) | Self::Doubled(_))
    }
}

/// Judges what is known of an order for another write to it.
///
/// Where the write is meant for an issue, only attempts at that issue count: five issues of one order are five
/// errands. One that came back (`repeated`) may have come back under a new number, so there all of them count, and a
/// repair that doesn't last ends with a person.
pub fn retry_verdict(
    facts: &OrderFacts,
    errand: &Errand<'_>,
    policy: RetryPolicy,
    now: DateTime<Utc>,
) -> RetryVerdict {
    if let Some(open) = facts
        .attempts
        .iter()
        .find(|attempt| attempt.state.is_open())
    {
        let next = open.verify_at.map_or_else(String::new, |at| {
            format!("; it is looked at from {}", super::plan::instant(at))
        });
        return RetryVerdict::InDoubt {
            why: format!(
                "attempt {} ({}) is {}, not settled yet{next}",
                open.id, open.operation, open.state
            ),
            needs_human: open.state == AttemptState::NeedsHuman,
        };
    }
    if let Some(other) = doubled(facts, errand) {
        return RetryVerdict::Doubled(format!(
            "request {} was seen beside this one for the order{}, and neither is known to be final",
            other.reference_id,
            other
                .status
                .as_ref()
                .map_or_else(String::new, |status| format!(" ({status})")),
        ));
    }
    let mut same: Vec<&Attempt> = facts
        .attempts
        .iter()
        // What never left the house is no attempt: it costs none, and no pause.
        .filter(|attempt| attempt.state != AttemptState::NotSent)
        .filter(|attempt| attempt.operation == errand.operation)
        .filter(|attempt| is_same_errand(attempt, errand.issue))
        // A person's word: what was tried before it stands in the way no longer.
        .filter(|attempt| {
            let retry = facts.marks.retry.as_ref();
            retry.is_none_or(|retry| attempt.id > retry.last_attempt)
        })
        .collect();
    same.sort_by_key(|attempt| (attempt.intended_at, attempt.id));
    let Some(last) = same.last() else {
        return RetryVerdict::Clear;
    };
    let mut from_the_last = same.iter().rev();
    if let Some(refused) =
        from_the_last.find(|attempt| was_refused(attempt) && attempt.before == *errand.version)
    {
        return RetryVerdict::GivenUp(format!(
            "attempt {} was {}, and the request has not changed since",
            refused.id,
            refusal(refused)
        ));
    }
    let mut from_the_last = same.iter().rev();
    if let Some(barrier) = from_the_last.find(|attempt| is_barrier(attempt, errand.version)) {
        return RetryVerdict::GivenUp(format!(
            "attempt {} is confirmed{}, and the request has not changed since by its own date",
            barrier.id,
            barrier
                .confirmed
                .as_ref()
                .map_or_else(String::new, |seen| format!(
                    " (it was then {})",
                    seen.status
                )),
        ));
    }
    let tried = same.iter().filter(|attempt| counts(attempt)).count();
    if tried >= policy.max_attempts as usize {
        let said = match last.state {
            AttemptState::Rejected => refusal(last),
            state => state.to_string(),
        };
        return RetryVerdict::GivenUp(format!(
            "{tried} of {} attempts used, the last ({}) is {said}",
            policy.max_attempts, last.id,
        ));
    }
    let until = last.changed_at + pause(policy, same.len(), last.correlation_id.as_u128());
    if now < until {
        return RetryVerdict::BackingOff {
            until,
            why: format!("attempt {} is {}", last.id, last.state),
        };
    }
    RetryVerdict::Clear
}

fn is_same_errand(attempt: &Attempt, issue: Option<&Issue>) -> bool {
    issue.is_none_or(|issue| issue.repeated || attempt.issue_sequence == issue.issue_sequence)
}

/// Another request of the kind that a create makes was once seen for the order and is not known to be final. What
/// nobody has read yet may be anything.
fn doubled<'f>(facts: &'f OrderFacts, errand: &Errand<'_>) -> Option<&'f KnownRequest> {
    let kind = match errand.operation {
        Operation::CreateActivation => PersistenceType::Activation,
        Operation::CreateTermination => PersistenceType::Termination,
        _ => return None,
    };
    facts.marks.requests.iter().find(|known| {
        known.reference_id != *errand.reference_id
            && !known.let_go
            && known.persistence_type.is_none_or(|it| it == kind)
            && !known.status.as_ref().is_some_and(Status::is_final)
    })
}

/// Its effect was seen, and nothing that the upstream dates has happened to the request since: whatever a read says
/// about the status now, it may be an old one, and a second effect can't be taken back. Where a person said that it
/// had its effect, it is their instant that must be over.
fn is_barrier(attempt: &Attempt, version: &Version) -> bool {
    if attempt.state != AttemptState::Confirmed || attempt.operation.safety() != Safety::Unsafe {
        return false;
    }
    let confirmed = match &attempt.confirmed {
        Some(seen) => seen.last_updated,
        None => Some(attempt.changed_at),
    };
    match (version.last_updated, confirmed) {
        (Some(now), Some(confirmed)) => now <= confirmed,
        _ => true,
    }
}

/// Reached the upstream's judgement. What was turned away at the door (401, 429) says nothing about the request, so it
/// costs none of its attempts; it still costs the pause.
fn counts(attempt: &Attempt) -> bool {
    match attempt.state {
        AttemptState::Rejected => was_refused(attempt),
        _ => true,
    }
}

/// A definite refusal of this write, as opposed to of our token or our pace.
fn was_refused(attempt: &Attempt) -> bool {
    attempt.state == AttemptState::Rejected && !matches!(attempt.http_status, Some(401 | 429))
}

/// With the code that came.
fn refusal(attempt: &Attempt) -> String {
    match (attempt.detail.as_str(), attempt.http_status) {
        ("", Some(status)) => format!("refused with {status}"),
        ("", None) => "refused".to_owned(),
        (detail, _) => detail.to_owned(),
    }
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
mod tests;
