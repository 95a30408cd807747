//! Three daemons on one PostgreSQL under every ill treatment at once: killed, stopped for longer than their lease, cut
//! off from their store with and without a word, the server itself dying; upstream, answers that are lost. The sandbox's
//! ledger is the judge.
//!
//! What happens when follows from a seed, which is printed: `CHAOS_SEED=7 cargo nextest run chaos`. `CHAOS_SECONDS=600`
//! goes on for longer. What exactly a kill hits is up to the machine; what must hold, must hold wherever it hits.

mod fleet;
mod judge;
mod script;

use std::time::Duration;

use fleet::Fleet;

const SEED: u64 = 20_261_124;
const SECONDS: u64 = 60;

fn from_env(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_hold_together_whatever_is_done_to_them() {
    let seed = from_env("CHAOS_SEED", SEED);
    let lasts = Duration::from_secs(from_env("CHAOS_SECONDS", SECONDS));
    println!("CHAOS_SEED={seed} for {lasts:?}");
    let mut fleet = Fleet::start().await;
    let deeds = script::play(&mut fleet, seed, lasts).await;
    println!("{deeds:?}");
    fleet.heal().await;
    println!("at rest after {:?}", fleet.settle().await);
    let tally = judge::judge(&fleet).await;
    println!("{tally:?}");
    fleet.end().await;
}
