//! The decision of `retry_stuck` about one listed request: pure.

use super::plan::{self, Context, Item, Known, Ruling, sighting};
use super::selection::Selection;
use crate::domain::{FindingKind, Observation, SkipReason, Verdict};
use crate::rules::{Subject, first_match};
use crate::store::findings::Sighting;

/// The finding's detail for a request whose cancellation is stuck, in the place of the status.
pub const CANCELLING: &str = "CANCELLING";

/// Decides about a request that one of `selections` listed.
pub fn decide(context: &Context<'_>, selections: &[Selection], known: Known<'_>) -> Item {
    let request = known.request;
    let item = |rule: Option<usize>, ruling: Ruling, sightings: Vec<Sighting>| Item {
        decision: plan::decision(request, rule.map(|index| &context.rules[index]), &ruling),
        request: Some(request.clone()),
        sightings,
        lasts: ruling.lasts(),
        intent: ruling.intent,
    };
    if !request.status.is_known() {
        let ruling = Ruling::skip(
            SkipReason::UnknownStatus,
            None,
            "no rule acts on a status that is not documented",
        );
        let seen = sighting(
            request,
            FindingKind::UnknownStatus,
            request.status.as_str(),
            "a status outside the documented list",
        );
        return item(None, ruling, vec![seen]);
    }
    if request.status.is_final() {
        let ruling = Ruling::skip(SkipReason::FinalStatus, None, "nothing more happens to it");
        return item(None, ruling, vec![]);
    }
    let subject = Subject {
        org: context.org,
        request,
        issue: None,
    };
    let matched = first_match(context.rules, subject, context.now);
    let is_stuck = selections
        .iter()
        .any(|selection| selection.covers(request, context.now));
    let (index, ruling) = match matched {
        Some(index) => (Some(index), plan::rule_on(context, known, index)),
        None if is_stuck => (None, Ruling::flag("it is stuck, and no rule matches it")),
        None => {
            let ruling = Ruling::skip(
                SkipReason::NotStuck,
                None,
                "it was listed as stuck, but was updated since",
            );
            return item(None, ruling, vec![]);
        }
    };
    if ruling.verdict == Verdict::Ignore {
        return item(index, ruling, vec![]);
    }
    let seen = stuck(
        request,
        &ruling,
        index.and_then(|index| context.rules[index].party.as_deref()),
    );
    item(index, ruling, vec![seen])
}

/// The finding: stuck in this status since the upstream's last change.
fn stuck(request: &Observation, ruling: &Ruling, party: Option<&str>) -> Sighting {
    let mut evidence = format!(
        "{} since {}",
        request.status,
        request
            .last_updated
            .map_or_else(|| "an unknown date".to_owned(), plan::instant),
    );
    if let Some(party) = party {
        evidence.push_str(&format!("; party {party}"));
    }
    Sighting {
        attention: ruling.attention,
        ..sighting(
            request,
            FindingKind::StuckRequest,
            detail(request),
            evidence,
        )
    }
}

/// What tells a stuck request's finding from another one of the same request: where it is stuck.
pub fn detail(request: &Observation) -> &str {
    if request.cancelling {
        CANCELLING
    } else {
        request.status.as_str()
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
    use crate::reconcile::history::RetryPolicy;
    use crate::reconcile::plan::WritePolicy;
    use crate::reconcile::selection::selections;
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
        decide(&context, &selections(&rules, &org), known)
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
                1,
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
            assert_eq!(item.sightings.len(), findings, "{name}");
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
        assert_eq!(
            item.sightings[0].attention,
            Some(crate::domain::finding::Attention::GivenUp)
        );
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
        assert!(!first.sightings[0].evidence.contains("ago"));
    }
}
