//! The whole decision of `retry_stuck` about a listed request: rule, ledger, finding and the words for people.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tesa_reconciler::domain::ids::Org;
use tesa_reconciler::domain::request::{PersistenceType, TerritoryOwner};
use tesa_reconciler::domain::run::Mode;
use tesa_reconciler::domain::{Observation, Party, Status};
use tesa_reconciler::reconcile::plan::{Context, Known, WritePolicy};
use tesa_reconciler::reconcile::retry_verdict::RetryPolicy;
use tesa_reconciler::reconcile::stuck::decide;
use tesa_reconciler::rules::{Action, Matcher, Rule, WriteKind, WriteSpec};
use tesa_reconciler::store::orders::OrderFacts;

const REQUESTS: usize = 10_000;

fn main() {
    divan::main();
}

/// Nothing more happens to it.
#[divan::bench]
fn finished(bencher: Bencher<'_, '_>) {
    run(bencher, Status::Finished);
}

/// A rule sends a write.
#[divan::bench]
fn to_resend(bencher: Bencher<'_, '_>) {
    run(bencher, Status::NotSent);
}

/// A rule tells people.
#[divan::bench]
fn to_flag(bencher: Bencher<'_, '_>) {
    run(bencher, Status::Processing);
}

fn run(bencher: Bencher<'_, '_>, status: Status) {
    let (org, rules) = (Org::from("masmovil"), rules());
    let order = OrderFacts::default();
    let context = Context {
        org: &org,
        rules: &rules,
        retry: RetryPolicy {
            max_attempts: 3,
            initial: Duration::from_secs(600),
            max: Duration::from_secs(21_600),
        },
        writes: WritePolicy {
            mode: Mode::Enforce,
            paused: false,
            held: false,
            circuit_open: false,
        },
        now: now(),
    };
    let requests: Vec<Observation> = (0..REQUESTS).map(|n| request(n, &status)).collect();
    bencher.counter(ItemsCount::new(REQUESTS)).bench_local(|| {
        for request in &requests {
            let known = Known {
                request,
                issue: None,
                order: &order,
                acknowledged: None,
            };
            black_box(decide(&context, known));
        }
    });
}

fn rules() -> Vec<Rule> {
    let rule = |status: Status, action| Rule {
        name: status.as_str().into(),
        matcher: Matcher {
            statuses: Some(vec![status]),
            not_updated_for: Some(Duration::from_secs(1_800)),
            ..Matcher::default()
        },
        action,
        party: Some(Party::Operator),
    };
    let resend = WriteSpec {
        kind: WriteKind::Resend,
        parameters: BTreeMap::new(),
    };
    let flagged = [Status::Validating, Status::Processed, Status::Processing];
    flagged
        .map(|status| rule(status, Action::Flag))
        .into_iter()
        .chain([rule(Status::NotSent, Action::Send(resend))])
        .collect()
}

fn request(n: usize, status: &Status) -> Observation {
    Observation {
        reference_id: format!("REF-{n:08}").into(),
        external_reference: Some(format!("EXT-{n:08}").into()),
        persistence_type: Some(PersistenceType::Activation),
        status: status.clone(),
        cancelling: false,
        auto_installation: Some(false),
        territory_owner: Some(TerritoryOwner::Neba),
        request_number: None,
        subrequest_number: None,
        attributes: Default::default(),
        created: Some(now() - TimeDelta::days(5)),
        last_updated: Some(now() - TimeDelta::hours(2)),
        observed_at: now(),
    }
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}
