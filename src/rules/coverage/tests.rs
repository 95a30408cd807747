//! Which rules are heard, case by case.

use std::time::Duration;

use super::*;
use crate::domain::{PersistenceType, TerritoryOwner};
use crate::rules::Action;

type Change = fn(&mut Matcher);

fn rule(change: Change) -> Rule {
    let mut matcher = Matcher::default();
    change(&mut matcher);
    Rule {
        name: "r".into(),
        matcher,
        action: Action::Flag,
        party: None,
    }
}

/// What the rules before the last one leave of it.
fn of_last(changes: &[Change]) -> Coverage {
    let rules: Vec<Rule> = changes.iter().map(|change| rule(*change)).collect();
    let rules: Vec<&Rule> = rules.iter().collect();
    let orgs = [Org::new("masmovil"), Org::new("yoigo")];
    let unnamed: Vec<Status> = Status::open().collect();
    let ground = Ground {
        orgs: &orgs,
        unnamed: &unnamed,
    };
    coverage(&rules, rules.len() - 1, ground)
}

fn hours(hours: u64) -> Option<Duration> {
    Some(Duration::from_secs(3_600 * hours))
}

fn globs(patterns: &[&str]) -> Option<Vec<WildMatch>> {
    Some(patterns.iter().map(|glob| WildMatch::new(glob)).collect())
}

const UNSENT: Change = |m| m.statuses = Some(vec![Status::NotSent]);
const ANY: Change = |_| {};

#[test]
fn a_rule_that_others_take_everything_from_is_never_heard() {
    let cases: [(&str, &[Change], &[usize]); 17] = [
        ("the same", &[UNSENT, UNSENT], &[0]),
        ("a wider one", &[ANY, UNSENT], &[0]),
        (
            "more statuses",
            &[
                |m| m.statuses = Some(vec![Status::Validating, Status::NotSent]),
                UNSENT,
            ],
            &[0],
        ),
        (
            "a younger age",
            &[
                |m| m.not_updated_for = hours(2),
                |m| m.not_updated_for = hours(5),
            ],
            &[0],
        ),
        (
            "the same age",
            &[
                |m| m.not_updated_for = hours(2),
                |m| m.not_updated_for = hours(2),
            ],
            &[0],
        ),
        (
            "two rules, each of one status",
            &[
                UNSENT,
                |m| m.statuses = Some(vec![Status::Installed]),
                |m| m.statuses = Some(vec![Status::NotSent, Status::Installed]),
            ],
            &[0, 1],
        ),
        (
            "our installers and the others",
            &[
                |m| m.auto_installation = Some(true),
                |m| m.auto_installation = Some(false),
                ANY,
            ],
            &[0, 1],
        ),
        (
            "each org by itself",
            &[
                |m| m.orgs = Some(vec!["yoigo".into()]),
                |m| m.orgs = Some(vec!["masmovil".into()]),
                UNSENT,
            ],
            &[0, 1],
        ),
        (
            "every open status by name",
            &[|m| m.statuses = Some(Status::open().collect()), ANY],
            &[0],
        ),
        (
            "one type of any",
            &[ANY, |m| {
                m.persistence_type = Some(PersistenceType::Activation)
            }],
            &[0],
        ),
        (
            "any code",
            &[
                |m| m.issue_codes = globs(&["*"]),
                |m| m.issue_codes = globs(&["CLI-*"]),
            ],
            &[0],
        ),
        (
            "the codes of two rules",
            &[
                |m| m.issue_codes = globs(&["CLI-*"]),
                |m| m.issue_codes = globs(&["CTO-*"]),
                |m| m.issue_codes = globs(&["CTO-*", "CLI-*"]),
            ],
            &[0, 1],
        ),
        (
            "a wider code",
            &[
                |m| m.issue_codes = globs(&["CLI-*"]),
                |m| m.issue_codes = globs(&["CLI-1*", "CLI-0?2"]),
            ],
            &[0],
        ),
        (
            "any code, behind those with a letter and those without",
            &[
                |m| m.issue_codes = globs(&["?*"]),
                |m| m.issue_codes = globs(&["CLI-*"]),
                |m| m.issue_codes = globs(&[""]),
                |m| m.issue_codes = globs(&["*"]),
            ],
            &[0, 2],
        ),
        (
            "codes that two globs of a rule share",
            &[
                |m| m.issue_codes = globs(&["CLI-?", "CLI-??*"]),
                |m| m.issue_codes = globs(&["CLI-?*"]),
            ],
            &[0],
        ),
        (
            "every code by name, behind a rule for all",
            &[
                |m| m.issue_codes = globs(&["*"]),
                |m| m.statuses = Some(vec![Status::NotSent]),
            ],
            &[0],
        ),
        (
            "both cancelling",
            &[
                |m| m.cancelling = true,
                |m| {
                    m.cancelling = true;
                    m.statuses = Some(vec![Status::NotSent]);
                },
            ],
            &[0],
        ),
    ];
    for (name, changes, by) in cases {
        assert_eq!(of_last(changes), Coverage::Never(by.to_vec()), "{name}");
    }
}

