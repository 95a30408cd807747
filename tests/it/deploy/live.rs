//! A real Prometheus scrapes a live daemon and answers every query of the dashboards and every alert.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{daemon, dashboards, rules};
use crate::support::http;

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

struct Prometheus {
    child: Child,
    address: String,
    _dir: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn prometheus(target: &str) -> Prometheus {
    let dir = tempfile::tempdir().unwrap();
    let rules = super::path("deploy/prometheus");
    let config = format!(
        "global: {{scrape_interval: 500ms, evaluation_interval: 1s}}\nrule_files: ['{0}/recording.yml', '{0}/alerts.yml']\n\
         scrape_configs:\n  - job_name: tesa-reconciler\n    static_configs:\n      - targets: ['{target}']\n",
        rules.display()
    );
    let file = dir.path().join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            dir.path().join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("prometheus: {error}: run tests/run, which installs it"));
    Prometheus {
        child,
        address,
        _dir: dir,
    }
}

impl Prometheus {
    /// The number of series that answer a query, or its error. None while it can't be reached.
    async fn ask(&self, query: &str) -> Option<Result<usize, String>> {
        let url = format!("http://{}/api/v1/query", self.address);
        let answer = http::client()
            .get(url)
            .query(&[("query", query)])
            .send()
            .await
            .ok()?;
        let answer: Value = answer.json().await.ok()?;
        Some(match answer["status"].as_str() {
            Some("success") => Ok(answer["data"]["result"].as_array().map_or(1, Vec::len)),
            _ => Err(answer["error"].to_string()),
        })
    }
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
