//! What to do about one request: pure, with a reason for everything.
//!
//! A decision never sends anything. It says what a rule wants and what stands in the way, in this order: what the
//! request is (unknown or final status), what the rule lacks, a write in doubt, what a person said (acknowledged), what
//! else the ledger knows (given up, backing off), and last what forbids writes just now (pause, latch, circuit,
//! mode). The most lasting reason comes first because it is the one that a person can act on.

use chrono::{DateTime, SecondsFormat, Utc};

use super::compose;
use super::findings::Scope;
use super::retry_verdict::{Errand, RetryPolicy, RetryVerdict, retry_verdict};
use crate::domain::finding::Attention;
use crate::domain::ids::Org;
use crate::domain::run::Mode;
use crate::domain::{
    Decision, FindingKind, Issue, Observation, Operation, ReferenceId, SkipReason, Verdict,
};
use crate::rules::{Action, Rule, Subject, WriteSpec};
use crate::store::acknowledgements::Acknowledgement;
use crate::store::findings::{FindingKey, Sighting};
use crate::store::orders::OrderFacts;

/// What forbids writes just now, for this job and org as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WritePolicy {
    /// Observe or enforce.
    pub mode: Mode,
    /// The job, or everything, is paused.
    pub paused: bool,
    /// The guard's latch holds.
    pub held: bool,
    /// The org's circuit breaker is open.
    pub circuit_open: bool,
}

impl WritePolicy {
    /// What forbids every write, if anything does: the most lasting reason first.
    pub fn forbids(&self) -> Option<(SkipReason, &'static str)> {
        let reasons = [
            (self.paused, SkipReason::Paused, "writes are paused"),
            (
                self.held,
                SkipReason::GuardHeld,
                "the guard holds this job until it is released",
            ),
            (
                self.circuit_open,
                SkipReason::CircuitOpen,
                "the org's circuit breaker is open",
            ),
            (
                self.mode == Mode::Observe,
                SkipReason::ObserveMode,
                "the mode is observe, so nothing is sent",
            ),
        ];
        let found = reasons.into_iter().find(|(applies, ..)| *applies);
        found.map(|(_, reason, why)| (reason, why))
    }
}

/// What decisions of one run have in common.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The tenant.
    pub org: &'a Org,
    /// The job's rules.
    pub rules: &'a [Rule],
    /// Attempts and pauses.
    pub retry: RetryPolicy,
    /// What forbids writes just now.
    pub writes: WritePolicy,
    /// The run's instant: one for all of its decisions.
    pub now: DateTime<Utc>,
}

/// What is known about one request when it is decided on.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The request.
    pub request: &'a Observation,
    /// The issue looked at, where the job looks at issues.
    pub issue: Option<&'a Issue>,
    /// What is known of its order.
    pub order: &'a OrderFacts,
    /// A person said hands off, of it or of its order.
    pub acknowledged: Option<&'a Acknowledgement>,
}

/// A write that was decided on and not yet allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// Which of the job's rules.
    pub rule: usize,
    /// What it sends.
    pub operation: Operation,
    /// The issue it is meant to solve.
    pub issue: Option<Issue>,
    /// Since when the request has been stuck by that rule.
    pub due_since: Option<DateTime<Utc>>,
}

/// One line of a plan: the decision, the findings that go with it, and the write it asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The decision.
    pub decision: Decision,
    /// What it was made on; none where the request could not be read.
    pub request: Option<Observation>,
    /// What people shall see.
    pub sightings: Vec<Sighting>,
    /// How far the request was looked at for it.
    pub scope: Scope,
    /// Who must look at what a list has told already; none where there is nothing of the kind.
    pub attention: Option<(FindingKey, Option<Attention>)>,
    /// Set exactly when the verdict is `act`.
    pub intent: Option<Intent>,
    /// Set exactly when it is `backing_off`: when the pause ends.
    pub not_before: Option<DateTime<Utc>>,
    /// It rests on nothing but the request and the rules: see [`Ruling::lasts`].
    pub lasts: bool,
}

/// A verdict in the making: with its reason, and whether a person must look.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// What to do.
    pub verdict: Verdict,
    /// Why, in words.
    pub explanation: String,
    /// Why it waits for a person.
    pub attention: Option<Attention>,
    /// The write it asks for.
    pub intent: Option<Intent>,
    /// Until when it is put off.
    pub not_before: Option<DateTime<Utc>>,
}

impl Ruling {
    /// As long as the request does not change, and no rule's age is reached, it would be ruled alike: it depends neither
    /// on the ledger's attempts nor on what forbids writes for a while. (What only watches makes no attempts, so there
    /// the ledger stands still.)
    pub fn lasts(&self) -> bool {
        match &self.verdict {
            Verdict::Act { .. } => false,
            Verdict::Flag | Verdict::Ignore => true,
            Verdict::Skip { reason, .. } => matches!(
                reason,
                SkipReason::ObserveMode
                    | SkipReason::NotStuck
                    | SkipReason::NothingWrong
                    | SkipReason::FinalStatus
                    | SkipReason::UnknownStatus
            ),
        }
    }

    /// Not now, or not by us.
    pub fn skip(
        reason: SkipReason,
        instead_of: Option<Operation>,
        explanation: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Skip { reason, instead_of },
            explanation: explanation.into(),
            attention: None,
            intent: None,
            not_before: None,
        }
    }

    /// Looked at, and in order.
    pub fn healthy(explanation: &str) -> Self {
        Self::skip(SkipReason::NothingWrong, None, explanation)
    }

    /// Tell people.
    pub fn flag(explanation: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Flag,
            explanation: explanation.into(),
            attention: None,
            intent: None,
            not_before: None,
        }
    }
}