#[test]
fn a_rule_that_something_is_left_for_is_heard() {
    let cases: [(&str, &[Change]); 13] = [
        ("alone", &[ANY]),
        ("behind a narrower one", &[UNSENT, ANY]),
        (
            "behind an older age",
            &[
                |m| m.not_updated_for = hours(5),
                |m| m.not_updated_for = hours(2),
            ],
        ),
        (
            "without an age, behind one: the undated are left",
            &[|m| m.not_updated_for = hours(1), ANY],
        ),
        (
            "behind both types: those without one are left",
            &[
                |m| m.persistence_type = Some(PersistenceType::Activation),
                |m| m.persistence_type = Some(PersistenceType::Termination),
                ANY,
            ],
        ),
        (
            "behind all owners: those without one are left",
            &[
                |m| m.territory_owners = Some(TerritoryOwner::ALL.to_vec()),
                ANY,
            ],
        ),
        (
            "cancelling, behind those that are not",
            &[ANY, |m| m.cancelling = true],
        ),
        (
            "a final status, behind a rule that names none",
            &[ANY, |m| m.statuses = Some(vec![Status::Rejected])],
        ),
        (
            "behind one org",
            &[|m| m.orgs = Some(vec!["yoigo".into()]), UNSENT],
        ),
        (
            "behind our installers",
            &[|m| m.auto_installation = Some(true), ANY],
        ),
        (
            "globs that overlap in part",
            &[
                |m| m.issue_codes = globs(&["CLI-*", "?*1"]),
                |m| m.issue_codes = globs(&["C*-1*"]),
            ],
        ),
        (
            "issues that came back, behind those that didn't",
            &[|m| m.repeated = Some(false), |m| m.repeated = Some(true)],
        ),
        (
            "two criteria, each shared with another rule",
            &[
                UNSENT,
                |m| m.auto_installation = Some(true),
                |m| {
                    m.statuses = Some(vec![Status::Installed]);
                    m.auto_installation = Some(false);
                },
            ],
        ),
    ];
    for (name, changes) in cases {
        assert_eq!(of_last(changes), Coverage::Reached(vec![]), "{name}");
    }
}

