//! Whoever finds a write without an answer keeps its pauses: the process that died, the one that forgot it, the next.

use tesa_reconciler::domain::{AttemptState, Trigger};
use tesa_reconciler::sandbox::{Effect, Fault};

use super::{MINUTE, RESEND, RETRY, SECOND, World, empty};

const ONE_PAUSE: &str = "verify_after = [\"30m\"]\nbackoff = { initial = \"10m\", max = \"6h\" }";

/// A write is on its way, and whoever sent it is gone.
async fn forgotten() -> World {
    let world = World::new(empty(), ONE_PAUSE, RESEND).await;
    world.unsent("ORDER-1", "2h");
    let hang = Fault::new(Effect::Hang { applied: false }).on(&["create_activation"]);
    world.faults([hang]);
    let (live, order) = (
        world.daemon.live(),
        world.daemon.order(RETRY, Trigger::Schedule),
    );
    let run = tokio::spawn(async move {
        let stop = tokio_util::sync::CancellationToken::new();
        live.reconciler.run(&order, &stop).await
    });
    while world.ledger().is_empty() {
        tokio::task::yield_now().await;
    }
    run.abort();
    let _ = run.await;
    world.faults([]);
    world.store().reap_lost(None, world.now()).await.unwrap();
    world
}

/// One pause is a pause: until it is over nothing is proven, and nothing is sent.
async fn is_in_doubt_for_the_whole_pause(world: &World) {
    for _ in 0..30 {
        world.verify().await;
        assert_eq!(world.states().await, [AttemptState::Unknown]);
        world.run(RETRY).await;
        assert_eq!(world.ledger().len(), 1, "at {}", world.now());
        world.advance(MINUTE);
    }
    // The write may have left up to a second after its intent, and have been under way until the time-out after that.
    world.advance(MINUTE);
    world.verify().await;
    assert_eq!(world.states().await, [AttemptState::Ineffective]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_left_by_a_dead_process_is_looked_at_after_the_only_pause_and_not_before() {
    let mut world = forgotten().await;
    world.restart().await;
    is_in_doubt_for_the_whole_pause(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_its_own_process_forgot_is_looked_at_after_the_only_pause_and_not_before() {
    let world = forgotten().await;
    is_in_doubt_for_the_whole_pause(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_that_a_reload_lengthens_are_kept_by_what_was_sent_before_it() {
    let short = "verify_after = [\"1m\"]\nbackoff = { initial = \"10m\", max = \"6h\" }";
    let mut world = forgotten().await;
    world.reload(short, RESEND);
    world.verify().await;
    assert_eq!(world.states().await, [AttemptState::Unknown]);
    world.reload(ONE_PAUSE, RESEND);
    is_in_doubt_for_the_whole_pause(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_after_others_gave_its_sender_up_is_worth_more_than_none() {
    let world = World::new(empty(), ONE_PAUSE, RESEND).await;
    world.unsent("ORDER-1", "2h");
    let slow = Effect::Latency {
        ms: 300,
        jitter_ms: 0,
    };
    world.faults([Fault::new(slow).on(&["create_activation"])]);
    let (live, order) = (
        world.daemon.live(),
        world.daemon.order(RETRY, Trigger::Schedule),
    );
    let run = tokio::spawn(async move {
        let stop = tokio_util::sync::CancellationToken::new();
        live.reconciler.run(&order, &stop).await
    });
    while world.ledger().is_empty() {
        tokio::task::yield_now().await;
    }
    // Another replica, which has not heard of this one for too long.
    let given_up = world
        .store()
        .recover_intended(&[], 30 * MINUTE, world.now())
        .await
        .unwrap();
    assert_eq!(given_up.len(), 1);
    assert_eq!(world.states().await, [AttemptState::Unknown]);
    run.await.unwrap().unwrap();
    assert_eq!(world.states().await, [AttemptState::Accepted]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_too_long_before_the_write_is_read_again() {
    let world = World::new(empty(), ONE_PAUSE, RESEND).await;
    let id = world.unsent("ORDER-1", "2h");
    // The look-up of the order, which comes after the request was read again.
    let slow = Effect::Latency {
        ms: 300,
        jitter_ms: 0,
    };
    world.faults([Fault::new(slow)
        .on(&["list_reference_ids"])
        .about("ORDER-1")]);
    let (live, order) = (
        world.daemon.live(),
        world.daemon.order(RETRY, Trigger::Schedule),
    );
    let run = tokio::spawn(async move {
        let stop = tokio_util::sync::CancellationToken::new();
        live.reconciler.run(&order, &stop).await
    });
    // Three lists and a sample of one come before it.
    while world.calls().get("list_reference_ids") != Some(&5) {
        tokio::task::yield_now().await;
    }
    world.patch(serde_json::json!({"external_reference": "ORDER-1", "status": "VALIDATING"}));
    world.advance(3 * SECOND);
    run.await.unwrap().unwrap();
    assert_eq!(world.ledger(), []);
    assert_eq!(world.verdict(RETRY, &id).await, "changed_meanwhile");
    assert_eq!(world.attempts().await, []);
}
