//! The org's rate is one for all replicas: they reach it together, however many there are and however slow the upstream
//! is, and never go above it. Judged by the upstream's own account of when it was asked.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
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

fn reach_the_rate_and_never_go_above(calls: &[DateTime<Utc>], rate: usize) {
    let took = (calls[calls.len() - 1] - calls[0]).as_seconds_f64();
    let reached = calls.len() as f64 / took;
    assert!(reached > 0.85 * rate as f64, "{reached:.1} calls a second");
    never_go_above(calls, rate);
}

fn never_go_above(calls: &[DateTime<Utc>], rate: usize) {
    // One reservation is a quarter of a second's rate; a twentieth is what the way to the upstream may squeeze together.
    let most = rate + rate / 4 + rate / 20;
    for (index, first) in calls.iter().enumerate() {
        let within = calls[index..]
            .iter()
            .take_while(|at| **at - *first < TimeDelta::seconds(1))
            .count();
        assert!(within <= most, "{within} calls in the second from {first}");
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
    reach_the_rate_and_never_go_above(&reads, RATE);
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
async fn two_replicas_go_at_the_whole_rate_together() {
    let database = Database::migrated().await;
    go_at_the_rate(Some(database.url()), 2, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_go_at_the_whole_rate_together_although_each_answer_takes_a_second() {
    let database = Database::migrated().await;
    go_at_the_rate(Some(database.url()), 2, 1_000).await;
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

const WRITE_RATE: usize = 10;

/// Two jobs that have much to write for one org, and replicas that may take one each.
async fn write(replicas: usize, latency_ms: u64, counted: usize) -> Vec<DateTime<Utc>> {
    let database = Database::migrated().await;
    let mut settings = Settings {
        tesamanager: format!("reads_per_second = 5000\nwrites_per_second = {WRITE_RATE}"),
        daemon: "drain_timeout = \"2s\"".to_owned(),
        jobs: WRITING_JOBS
            .map(|(name, status, action)| {
                format!(
                    "[[job]]\nname = \"{name}\"\nkind = \"retry_stuck\"\n{NEVER}\n\n[[job.rule]]\n\
                     name = \"{name}\"\nstatuses = [\"{status}\"]\nnot_updated_for = \"30m\"\n\
                     action = \"{action}\"\n\n"
                )
            })
            .concat(),
        state_url: Some(database.url()),
        ..Settings::default()
    };
    settings.safety = "max_writes_per_run = 500\nmax_writes_per_hour = 1000".to_owned();
    let world = World::with(empty_sandbox(), settings).await;
    for order in 0..50 {
        for (name, status, _) in WRITING_JOBS {
            let order = format!("{name}-{order}");
            world.patch(json!({"external_reference": order, "status": status, "age": "3h"}));
        }
    }
    world.faults(vec![Fault::new(Effect::Latency {
        ms: latency_ms,
        jitter_ms: 0,
    })]);
    let daemons = daemons(&world, replicas).await;
    for daemon in &daemons {
        daemon.signal("USR1");
    }
    wait_for("writes", || world.writes().len() >= counted).await;
    for daemon in daemons {
        daemon.stop_now().await;
    }
    world.writes().iter().map(|entry| entry.time).collect()
}

const WRITING_JOBS: [(&str, &str, &str); 2] = [
    ("resend", "NOT_SENT", "resend"),
    ("give-up", "VALIDATING", "cancel_request"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_write_at_the_whole_rate_together_and_never_above() {
    let writes = write(2, 1, 5 * WRITE_RATE).await;
    reach_the_rate_and_never_go_above(&writes[WRITE_RATE..5 * WRITE_RATE], WRITE_RATE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_do_not_write_above_the_rate_when_each_answer_takes_a_second() {
    let writes = write(2, 1_000, 4).await;
    never_go_above(&writes, WRITE_RATE);
}
