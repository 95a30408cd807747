//! The real kernel in a made-up world, from a number.
//!
//! Everything that decides and acts is the daemon's own: its loops, its client down to the request, its guard, its ledger's
//! rules. Made up are time (it jumps), the upstream (the sandbox, without sockets), the store (in memory, held by the
//! conformance suite of the real ones), people, and what goes wrong: with the upstream, the store, the clocks and the
//! processes. A seed is a whole world; the same seed is the same world, letter for letter.
//!
//! `cargo nextest run --test sim` lives through some; `SIM_FROM=S SIM_SEEDS=N cargo test --release --test sim -- fresh`
//! through as many as you like, and with `SIM_TELL=1` tells what happened. A failure names its seed, and tells the shortest story that still breaks the promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod clock;
mod dice;
mod end;
mod hour;
mod judge;
mod make;
// The conformance suite uses all of it.
#[allow(dead_code)]
#[path = "../support/memory/mod.rs"]
mod memory;
mod people;
mod plan;
mod planted;
#[path = "../support/replayed.rs"]
mod replayed;
mod replica;
mod shrink;
mod story;
mod wire;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tesa_reconciler::clock::{Clock as _, SystemClock};

use plan::{PEACE, TROUBLE};
use world::live;

/// Worlds that broke a promise once.
const ONCE_BROKEN: &[u64] = &[438, 300_907, 303_181];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// As many broken worlds are told of before it is enough.
const ENOUGH: usize = 5;

/// Lives through worlds side by side; fails with the shortest stories of those that break a promise. Answers how many
/// writes there were in all, and how many runs of an upstream that never contradicted itself.
fn must_keep(seeds: &[u64]) -> (usize, usize) {
    let next = AtomicUsize::new(0);
    let (writes, honest_runs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let broken: Mutex<Vec<String>> = Mutex::default();
    let work = || {
        while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let since = Instant::now();
            let plan = make::world(seed);
            if std::env::var_os("SIM_TELL").is_some() {
                eprintln!("seed {seed}: {plan}");
            }
            let ending = live(&plan);
            writes.fetch_add(ending.writes, Ordering::Relaxed);
            honest_runs.fetch_add(ending.honest_runs, Ordering::Relaxed);
            if since.elapsed() > Duration::from_secs(5) {
                eprintln!("seed {seed} took {:.1?}", since.elapsed());
            }
            if ending.broken.is_some() {
                let (plan, ending) = shrink::shortest(plan, ending);
                let promise = ending.broken.as_deref().unwrap_or_default();
                let story = &ending.story;
                eprintln!("seed {seed} breaks a promise: {promise}");
                let mut broken = broken.lock().unwrap();
                broken.push(format!("seed {seed}: {promise}\n{plan}\n{story}"));
                if broken.len() >= ENOUGH {
                    next.store(seeds.len(), Ordering::Relaxed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads.min(seeds.len()) {
            scope.spawn(work);
        }
    });
    let broken = broken.into_inner().unwrap();
    assert!(
        broken.is_empty(),
        "broken promises:\n\n{}",
        broken.join("\n\n")
    );
    (writes.into_inner(), honest_runs.into_inner())
}

#[test]
fn fresh_worlds_keep_every_promise() {
    let from = number("SIM_FROM").unwrap_or_else(|| {
        let day = SystemClock.now().timestamp() / 86_400;
        u64::try_from(day).unwrap() * 1_000_000
    });
    let count = number("SIM_SEEDS").unwrap_or(30);
    let seeds: Vec<u64> = (from..from + count).collect();
    eprintln!("seeds {from} to {}", from + count - 1);
    let begun = Instant::now();
    let (writes, honest_runs) = must_keep(&seeds);
    let took = begun.elapsed();
    let days = Duration::from_secs((TROUBLE + PEACE) * count).as_secs_f64() / 86_400.0;
    eprintln!(
        "{count} worlds, {days:.1} simulated days, {writes} writes, {honest_runs} runs of an honest upstream in {took:.1?}"
    );
    assert!(writes > 0, "nothing was ever done");
}

#[test]
fn worlds_that_broke_a_promise_once_keep_it() {
    must_keep(ONCE_BROKEN);
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in [1, 2] {
        let plan = make::world(seed);
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
