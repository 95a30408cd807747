//! Trust, but look: an upstream whose lists are not what their filters say is found out, nothing is concluded from it, and it
//! is trusted again when it proves right; and whatever a list may rightly say raises no alarm.

use std::time::Duration;

use serde_json::json;
use tesa_reconciler::domain::{Filter, FindingKind, RunOutcome};
use tesa_reconciler::sandbox::{Ages, Effect, Fault, Precision, SandboxConfig};
use tesa_reconciler::store::findings::FindingFilter;

use super::{EVENTS, ISSUES, MINUTE, RETRY, World, empty, org};

/// Rules that use every filter, and only flag.
const ALL_FILTERS: &str = r#"
[[job]]
name = "retry-stuck"
kind = "retry_stuck"
every = "5m"
[[job.rule]]
name = "terminations"
statuses = ["PROCESSING"]
persistence_type = "TERMINATION"
not_updated_for = "2h"
action = "flag"
[[job.rule]]
name = "ours"
statuses = ["PROCESSING"]
auto_installation = true
not_updated_for = "2h"
action = "flag"
[[job.rule]]
name = "cancelling"
cancelling = true
not_updated_for = "2h"
action = "flag"
[[job.rule]]
name = "the-rest"
statuses = ["PROCESSING", "VALIDATING"]
not_updated_for = "2h"
action = "flag"
"#;

/// As many of each sort as a sick filter needs to be found out in a few runs.
fn populate(world: &World) {
    for n in 0..12 {
        for (status, age) in [
            ("PROCESSING", "3h"),
            ("VALIDATING", "3h"),
            ("PROCESSING", "10m"),
            ("FINISHED", "3h"),
        ] {
            world.patch(json!({
                "external_reference": format!("{status}-{age}-{n}"), "status": status, "age": age,
                "persistence_type": if n % 2 == 0 { "ACTIVATION" } else { "TERMINATION" },
                "auto_installation": n % 3 == 0, "cancelling": n % 4 == 0,
            }));
        }
    }
}

/// How many requests people are told of because a list contradicts them.
async fn told_of_lists(world: &World) -> usize {
    let filter = FindingFilter {
        kind: Some(FindingKind::ContractViolation),
        ..FindingFilter::default()
    };
    let found = world.findings_of(filter).await;
    let of_lists = found
        .iter()
        .filter(|one| one.key.detail == "list_reference_ids");
    of_lists.count()
}