/// What the matched rule's action comes to for this request.
pub fn rule_on(context: &Context<'_>, known: Known<'_>, index: usize) -> Ruling {
    let rule = &context.rules[index];
    match &rule.action {
        Action::Flag => Ruling::flag("the rule flags it"),
        Action::Ignore => Ruling {
            verdict: Verdict::Ignore,
            explanation: "the rule says to leave it alone".to_owned(),
            attention: None,
            intent: None,
            not_before: None,
        },
        Action::Send(spec) => rule_on_write(context, known, index, spec),
    }
}

fn rule_on_write(
    context: &Context<'_>,
    known: Known<'_>,
    index: usize,
    spec: &WriteSpec,
) -> Ruling {
    let subject = Subject {
        org: context.org,
        request: known.request,
        issue: known.issue,
    };
    let operation = match compose::check(spec, subject) {
        Ok(operation) => operation,
        Err(unfillable) => return Ruling::flag(format!("{} not sent: {unfillable}", spec.kind)),
    };
    let skip = |reason, explanation: String| Ruling::skip(reason, Some(operation), explanation);
    let version = known.request.version();
    let errand = Errand {
        operation,
        reference_id: &known.request.reference_id,
        version: &version,
        issue: known.issue,
    };
    let verdict = retry_verdict(known.order, &errand, context.retry, context.now);
    // A person's word comes before what the ledger says about trying again: it is theirs to take back.
    let refusal = verdict
        .refusal()
        .filter(|(reason, _)| known.acknowledged.is_none() || *reason == SkipReason::InDoubt);
    if let Some((reason, mut why)) = refusal {
        if verdict.waits_for_a_retry() {
            why.push_str(&way_out(context.org, known.request));
        }
        return Ruling {
            attention: attention(&verdict),
            not_before: match verdict {
                RetryVerdict::BackingOff { until, .. } => Some(until),
                _ => None,
            },
            ..skip(reason, why)
        };
    }
    if let Some(said) = known.acknowledged {
        let (who, at) = (&said.who, instant(said.given_at));
        let why = format!("{who} said hands off at {at}: {}", said.reason);
        let explanation = format!("would send {operation}, but {why}");
        return skip(SkipReason::Acknowledged, explanation);
    }
    if let Some((reason, why)) = context.writes.forbids() {
        return skip(reason, format!("would send {operation}, but {why}"));
    }
    let tries = known
        .order
        .attempts
        .iter()
        .filter(|attempt| attempt.operation == operation)
        .count();
    let age = context.rules[index].matcher.not_updated_for;
    Ruling {
        verdict: Verdict::Act { operation },
        explanation: format!("send {operation}, attempt {}", tries + 1),
        attention: None,
        intent: Some(Intent {
            rule: index,
            operation,
            issue: known.issue.cloned(),
            due_since: known
                .request
                .last_updated
                .map(|updated| updated + age.unwrap_or_default()),
        }),
        not_before: None,
    }
}

/// Who must look at an order that is not written to.
fn attention(verdict: &RetryVerdict) -> Option<Attention> {
    match verdict {
        RetryVerdict::InDoubt {
            needs_human: true, ..
        } => Some(Attention::NeedsHuman),
        RetryVerdict::GivenUp(_) | RetryVerdict::Doubled(_) => Some(Attention::GivenUp),
        _ => None,
    }
}

/// What a person can do about an order that the daemon does not write to by itself any more.
fn way_out(org: &Org, request: &Observation) -> String {
    request.external_reference.as_ref().map_or_else(String::new, |order| {
        format!(
            ": a person must look, and may have it tried again by `tesa-reconciler attempts retry {order} --org {org} --reason …`"
        )
    })
}

/// A decision about a request that was looked at.
pub fn decision(request: &Observation, rule: Option<&Rule>, ruling: &Ruling) -> Decision {
    Decision {
        reference_id: request.reference_id.clone(),
        external_reference: request.external_reference.clone(),
        status: Some(request.status.clone()),
        rule: rule.map(|rule| rule.name.clone()),
        verdict: ruling.verdict.clone(),
        explanation: ruling.explanation.clone(),
    }
}

/// An item about a request that could not be looked at.
pub fn unreadable(
    id: &ReferenceId,
    reason: SkipReason,
    explanation: String,
    sightings: Vec<Sighting>,
) -> Item {
    Item {
        decision: Decision {
            reference_id: id.clone(),
            external_reference: None,
            status: None,
            rule: None,
            verdict: Verdict::Skip {
                reason,
                instead_of: None,
            },
            explanation,
        },
        request: None,
        sightings,
        scope: match reason {
            SkipReason::NothingWrong => Scope::READ,
            _ => Scope::FAILED,
        },
        attention: None,
        intent: None,
        not_before: None,
        lasts: false,
    }
}

/// A sighting about a request.
pub fn sighting(
    request: &Observation,
    kind: FindingKind,
    detail: impl Into<String>,
    evidence: impl Into<String>,
) -> Sighting {
    Sighting {
        key: FindingKey {
            reference_id: request.reference_id.clone(),
            kind,
            detail: detail.into(),
        },
        external_reference: request.external_reference.clone(),
        since: request.last_updated,
        attention: None,
        evidence: evidence.into(),
    }
}

/// An instant as people read it. Absolute, so that an explanation that did not change reads the same at every run
/// and is written down once.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
