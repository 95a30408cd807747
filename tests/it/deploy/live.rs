//! A real Prometheus scrapes a live daemon and answers every query of the dashboards and every alert.

use std::time::{Duration, Instant};

use super::prometheus::Prometheus;
use super::{daemon, dashboards, rules};

const JOBS: &str = "\
[safety]
mode = \"enforce\"
verify_after = [\"1s\", \"1s\", \"1s\"]
[[job]]
name = \"retry-stuck\"
kind = \"retry_stuck\"
every = \"1s\"
[[job.rule]]
name = \"resend\"
statuses = [\"NOT_SENT\"]
not_updated_for = \"30m\"
action = \"resend\"
[[job.rule]]
name = \"watch\"
statuses = [\"VALIDATING\", \"PROCESSING\", \"INCIDENCE_TESA\"]
not_updated_for = \"30m\"
action = \"flag\"
[[job]]
name = \"flag-events\"
kind = \"flag_events\"
every = \"2s\"
";

fn prometheus(target: &str) -> Prometheus {
    let rules =
        ["recording.yml", "alerts.yml"].map(|file| super::path("deploy/prometheus").join(file));
    let global = "scrape_interval: 500ms, evaluation_interval: 1s";
    Prometheus::start(target, global, &[&rules[0], &rules[1]], None)
}

/// No data is right here, and why.
const EMPTY: &[(&str, &str)] = &[];

#[tokio::test(flavor = "multi_thread")]
async fn every_query_is_answered_by_a_real_prometheus() {
    let daemon = daemon::start(Duration::ZERO, JOBS).await;
    let prometheus = prometheus(&daemon.address);
    let mut waiting = dashboards::queries();
    let until = Instant::now() + Duration::from_secs(90);
    // Rates need two scrapes, repairs a proof: each query is asked until it has data.
    while !waiting.is_empty() {
        let mut still = Vec::new();
        for (place, query) in waiting {
            match prometheus.ask(&query).await {
                Some(Err(error)) => panic!("{place}: {query}: {error}"),
                Some(Ok(series)) if series > 0 => {}
                _ if EMPTY.iter().any(|(name, _)| *name == place) => {}
                _ => still.push((place, query)),
            }
        }
        waiting = still;
        assert!(Instant::now() < until, "no data: {waiting:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut all = rules::rules("alerts.yml", "alert");
    all.extend(rules::rules("recording.yml", "record"));
    for (name, query) in all {
        let answer = prometheus.ask(&query).await.unwrap();
        assert!(answer.is_ok(), "{name}: {answer:?}");
    }
    let interval = "min(tesa_reconciler_job_interval_seconds) > 0";
    assert_eq!(
        prometheus.ask(interval).await,
        Some(Ok(1)),
        "the daemon tells its intervals"
    );
}
