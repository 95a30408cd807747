//! The decision of `resolve_issues` about one request and its issues: pure.
//!
//! A request gets at most one write at a time, however many issues it has: the lowest numbered issue for which a
//! rule may act comes first, the others wait for its outcome. An issue is solved only when a later read shows it
//! resolved; one that comes back counts against the same `max_attempts` as before.

use super::findings::Scope;
use super::plan::{self, Context, Item, Known, Ruling, sighting};
use crate::domain::{FindingKind, Issue, Party, SkipReason, Verdict};
use crate::rules::{Subject, first_match, miss};
use crate::store::findings::Sighting;

/// Decides about a request in one of the incidence statuses. `known.issue` is not looked at.
pub fn decide(context: &Context<'_>, known: Known<'_>, issues: &[Issue]) -> Item {
    let request = known.request;
    let mut open: Vec<&Issue> = issues.iter().filter(|issue| !issue.resolved).collect();
    open.sort_by_key(|issue| issue.issue_sequence);
    if !request.status.is_known() || request.status.is_final() || open.is_empty() {
        let ruling = idle(&known, open.is_empty());
        return Item {
            decision: plan::decision(request, None, &ruling),
            request: Some(request.clone()),
            sightings: unknown_status(&known),
            scope: Scope::at(&request.status),
            attention: None,
            intent: None,
            not_before: None,
            lasts: ruling.lasts(),
        };
    }
    let mut chosen: Option<(Option<usize>, Ruling)> = None;
    let mut explanations = Vec::new();
    let mut sightings = Vec::new();
    let mut lasts = true;
    for issue in open {
        let subject = Subject {
            org: context.org,
            request,
            issue: Some(issue),
        };
        let index = first_match(context.rules, subject, context.now);
        let ruling = match index {
            Some(index) => {
                let known = Known {
                    issue: Some(issue),
                    ..known
                };
                plan::rule_on(context, known, index)
            }
            None => {
                let why = miss::nearest(context.rules, subject, context.now);
                let why = why.map_or_else(String::new, |why| format!(": {why}"));
                Ruling::flag(format!("no rule matches it{why}"))
            }
        };
        lasts &= ruling.lasts();
        let acts_already = chosen
            .as_ref()
            .is_some_and(|(_, first)| first.intent.is_some());
        explanations.push(match &ruling.intent {
            Some(_) if acts_already => {
                format!("issue {}: waits, one write at a time", label(issue))
            }
            _ => format!("issue {}: {}", label(issue), ruling.explanation),
        });
        if ruling.verdict != Verdict::Ignore {
            let party = index.and_then(|index| context.rules[index].party);
            sightings.push(unresolved(&known, issue, &ruling, party));
        }
        if chosen
            .as_ref()
            .is_none_or(|(_, first)| weight(&ruling) > weight(first))
        {
            chosen = Some((index, ruling));
        }
    }
    // `open` was not empty, so something was chosen; were it not, there would be nothing to do.
    let (index, ruling) = chosen.unwrap_or_else(|| (None, idle(&known, true)));
    let ruling = Ruling {
        explanation: explanations.join("; "),
        ..ruling
    };
    Item {
        decision: plan::decision(request, index.map(|index| &context.rules[index]), &ruling),
        request: Some(request.clone()),
        sightings,
        scope: Scope::at(&request.status),
        attention: None,
        not_before: ruling.not_before,
        intent: ruling.intent,
        lasts,
    }
}

/// Which ruling speaks for the request: a write before a reason not to, that before a flag, that before nothing.
fn weight(ruling: &Ruling) -> u8 {
    match ruling.verdict {
        Verdict::Act { .. } => 3,
        Verdict::Skip { .. } => 2,
        Verdict::Flag => 1,
        Verdict::Ignore => 0,
    }
}

fn idle(known: &Known<'_>, nothing_open: bool) -> Ruling {
    let (reason, why) = if !known.request.status.is_known() {
        (
            SkipReason::UnknownStatus,
            "no rule acts on a status that is not documented",
        )
    } else if known.request.status.is_final() {
        (SkipReason::FinalStatus, "nothing more happens to it")
    } else {
        debug_assert!(nothing_open);
        (SkipReason::NothingWrong, "it has no open issue")
    };
    Ruling::skip(reason, None, why)
}

fn unknown_status(known: &Known<'_>) -> Vec<Sighting> {
    let request = known.request;
    if request.status.is_known() {
        return vec![];
    }
    let why = "a status outside the documented list";
    vec![sighting(
        request,
        FindingKind::UnknownStatus,
        request.status.as_str(),
        why,
    )]
}

fn unresolved(known: &Known<'_>, issue: &Issue, ruling: &Ruling, party: Option<Party>) -> Sighting {
    let mut evidence = format!(
        "{} in {}{}",
        issue.issue_code,
        known.request.status,
        if issue.repeated { ", repeated" } else { "" }
    );
    if let Some(updated) = issue.last_updated {
        evidence.push_str(&format!(", since {}", plan::instant(updated)));
    }
    if let Some(party) = party {
        evidence.push_str(&format!("; party {party}"));
    }
    Sighting {
        attention: ruling.attention,
        since: issue.last_updated.or(known.request.last_updated),
        ..sighting(
            known.request,
            FindingKind::UnresolvedIssue,
            label(issue),
            evidence,
        )
    }
}

/// What tells one issue of a request from another.
pub(super) fn label(issue: &Issue) -> String {
    match issue.issue_sequence {
        Some(sequence) => format!("{sequence} {}", issue.issue_code),
        None => issue.issue_code.to_string(),
    }
}

