//! Clocks that disagree: what the upstream stamps by a wrong clock must not pass for unchanged, neither while the clock is
//! wrong nor after it was set right.

use serde_json::json;

use super::{EVENTS, MINUTE, RESEND, RETRY, World, empty};

const JOB: &str = "flag-events";

/// Something happens to the order now.
fn happens(world: &World, order: &str) {
    world.patch(json!({"external_reference": order, "status": "PROCESSING", "age": "0s"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_falls_behind_between_two_sweeps_hides_no_change() {
    let world = World::new(empty(), "", EVENTS).await;
    for order in ["ORDER-1", "ORDER-2"] {
        happens(&world, order);
    }
    world.advance(60 * MINUTE);
    assert_eq!(world.run_well(JOB).await.observed, 2);
    world.upstream.set_minutes(-20);
    world.advance(5 * MINUTE);
    // Stamped a quarter of an hour before the sweep.
    happens(&world, "ORDER-2");
    let summary = world.run_well(JOB).await;
    assert_eq!((summary.observed, summary.unchanged), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_right_since_the_last_sweep_hides_no_change() {
    for restarted in [false, true] {
        let mut world = World::new(empty(), "", EVENTS).await;
        for order in ["ORDER-1", "ORDER-2"] {
            happens(&world, order);
        }
        world.advance(60 * MINUTE);
        world.upstream.set_minutes(-20);
        assert_eq!(world.run_well(JOB).await.observed, 2);
        happens(&world, "ORDER-2");
        world.upstream.set_minutes(0);
        world.advance(5 * MINUTE);
        if restarted {
            world.restart().await;
        }
        let summary = world.run_well(JOB).await;
        assert_eq!((summary.observed, summary.unchanged), (1, 1), "{restarted}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observation_is_trusted_no_further_than_the_clocks_agree() {
    // (minutes that the upstream is ahead, requests read by the second run)
    for (ahead, read) in [(0, 0), (-25, 1)] {
        let world = World::new(empty(), "mode = \"observe\"", RESEND).await;
        world.unsent("ORDER-1", "2h");
        assert_eq!(world.run_well(RETRY).await.observed, 1);
        world.upstream.set_minutes(ahead);
        world.advance(MINUTE);
        if ahead < 0 {
            // By the upstream's clock that was half an hour ago, and so before it was observed.
            world.patch(json!({"external_reference": "ORDER-1", "status": "NOT_SENT"}));
        }
        world.advance(6 * MINUTE);
        let summary = world.run_well(RETRY).await;
        assert_eq!(summary.selected, 1, "{ahead}");
        assert_eq!(summary.observed, read, "{ahead}");
    }
}
