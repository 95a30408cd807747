//! `flag_events`: findings that open, heal and come back, and sweeps whose cost follows change.

use serde_json::{Value, json};
use tesa_reconciler::domain::finding::FindingState;
use tesa_reconciler::domain::ids::ReferenceId;
use tesa_reconciler::domain::{FindingKind, Operation, RunOutcome, Trigger};
use tokio_util::sync::CancellationToken;

use super::{DAY, EVENTS, HOUR, MINUTE, World, empty, person, seeded, tally};

const JOB: &str = "flag-events";

/// A request whose events have these sequence numbers; a negative one is marked inconsistent.
fn stream(world: &World, order: &str, numbers: &[i64]) -> ReferenceId {
    let events: Vec<Value> = numbers
        .iter()
        .map(|number| json!({"sequence_number": number.abs(), "inconsistent": *number < 0}))
        .collect();
    let patch = json!({
        "external_reference": order, "status": "PROCESSING", "age": "0s", "events": events,
    });
    world.patch(patch).reference_id.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_open_resolve_when_the_stream_heals_and_reopen() {
    let world = World::new(empty(), "", EVENTS).await;
    let cases: [(&[i64], FindingKind); 3] = [
        (&[1, 3], FindingKind::EventSequenceGap),
        (&[1, 2, 2], FindingKind::EventSequenceDuplicate),
        (&[1, -2], FindingKind::InconsistentEvent),
    ];
    for (numbers, kind) in cases {
        let order = kind.as_str();
        for round in 0..3 {
            stream(&world, order, numbers);
            world.run_well(JOB).await;
            let open = world.findings().await;
            assert_eq!(open.len(), 1, "{kind}");
            assert_eq!(open[0].key.kind, kind);
            assert_eq!(open[0].times_reopened, round);
            world.advance(15 * MINUTE);
            stream(&world, order, &[1, 2, 3]);
            world.run_well(JOB).await;
            assert!(world.findings().await.is_empty(), "{kind}");
            world.advance(15 * MINUTE);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_stays_quiet_until_the_request_changes() {
    let world = World::new(empty(), "", EVENTS).await;
    stream(&world, "ORDER-1", &[1, 3]);
    world.run_well(JOB).await;
    let id = world.findings().await[0].id;
    let actor = person("known to the vendor");
    let now = world.now();
    world
        .store()
        .acknowledge_findings(&[id], &actor, now)
        .await
        .unwrap();
    let state = async || world.findings().await[0].state;
    for _ in 0..30 {
        world.advance(HOUR);
        world.run_well(JOB).await;
        assert_eq!(state().await, FindingState::Acknowledged);
    }
    // A gap between other events, and a new date: still known.
    stream(&world, "ORDER-1", &[1, 3]);
    world.run_well(JOB).await;
    assert_eq!(state().await, FindingState::Acknowledged);
    world.advance(HOUR);
    let moved = json!({"external_reference": "ORDER-1", "status": "INSTALLED", "age": "1m"});
    world.patch(moved);
    world.run_well(JOB).await;
    world.run_well(JOB).await;
    assert_eq!(state().await, FindingState::Open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unchanged_requests_are_not_read_again() {
    let mut world = World::new(seeded(300), "", EVENTS).await;
    let reads = |world: &World| {
        let calls = world.calls();
        let of = |name: &str| calls.get(name).copied().unwrap_or_default();
        (of("get_request"), of("get_request_events"))
    };
    let first = world.run_well(JOB).await;
    assert_eq!((first.selected, first.observed), (300, 300));
    // Of a request whose events are in order, and which has not ended, they are all that is read.
    let (requests, events) = reads(&world);
    assert_eq!(events, 300);
    assert!(requests < 300, "{requests}");
    let flagged = world.findings().await.len();
    assert!(flagged > 0, "some seeded streams are odd");
    world.advance(15 * MINUTE);
    let second = world.run_well(JOB).await;
    assert_eq!(second.observed + second.unchanged, 300);
    assert!(second.observed < 12, "{second:?}");
    world.advance(15 * MINUTE);
    for n in 0..3 {
        stream(&world, &format!("NEW-{n}"), &[1, 2]);
    }
    world.restart().await;
    let third = world.run_well(JOB).await;
    // A few of the others are due to be looked at again: once a day each, at instants of their own.
    assert!((3..15).contains(&third.observed), "{third:?}");
    assert_eq!(third.observed + third.unchanged, 303);
    assert!(reads(&world).1 < 315, "reads follow change");
    assert_eq!(world.findings().await.len(), flagged);
    // However quiet it is, all that has not ended is looked at again once in a while.
    world.advance(DAY);
    let last = world.run_well(JOB).await;
    let ended = world.calls()["get_request"] > 0;
    assert!(
        ended && last.unchanged < 250 && last.observed > 50,
        "{last:?}"
    );
    assert_eq!(last.observed + last.unchanged, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_may_name_a_follow_up_for_an_inconsistent_event() {
    let jobs = format!(
        "{EVENTS}[[job.rule]]\nname = \"ask-for-the-box\"\nstatuses = [\"PROCESSING\"]\naction = \"create_status_cto\"\n"
    );
    let world = World::new(empty(), "", &jobs).await;
    stream(&world, "ASKED", &[1, -2]);
    stream(&world, "GAP-ONLY", &[1, 3]);
    stream(&world, "IN-ORDER", &[1, 2]);
    world.run_well(JOB).await;
    assert_eq!(tally::orders(&world.ledger()), ["ASKED"]);
    assert_eq!(world.ledger()[0].operation, Operation::CreateStatusCto);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rule_change_marked_streams_are_judged_afresh_without_reading() {
    let mut world = World::new(empty(), "", EVENTS).await;
    let id = stream(&world, "ASKED", &[1, -2]);
    stream(&world, "GAP-ONLY", &[1, 3]);
    stream(&world, "IN-ORDER", &[1, 2]);
    world.advance(5 * MINUTE);
    assert_eq!(world.run_well(JOB).await.observed, 3);
    assert_eq!(world.verdict(JOB, &id).await, "flag");
    let findings = world.findings().await.len();
    world.advance(15 * MINUTE);
    let rule = "[[job.rule]]\nname = \"ask-for-the-box\"\nstatuses = [\"PROCESSING\"]\n";
    let jobs = format!("{EVENTS}{rule}action = \"create_status_cto\"\n");
    world.reload("mode = \"observe\"", &jobs);
    let summary = world.run_well(JOB).await;
    assert_eq!((summary.observed, summary.unchanged), (0, 3));
    assert_eq!(world.verdict(JOB, &id).await, "observe_mode");
    assert_eq!(world.findings().await.len(), findings);
    // The rule stays, and what forbade it goes.
    world.reload("", &jobs);
    let summary = world.run_well(JOB).await;
    assert_eq!((summary.observed, summary.unchanged), (0, 3));
    assert_eq!(tally::orders(&world.ledger()), ["ASKED"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_broken_off_within_a_batch_loses_no_finding_and_reads_little_twice() {
    const REQUESTS: u64 = 1_300;
    let whole = World::new(seeded(1_300), "", EVENTS).await;
    whole.run_well(JOB).await;
    let keys = async |world: &World| {
        let mut keys: Vec<String> = world
            .findings()
            .await
            .into_iter()
            .map(|finding| format!("{:?}", finding.key))
            .collect();
        keys.sort();
        keys
    };
    let expected = keys(&whole).await;
    assert!(expected.len() > 10, "{}", expected.len());

    let world = World::new(seeded(1_300), "", EVENTS).await;
    let read = |world: &World| {
        let calls = world.calls();
        calls.get("get_request_events").copied().unwrap_or_default()
    };
    let order = world.daemon.order(JOB, Trigger::Schedule);
    // Broken off after so many event streams: within the first batch, the second, the third.
    for after in [150, 700, 1_200] {
        let stop = CancellationToken::new();
        let run = world.daemon.run_as(&order, &stop);
        let watch = async {
            while read(&world) < after {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        };
        let (result, ()) = tokio::join!(run, watch);
        assert_eq!(result.unwrap().0, RunOutcome::Aborted);
        world.advance(MINUTE);
    }
    let last = world.run_well(JOB).await;
    assert_eq!(last.observed + last.unchanged, REQUESTS);
    assert_eq!(keys(&world).await, expected);
    // What is read twice is at most what was in flight at each of the three stops.
    assert!(
        read(&world) <= REQUESTS + 3 * 128,
        "{} {last:?}",
        read(&world)
    );
}
