//! Decoding alone: the part of a read that is pure.

use std::hint::black_box;
use std::time::{Duration, Instant};

use chrono::DateTime;
use tesa_reconciler::domain::ids::ReferenceId;
use tesa_reconciler::tesamanager::wire;

/// Short runs, so that most of them are not interrupted.
const TIMES: u32 = 1_000;
const RUNS: usize = 301;

/// Decodes `body` and prints the median.
pub fn run(body: &[u8], id: &str) {
    let id = ReferenceId::from(id);
    let now = DateTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let dates = wire::Dates::new(tesa_reconciler::zone::Zone::UTC, now, Duration::ZERO);
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..TIMES {
                let read = wire::request(black_box(body), &id, &dates, now);
                black_box(read).unwrap();
            }
            begun.elapsed() / TIMES
        })
        .collect();
    times.sort();
    let middle = times[RUNS / 2].as_secs_f64() * 1e6;
    println!("decoding a request of {} bytes: {middle:.2} µs", body.len());
}
