//! Lists and their algebra come to what a naive reader of everything would: a property, over random rules with every
//! combination of matchers, random worlds, and every filter unsupported in turn.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tesa_reconciler::domain::{Filter, FindingKind, Observation, Operation, PersistenceType};
use tesa_reconciler::rules::{Action, Rule, Subject, classes, first_match};
use tesa_reconciler::store::findings::FindingFilter;

use super::{ORG, RETRY, World, empty, org};

const STATUSES: [&str; 4] = ["NOT_SENT", "PROCESSING", "INSTALLED", "REJECTED"];
const OWNERS: [&str; 3] = ["NEBA", "VULA_COMMERCIAL", "VULA_REGULATED"];
const KINDS: [&str; 2] = ["ACTIVATION", "TERMINATION"];

/// A rule's lines, without its name.
pub fn rule() -> impl Strategy<Value = String> {
    rule_that(&["flag", "flag", "ignore"])
}

/// The same with one of these actions. What is sent again was never handed on.
fn rule_that(actions: &'static [&'static str]) -> impl Strategy<Value = String> {
    let statuses = prop::option::of(prop::sample::subsequence(STATUSES.to_vec(), 1..3));
    let owners = prop::option::weighted(0.2, prop::sample::subsequence(OWNERS.to_vec(), 1..3));
    let kind = prop::option::weighted(0.4, prop::sample::select(KINDS.to_vec()));
    let ours = prop::option::weighted(0.4, any::<bool>());
    let action = prop::sample::select(actions);
    (statuses, owners, kind, ours, any::<bool>(), 1..6_u32, action).prop_map(
        |(statuses, owners, kind, ours, cancelling, hours, action)| {
            let list = |key: &str, words: Option<Vec<&str>>| {
                words.map_or_else(String::new, |words| format!("{key} = {words:?}\n"))
            };
            let sends = action == "resend";
            let statuses = if sends { Some(vec![STATUSES[0]]) } else { statuses };
            let cancelling = cancelling && !sends;
            let kind = kind.map_or_else(String::new, |kind| format!("persistence_type = {kind:?}\n"));
            let ours = ours.map_or_else(String::new, |ours| format!("auto_installation = {ours}\n"));
            format!(
                "{}{}{kind}{ours}cancelling = {cancelling}\nnot_updated_for = \"{hours}h\"\naction = {action:?}\n",
                list("statuses", statuses),
                list("territory_owners", owners),
            )
        },
    )
}

/// The job of these rules.
pub fn job_of(rules: &[String]) -> String {
    let named = rules.iter().enumerate();
    let rules: String = named
        .map(|(n, lines)| format!("[[job.rule]]\nname = \"r{n}\"\n{lines}"))
        .collect();
    format!("[[job]]\nname = \"retry-stuck\"\nkind = \"retry_stuck\"\nevery = \"5m\"\n{rules}")
}

/// One request: where it stands in the lists above, its flags, and the minutes since its last change.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    status: usize,
    owner: usize,
    kind: usize,
    ours: bool,
    cancelling: bool,
    minutes: u32,
}

impl Seed {
    /// The same, changed this minute.
    pub fn just_now(self) -> Self {
        Self { minutes: 0, ..self }
    }
}

pub fn seed() -> impl Strategy<Value = Seed> {
    let flags = (any::<bool>(), any::<bool>());
    (0..4_usize, 0..3_usize, 0..2_usize, flags, 5..400_u32).prop_map(
        |(status, owner, kind, (ours, cancelling), minutes)| Seed {
            status,
            owner,
            kind,
            ours,
            cancelling,
            minutes,
        },
    )
}

/// The nth order is there.
pub fn place(world: &World, n: usize, seed: &Seed) {
    world.patch(json!({
        "external_reference": format!("ORDER-{n}"), "status": STATUSES[seed.status],
        "age": format!("{}m", seed.minutes), "territory_owner": OWNERS[seed.owner],
        "persistence_type": KINDS[seed.kind], "auto_installation": seed.ours, "cancelling": seed.cancelling,
    }));
}

