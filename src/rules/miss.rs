//! Why no rule matches a request, for the person who asks: pure.

use chrono::{DateTime, Utc};

use super::classes::age_words;
use super::{Matcher, Rule, Subject, is_older_than, one_of};
use crate::domain::Observation;
use crate::domain::ids::Org;

/// What the nearest rule misses: its first condition that fails, in words. The nearest is the one with the fewest that do;
/// none where there is no rule, or where one matches.
pub fn nearest(rules: &[Rule], subject: Subject<'_>, now: DateTime<Utc>) -> Option<String> {
    let missed = rules
        .iter()
        .map(|rule| (rule, misses(&rule.matcher, subject, now)));
    let (rule, missed) = missed.min_by_key(|(_, missed)| missed.len())?;
    let first = missed.first()?;
    Some(format!("rule {} is the nearest, but {first}", rule.name))
}

/// Every condition that fails, in the order in which people think of them.
fn misses(matcher: &Matcher, subject: Subject<'_>, now: DateTime<Utc>) -> Vec<String> {
    let Subject {
        org,
        request,
        issue,
    } = subject;
    let mut missed = Vec::new();
    if !one_of(matcher.orgs.as_deref(), Some(org)) {
        missed.push(format!(
            "it is for {}",
            list(matcher.orgs.iter().flatten().map(Org::as_str))
        ));
    }
    if !matcher.is_in_status(request) {
        missed.push(match &matcher.statuses {
            Some(statuses) => format!(
                "it wants {}, and this is {}",
                list(statuses.iter().map(crate::domain::Status::as_str)),
                request.status
            ),
            None => format!("nothing more happens to one that is {}", request.status),
        });
    }
    if matcher.cancelling != request.cancelling {
        missed.push(match request.cancelling {
            true => "this one is being cancelled".to_owned(),
            false => "it wants one that is being cancelled".to_owned(),
        });
    }
    if matcher.persistence_type.is_some() && matcher.persistence_type != request.persistence_type {
        missed.extend(
            matcher
                .persistence_type
                .map(|kind| format!("it wants {kind}")),
        );
    }
    if let Some(wanted) = matcher.auto_installation
        && wanted != request.auto_installation.unwrap_or(false)
    {
        missed.push(format!("it wants auto_installation = {wanted}"));
    }
    if !one_of(
        matcher.territory_owners.as_deref(),
        request.territory_owner.as_ref(),
    ) {
        let owners = matcher.territory_owners.iter().flatten();
        missed.push(format!(
            "it wants {}",
            list(owners.map(|owner| owner.as_str()))
        ));
    }
    if let Some(age) = matcher.not_updated_for
        && !is_older_than(request, age, now)
    {
        missed.push(too_young(request, age));
    }
    match (&matcher.issue_codes, issue) {
        (Some(_), None) => missed.push("it wants an issue".to_owned()),
        (Some(globs), Some(issue))
            if !globs
                .iter()
                .any(|glob| glob.matches(issue.issue_code.said())) =>
        {
            missed.push(format!("no code of its matches {}", issue.issue_code));
        }
        _ => {}
    }
    if let (Some(repeated), Some(issue)) = (matcher.repeated, issue)
        && issue.repeated != repeated
    {
        missed.push(format!("it wants repeated = {repeated}"));
    }
    missed
}

fn too_young(request: &Observation, age: std::time::Duration) -> String {
    let age = age_words(age);
    match request.last_updated {
        Some(updated) => format!(
            "it wants {age} without a change, and this one changed at {}",
            updated.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        ),
        None => format!("it wants {age} without a change, and this one has no date"),
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::Status;
    use crate::reconcile::fixtures;
    use crate::rules::Action;

    fn rule(name: &str, matcher: Matcher) -> Rule {
        Rule {
            name: name.into(),
            matcher,
            action: Action::Flag,
            party: None,
        }
    }

    fn why(rules: &[Rule], request: &Observation) -> Option<String> {
        let org = fixtures::org();
        let subject = Subject {
            org: &org,
            request,
            issue: None,
        };
        nearest(rules, subject, fixtures::now())
    }

    #[test]
    fn the_nearest_rule_names_the_condition_that_failed_first() {
        let young = rule(
            "young",
            Matcher {
                statuses: Some(vec![Status::NotSent]),
                not_updated_for: Some(Duration::from_secs(3 * 3_600)),
                ..Matcher::default()
            },
        );
        let elsewhere = rule(
            "elsewhere",
            Matcher {
                statuses: Some(vec![Status::Validating]),
                cancelling: true,
                ..Matcher::default()
            },
        );
        let said = why(&[elsewhere.clone(), young], &fixtures::unsent()).unwrap();
        assert!(
            said.starts_with("rule young is the nearest, but it wants 3 h without a change"),
            "{said}"
        );
        let said = why(&[elsewhere], &fixtures::unsent()).unwrap();
        assert_eq!(
            said,
            "rule elsewhere is the nearest, but it wants VALIDATING, and this is NOT_SENT"
        );
        assert_eq!(why(&[], &fixtures::unsent()), None);
        let open = rule("open", Matcher::default());
        let said = why(&[open], &fixtures::in_status(Status::Finished)).unwrap();
        assert!(
            said.contains("nothing more happens to one that is FINISHED"),
            "{said}"
        );
    }
}
