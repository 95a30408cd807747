//! A write whose outcome isn't known: read before anything is sent, never two effects.

use tesa_reconciler::domain::ids::ReferenceId;
use tesa_reconciler::domain::{AttemptState, FindingKind, Status};
use tesa_reconciler::sandbox::{Effect, Fault, RepeatedCreate, SandboxConfig};

use super::{HOUR, MINUTE, ORG, RESEND, RETRY, SECOND, World, empty, tally};

const SAFETY: &str = "backoff = { initial = \"10m\", max = \"6h\" }";
const IMPATIENT: &str = "request_timeout = \"400ms\"\nconnect_timeout = \"400ms\"";

/// One stuck order, and a fault that meets its first create.
async fn meets(repeated: RepeatedCreate, what: Effect) -> (World, ReferenceId) {
    let sandbox = SandboxConfig {
        repeated_create: repeated,
        ..empty()
    };
    let world = World::with(sandbox, SAFETY, RESEND, IMPATIENT).await;
    let id = world.unsent("ORDER-1", "2h");
    let fault = Fault::new(what).on(&["create_activation"]).times(1);
    world.faults([fault]);
    (world, id)
}

/// Ways to lose the answer of a write that had its effect.
fn applied() -> Vec<Effect> {
    vec![
        Effect::Drop { applied: true },
        Effect::Hang { applied: true },
        Effect::Error {
            status: 503,
            applied: true,
            shape: Default::default(),
        },
        Effect::Undecodable,
        Effect::Cut,
    ]
}

/// Ways to lose the answer of a write that had none.
fn not_applied() -> Vec<Effect> {
    vec![
        Effect::Drop { applied: false },
        Effect::Hang { applied: false },
        Effect::Error {
            status: 500,
            applied: false,
            shape: Default::default(),
        },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_outcome_is_read_before_anything_is_sent() {
    for repeated in [RepeatedCreate::TakesUp, RepeatedCreate::SecondBeside] {
        for what in applied() {
            let case = format!("{repeated:?}, {what:?}");
            let (world, id) = meets(repeated, what).await;
            world.run(RETRY).await;
            assert_eq!(world.states().await, [AttemptState::Unknown], "{case}");
            // Whatever comes before the verification: nothing is sent.
            for _ in 0..3 {
                world.run(RETRY).await;
            }
            if repeated == RepeatedCreate::SecondBeside {
                // Still listed as stuck; the one taken up is not.
                assert_eq!(world.verdict(RETRY, &id).await, "in_doubt", "{case}");
            }
            assert_eq!(world.ledger().len(), 1, "{case}");

            // The pause counts from the last instant at which the write may have been on its way.
            world.advance(MINUTE);
            world.verify().await;
            assert_eq!(world.states().await, [AttemptState::Unknown], "{case}");
            world.advance(2 * SECOND);
            world.verify().await;
            assert_eq!(world.states().await, [AttemptState::Confirmed], "{case}");
            for _ in 0..10 {
                world.advance(HOUR);
                world.run(RETRY).await;
                world.verify().await;
            }
            assert_eq!(world.ledger().len(), 1, "{case}: sent again");
            let duplicates = world.findings().await;
            let duplicates = duplicates
                .iter()
                .filter(|finding| finding.key.kind == FindingKind::DuplicateReference)
                .count();
            let expected = usize::from(repeated == RepeatedCreate::SecondBeside);
            assert_eq!(duplicates, expected, "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_proven_ineffective_is_sent_once_more_after_the_backoff() {
    for what in not_applied() {
        let case = format!("{what:?}");
        let (world, id) = meets(RepeatedCreate::TakesUp, what).await;
        world.run(RETRY).await;
        assert_eq!(world.states().await, [AttemptState::Unknown], "{case}");
        world.settle().await;
        assert_eq!(world.states().await, [AttemptState::Ineffective], "{case}");
        world.run(RETRY).await;
        assert_eq!(world.verdict(RETRY, &id).await, "backing_off", "{case}");
        assert_eq!(world.ledger().len(), 1, "{case}");

        world.advance(11 * MINUTE);
        world.run_well(RETRY).await;
        world.settle().await;
        use AttemptState::{Confirmed, Ineffective};
        assert_eq!(world.states().await, [Ineffective, Confirmed], "{case}");
        assert_eq!(world.ledger().len(), 2, "{case}");
        tally::no_order_twice(&world.ledger());
        assert_eq!(world.status(&id), Status::Validating, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_request_beside_is_flagged_and_the_order_left_alone() {
    let (world, id) = meets(RepeatedCreate::SecondBeside, Effect::Drop { applied: true }).await;
    for _ in 0..12 {
        world.run(RETRY).await;
        world.advance(HOUR);
        world.verify().await;
    }
    assert_eq!(world.sandbox().references(ORG, "ORDER-1").len(), 2);
    assert_eq!(world.ledger().len(), 1);
    let findings = world.findings().await;
    let duplicate = findings
        .iter()
        .find(|finding| finding.key.kind == FindingKind::DuplicateReference)
        .expect("people are told");
    assert_eq!(duplicate.key.reference_id, id);
    // A second one that somebody else made is enough: nothing is sent even the first time.
    let other = world.unsent("ORDER-2", "2h");
    let patch = serde_json::json!({
        "external_reference": "ORDER-2", "another": true, "status": "VALIDATING", "age": "1h",
    });
    world.patch(patch);
    world.run(RETRY).await;
    assert_eq!(world.verdict(RETRY, &other).await, "duplicate_reference");
    assert_eq!(world.ledger().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_ledger_and_answer_verifies_and_never_repeats() {
    for applied in [true, false] {
        let (mut world, id) = meets(RepeatedCreate::TakesUp, Effect::Hang { applied }).await;
        world.tesamanager.clear();
        world.reload(SAFETY, RESEND);
        let live = world.daemon.live();
        let order = world
            .daemon
            .order(RETRY, tesa_reconciler::domain::Trigger::Schedule);
        let run = tokio::spawn(async move {
            let stop = tokio_util::sync::CancellationToken::new();
            live.reconciler.run(&order, &stop).await
        });
        while world.ledger().is_empty() {
            tokio::task::yield_now().await;
        }
        run.abort();
        let _ = run.await;
        world.restart().await;
        assert_eq!(world.states().await, [AttemptState::Unknown], "{applied}");
        world.settle().await;
        for _ in 0..3 {
            world.advance(HOUR);
            world.run_well(RETRY).await;
            world.settle().await;
        }
        assert_eq!(world.ledger().len(), if applied { 1 } else { 2 });
        tally::no_order_twice(&world.ledger());
        assert_eq!(world.status(&id), Status::Validating);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_of_which_only_undated_answers_tell_goes_to_a_person_after_all_pauses() {
    let (world, _) = meets(RepeatedCreate::TakesUp, Effect::Drop { applied: true }).await;
    world.run(RETRY).await;
    world.faults([Fault::new(Effect::NoDate).on(&["get_request"])]);
    for _ in 0..2 {
        world.advance(10 * MINUTE);
        world.verify().await;
        assert_eq!(world.states().await, [AttemptState::Unknown]);
    }
    world.advance(HOUR);
    world.verify().await;
    assert_eq!(world.states().await, [AttemptState::NeedsHuman]);
    assert_eq!(world.ledger().len(), 1);
}