/// At the very instant at which an age is reached, a list that compares exclusively leaves the request out, and the next run
/// finds it: so nothing is looked at in that instant.
pub fn populate(world: &World, seeds: &[Seed]) {
    for (n, seed) in seeds.iter().enumerate() {
        place(world, n, seed);
    }
    world.advance(std::time::Duration::from_secs(1));
}

/// Every request, read one by one, with the rule that matches it.
fn matched<'r>(world: &World, rules: &'r [Rule], requests: usize) -> Vec<(Observation, &'r Rule)> {
    let mut found = Vec::new();
    for n in 0..requests {
        for id in world.sandbox().references(ORG, &format!("ORDER-{n}")) {
            let seen = world.sandbox().request(ORG, &id).unwrap();
            let request = Observation {
                reference_id: id.as_str().into(),
                external_reference: Some(seen.external_reference.as_str().into()),
                persistence_type: Some(seen.persistence_type),
                status: seen.status.clone(),
                cancelling: seen.cancelling,
                auto_installation: Some(seen.auto_installation),
                territory_owner: Some(seen.territory_owner),
                request_number: None,
                subrequest_number: None,
                attributes: Default::default(),
                created: None,
                last_updated: Some(seen.last_updated),
                observed_at: world.now(),
            };
            let subject = Subject {
                org: &org(),
                request: &request,
                issue: None,
            };
            if let Some(index) = first_match(rules, subject, world.now()) {
                found.push((request, &rules[index]));
            }
        }
    }
    found
}

/// What a naive reader of everything flags.
pub fn naive(world: &World, rules: &[Rule], requests: usize) -> Vec<(String, String)> {
    let told = matched(world, rules, requests).into_iter();
    let mut found: Vec<(String, String)> = told
        .filter(|(_, rule)| rule.action != Action::Ignore)
        .map(|(request, _)| {
            let detail = classes::detail(request.cancelling, &request.status).to_owned();
            (request.reference_id.to_string(), detail)
        })
        .collect();
    found.sort();
    found
}

/// What a naive reader of everything writes: which order, and what is created again.
fn naive_writes(world: &World, rules: &[Rule], requests: usize) -> Vec<(String, Operation)> {
    let acted_on = matched(world, rules, requests).into_iter();
    let mut writes: Vec<(String, Operation)> = acted_on
        .filter(|(_, rule)| matches!(rule.action, Action::Send(_)))
        .map(|(request, _)| {
            let order = request.external_reference.unwrap().to_string();
            match request.persistence_type {
                Some(PersistenceType::Termination) => (order, Operation::CreateTermination),
                _ => (order, Operation::CreateActivation),
            }
        })
        .collect();
    writes.sort();
    writes
}

pub async fn flagged(world: &World) -> Vec<(String, String)> {
    let stuck = FindingFilter {
        kind: Some(FindingKind::StuckRequest),
        ..FindingFilter::default()
    };
    let found = world.findings_of(stuck).await.into_iter();
    let mut found: Vec<(String, String)> = found
        .map(|one| (one.key.reference_id.to_string(), one.key.detail))
        .collect();
    found.sort();
    found
}

#[test]
fn lists_come_to_what_a_naive_reader_of_everything_would() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 40,
        ..Config::default()
    };
    let worlds = (
        prop::collection::vec(rule(), 1..5),
        prop::collection::vec(seed(), 1..40),
        prop::option::of(prop::sample::select(Filter::ALL.to_vec())),
    );
    TestRunner::new(config)
        .run(&worlds, |(rules, seeds, unsupported)| {
            let jobs = job_of(&rules);
            // What could never match is refused, and so is no world of this property.
            prop_assume!(super::daemon::is_sound(&jobs));
            let settings = unsupported.map_or_else(String::new, |filter| {
                format!("unsupported_filters = [\"{filter}\"]")
            });
            runtime.block_on(async {
                let world = World::with(empty(), "mode = \"observe\"", &jobs, &settings).await;
                populate(&world, &seeds);
                world.run_well(RETRY).await;
                let live = world.daemon.live();
                let rules = &live.jobs[RETRY].rules;
                assert_eq!(
                    flagged(&world).await,
                    naive(&world, rules, seeds.len()),
                    "{jobs}{settings}"
                );
                // Some move now, which makes them young; the next runs come to the same as a first one would.
                let moves = |seed: &Seed| Seed {
                    status: (seed.status + 1) % 4,
                    ours: !seed.ours,
                    minutes: 0,
                    ..*seed
                };
                let moved: Vec<Seed> = seeds.iter().map(moves).collect();
                populate(&world, &moved[..moved.len() / 2]);
                for _ in 0..3 {
                    world.advance(super::MINUTE * 61);
                    world.run(RETRY).await;
                }
                assert_eq!(
                    flagged(&world).await,
                    naive(&world, rules, seeds.len()),
                    "moved: {jobs}{settings}"
                );
            });
            Ok(())
        })
        .unwrap();
}