/// The class of an issue code: what stands before its number (`CLI-012` is of class `CLI`). Codes are an open
/// list; their classes are few.
pub fn code_class(code: &str) -> &str {
    let end = code
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(code.len());
    &code[..end]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use wildmatch::WildMatch;

    use super::*;
    use crate::domain::run::Mode;
    use crate::domain::{AttemptState, Observation, Operation, Status};
    use crate::reconcile::fixtures;
    use crate::reconcile::plan::WritePolicy;
    use crate::reconcile::retry_verdict::RetryPolicy;
    use crate::rules::{Action, Matcher, Rule, WriteKind, WriteSpec};
    use crate::store::attempts::Attempt;
    use crate::store::orders::OrderFacts;

    fn rules() -> Vec<Rule> {
        let rule = |name: &str, glob: &str, repeated, action| Rule {
            name: name.into(),
            matcher: Matcher {
                issue_codes: Some(vec![WildMatch::new(glob)]),
                repeated,
                ..Matcher::default()
            },
            action,
            party: Some(Party::Operator),
        };
        let resolve = WriteSpec {
            kind: WriteKind::ResolveIncident,
            parameters: BTreeMap::new(),
        };
        vec![
            rule("absent", "CLI-*", Some(false), Action::Send(resolve)),
            rule("leave", "PER-*", None, Action::Ignore),
            rule("show", "DIR-*", None, Action::Flag),
        ]
    }

    fn issue(sequence: i64, code: &str) -> Issue {
        Issue {
            id: None,
            reference_id: "R-1".into(),
            issue_sequence: Some(sequence),
            issue_code: code.into(),
            resolved: false,
            repeated: false,
            last_updated: Some(fixtures::now()),
        }
    }

    fn decide_on(request: &Observation, issues: &[Issue], attempts: &[Attempt]) -> Item {
        let (org, rules) = (fixtures::org(), rules());
        let context = Context {
            org: &org,
            rules: &rules,
            retry: RetryPolicy {
                max_attempts: 3,
                initial: Duration::from_secs(600),
                max: Duration::from_secs(6_000),
            },
            writes: WritePolicy {
                mode: Mode::Enforce,
                paused: false,
                held: false,
                circuit_open: false,
            },
            now: fixtures::now(),
        };
        decide(
            &context,
            Known {
                request,
                issue: None,
                order: &OrderFacts {
                    attempts: attempts.to_vec(),
                    ..OrderFacts::default()
                },
                acknowledged: None,
            },
            issues,
        )
    }

    fn incident() -> Observation {
        fixtures::in_status(Status::IncidenceOperator)
    }

    #[test]
    fn an_issue_is_acted_on_flagged_or_left_by_its_code() {
        let repeated = Issue {
            repeated: true,
            ..issue(1, "CLI-012")
        };
        let resolved = Issue {
            resolved: true,
            ..issue(1, "CLI-012")
        };
        let cases = [
            (vec![issue(1, "CLI-012")], "act", 1),
            (vec![issue(1, "PER-001")], "ignore", 0),
            (vec![issue(1, "DIR-001")], "flag", 1),
            (vec![issue(1, "XYZ-1")], "flag", 1), // a code that nobody has a rule for
            (vec![repeated], "flag", 1),
            (vec![resolved], "nothing_wrong", 0),
            (vec![], "nothing_wrong", 0),
        ];
        for (issues, verdict, findings) in cases {
            let item = decide_on(&incident(), &issues, &[]);
            assert_eq!(item.decision.verdict.label(), verdict, "{issues:?}");
            assert_eq!(item.sightings.len(), findings, "{issues:?}");
        }
    }

    #[test]
    fn five_issues_are_one_write_for_the_first_of_them() {
        let issues = [
            issue(5, "CLI-001"),
            issue(3, "CLI-003"),
            issue(1, "DIR-001"),
            issue(2, "CLI-002"),
            issue(4, "XYZ-9"),
        ];
        let item = decide_on(&incident(), &issues, &[]);
        let intent = item.intent.unwrap();
        assert_eq!(intent.operation, Operation::ResolveIncident);
        assert_eq!(intent.issue.unwrap().issue_sequence, Some(2));
        assert_eq!(item.sightings.len(), 5);
        assert!(
            item.decision
                .explanation
                .contains("waits, one write at a time")
        );
    }

    #[test]
    fn an_issue_that_came_back_after_a_repair_goes_to_a_person_in_the_end() {
        let attempts: Vec<Attempt> = (1..=3)
            .map(|id| Attempt {
                operation: Operation::ResolveIncident,
                state: AttemptState::Confirmed,
                issue_sequence: Some(1),
                ..fixtures::attempt(id)
            })
            .collect();
        let item = decide_on(&incident(), &[issue(1, "CLI-012")], &attempts);
        assert_eq!(item.decision.verdict.label(), "given_up");
        assert!(item.sightings[0].attention.is_some());
    }

    #[test]
    fn nothing_is_done_for_a_final_or_unknown_status() {
        for (status, verdict) in [
            (Status::Canceled, "final_status"),
            (Status::parse("X"), "unknown_status"),
        ] {
            let item = decide_on(&fixtures::in_status(status), &[issue(1, "CLI-1")], &[]);
            assert_eq!(item.decision.verdict.label(), verdict);
            assert!(item.intent.is_none());
        }
    }

    #[test]
    fn a_code_has_a_class() {
        for (code, class) in [("CLI-012", "CLI"), ("CTO3", "CTO"), ("42", ""), ("ñ-1", "")] {
            assert_eq!(code_class(code), class);
        }
    }
}
