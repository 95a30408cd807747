//! The org's rate is one for all replicas: they reach it together, however many there are and however slow the upstream
//! is, and never go above it. Judged by the upstream's own account of when it was asked.

use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::sandbox::{Effect, Fault, SandboxConfig};

use super::daemon::Daemon;
use super::world::{NEVER, ORG, Settings, World, empty_sandbox, wait_for};
use crate::support::postgres::Database;

const RATE: usize = 100;

/// Reads that are counted; the first ones belong to the start.
const COUNTED: usize = 5 * RATE;
const START: usize = RATE;

/// Six jobs that each read everything.
fn six_jobs() -> String {
    (1..=6)
        .map(|nth| format!("[[job]]\nname = \"events-{nth}\"\nkind = \"flag_events\"\n{NEVER}\n\n"))
        .collect()
}

async fn world(state_url: Option<String>, latency_ms: u64) -> World {
    let sandbox = SandboxConfig {
        requests: 2_000,
        keep_reads: true,
        ..empty_sandbox()
    };
    let settings = Settings {
        mode: "observe",
        tesamanager: format!("reads_per_second = {RATE}"),
        daemon: "drain_timeout = \"2s\"".to_owned(),
        jobs: six_jobs(),
        state_url,
        ..Settings::default()
    };
    let world = World::with(sandbox, settings).await;
    world.faults(vec![Fault::new(Effect::Latency {
        ms: latency_ms,
        jitter_ms: 0,
    })]);
    world
}

/// Lets all jobs run on all daemons, reloading in between, until enough was read; answers the counted instants.
async fn read(world: &World, daemons: &[Daemon], reloads: bool) -> Vec<DateTime<Utc>> {
    for daemon in daemons {
        daemon.signal("USR1");
    }
    let mut reloaded = 0;
    wait_for("reads", || {
        let seen = world.sandbox.handle().reads_of(ORG).len();
        if reloads && seen > (reloaded + 1) * RATE {
            reloaded += 1;
            // Something that nobody acts by, so that the runs go on.
            let daemon = &daemons[reloaded % daemons.len()];
            daemon.signal("HUP");
        }
        seen >= START + COUNTED
    })
    .await;
    let reads = world.sandbox.handle().reads_of(ORG);
    reads[START..START + COUNTED].to_vec()
}

fn reach_the_rate_and_never_go_above(reads: &[DateTime<Utc>]) {
    let took = (reads[reads.len() - 1] - reads[0]).as_seconds_f64();
    let reached = reads.len() as f64 / took;
    assert!(reached > 0.85 * RATE as f64, "{reached:.1} reads a second");
    // One reservation is a quarter of a second's rate; a twentieth is what the way to the upstream may squeeze together.
    let most = RATE + RATE / 4 + RATE / 20;
    for (index, first) in reads.iter().enumerate() {
        let within = reads[index..]
            .iter()
            .take_while(|at| **at - *first < TimeDelta::seconds(1))
            .count();
        assert!(within <= most, "{within} reads in the second from {first}");
    }
}

async fn daemons(world: &World, count: usize) -> Vec<Daemon> {
    let mut daemons = Vec::new();
    for _ in 0..count {
        daemons.push(world.daemon().await);
    }
    daemons
}

async fn go_at_the_rate(state_url: Option<String>, replicas: usize, latency_ms: u64) {
    let world = world(state_url, latency_ms).await;
    let daemons = daemons(&world, replicas).await;
    let reads = read(&world, &daemons, replicas > 1).await;
    for daemon in daemons {
        daemon.stop_now().await;
    }
    reach_the_rate_and_never_go_above(&reads);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_goes_at_the_whole_rate_although_each_answer_takes_a_second() {
    go_at_the_rate(None, 1, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica_alone_goes_at_the_whole_rate() {
    let database = Database::migrated().await;
    go_at_the_rate(Some(database.url()), 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_go_at_the_whole_rate_together_through_reloads() {
    let database = Database::migrated().await;
    go_at_the_rate(Some(database.url()), 3, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_go_at_the_whole_rate_together_although_each_answer_takes_a_second() {
    let database = Database::migrated().await;
    go_at_the_rate(Some(database.url()), 3, 1_000).await;
}
