//! Lists decide: who is stuck is told by the upstream's lists, recorded without a read, and over only when reads bear it out.

use serde_json::json;
use tesa_reconciler::domain::finding::FindingState;
use tesa_reconciler::domain::{FindingKind, RunOutcome, Verdict};
use tesa_reconciler::reconcile::plan::Item;
use tesa_reconciler::sandbox::{Effect, Fault};
use tesa_reconciler::store::findings::FindingFilter;

use super::{MINUTE, ORG, RESEND, RETRY, World, empty, org, person};

const OBSERVE: &str = "mode = \"observe\"";

/// Watches one status, and lets an older age go first.
const WATCH: &str = r#"
[[job]]
name = "retry-stuck"
kind = "retry_stuck"
every = "5m"
[[job.rule]]
name = "very-old"
statuses = ["VALIDATING"]
not_updated_for = "10d"
action = "flag"
party = "tesa"
[[job.rule]]
name = "old"
statuses = ["VALIDATING"]
not_updated_for = "48h"
action = "flag"
"#;

impl World {
    pub(super) fn validating(
        &self,
        order: &str,
        age: &str,
    ) -> tesa_reconciler::domain::ReferenceId {
        let patch = json!({"external_reference": order, "status": "VALIDATING", "age": age});
        self.patch(patch).reference_id.into()
    }

    pub(super) fn reads(&self) -> u64 {
        self.calls().get("get_request").copied().unwrap_or_default()
    }
}

