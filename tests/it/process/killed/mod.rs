//! `kill -9` at random instants, again and again, over an upstream that lies in every way the sandbox knows. After each
//! life the upstream's own ledger is the judge: it knows when each write came and when, if ever, it had its effect.
//!
//! What happens follows from a seed, which is printed: `KILLED_SEED=7`. `KILLS=500` goes on for longer, and then waits
//! until every write is settled; `KILLED_FAULTS=late_effect,lost` plays these faults and no other. What exactly a kill hits is up to the machine; what must hold, must hold wherever it hits.

mod judge;
mod orders;
mod scene;
mod weather;

use tesa_reconciler::sandbox::RepeatedCreate;

use crate::support::postgres::Database;
use scene::{Plot, Scene, Tally};

const SEED: u64 = 20_261_128;
const KILLS: u64 = 20;

fn from_env(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_on_sqlite_keeps_its_promises_however_it_is_killed() {
    let plot = plot(None, 1, 0.45, RepeatedCreate::SecondBeside);
    println!("{plot:?}");
    println!("{:?}", play(plot).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_on_postgres_keeps_its_promises_however_it_is_killed() {
    let database = Database::migrated().await;
    let plot = plot(Some(&database), 1, 0.1, RepeatedCreate::TakesUp);
    println!("{plot:?}");
    println!("{:?}", play(plot).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_keep_their_promises_however_they_are_killed() {
    let database = Database::migrated().await;
    let plot = plot(Some(&database), 3, 0.45, RepeatedCreate::SecondBeside);
    println!("{plot:?}");
    println!("{:?}", play(plot).await);
}

/// With a share of all kills.
fn plot(
    database: Option<&Database>,
    replicas: usize,
    share: f64,
    repeated_create: RepeatedCreate,
) -> Plot {
    let all = from_env("KILLS", KILLS);
    Plot {
        seed: from_env("KILLED_SEED", SEED),
        kills: (all as f64 * share).ceil() as u32,
        thorough: all > KILLS,
        replicas,
        repeated_create,
        state_url: database.map(Database::url),
    }
}

async fn play(plot: Plot) -> Tally {
    let kills = plot.kills;
    let mut scene = Scene::begin(plot).await;
    for life in 0..kills {
        scene.live_and_die(life).await;
        scene.judge().await;
    }
    scene.end().await
}
