//! Dies at its n-th write to the store's files, for every n of a whole run with one attempt: `strace` kills it in the place
//! of the call, before the kernel has done it. Whatever is on the disk then, the next start must come to the one effect.
//!
//! A few points in the suite, others each day, and each of them kills; all of them by hand:
//! `CRASH_POINTS=all cargo nextest run --no-capture -E 'test(crash_points)'`.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use tesa_reconciler::clock::{Clock as _, SystemClock};

use super::world::{PATIENCE, Settings, World, run};

/// All that changes a file, or makes sure of it.
const CALLS: &str =
    "pwrite64,pwritev,write,writev,ftruncate,fdatasync,fsync,rename,renameat2,unlink,unlinkat";

/// Points that the suite tries.
const SAMPLE: usize = 8;

/// The same command, watched in what it does to the store's files.
fn watched(world: &World, command: &Command, what: &[&str]) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "trace"]);
    for file in ["state.db", "state.db-wal", "state.db-journal"] {
        let store = world.store_file().with_file_name(file);
        traced.arg("-P").arg(store);
    }
    traced.args(what).arg("--").arg(command.get_program());
    traced.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        traced.env(name, value.unwrap_or_default());
    }
    traced.current_dir(world.dir.path());
    traced
}

async fn stuck() -> World {
    one_stuck(None).await
}

/// One order that was never sent.
pub(super) async fn one_stuck(state_url: Option<String>) -> World {
    let mut settings = Settings {
        state_url,
        ..Settings::default()
    };
    // Looks count from the last instant at which the write may have been on its way, so that is made short.
    settings.tesamanager += "\nrequest_timeout = \"1s\"";
    let world = World::new(settings).await;
    world.stuck("ORD-1");
    world
}

/// Whatever is on the disk, the next starts come to the one effect, and each write has its row.
pub(super) async fn comes_to_its_one_effect(world: &World, after: &str) {
    let begun = Instant::now();
    loop {
        let ended = run(world.program(&["run", "--once"])).await;
        assert_eq!(ended.code, Some(0), "after {after}: {ended:?}");
        let states = world.states().await;
        if states.last().is_some_and(|last| last == "confirmed") {
            break;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{after} is never settled: {states:?}"
        );
    }
    let writes = world.writes();
    assert_eq!(world.effects(), 1, "after {after}: {writes:?}");
    let rows = world.attempts().await;
    for write in &writes {
        let id = write.correlation_id.as_deref();
        let has_row = rows.iter().any(|row| row["correlation_id"].as_str() == id);
        assert!(has_row, "after {after}, a write without a row: {write:?}");
    }
}

/// How many such calls a run makes, in the thread that makes the most: `strace` counts each thread's by itself, and one
/// thread alone writes.
async fn points() -> usize {
    let world = stuck().await;
    let trace = format!("trace={CALLS}");
    let ended = run(watched(
        &world,
        &world.program(&["run", "--once"]),
        &["-e", &trace],
    ))
    .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(world.effects(), 1);
    let text = std::fs::read_to_string(world.path("trace")).unwrap();
    let mut threads: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        let thread = line.split_whitespace().next().unwrap_or_default();
        *threads.entry(thread).or_default() += 1;
    }
    threads.into_values().max().unwrap_or_default()
}

/// Dies there; true if it got that far.
async fn dies_at(point: usize) -> bool {
    let world = stuck().await;
    let inject = format!("inject={CALLS}:signal=KILL:when={point}");
    let trace = format!("trace={CALLS}");
    let command = world.program(&["run", "--once"]);
    let ended = run(watched(&world, &command, &["-e", &trace, "-e", &inject])).await;
    let died = ended.code != Some(0);
    comes_to_its_one_effect(&world, &format!("point {point}")).await;
    died
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_on_the_disk_when_it_dies_the_order_gets_its_one_effect() {
    let has = Command::new("strace").arg("-V").output();
    assert!(has.is_ok(), "strace is missing: apt-get install strace");
    let points = points().await;
    assert!(
        points > 20,
        "{points} points: what is counted is not what it does"
    );
    let all = std::env::var("CRASH_POINTS").is_ok_and(|which| which == "all");
    let chosen: Vec<usize> = if all {
        (1..=points).collect()
    } else {
        let day = usize::try_from(SystemClock.now().timestamp() / 86_400).unwrap();
        let step = points / SAMPLE;
        (0..SAMPLE).map(|nth| 1 + nth * step + day % step).collect()
    };
    if all {
        let mut died = 0;
        for point in &chosen {
            died += usize::from(dies_at(*point).await);
        }
        // The last ones may not be reached: a run does not always do as much.
        eprintln!("{died} deaths at {points} points");
        assert!(died * 2 >= points, "{died} of {points}");
        return;
    }
    for point in chosen {
        // How much a run writes depends on how busy the machine is: what it does not reach is tried earlier.
        let mut earlier = point;
        while !dies_at(earlier).await {
            assert!(earlier > 1, "it never dies, not even at its first write");
            earlier = earlier * 3 / 4;
        }
        eprintln!("died at {earlier} of {points} points, {point} was meant");
    }
}
