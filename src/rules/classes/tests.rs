//! What rules come to as list calls, case by case.

use super::*;
use crate::domain::TerritoryOwner;
use crate::rules::Action;

const HOUR: Duration = Duration::from_secs(3_600);

fn rule(matcher: Matcher) -> Rule {
    Rule {
        name: "watch".into(),
        matcher: Matcher {
            not_updated_for: Some(HOUR),
            ..matcher
        },
        action: Action::Flag,
        party: None,
    }
}

fn of(matcher: Matcher, unsupported: &[Filter]) -> Vec<Class> {
    compile(&[rule(matcher)], &Org::new("masmovil"), unsupported)
}

fn unsent() -> Matcher {
    Matcher {
        statuses: Some(vec![Status::NotSent]),
        ..Matcher::default()
    }
}

fn aged(status: Status) -> Ask {
    Ask {
        status: Some(status),
        age: Some(HOUR),
        ..Ask::default()
    }
}

fn cancelling() -> Ask {
    Ask {
        cancelling: true,
        ..Ask::default()
    }
}

#[test]
fn a_rule_is_a_class_a_status() {
    let classes = of(unsent(), &[]);
    assert_eq!(classes.len(), 1);
    assert_eq!(classes[0].within, aged(Status::NotSent));
    assert_eq!(classes[0].without, [cancelling()]);
    assert!(!classes[0].is_residual);
    let every = of(Matcher::default(), &[]);
    let open: Vec<Status> = Status::open().collect();
    let mut named: Vec<Status> = every.iter().map(|class| class.status.clone()).collect();
    named.sort();
    assert_eq!(named.len(), open.len());
    assert!(named.iter().all(|status| open.contains(status)));
}

#[test]
fn a_final_status_is_matched_only_by_a_rule_that_names_it() {
    let rejected = Matcher {
        statuses: Some(vec![Status::Rejected]),
        ..Matcher::default()
    };
    assert_eq!(of(rejected, &[])[0].within, aged(Status::Rejected));
    assert!(
        of(Matcher::default(), &[])
            .iter()
            .all(|class| !class.status.is_final())
    );
}

#[test]
fn flags_that_may_be_absent_are_told_by_what_is_left() {
    let ours = |auto_installation| Matcher {
        auto_installation: Some(auto_installation),
        ..unsent()
    };
    let yes = &of(ours(true), &[])[0];
    assert!(yes.within.auto_installation);
    assert_eq!(yes.without, [cancelling()]);
    let no = &of(ours(false), &[])[0];
    assert!(!no.within.auto_installation);
    let ask = Ask {
        auto_installation: true,
        status: Some(Status::NotSent),
        ..Ask::default()
    };
    assert_eq!(no.without, [ask, cancelling()]);
    let being_cancelled = Matcher {
        cancelling: true,
        ..unsent()
    };
    let class = &of(being_cancelled, &[])[0];
    assert!(class.within.cancelling);
    assert_eq!(class.without, []);
}

#[test]
fn what_no_list_tells_is_read() {
    let owned = Matcher {
        territory_owners: Some(vec![TerritoryOwner::Neba]),
        ..unsent()
    };
    assert!(of(owned, &[])[0].is_residual);
    let needs: [(Filter, Matcher, Matcher); 3] = [
        (
            Filter::PersistenceType,
            unsent(),
            Matcher {
                persistence_type: Some(PersistenceType::Activation),
                ..unsent()
            },
        ),
        (
            Filter::AutoInstallation,
            unsent(),
            Matcher {
                auto_installation: Some(false),
                ..unsent()
            },
        ),
        // Whatever a rule says, it says something of cancellations.
        (Filter::Cancelling, owned_by_nobody(), unsent()),
    ];
    for (filter, without, with) in needs {
        let class = &of(with, &[filter])[0];
        assert!(class.is_residual, "{filter}");
        assert!(!class.filters().contains(&filter), "{filter}");
        let other = of(without, &[filter]);
        assert!(other.is_empty() || !other[0].is_residual, "{filter}");
    }
    let unaged = &of(unsent(), &[Filter::NotUpdatedSince])[0];
    assert!(unaged.is_residual && unaged.within.age.is_none());
}

/// Matches nothing.
fn owned_by_nobody() -> Matcher {
    Matcher {
        statuses: Some(vec![]),
        ..Matcher::default()
    }
}

#[test]
fn each_question_is_asked_once_and_cancellations_last() {
    let rules = [
        rule(unsent()),
        rule(unsent()),
        rule(Matcher {
            statuses: Some(vec![Status::Validating]),
            ..Matcher::default()
        }),
    ];
    let classes = compile(&rules, &Org::new("masmovil"), &[]);
    let asked: Vec<Ask> = asks(&classes).into_iter().cloned().collect();
    let expected = [
        aged(Status::NotSent),
        aged(Status::Validating),
        cancelling(),
    ];
    assert_eq!(asked, expected);
}

#[test]
fn a_run_asks_first_what_is_subtracted_and_again_what_others_came_in_between() {
    let older = |status| Ask {
        age: Some(3 * HOUR),
        ..aged(status)
    };
    let three_hours = Rule {
        matcher: Matcher {
            not_updated_for: Some(3 * HOUR),
            ..unsent()
        },
        ..rule(unsent())
    };
    let elsewhere = rule(Matcher {
        statuses: Some(vec![Status::Validating]),
        ..Matcher::default()
    });
    let asked = |rules: &[Rule]| -> Vec<Ask> {
        let classes = compile(rules, &Org::new("masmovil"), &[]);
        in_turn(&classes).into_iter().cloned().collect()
    };
    let unsent_rule = rule(unsent());
    assert_eq!(
        asked(&[unsent_rule.clone(), elsewhere.clone(), unsent_rule.clone()]),
        [
            cancelling(),
            aged(Status::NotSent),
            aged(Status::Validating),
            cancelling(),
        ],
        "who is elsewhere is none of these"
    );
    assert_eq!(
        asked(&[unsent_rule.clone(), three_hours, unsent_rule]),
        [
            cancelling(),
            aged(Status::NotSent),
            older(Status::NotSent),
            aged(Status::NotSent),
            cancelling(),
        ]
    );
}

#[test]
fn a_rule_for_another_org_asks_nothing() {
    let elsewhere = Matcher {
        orgs: Some(vec![Org::new("yoigo")]),
        ..unsent()
    };
    assert_eq!(of(elsewhere, &[]), []);
}

#[test]
fn a_class_says_what_its_findings_say() {
    let party = Rule {
        party: Some(crate::domain::Party::Tesa),
        ..rule(unsent())
    };
    let said = key(&of(unsent(), &[])[0], &party);
    assert_eq!(said.detail, "NOT_SENT");
    assert_eq!(
        said.evidence,
        "NOT_SENT for over 1 h; rule watch; party tesa"
    );
    let being_cancelled = Matcher {
        cancelling: true,
        ..unsent()
    };
    let said = key(&of(being_cancelled, &[])[0], &rule(unsent()));
    assert_eq!(said.detail, CANCELLING);
    assert_eq!(
        said.evidence,
        "NOT_SENT for over 1 h, being cancelled; rule watch"
    );
}

#[test]
fn ages_are_said_in_the_largest_unit_that_fits() {
    let said = |seconds| age_words(Duration::from_secs(seconds));
    assert_eq!(said(30), "30 s");
    assert_eq!(said(1_800), "30 min");
    assert_eq!(said(129_600), "36 h");
    assert_eq!(said(432_000), "5 d");
    assert_eq!(said(0), "0 s");
}
