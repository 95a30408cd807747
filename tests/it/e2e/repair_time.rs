//! How long a repair took, as the service level counts it.

use tesa_reconciler::telemetry;

use super::{MINUTE, RESEND, RETRY, World, empty};

#[tokio::test]
async fn a_repair_is_late_only_since_its_job_might_write() {
    let recorder = telemetry::metrics::recorder().unwrap();
    let page = recorder.handle();
    let _counted = metrics::set_default_local_recorder(&recorder);
    let mut world = World::new(empty(), "mode = \"observe\"", RESEND).await;
    world.unsent("ORDER-1", "2h");
    world.run_well(RETRY).await;
    world.advance(5 * MINUTE);
    world.reload("", RESEND);
    world.run_well(RETRY).await;
    world.settle().await;
    let line = |text: &str| {
        let page = page.render();
        assert!(page.lines().any(|line| line == text), "{text}\n{page}");
    };
    // Due for an hour and a half by then, and writable for five minutes and the pause before the first look.
    line("tesa_reconciler_time_to_repair_seconds_bucket{le=\"300\"} 0");
    line("tesa_reconciler_time_to_repair_seconds_bucket{le=\"900\"} 1");

    // Nor is one late that was due before the job had ever run.
    let new = World::new(empty(), "", RESEND).await;
    new.unsent("ORDER-9", "2h");
    new.run_well(RETRY).await;
    new.settle().await;
    line("tesa_reconciler_time_to_repair_seconds_bucket{le=\"300\"} 1");
    line("tesa_reconciler_time_to_repair_seconds_bucket{le=\"900\"} 2");

    // One that was due all along is as late as it is.
    world.unsent("ORDER-2", "31m");
    world.advance(60 * MINUTE);
    world.run_well(RETRY).await;
    world.settle().await;
    line("tesa_reconciler_time_to_repair_seconds_bucket{le=\"3600\"} 2");
    line("tesa_reconciler_time_to_repair_seconds_bucket{le=\"7200\"} 3");
}