/// A class that is read whole, because the upstream can't filter by status, keeps nobody whose status is another one now.
#[tokio::test]
async fn a_request_with_another_status_leaves_a_class_that_is_read_whole() {
    let jobs =
        job_of(&["cancelling = false\nnot_updated_for = \"1h\"\naction = \"flag\"\n".to_owned()]);
    let settings = "unsupported_filters = [\"statuses\"]";
    let world = World::with(empty(), "mode = \"observe\"", &jobs, settings).await;
    let unsent = Seed {
        status: 0,
        owner: 0,
        kind: 0,
        ours: false,
        cancelling: false,
        minutes: 61,
    };
    populate(&world, &[unsent]);
    world.run_well(RETRY).await;
    let details = async || {
        let flagged = flagged(&world).await.into_iter();
        flagged.map(|(_, detail)| detail).collect::<Vec<_>>()
    };
    assert_eq!(details().await, ["NOT_SENT"]);
    let processing = Seed {
        status: 1,
        ..unsent.just_now()
    };
    populate(&world, &[processing]);
    world.advance(super::MINUTE * 61);
    world.run_well(RETRY).await;
    assert_eq!(details().await, ["PROCESSING"]);
}

#[test]
fn lists_write_what_a_naive_reader_of_everything_would() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 40,
        ..Config::default()
    };
    // Half of them were never handed on.
    let unsent = (seed(), any::<bool>()).prop_map(|(seed, unsent)| Seed {
        status: if unsent { 0 } else { seed.status },
        ..seed
    });
    let worlds = (
        prop::collection::vec(rule_that(&["resend", "resend", "flag", "ignore"]), 1..5),
        prop::collection::vec(unsent, 1..30),
        prop::option::of(prop::sample::select(Filter::ALL.to_vec())),
    );
    // Guard and caps let all of it go: they are not what is asked here.
    let safety = "max_writes_per_run = 1000\nmax_writes_per_hour = 1000\nhold_above_count = 1000";
    TestRunner::new(config)
        .run(&worlds, |(rules, seeds, unsupported)| {
            let jobs = job_of(&rules);
            prop_assume!(super::daemon::is_sound(&jobs));
            let settings = unsupported.map_or_else(String::new, |filter| {
                format!("unsupported_filters = [\"{filter}\"]")
            });
            runtime.block_on(async {
                let world = World::with(empty(), safety, &jobs, &settings).await;
                populate(&world, &seeds);
                let live = world.daemon.live();
                let rules = &live.jobs[RETRY].rules;
                let mut expected = naive_writes(&world, rules, seeds.len());
                world.run_well(RETRY).await;
                // What came of the first ones is not known yet, so nothing is sent twice. Some have become due.
                world.advance(super::MINUTE);
                expected.extend(naive_writes(&world, rules, seeds.len()));
                expected.sort();
                world.run(RETRY).await;
                let sent = world.ledger().into_iter();
                let mut sent: Vec<(String, Operation)> = sent
                    .map(|entry| (entry.external_reference.unwrap(), entry.operation))
                    .collect();
                sent.sort();
                assert_eq!(sent, expected, "{jobs}{settings}{seeds:?}");
            });
            Ok(())
        })
        .unwrap();
}
