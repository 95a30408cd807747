//! What three replicas get done, measured against what one does. A measurement and no part of the suite, because its
//! figures are the machine's: `cargo nextest run --run-ignored only --no-capture throughput`, `--release` for figures
//! worth noting, `THROUGHPUT_STUCK=5000` for a longer one.

use std::time::{Duration, Instant};

use tesa_reconciler::sandbox::{Effect, Fault, SandboxConfig};

use super::world::{Settings, World, empty_sandbox, resend_job};
use crate::support::postgres::Database;

const PATIENCE: Duration = Duration::from_secs(600);

/// Writes a second, from the first write to the last one of one large run's work.
async fn writes_per_second(replicas: usize, stuck: usize) -> f64 {
    let database = Database::migrated().await;
    let sandbox = SandboxConfig {
        requests: stuck as u32 + 1000,
        stuck_unsent: Some(stuck),
        ..empty_sandbox()
    };
    let settings = Settings {
        // The rates are the same for all replicas together: what is measured is whether they use them.
        tesamanager: "reads_per_second = 1000\nwrites_per_second = 60".to_owned(),
        safety: Settings::default().safety
            + "\nmax_writes_per_run = 1000000\nmax_writes_per_hour = 1000000\nhold_above_count = 1000000",
        jobs: resend_job("every = \"1s\""),
        state_url: Some(database.url()),
        ..Settings::default()
    };
    let world = World::with(sandbox, settings).await;
    let late = Effect::Latency {
        ms: 20,
        jitter_ms: 0,
    };
    world.faults(vec![Fault::new(late)]);
    let mut daemons = Vec::new();
    for _ in 0..replicas {
        daemons.push(world.start_daemon());
    }
    let begun = Instant::now();
    while world.effects() < stuck {
        assert!(begun.elapsed() < PATIENCE, "{} of {stuck}", world.effects());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let writes = world.writes();
    let took = writes[writes.len() - 1].time - writes[0].time;
    writes.len() as f64 / took.as_seconds_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn throughput_with_three_replicas_is_not_below_that_of_one() {
    let stuck = std::env::var("THROUGHPUT_STUCK").map_or(600, |text| text.parse().unwrap());
    let one = writes_per_second(1, stuck).await;
    let three = writes_per_second(3, stuck).await;
    println!("one replica: {one:.1} writes/s; three: {three:.1} writes/s");
    // A tenth for the machine's moods.
    assert!(three > one * 0.9, "one: {one:.1}/s, three: {three:.1}/s");
}
