//! Clocks that disagree: what the upstream stamps by a wrong clock must not pass for unchanged, neither while the clock is
//! wrong nor after it was set right.

use serde_json::json;

use super::{EVENTS, MINUTE, World, empty};

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
