//! What one read of a request costs the client, against a bare loop of the same HTTP client.
//!
//! Both keep sixteen reads in flight on a runtime of two workers, against a server that has one answer ready, and take
//! turns. What counts is the CPU time of the runtime's own threads, by the kernel's account, so that neither the
//! server nor a busy machine has a part in it. "Ours" is what a sweep calls: the circuit breaker, limits, token, trace,
//! metrics, retry budget, and the decoded request. The log and the metrics are set up as in the daemon.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends at the first fault, and prints"
)]

mod cpu;
mod decoding;
#[path = "../id_list/server.rs"]
#[expect(dead_code, reason = "of its framings, one is needed here")]
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Request, Url};
use server::Framing;
use tesa_reconciler::clock::SystemClock;
use tesa_reconciler::config::{self, LogFormat, default_endpoints};
use tesa_reconciler::domain::ids::{Org, ReferenceId};
use tesa_reconciler::reconcile::breaker::Breaker;
use tesa_reconciler::store::{self, StoreOptions};
use tesa_reconciler::telemetry;
use tesa_reconciler::tesamanager::{Connections, HttpTesamanager, Tesamanager, http_client};

const READS: usize = 50_000;
const IN_FLIGHT: usize = 16;
const ORG: &str = "masmovil";
const ID: &str = "REF-00000077";
/// Of the runtime's threads; the server's have none.
const THREADS: &str = "client";

/// As the sandbox answers.
const BODY: &str = r#"{"reference_id":"REF-00000077","external_reference":"EXT-00000077","persistence_type":"ACTIVATION","status":"NOT_SENT","cancelling":false,"auto_installation":true,"territory_owner":"VULA_COMMERCIAL","portability_indicator":"N","request_number":70000077,"subrequest_number":1,"created":"2026-03-01T08:15:30.250Z","last_updated":"2026-03-02T09:00:00Z","technical_coordinators":{"name":"SANDBOX coordinator 77","phone":"SANDBOX +34 000 000 000"},"customer":{"name":"SANDBOX customer 77","document":"SANDBOX 00000000T","email":"SANDBOX-77@customer.invalid"},"service_point":{"address":"SANDBOX street 77","gescal":"SANDBOX-00000000000000077"}}"#;

/// One loop's cost a read.
#[derive(Clone, Copy)]
struct Cost {
    cpu: Duration,
    wall: Duration,
}

fn main() {
    decoding::run(BODY.as_bytes(), ID);
    let runs = std::env::var("RUNS").map_or(7, |runs| runs.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(THREADS)
        .enable_all()
        .build()
        .unwrap();
    let _metrics = telemetry::metrics::install().unwrap();
    let _log = telemetry::logs::install(LogFormat::Json, "info", Arc::new(SystemClock), None);
    let url = server::start(BODY.as_bytes(), Framing::Length);
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (floor, breaker) = (Arc::new(plain(&url)), upstream(&url, &folder).await);
        let (org, id) = (Org::from(ORG), ReferenceId::from(ID));
        for _ in 0..=runs {
            let (client, url, headers) = (Arc::clone(&floor), url.clone(), headers());
            floors.push(
                cost(move |_| {
                    let (client, url, headers) =
                        (Arc::clone(&client), url.clone(), headers.clone());
                    async move { bare(&client, &url, headers).await }
                })
                .await,
            );
            let (breaker, org, id) = (Arc::clone(&breaker), org.clone(), id.clone());
            ours.push(
                cost(move |_| {
                    let (breaker, org, id) = (Arc::clone(&breaker), org.clone(), id.clone());
                    async move { drop(breaker.get_request(&org, &id).await.unwrap()) }
                })
                .await,
            );
        }
    });
    println!("{READS} reads, {IN_FLIGHT} in flight, medians of {runs} runs in turns");
    println!("{:10} {:>12} {:>12}", "", "CPU µs/read", "wall µs/read");
    let (floor, ours) = (median(&mut floors), median(&mut ours));
    for (name, cost) in [("floor", floor), ("ours", ours)] {
        println!(
            "{name:10} {:12.2} {:12.2}",
            micros(cost.cpu),
            micros(cost.wall)
        );
    }
    println!(
        "{:10} {:12.2}",
        "overhead",
        micros(ours.cpu) - micros(floor.cpu)
    );
}

/// The middle of each, without the first run, which warms up.
fn median(costs: &mut Vec<Cost>) -> Cost {
    costs.remove(0);
    let middle = |part: fn(&Cost) -> Duration| {
        let mut times: Vec<Duration> = costs.iter().map(part).collect();
        times.sort();
        times[times.len() / 2]
    };
    Cost {
        cpu: middle(|cost| cost.cpu),
        wall: middle(|cost| cost.wall),
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Reads on one task, as a run of the daemon does.
async fn cost<F>(read: impl Fn(usize) -> F + Send + 'static) -> Cost
where
    F: Future<Output = ()> + Send + 'static,
{
    let (cpu, begun) = (cpu::of_threads(THREADS), Instant::now());
    let reads = async move {
        futures::stream::iter(0..READS)
            .map(read)
            .buffer_unordered(IN_FLIGHT)
            .collect::<()>()
            .await;
    };
    tokio::spawn(reads).await.unwrap();
    Cost {
        cpu: (cpu::of_threads(THREADS) - cpu) / READS as u32,
        wall: begun.elapsed() / READS as u32,
    }
}

async fn bare(client: &Client, url: &str, headers: HeaderMap) {
    let url = format!("{url}/tesa/orgs/{ORG}/requests/{ID}");
    let mut request = Request::new(Method::GET, Url::parse(&url).unwrap());
    *request.headers_mut() = headers;
    let mut answer = client.execute(request).await.unwrap();
    while answer.chunk().await.unwrap().is_some() {}
}

fn headers() -> HeaderMap {
    HeaderMap::from_iter([
        (AUTHORIZATION, HeaderValue::from_static("Bearer a-token")),
        (ACCEPT, HeaderValue::from_static("application/json")),
        (
            "request-correlation-id".parse().unwrap(),
            HeaderValue::from_static("3f0e8f0c-6a8e-4a57-9a57-3f0e8f0c6a8e"),
        ),
    ])
}

fn plain(url: &str) -> Client {
    http_client(&Connections {
        section: "tesamanager",
        url,
        ca_file: None,
        connect_timeout: Duration::from_secs(5),
        idle: IN_FLIGHT,
    })
    .unwrap()
}

/// The folder holds the token and the store.
async fn upstream(url: &str, folder: &tempfile::TempDir) -> Arc<dyn Tesamanager> {
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token").unwrap();
    let settings = config::Tesamanager {
        base_url: url.to_owned(),
        orgs: vec![Org::from(ORG)],
        credentials: config::Credentials::TokenFile(token),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        max_in_flight: Some(IN_FLIGHT),
        reads_per_second: 1_000_000,
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
    let clock = Arc::new(SystemClock);
    let client = HttpTesamanager::new(&settings, clock.clone()).unwrap();
    let store = format!("sqlite://{}", folder.path().join("store.db").display());
    let store = store::open(&store, &StoreOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    Arc::new(Breaker::new(Arc::new(client), store, clock, Arc::default()))
}
