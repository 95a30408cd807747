//! Rules that can never match because of the rules before them: an error, whatever they would do.
//!
//! A rule that is never heard is a person's intention that does not hold. Where only some words of it never count,
//! that may be meant, so it is a warning ([`super::warnings`]).

use super::job::JobKind;
use super::problem::{Place, Problems};
use crate::domain::ids::Org;
use crate::domain::{RuleName, Status};
use crate::rules::Rule;
use crate::rules::coverage::{Coverage, Ground, coverage};

/// The statuses that `resolve_issues` lists even where no rule names them.
const INCIDENCES: [Status; 3] = [
    Status::IncidenceTesa,
    Status::IncidenceOperator,
    Status::IncidenceInstalling,
];

/// What a rule of such a job matches that names no status.
pub(super) fn unnamed<'r>(kind: JobKind, rules: impl Iterator<Item = &'r Rule>) -> Vec<Status> {
    if kind != JobKind::ResolveIssues {
        return Status::open().collect();
    }
    listed(rules)
}

/// The statuses that a `resolve_issues` job lists.
pub(super) fn listed<'r>(rules: impl Iterator<Item = &'r Rule>) -> Vec<Status> {
    let named: Vec<&Status> = rules
        .filter_map(|rule| rule.matcher.statuses.as_ref())
        .flatten()
        .collect();
    Status::open()
        .filter(|status| INCIDENCES.contains(status) || named.contains(&status))
        .collect()
}

/// Refuses the rules that are never heard. `rules` are those of one job that could be read, each with where it
/// begins.
pub(super) fn refuse_unheard(
    rules: &[(&Place, &Rule)],
    kind: JobKind,
    orgs: &[Org],
    problems: &mut Problems,
) {
    let values: Vec<&Rule> = rules.iter().map(|(_, rule)| *rule).collect();
    let unnamed = unnamed(kind, values.iter().copied());
    let ground = Ground {
        orgs,
        unnamed: &unnamed,
    };
    for (index, (place, rule)) in rules.iter().enumerate() {
        let Coverage::Never(by) = coverage(&values, index, ground) else {
            continue;
        };
        let names = names(&by, &values);
        let whose = if by.len() == 1 { "it" } else { "them" };
        problems.within(format!("rule {}", rule.name), |problems| {
            problems.report_with_help(
                place,
                format!("it can never match: {names} before it takes all that it is for"),
                format!("put it before {whose}, narrow {whose}, or remove this rule"),
            );
        });
    }
}

/// Rules as a person names them.
pub(super) fn names(by: &[usize], rules: &[&Rule]) -> String {
    let names: Vec<&RuleName> = by.iter().map(|index| &rules[*index].name).collect();
    let names: Vec<String> = names.iter().map(|name| format!("rule {name}")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