fn resolved() -> FindingFilter {
    FindingFilter {
        state: Some(FindingState::Resolved),
        ..FindingFilter::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_listed_has_a_finding_that_says_rule_status_and_age() {
    let world = World::new(empty(), OBSERVE, WATCH).await;
    let old = world.validating("ORDER-1", "3d");
    let very_old = world.validating("ORDER-2", "11d");
    world.validating("ORDER-3", "1h");
    let summary = world.run_well(RETRY).await;
    assert_eq!((summary.selected, summary.flagged), (2, 2));
    let mut found = world.findings().await;
    found.sort_by(|a, b| a.evidence.cmp(&b.evidence));
    let said: Vec<_> = found
        .iter()
        .map(|one| (&one.key.reference_id, one.evidence.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (
                &very_old,
                "VALIDATING for over 10 d; rule very-old; party tesa"
            ),
            (&old, "VALIDATING for over 2 d; rule old"),
        ]
    );
    // Order and date are not known by lists; a read with what is left of the rate fills them in.
    assert_eq!(
        found[1].external_reference.as_ref().map(|it| it.as_str()),
        Some("ORDER-1")
    );
    assert!(found.iter().all(|one| one.since.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_is_not_read_again_nor_after_a_restart_nor_by_another_process() {
    let mut world = World::new(empty(), OBSERVE, WATCH).await;
    for n in 0..50 {
        world.validating(&format!("ORDER-{n}"), "3d");
    }
    world.run_well(RETRY).await;
    let mut costs = Vec::new();
    for round in 0..3 {
        if round == 1 {
            world.restart().await;
        }
        world.advance(5 * MINUTE);
        let (reads, lists) = (world.reads(), world.calls()["list_reference_ids"]);
        let summary = match round {
            2 => {
                let store = world.daemon.store().clone();
                let other = world.daemon.around(store, None).await;
                let (outcome, summary) = other.run(RETRY).await.unwrap();
                assert_eq!(outcome, RunOutcome::Succeeded);
                summary
            }
            _ => world.run_well(RETRY).await,
        };
        assert_eq!((summary.selected, summary.flagged), (50, 50));
        assert_eq!(world.findings().await.len(), 50);
        costs.push((
            world.reads() - reads,
            world.calls()["list_reference_ids"] - lists,
        ));
    }
    assert!(
        costs.iter().all(|(reads, _)| *reads <= 3),
        "only samples: {costs:?}"
    );
    assert!(costs.iter().all(|(_, lists)| *lists <= 5), "{costs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finding_moves_to_the_rule_that_comes_first_and_is_not_reopened() {
    let world = World::new(empty(), OBSERVE, WATCH).await;
    let id = world.validating("ORDER-1", "9d");
    world.run_well(RETRY).await;
    let before = world.findings().await;
    world.advance(30 * 60 * MINUTE);
    world.run_well(RETRY).await;
    let after = world.findings().await;
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_eq!(
        (after[0].id, &after[0].key.reference_id),
        (before[0].id, &id)
    );
    assert!(
        after[0].evidence.contains("rule very-old"),
        "{}",
        after[0].evidence
    );
    assert_eq!(after[0].times_reopened, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_that_are_gone_are_read_and_resolved_at_once() {
    let world = World::new(empty(), OBSERVE, WATCH).await;
    for n in 0..5 {
        world.validating(&format!("ORDER-{n}"), "3d");
    }
    world.run_well(RETRY).await;
    world.patch(json!({"external_reference": "ORDER-1", "status": "PROCESSING"}));
    world.advance(MINUTE);
    world.run_well(RETRY).await;
    assert_eq!(world.findings().await.len(), 4);
    assert_eq!(world.findings_of(resolved()).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_are_gone_are_resolved_when_two_lists_leave_them_out() {
    let world = World::new(empty(), OBSERVE, WATCH).await;
    for n in 0..60 {
        world.validating(&format!("ORDER-{n}"), "3d");
    }
    world.run_well(RETRY).await;
    for n in 0..50 {
        world.patch(json!({"external_reference": format!("ORDER-{n}"), "status": "PROCESSING"}));
    }
    world.advance(MINUTE);
    let reads = world.reads();
    world.run_well(RETRY).await;
    let read = world.reads() - reads;
    assert!(read <= 20 + 15, "{read} reads");
    let left = world.findings().await.len();
    assert!(
        (11..60).contains(&left),
        "those that were read are over, the others are missing: {left}"
    );
    world.advance(2 * MINUTE);
    world.run_well(RETRY).await;
    assert_eq!(world.findings().await.len(), 10);
    assert_eq!(world.findings_of(resolved()).await.len(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_list_resolves_nothing_while_reads_say_otherwise() {
    for orders in [5, 40] {
        let world = World::new(empty(), OBSERVE, WATCH).await;
        for n in 0..orders {
            world.validating(&format!("ORDER-{n}"), "3d");
        }
        world.run_well(RETRY).await;
        world.faults([Fault::new(Effect::ShortList { share: 0.0 }).on(&["list_reference_ids"])]);
        for _ in 0..3 {
            world.advance(2 * MINUTE);
            world.run(RETRY).await;
            assert_eq!(stuck(&world).await, orders);
        }
        world.faults([]);
        world.advance(2 * MINUTE);
        world.run(RETRY).await;
        assert_eq!(stuck(&world).await, orders);
    }
}

async fn stuck(world: &World) -> usize {
    let filter = FindingFilter {
        kind: Some(FindingKind::StuckRequest),
        ..FindingFilter::default()
    };
    world.findings_of(filter).await.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_404s_is_no_good_news() {
    let world = World::new(empty(), OBSERVE, WATCH).await;
    for n in 0..5 {
        world.validating(&format!("ORDER-{n}"), "3d");
    }
    world.run_well(RETRY).await;
    let unknown = Effect::Error {
        status: 404,
        applied: false,
        shape: Default::default(),
    };
    world.faults([Fault::new(unknown).on(&["get_request"])]);
    for _ in 0..3 {
        world.advance(10 * MINUTE);
        let (outcome, summary) = world.run(RETRY).await;
        assert_ne!(outcome, RunOutcome::Succeeded, "{summary:?}");
        assert!(summary.trouble.contains("404"), "{summary:?}");
        assert_eq!(stuck(&world).await, 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_the_upstream_dropped_is_gone_when_it_is_unknown_twice() {
    let world = World::new(empty(), OBSERVE, WATCH).await;
    let ids: Vec<_> = (0..3)
        .map(|n| world.validating(&format!("ORDER-{n}"), "3d"))
        .collect();
    world.run_well(RETRY).await;
    world.sandbox().remove(ORG, ids[0].as_str());
    world.advance(5 * MINUTE);
    world.run(RETRY).await;
    assert_eq!(stuck(&world).await, 3, "one 404 says nothing");
    world.advance(5 * MINUTE);
    world.run(RETRY).await;
    assert_eq!(stuck(&world).await, 2);
    let known = world.store().observations(&org(), &ids[..1]).await.unwrap();
    assert_eq!(known, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_names_a_final_status_flags_it_and_one_that_names_none_does_not() {
    let rules = r#"
[[job]]
name = "retry-stuck"
kind = "retry_stuck"
every = "5m"
[[job.rule]]
name = "refused"
statuses = ["REJECTED"]
not_updated_for = "1h"
action = "flag"
[[job.rule]]
name = "the-rest"
not_updated_for = "2h"
action = "flag"
"#;
    let world = World::new(empty(), OBSERVE, rules).await;
    for (order, status) in [
        ("A", "REJECTED"),
        ("B", "FINISHED"),
        ("C", "INSTALLED"),
        ("D", "CANCELED"),
    ] {
        world.patch(json!({"external_reference": order, "status": status, "age": "3h"}));
    }
    world.run_well(RETRY).await;
    let mut said: Vec<String> = world
        .findings()
        .await
        .into_iter()
        .map(|one| one.evidence)
        .collect();
    said.sort();
    assert_eq!(
        said,
        [
            "INSTALLED for over 2 h; rule the-rest",
            "REJECTED for over 1 h; rule refused"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrow_rule_beside_a_wide_one_keeps_its_age_to_itself() {
    let rules = r#"
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
name = "all"
statuses = ["PROCESSING"]
not_updated_for = "5d"
action = "flag"
"#;
    let world = World::new(empty(), OBSERVE, rules).await;
    world.patch(json!({"external_reference": "A", "status": "PROCESSING", "age": "3h"}));
    let summary = world.run_well(RETRY).await;
    assert_eq!((summary.selected, world.findings().await.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ignored_leaves_no_finding_and_hides_from_the_rules_behind() {
    let jobs = WATCH.replacen("action = \"flag\"", "action = \"ignore\"", 1);
    let world = World::new(empty(), OBSERVE, &jobs).await;
    world.validating("ORDER-1", "11d");
    world.validating("ORDER-2", "3d");
    let summary = world.run_well(RETRY).await;
    assert_eq!((summary.selected, summary.flagged), (2, 1));
    assert_eq!(world.findings().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn territory_is_read_and_remembered() {
    let jobs = RESEND
        .replace("action", "territory_owners = [\"NEBA\"]\naction")
        .replace("\"resend\"", "\"flag\"");
    let world = World::new(empty(), OBSERVE, &jobs).await;
    for n in 0..4 {
        let owner = if n % 2 == 0 {
            "NEBA"
        } else {
            "VULA_COMMERCIAL"
        };
        world.patch(json!({
            "external_reference": format!("ORDER-{n}"), "status": "NOT_SENT", "age": "2h", "territory_owner": owner,
        }));
    }
    let summary = world.run_well(RETRY).await;
    assert_eq!(summary.flagged, 2, "{summary:?}");
    let reads = world.reads();
    // Longer than the rule's age too: another list proves that nothing happened since.
    for minutes in [1, 10, 60, 300] {
        world.advance(minutes * MINUTE);
        assert_eq!(world.run_well(RETRY).await.flagged, 2);
    }
    assert!(
        world.reads() - reads <= 4 * 3,
        "only samples: {}",
        world.reads() - reads
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_foresees_what_the_caps_let_a_run_do() {
    let caps = "max_writes_per_run = 3\nmax_writes_per_hour = 5\nhold_above_count = 100";
    let world = World::new(empty(), caps, RESEND).await;
    for n in 0..20 {
        world.unsent(&format!("ORDER-{n:02}"), &format!("{}m", 200 - n));
    }
    for expected in [3, 2, 0] {
        let (_, plan) = world.plan(RETRY).await;
        let acts = |item: &&Item| matches!(item.decision.verdict, Verdict::Act { .. });
        let foreseen: Vec<_> = plan
            .iter()
            .filter(acts)
            .filter_map(|item| item.decision.external_reference.clone())
            .collect();
        let before = world.ledger().len();
        let summary = world.run_well(RETRY).await;
        let ledger = world.ledger();
        let sent: Vec<&str> = ledger[before..]
            .iter()
            .filter_map(|entry| entry.external_reference.as_deref())
            .collect();
        let mut foreseen: Vec<&str> = foreseen.iter().map(|order| order.as_str()).collect();
        foreseen.sort_unstable();
        let mut sorted = sent.clone();
        sorted.sort_unstable();
        assert_eq!((foreseen, sent.len()), (sorted, expected));
        assert!(summary.capped > 0, "{summary:?}");
        world.advance(MINUTE);
        world.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_of_a_flagged_request_ends_when_it_moves_on() {
    let world = World::new(empty(), OBSERVE, WATCH).await;
    for n in 0..60 {
        world.validating(&format!("ORDER-{n:02}"), "3d");
    }
    world.run_well(RETRY).await;
    let said_of: Vec<_> = world.findings().await.iter().map(|one| one.id).collect();
    let known = person("the carrier knows");
    let said = world
        .store()
        .acknowledge_findings(&said_of, &known, world.now());
    said.await.unwrap();
    for n in 0..60 {
        let order = format!("ORDER-{n:02}");
        world.patch(json!({"external_reference": order, "status": "PROCESSING"}));
    }
    for _ in 0..2 {
        world.advance(2 * MINUTE);
        world.run_well(RETRY).await;
    }
    assert_eq!(world.findings().await.len(), 0);
    for n in 0..60 {
        world.validating(&format!("ORDER-{n:02}"), "0s");
    }
    world.advance(3 * 24 * 60 * MINUTE);
    world.run_well(RETRY).await;
    let found = world.findings().await;
    assert_eq!(found.len(), 60);
    assert!(
        found.iter().all(|one| one.state == FindingState::Open),
        "it is stuck anew"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_read_showed_of_a_request_is_over_when_the_request_is_gone() {
    let world = World::new(empty(), "", RESEND).await;
    let id = world.unsent("ORDER-1", "3h");
    world.faults([Fault::new(Effect::Undecodable).on(&["get_request"])]);
    world.run(RETRY).await;
    let kinds = async || {
        let found = world.findings().await.into_iter();
        found.map(|one| one.key.kind).collect::<Vec<_>>()
    };
    let before = kinds().await;
    assert!(
        before.contains(&FindingKind::ContractViolation),
        "{before:?}"
    );
    world.faults([]);
    world.sandbox().remove(ORG, id.as_str());
    for _ in 0..3 {
        world.advance(5 * MINUTE);
        world.run(RETRY).await;
    }
    assert_eq!(kinds().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_that_moves_no_date_moves_the_finding() {
    let cancelling = r#"
[[job.rule]]
name = "cancelling"
cancelling = true
not_updated_for = "48h"
action = "flag"
"#;
    let world = World::new(empty(), OBSERVE, &format!("{WATCH}{cancelling}")).await;
    let id = world.validating("ORDER-1", "3d");
    world.run_well(RETRY).await;
    world.patch(json!({"external_reference": "ORDER-1", "status": "VALIDATING", "age": "3d", "cancelling": true}));
    for _ in 0..2 {
        world.run_well(RETRY).await;
        let found = world.findings().await;
        let details: Vec<&str> = found.iter().map(|one| one.key.detail.as_str()).collect();
        assert_eq!(
            (details, &found[0].key.reference_id),
            (vec!["CANCELLING"], &id)
        );
    }
    assert_eq!(world.store().contradictions(&org()).await.unwrap(), []);
}
