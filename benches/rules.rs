//! Which of fifty rules matches, for 100,000 requests: the innermost step of every decision. A core shall do two
//! million a second, so that a sweep of a large backlog waits for the upstream and never for us.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tesa_reconciler::domain::ids::Org;
use tesa_reconciler::domain::request::{PersistenceType, TerritoryOwner};
use tesa_reconciler::domain::{Issue, Observation, Status};
use tesa_reconciler::rules::{Action, Matcher, Rule, Subject, first_match};
use wildmatch::WildMatch;

const REQUESTS: usize = 100_000;
const RULES: usize = 50;

fn main() {
    divan::main();
}

/// Rules by status and age, as `retry_stuck` has them; a third of the requests match none and so ask all.
#[divan::bench]
fn requests(bencher: Bencher<'_, '_>) {
    let rules = rules(|_| None);
    let requests = requests_of_all_kinds();
    run(bencher, &rules, &requests, None);
}

/// The same with globs of issue codes, as `resolve_issues` has them.
#[divan::bench]
fn issues(bencher: Bencher<'_, '_>) {
    let rules = rules(|n| Some(vec![WildMatch::new(&format!("C{:02}-*", n % 40))]));
    let requests = requests_of_all_kinds();
    run(bencher, &rules, &requests, Some("C35-0012"));
}

/// No rule matches: every one is asked about every request.
#[divan::bench]
fn no_match(bencher: Bencher<'_, '_>) {
    let mut rules = rules(|_| None);
    for rule in &mut rules {
        rule.matcher.not_updated_for = Some(Duration::from_secs(365 * 86_400));
    }
    let requests = requests_of_all_kinds();
    run(bencher, &rules, &requests, None);
}

fn run(bencher: Bencher<'_, '_>, rules: &[Rule], requests: &[Observation], code: Option<&str>) {
    let (org, now) = (Org::from("masmovil"), now());
    let issue = code.map(|code| Issue {
        id: None,
        reference_id: "R-1".into(),
        issue_sequence: Some(1),
        issue_code: code.into(),
        resolved: false,
        repeated: false,
        last_updated: None,
    });
    bencher
        .counter(ItemsCount::new(requests.len()))
        .bench_local(|| {
            requests
                .iter()
                .filter_map(|request| {
                    let subject = Subject {
                        org: &org,
                        request,
                        issue: issue.as_ref(),
                    };
                    first_match(black_box(rules), subject, now)
                })
                .sum::<usize>()
        });
}

/// Four rules for each status, ever younger, for ever more kinds.
fn rules(codes: impl Fn(usize) -> Option<Vec<WildMatch>>) -> Vec<Rule> {
    let rule = |n: usize| Rule {
        name: format!("rule-{n}").into(),
        matcher: Matcher {
            statuses: Some(vec![
                Status::KNOWN[n % 12].clone(),
                Status::KNOWN[(n + 5) % 12].clone(),
            ]),
            persistence_type: n.is_multiple_of(3).then_some(PersistenceType::Termination),
            cancelling: n.is_multiple_of(7),
            auto_installation: n.is_multiple_of(5).then_some(true),
            territory_owners: n
                .is_multiple_of(4)
                .then(|| vec![TerritoryOwner::VulaRegulated]),
            not_updated_for: Some(Duration::from_secs(3_600 * (RULES - n) as u64)),
            issue_codes: codes(n),
            repeated: None,
            orgs: n
                .is_multiple_of(6)
                .then(|| vec!["masmovil".into(), "yoigo".into()]),
        },
        action: Action::Flag,
        party: None,
    };
    (0..RULES).map(rule).collect()
}

fn requests_of_all_kinds() -> Vec<Observation> {
    let request = |n: usize| Observation {
        reference_id: format!("REF-{n:08}").into(),
        external_reference: Some(format!("EXT-{n:08}").into()),
        persistence_type: Some(PersistenceType::ALL[n % 2]),
        status: Status::KNOWN[n * 7 % 12].clone(),
        cancelling: n.is_multiple_of(50),
        auto_installation: Some(n.is_multiple_of(3)),
        territory_owner: Some(TerritoryOwner::ALL[n % 3]),
        request_number: None,
        subrequest_number: None,
        attributes: Default::default(),
        created: Some(now() - TimeDelta::days(5)),
        last_updated: Some(now() - TimeDelta::minutes((n * 31 % 3_000) as i64)),
        observed_at: now(),
    };
    (0..REQUESTS).map(request).collect()
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}