async fn stuck(world: &World) -> Vec<String> {
    let filter = FindingFilter {
        kind: Some(FindingKind::StuckRequest),
        ..FindingFilter::default()
    };
    let found = world.findings_of(filter).await;
    let mut keys: Vec<String> = found.iter().map(|one| format!("{:?}", one.key)).collect();
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_is_ignored_is_found_out_and_named_and_nothing_is_resolved_by_it() {
    for filter in Filter::ALL {
        let world = World::new(empty(), "mode = \"observe\"", ALL_FILTERS).await;
        populate(&world);
        world.run_well(RETRY).await;
        let before = stuck(&world).await;
        world.faults([
            Fault::new(Effect::FilterIgnored { filter: *filter }).on(&["list_reference_ids"])
        ]);
        let mut named = 0;
        for _ in 0..25 {
            world.advance(MINUTE);
            let (outcome, summary) = world.run(RETRY).await;
            if outcome == RunOutcome::Failed {
                assert!(
                    summary.trouble.contains(filter.as_str()),
                    "{filter}: {summary:?}"
                );
                named += 1;
            }
            let left = stuck(&world).await;
            let lost = before.iter().filter(|key| !left.contains(key)).count();
            assert_eq!(lost, 0, "{filter}: resolved by a sick list");
            if named >= 3 {
                break;
            }
        }
        assert!(named >= 3, "{filter} is never named");
        let doubts = world.store().contradictions(&org()).await.unwrap();
        assert!(
            doubts.iter().all(|one| one.filter == *filter),
            "{filter}: {doubts:?}"
        );
        // Well again, it proves right, and all is as it was.
        world.faults([]);
        for _ in 0..4 {
            world.advance(MINUTE);
            world.run(RETRY).await;
        }
        world.run_well(RETRY).await;
        assert_eq!(stuck(&world).await, before, "{filter}");
        assert_eq!(told_of_lists(&world).await, 0, "{filter}: told no longer");
        assert_eq!(world.store().contradictions(&org()).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_never_did_what_it_says_writes_nothing() {
    // By the day: what was updated today is never listed, whatever its age.
    let by_day = SandboxConfig {
        ages: Ages {
            inclusive: false,
            to: Precision::Day,
        },
        ..empty()
    };
    let world = World::new(by_day, "mode = \"observe\"", ALL_FILTERS).await;
    populate(&world);
    let mut failed = 0;
    for _ in 0..30 {
        world.advance(MINUTE);
        let (outcome, summary) = world.run(RETRY).await;
        if outcome == RunOutcome::Failed {
            assert!(summary.trouble.contains("notUpdatedSince"), "{summary:?}");
            failed += 1;
        }
    }
    assert!(failed > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_declared_unsupported_is_read_instead() {
    let sick = Filter::AutoInstallation;
    for filter in [
        sick,
        Filter::Cancelling,
        Filter::PersistenceType,
        Filter::NotUpdatedSince,
        Filter::Statuses,
    ] {
        let healthy = World::new(empty(), "mode = \"observe\"", ALL_FILTERS).await;
        populate(&healthy);
        healthy.run_well(RETRY).await;
        let unsupported = format!("unsupported_filters = [\"{filter}\"]");
        let world = World::with(empty(), "mode = \"observe\"", ALL_FILTERS, &unsupported).await;
        populate(&world);
        world.faults([Fault::new(Effect::FilterIgnored { filter }).on(&["list_reference_ids"])]);
        world.run_well(RETRY).await;
        assert_eq!(stuck(&world).await, stuck(&healthy).await, "{filter}");
        assert_eq!(world.store().contradictions(&org()).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_is_declared_unsupported_after_it_was_found_out_is_told_of_no_longer() {
    let mut world = World::new(empty(), "mode = \"observe\"", ALL_FILTERS).await;
    populate(&world);
    let filter = Filter::Cancelling;
    world.faults([Fault::new(Effect::FilterIgnored { filter }).on(&["list_reference_ids"])]);
    for _ in 0..8 {
        world.advance(MINUTE);
        world.run(RETRY).await;
    }
    assert!(told_of_lists(&world).await >= 2);
    world.tesamanager = format!("unsupported_filters = [\"{filter}\"]");
    world.reload("mode = \"observe\"", ALL_FILTERS);
    world.run_well(RETRY).await;
    assert_eq!(told_of_lists(&world).await, 0);
    assert_eq!(world.store().contradictions(&org()).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_list_may_rightly_say_raises_no_alarm() {
    for (inclusive, to) in [
        (false, Precision::Exact),
        (true, Precision::Exact),
        (false, Precision::Millisecond),
        (true, Precision::Second),
        (false, Precision::Second),
    ] {
        let sandbox = SandboxConfig {
            ages: Ages { inclusive, to },
            ..empty()
        };
        let world = World::new(sandbox, "mode = \"observe\"", ALL_FILTERS).await;
        populate(&world);
        for round in 0..40 {
            world.advance(Duration::from_secs(17));
            // It changes while it is looked at: before, between and after the lists.
            let order = format!("PROCESSING-3h-{}", round % 12);
            let status = if round % 2 == 0 {
                "VALIDATING"
            } else {
                "PROCESSING"
            };
            world.patch(json!({"external_reference": order, "status": status, "cancelling": round % 3 == 0}));
            let (outcome, summary) = world.run(RETRY).await;
            assert_eq!(
                outcome,
                RunOutcome::Succeeded,
                "{inclusive} {to:?} {round}: {summary:?}"
            );
        }
        assert_eq!(
            world.store().contradictions(&org()).await.unwrap(),
            [],
            "{inclusive} {to:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_leave_out_half_make_no_finding_flap() {
    let world = World::new(empty(), "mode = \"observe\"", ALL_FILTERS).await;
    populate(&world);
    world.run_well(RETRY).await;
    let before = stuck(&world).await;
    world.faults([Fault::new(Effect::Omit { share: 0.5 }).on(&["list_reference_ids"])]);
    for _ in 0..12 {
        world.advance(2 * MINUTE);
        world.run(RETRY).await;
        assert_eq!(stuck(&world).await, before);
    }
    world.faults([]);
    for _ in 0..5 {
        world.advance(2 * MINUTE);
        world.run(RETRY).await;
    }
    world.run_well(RETRY).await;
    assert_eq!(stuck(&world).await, before);
    let reopened = world
        .findings()
        .await
        .iter()
        .map(|one| one.times_reopened)
        .sum::<u64>();
    assert_eq!(reopened, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_without_dates_is_no_success() {
    let world = World::new(empty(), "mode = \"observe\"", ALL_FILTERS).await;
    populate(&world);
    world.run_well(RETRY).await;
    let before = stuck(&world).await;
    world.faults([Fault::new(Effect::NoDate)]);
    for _ in 0..4 {
        world.advance(2 * MINUTE);
        let (outcome, summary) = world.run(RETRY).await;
        assert_ne!(outcome, RunOutcome::Succeeded, "{summary:?}");
        assert!(!summary.trouble.is_empty());
        assert_eq!(stuck(&world).await, before);
    }
}

/// Requests whose events and issues are odd, changed now.
fn happen(world: &World, round: usize) {
    for n in 0..15 {
        world.patch(json!({
            "external_reference": format!("ODD-{n}"), "status": "INCIDENCE_OPERATOR",
            "events": [{"sequence_number": 1}, {"sequence_number": 3 + round}],
            "issues": [{"issue_code": format!("NEW-{round}")}],
        }));
    }
}

async fn all(world: &World) -> Vec<String> {
    let found = world.findings_of(FindingFilter::default()).await;
    let mut keys: Vec<String> = found.iter().map(|one| format!("{:?}", one.key)).collect();
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_hides_what_changed_is_found_out_by_those_who_follow_change() {
    for (job, jobs) in [("flag-events", EVENTS), ("resolve-issues", ISSUES)] {
        let world = World::new(empty(), "mode = \"observe\"", jobs).await;
        happen(&world, 0);
        world.run_well(job).await;
        let filter = Filter::NotUpdatedSince;
        world.faults([Fault::new(Effect::FilterIgnored { filter }).on(&["list_reference_ids"])]);
        world.advance(10 * MINUTE);
        happen(&world, 1);
        let mut failed = 0;
        for _ in 0..6 {
            world.advance(2 * MINUTE);
            let (outcome, summary) = world.run(job).await;
            if outcome == RunOutcome::Failed {
                assert!(summary.trouble.contains("notUpdatedSince"), "{summary:?}");
                failed += 1;
            }
        }
        assert!(failed > 2, "{job}");
        // Declared so, it is read instead.
        let unsupported = "unsupported_filters = [\"notUpdatedSince\"]";
        let reading = World::with(empty(), "mode = \"observe\"", jobs, unsupported).await;
        reading.faults([Fault::new(Effect::FilterIgnored { filter }).on(&["list_reference_ids"])]);
        for round in 0..3 {
            happen(&reading, round);
            reading.advance(10 * MINUTE);
            reading.run_well(job).await;
            let found = all(&reading).await;
            let now = match job {
                "flag-events" => format!(
                    "#{}\"",
                    if round == 0 {
                        "2".to_owned()
                    } else {
                        format!("2-#{}", 2 + round)
                    }
                ),
                _ => format!("NEW-{round}"),
            };
            assert_eq!(
                found.iter().filter(|key| key.contains(&now)).count(),
                15,
                "{found:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_calls_changed_what_did_not_is_found_out_by_those_who_follow_change() {
    // By the day: what was updated today is never called unchanged, so all of it is read in each run.
    let by_day = || SandboxConfig {
        ages: Ages {
            inclusive: false,
            to: Precision::Day,
        },
        ..empty()
    };
    for (job, jobs) in [("flag-events", EVENTS), ("resolve-issues", ISSUES)] {
        let world = World::new(by_day(), "mode = \"observe\"", jobs).await;
        happen(&world, 0);
        world.run_well(job).await;
        let (before, mut named) = (all(&world).await, 0);
        for _ in 0..6 {
            world.advance(10 * MINUTE);
            let (outcome, summary) = world.run(job).await;
            if outcome == RunOutcome::Failed {
                assert!(summary.trouble.contains("notUpdatedSince"), "{summary:?}");
                named += 1;
            }
            let left = all(&world).await;
            assert!(
                before.iter().all(|key| left.contains(key)),
                "{job}: resolved"
            );
        }
        assert!(named > 2, "{job}");
        let doubts = world.store().contradictions(&org()).await.unwrap();
        assert!(doubts[0].what.contains("leaves it out"), "{doubts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_really_changes_all_the_time_raises_no_alarm_with_those_who_follow_change() {
    for (job, jobs) in [("flag-events", EVENTS), ("resolve-issues", ISSUES)] {
        let world = World::new(empty(), "mode = \"observe\"", jobs).await;
        for round in 0..12 {
            happen(&world, round % 2);
            world.advance(Duration::from_secs(75));
            world.run_well(job).await;
        }
        let doubts = world.store().contradictions(&org()).await.unwrap();
        assert_eq!(doubts, [], "{job}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_that_lists_do_not_tell_are_read_by_those_who_follow_change() {
    for (job, jobs) in [("flag-events", EVENTS), ("resolve-issues", ISSUES)] {
        let healthy = World::new(empty(), "mode = \"observe\"", jobs).await;
        let unsupported = "unsupported_filters = [\"statuses\"]";
        let world = World::with(empty(), "mode = \"observe\"", jobs, unsupported).await;
        let filter = Filter::Statuses;
        world.faults([Fault::new(Effect::FilterIgnored { filter }).on(&["list_reference_ids"])]);
        for world in [&healthy, &world] {
            happen(world, 0);
            world.patch(json!({"external_reference": "ODD-3", "status": "PROCESSING"}));
            world.patch(json!({"external_reference": "ODD-4", "status": "FINISHED"}));
            world.run_well(job).await;
        }
        assert_eq!(all(&world).await, all(&healthy).await, "{job}");
    }
}
