//! What reading a list of a million ids costs, against merely copying its body from the socket.
//!
//! Both go through the same HTTP client and take turns, so that whatever else the machine does hits both; the
//! medians and their ratio are what counts. "Decode" is the client's own stream: the grammar checked to the end,
//! and every id looked at. "Parse" is the part of it that is ours: the body in memory, cut in 16 KiB pieces.
//! Promised: a parse in less than 150 ms, whatever the ids.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends at the first fault, and prints"
)]

mod server;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use server::Framing;
use tesa_reconciler::clock::SystemClock;
use tesa_reconciler::config::{self, default_endpoints};
use tesa_reconciler::domain::IdBatch;
use tesa_reconciler::domain::ids::Org;
use tesa_reconciler::tesamanager::id_stream::Parser;
use tesa_reconciler::tesamanager::{
    Connections, HttpTesamanager, ListFilter, Tesamanager, http_client,
};

const IDS: usize = 1_000_000;
const RUNS: usize = 15;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    println!("{IDS} ids, medians of {RUNS} runs, floor and decode in turns");
    println!(
        "{:24} {:>6} {:>9} {:>9} {:>9} {:>6}",
        "list", "MB", "parse ms", "floor ms", "decode ms", "ratio"
    );
    for (name, body, framing) in [
        ("texts, by length", texts(), Framing::Length),
        ("texts, 16 KiB chunks", texts(), Framing::Chunked(16 * 1024)),
        ("texts of any length", uneven(), Framing::Length),
        ("uuids", uuids(), Framing::Length),
        ("whole numbers", numbers(), Framing::Length),
    ] {
        let url = server::start(&body, framing);
        let mut parses: Vec<Duration> = (0..=RUNS).map(|_| parse(&body)).collect();
        let (mut floors, mut decodes) = (Vec::new(), Vec::new());
        runtime.block_on(async {
            let (upstream, _folder) = upstream(&url);
            let plain = plain(&url);
            for _ in 0..=RUNS {
                floors.push(floor(&plain, &url, body.len()).await);
                decodes.push(decode(&upstream).await);
            }
        });
        let (floor, decode) = (median(&mut floors), median(&mut decodes));
        println!(
            "{name:24} {:6.1} {:9.2} {:9.2} {:9.2} {:6.2}",
            body.len() as f64 / 1e6,
            median(&mut parses) * 1e3,
            floor * 1e3,
            decode * 1e3,
            floor / decode
        );
    }
}

/// The middle, without the first, which warms up.
fn median(times: &mut Vec<Duration>) -> f64 {
    times.remove(0);
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// The ids of a body in memory, each looked at.
fn parse(body: &[u8]) -> Duration {
    let start = Instant::now();
    let mut parser = Parser::default();
    let mut count = 0;
    for piece in body.chunks(16 * 1024) {
        parser.feed(piece).unwrap();
        count += look_at(&parser.take());
    }
    parser.finish().unwrap();
    assert_eq!(count + look_at(&parser.take()), IDS);
    start.elapsed()
}

fn look_at(batch: &IdBatch) -> usize {
    batch.iter().for_each(|id| {
        black_box(id);
    });
    batch.len()
}

/// The body, copied from the socket.
async fn floor(client: &reqwest::Client, url: &str, size: usize) -> Duration {
    let start = Instant::now();
    let mut response = client.get(url).send().await.unwrap();
    let mut body: Vec<u8> = Vec::with_capacity(size);
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    assert_eq!(black_box(body).len(), size);
    start.elapsed()
}

/// The ids, each looked at.
async fn decode(upstream: &HttpTesamanager) -> Duration {
    let (org, filter) = (Org::from("masmovil"), ListFilter::default());
    let start = Instant::now();
    let mut list = upstream.list_reference_ids(&org, &filter).await.unwrap();
    let mut count = 0;
    while let Some(batch) = list.next().await {
        count += look_at(&batch.unwrap());
    }
    assert_eq!(count, IDS);
    start.elapsed()
}

fn plain(url: &str) -> reqwest::Client {
    http_client(&Connections {
        section: "tesamanager",
        url,
        ca_file: None,
        connect_timeout: Duration::from_secs(5),
        idle: 1,
    })
    .unwrap()
}

/// The folder holds the token.
fn upstream(url: &str) -> (HttpTesamanager, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token").unwrap();
    let settings = config::Tesamanager {
        base_url: url.to_owned(),
        orgs: vec![Org::from("masmovil")],
        credentials: config::Credentials::TokenFile(token),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        max_in_flight: Some(16),
        reads_per_second: 1_000,
        writes_per_second: 1,
        ca_file: None,
        max_list_ids: 2_000_000,
        max_list_bytes: 1 << 28,
        timezone: tesa_reconciler::zone::Zone::UTC,
        attributes: Default::default(),
        settle_time: std::time::Duration::from_secs(60),
        unsupported_filters: Vec::new(),
        endpoints: default_endpoints(),
    };
    let client = HttpTesamanager::new(&settings, Arc::new(SystemClock)).unwrap();
    (client, folder)
}

fn texts() -> Vec<u8> {
    list(|n| format!("\"REF-{n:08}\""))
}

/// From three characters to fifteen.
fn uneven() -> Vec<u8> {
    list(|n| format!("\"R-{}\"", scatter(n) >> (n % 40)))
}

fn uuids() -> Vec<u8> {
    list(|n| {
        format!(
            "\"{}\"",
            uuid::Uuid::from_u64_pair(scatter(n), scatter(n + 1))
        )
    })
}

fn numbers() -> Vec<u8> {
    list(|n| (10_000_000 + n).to_string())
}

/// Numbers without a pattern, the same each time.
fn scatter(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
}

fn list(id: impl Fn(u64) -> String) -> Vec<u8> {
    let ids: Vec<String> = (0..IDS as u64).map(id).collect();
    format!("{{\"reference_ids\":[{}]}}", ids.join(",")).into_bytes()
}
