//! The real kernel in a made-up world, from a number.
//!
//! Everything that decides and acts is the daemon's own: its loops, its client down to the request, its guard, its ledger's
//! rules. Made up are time (it jumps), the upstream (the sandbox, without sockets), the store (in memory, held by the
//! conformance suite of the real ones), people, and what goes wrong: with the upstream, the store, the clocks and the
//! processes. A seed is a whole world; the same seed is the same world, letter for letter.
//!
//! `cargo nextest run --test sim` lives through some; `SIM_FROM=S SIM_SEEDS=N cargo test --release --test sim -- fresh`
//! through as many as you like. A failure names its seed, and tells the shortest story that still breaks the promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod clock;
mod dice;
mod end;
mod judge;
// The conformance suite uses all of it.
#[allow(dead_code)]
#[path = "../support/memory/mod.rs"]
mod memory;
mod people;
mod plan;
mod replica;
mod shrink;
mod story;
mod wire;
mod world;

use std::time::{Duration, Instant};

use plan::{PEACE, Plan, TROUBLE};
use world::{Ending, live};

/// Worlds that broke a promise once.
const ONCE_BROKEN: &[u64] = &[];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Lives through a world, and fails with its shortest story if a promise is broken.
fn must_keep(seed: u64) -> Ending {
    let plan = Plan::of(seed);
    let ending = live(&plan);
    if ending.broken.is_some() {
        let (plan, ending) = shrink::shortest(plan, ending);
        panic!(
            "seed {seed} breaks a promise: {}\n{:#?}\n{}",
            ending.broken.as_deref().unwrap_or_default(),
            plan,
            ending.story
        );
    }
    ending
}

#[test]
fn fresh_worlds_keep_every_promise() {
    let from = number("SIM_FROM").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_secs() / 86_400 * 1_000_000
    });
    let seeds = number("SIM_SEEDS").unwrap_or(40);
    eprintln!("seeds {from} to {}", from + seeds - 1);
    let begun = Instant::now();
    let mut writes = 0;
    for seed in from..from + seeds {
        let since = Instant::now();
        writes += must_keep(seed).writes;
        let took = since.elapsed();
        if took > Duration::from_secs(1) {
            eprintln!("seed {seed} took {took:.1?}");
        }
    }
    let took = begun.elapsed();
    let days = Duration::from_secs((TROUBLE + PEACE) * seeds).as_secs_f64() / 86_400.0;
    eprintln!("{seeds} worlds, {days:.1} simulated days, {writes} writes in {took:.1?}");
    assert!(writes > 0, "nothing was ever done");
}

#[test]
fn worlds_that_broke_a_promise_once_keep_it() {
    for seed in ONCE_BROKEN {
        must_keep(*seed);
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in [1, 2, 3, 4, 5] {
        let plan = Plan::of(seed);
        let (one, other) = (live(&plan), live(&plan));
        assert!(!one.story.lines().is_empty());
        let differs = one
            .story
            .lines()
            .iter()
            .zip(other.story.lines())
            .find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one.story.lines().len(), other.story.lines().len());
    }
}