#[test]
fn a_word_that_never_counts_is_named_with_who_takes_it() {
    let changes: [Change; 2] = [UNSENT, |m| {
        m.statuses = Some(vec![Status::NotSent, Status::Installed])
    }];
    let dead = |key, word: &str| DeadWord {
        key,
        word: word.to_owned(),
        by: vec![0],
    };
    let expected = Coverage::Reached(vec![dead("statuses", "NOT_SENT")]);
    assert_eq!(of_last(&changes), expected);
    let codes: [Change; 2] = [
        |m| m.issue_codes = globs(&["CLI-*"]),
        |m| m.issue_codes = globs(&["CTO-*", "CLI-7*"]),
    ];
    let expected = Coverage::Reached(vec![dead("issue_codes", "CLI-7*")]);
    assert_eq!(of_last(&codes), expected);
    let owners: [Change; 2] = [
        |m| m.territory_owners = Some(vec![TerritoryOwner::Neba]),
        |m| m.territory_owners = Some(vec![TerritoryOwner::Neba, TerritoryOwner::VulaRegulated]),
    ];
    let expected = Coverage::Reached(vec![dead("territory_owners", "NEBA")]);
    assert_eq!(of_last(&owners), expected);
    let orgs: [Change; 2] = [
        |m| m.orgs = Some(vec!["yoigo".into()]),
        |m| m.orgs = Some(vec!["yoigo".into(), "masmovil".into()]),
    ];
    let expected = Coverage::Reached(vec![dead("orgs", "yoigo")]);
    assert_eq!(of_last(&orgs), expected);
}

proptest::proptest! {
    /// Held against the matcher itself: what is never heard is never the first match.
    #[test]
    fn what_is_said_never_to_match_never_does(
        rules in proptest::collection::vec((0usize..512, 0usize..4), 2..5),
        request in 0usize..512,
        hours_old in 0i64..6,
    ) {
        let rules: Vec<Rule> = rules.iter().map(|(bits, age)| some_rule(*bits, *age)).collect();
        let orgs = [Org::new("masmovil"), Org::new("yoigo")];
        let unnamed: Vec<Status> = Status::open().collect();
        let ground = Ground { orgs: &orgs, unnamed: &unnamed };
        let now = crate::reconcile::fixtures::now();
        let mut seen = crate::reconcile::fixtures::unsent();
        seen.status = if request & 1 == 0 { Status::NotSent } else { Status::Installed };
        seen.persistence_type = match request >> 1 & 3 {
            0 => None,
            1 => Some(PersistenceType::Termination),
            _ => Some(PersistenceType::Activation),
        };
        seen.auto_installation = match request >> 3 & 3 { 0 => None, 1 => Some(true), _ => Some(false) };
        seen.cancelling = request >> 5 & 1 == 1;
        seen.last_updated = (request >> 6 & 1 == 0).then(|| now - chrono::Duration::hours(hours_old));
        let subject = crate::rules::Subject { org: &orgs[request >> 7 & 1], request: &seen, issue: None };
        let first = crate::rules::first_match(&rules, subject, now);
        let all: Vec<&Rule> = rules.iter().collect();
        if let Some(first) = first {
            proptest::prop_assert!(!matches!(coverage(&all, first, ground), Coverage::Never(_)));
        }
    }
}

/// A rule whose criteria the bits choose.
fn some_rule(bits: usize, age: usize) -> Rule {
    let mut rule = rule(ANY);
    let matcher = &mut rule.matcher;
    matcher.statuses = match bits & 3 {
        0 => None,
        1 => Some(vec![Status::NotSent]),
        2 => Some(vec![Status::Installed]),
        _ => Some(vec![Status::NotSent, Status::Installed]),
    };
    matcher.persistence_type = match bits >> 2 & 3 {
        0 => Some(PersistenceType::Activation),
        1 => Some(PersistenceType::Termination),
        _ => None,
    };
    matcher.auto_installation = match bits >> 4 & 3 {
        0 => Some(true),
        1 => Some(false),
        _ => None,
    };
    matcher.cancelling = bits >> 6 & 1 == 1;
    matcher.orgs = match bits >> 7 & 3 {
        0 => Some(vec!["yoigo".into()]),
        1 => Some(vec!["masmovil".into()]),
        _ => None,
    };
    matcher.not_updated_for = (age > 0).then(|| Duration::from_secs(3_600 * age as u64));
    rule
}
