//! The decision of `retry_stuck` about one request, as it was read: pure.
//!
//! That it is stuck, and by which rule, lists have told already. What they can't tell, and what this says, is whether it
//! still is, and what the ledger and people say of its order.

use super::findings::Scope;
use super::plan::{self, Context, Item, Known, Ruling};
use crate::domain::{FindingKind, Observation, SkipReason, Verdict};
use crate::rules::{Subject, classes, first_match, miss};
use crate::store::findings::FindingKey;

/// Decides about a request.
pub fn decide(context: &Context<'_>, known: Known<'_>) -> Item {
    let request = known.request;
    let subject = Subject {
        org: context.org,
        request,
        issue: None,
    };
    let matched = first_match(context.rules, subject, context.now);
    let ruling = match matched {
        Some(index) => plan::rule_on(context, known, index),
        None => unmatched(context, request, subject),
    };
    // What lists tell is a finding by itself; only who must look at it is seen here.
    let is_told = matched.is_some() && ruling.verdict != Verdict::Ignore;
    Item {
        decision: plan::decision(request, matched.map(|index| &context.rules[index]), &ruling),
        request: Some(request.clone()),
        sightings: vec![],
        scope: Scope::at(&request.status),
        attention: is_told.then(|| (key(request), ruling.attention)),
        lasts: ruling.lasts(),
        not_before: ruling.not_before,
        intent: ruling.intent,
    }
}

/// No rule matches it (any more).
fn unmatched(context: &Context<'_>, request: &Observation, subject: Subject<'_>) -> Ruling {
    if !request.status.is_known() {
        let why = "no rule acts on a status that is not documented";
        return Ruling::skip(SkipReason::UnknownStatus, None, why);
    }
    if request.status.is_final() {
        return Ruling::skip(SkipReason::FinalStatus, None, "nothing more happens to it");
    }
    let why = miss::nearest(context.rules, subject, context.now);
    let why = why.map_or_else(
        || "no rule is for it".to_owned(),
        |why| format!("no rule matches it: {why}"),
    );
    Ruling::skip(SkipReason::NotStuck, None, why)
}

/// The finding of a stuck request.
pub fn key(request: &Observation) -> FindingKey {
    FindingKey {
        reference_id: request.reference_id.clone(),
        kind: FindingKind::StuckRequest,
        detail: classes::detail(request.cancelling, &request.status).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::domain::run::Mode;
    use crate::domain::{AttemptState, Operation, Status};
    use crate::reconcile::fixtures;
    use crate::reconcile::plan::WritePolicy;
    use crate::reconcile::retry_verdict::RetryPolicy;
    use crate::rules::{Action, Matcher, Rule, WriteKind, WriteSpec};
    use crate::store::attempts::Attempt;
    use crate::store::orders::OrderFacts;

    const ENFORCE: WritePolicy = WritePolicy {
        mode: Mode::Enforce,
        paused: false,
        held: false,
        circuit_open: false,
    };

    fn rules() -> Vec<Rule> {
        let rule = |name: &str, status, minutes: u64, action| Rule {
            name: name.into(),
            matcher: Matcher {
                statuses: Some(vec![status]),
                not_updated_for: Some(Duration::from_secs(60 * minutes)),
                ..Matcher::default()
            },
            action,
            party: None,
        };
        let resend = WriteSpec {
            kind: WriteKind::Resend,
            parameters: BTreeMap::new(),
        };
        vec![
            rule("resend-unsent", Status::NotSent, 30, Action::Send(resend)),
            rule("watch-validating", Status::Validating, 60, Action::Flag),
            rule("leave-installed", Status::Installed, 60, Action::Ignore),
        ]
    }

    fn decide_on(
        request: &Observation,
        attempts: &[Attempt],
        writes: WritePolicy,
        acknowledged: bool,
    ) -> Item {
        let (org, rules) = (fixtures::org(), rules());
        let context = Context {
            org: &org,
            rules: &rules,
            retry: RetryPolicy {
                max_attempts: 3,
                initial: Duration::from_secs(600),
                max: Duration::from_secs(6_000),
            },
            writes,
            now: fixtures::now(),
        };
        let said = fixtures::acknowledgement();
        let known = Known {
            request,
            issue: None,
            order: &OrderFacts {
                attempts: attempts.to_vec(),
                ..OrderFacts::default()
            },
            acknowledged: acknowledged.then_some(&said),
        };
        decide(&context, known)
    }

    #[test]
    fn every_request_gets_a_verdict_with_a_reason() {
        let recent = Observation {
            last_updated: Some(fixtures::now()),
            ..fixtures::unsent()
        };
        let cancelling = Observation {
            cancelling: true,
            ..fixtures::unsent()
        };
        let nameless = Observation {
            external_reference: None,
            ..fixtures::unsent()
        };
        let cases = [
            ("unsent", fixtures::unsent(), "act", 1),
            ("updated meanwhile", recent, "not_stuck", 0),
            (
                "watched",
                fixtures::in_status(Status::Validating),
                "flag",
                1,
            ),
            (
                "left alone",
                fixtures::in_status(Status::Installed),
                "ignore",
                0,
            ),
            (
                "final",
                fixtures::in_status(Status::Finished),
                "final_status",
                0,
            ),
            (
                "unheard of",
                fixtures::in_status(Status::parse("MOON")),
                "unknown_status",
                0,
            ),
            (
                "not for any rule",
                fixtures::in_status(Status::Processing),
                "not_stuck",
                0,
            ),
            ("cancelling", cancelling, "not_stuck", 0),
            ("cannot be addressed", nameless, "flag", 1),
        ];
        for (name, request, verdict, findings) in cases {
            let item = decide_on(&request, &[], ENFORCE, false);
            assert_eq!(item.decision.verdict.label(), verdict, "{name}");
            assert_eq!(usize::from(item.attention.is_some()), findings, "{name}");
            assert_eq!(item.intent.is_some(), verdict == "act", "{name}");
            assert!(!item.decision.explanation.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let paused = WritePolicy {
            paused: true,
            ..ENFORCE
        };
        let held = WritePolicy {
            held: true,
            ..ENFORCE
        };
        let broken = WritePolicy {
            circuit_open: true,
            ..ENFORCE
        };
        let observe = WritePolicy {
            mode: Mode::Observe,
            ..ENFORCE
        };
        let all = WritePolicy {
            mode: Mode::Observe,
            paused: true,
            held: true,
            circuit_open: true,
        };
        let doubt = [fixtures::attempt(1)];
        let cases: [(WritePolicy, &[Attempt], bool, &str); 7] = [
            (paused, &[], false, "paused"),
            (held, &[], false, "guard_held"),
            (broken, &[], false, "circuit_open"),
            (observe, &[], false, "observe_mode"),
            (ENFORCE, &[], true, "acknowledged"),
            (all, &[], false, "paused"),
            (all, &doubt, true, "in_doubt"),
        ];
        for (writes, attempts, acknowledged, expected) in cases {
            let item = decide_on(&fixtures::unsent(), attempts, writes, acknowledged);
            assert_eq!(item.decision.verdict.label(), expected);
            assert!(item.intent.is_none());
            let Verdict::Skip { instead_of, .. } = item.decision.verdict else {
                panic!()
            };
            assert_eq!(instead_of, Some(Operation::CreateActivation));
        }
    }

    #[test]
    fn a_request_given_up_waits_for_a_person() {
        let attempts: Vec<Attempt> = (1..=3)
            .map(|id| Attempt {
                state: AttemptState::Ineffective,
                ..fixtures::attempt(id)
            })
            .collect();
        let item = decide_on(&fixtures::unsent(), &attempts, ENFORCE, false);
        assert_eq!(item.decision.verdict.label(), "given_up");
        let (_, attention) = item.attention.unwrap();
        assert_eq!(attention, Some(crate::domain::finding::Attention::GivenUp));
    }

    #[test]
    fn an_unchanged_world_is_explained_in_the_same_words() {
        let first = decide_on(
            &fixtures::in_status(Status::Validating),
            &[],
            ENFORCE,
            false,
        );
        let second = decide_on(
            &fixtures::in_status(Status::Validating),
            &[],
            ENFORCE,
            false,
        );
        assert_eq!(first, second);
        assert!(!first.decision.explanation.contains("ago"));
    }
}
