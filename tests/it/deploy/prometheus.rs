//! A real Prometheus, as Debian packages it, on a free port of loopback.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::http;

/// Ends with this value.
pub struct Prometheus {
    child: Child,
    address: String,
    _dir: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts one that scrapes `target` as the job `tesa-reconciler`. `global` is the inside of that part of its
    /// configuration; `past` is what it shall remember, in the OpenMetrics format.
    pub fn start(target: &str, global: &str, rules: &[&Path], past: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rules: Vec<String> = rules
            .iter()
            .map(|file| format!("'{}'", file.display()))
            .collect();
        let config = format!(
            "global: {{{global}}}\nrule_files: [{}]\nscrape_configs:\n  - job_name: tesa-reconciler\n    \
             static_configs:\n      - targets: ['{target}']\n",
            rules.join(", ")
        );
        let file = dir.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let data = dir.path().join("data");
        if let Some(past) = past {
            let text = dir.path().join("past");
            std::fs::write(&text, past).unwrap();
            super::run_well(
                Command::new("promtool")
                    .args(["tsdb", "create-blocks-from", "openmetrics"])
                    .args([&text, &data]),
            );
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("prometheus: {error}: run tests/run --install, which gets it")
            });
        Self {
            child,
            address,
            _dir: dir,
        }
    }

    /// The number of series that answer a query, or its error. None while it can't be reached.
    pub async fn ask(&self, query: &str) -> Option<Result<usize, String>> {
        let answer = self.get("query", &[("query", query)]).await?;
        Some(match answer["status"].as_str() {
            Some("success") => Ok(answer["data"]["result"].as_array().map_or(1, Vec::len)),
            _ => Err(answer["error"].to_string()),
        })
    }

    /// The names of the alerts that fire or are about to, each with which of it (`firing`, `pending`). None while it
    /// can't be reached.
    pub async fn alerts(&self) -> Option<Vec<(String, String)>> {
        let answer = self.get("alerts", &[]).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let alerts = answer["data"]["alerts"].as_array()?;
        let name = |alert: &Value| (text(&alert["labels"]["alertname"]), text(&alert["state"]));
        Some(alerts.iter().map(name).collect())
    }

    async fn get(&self, what: &str, query: &[(&str, &str)]) -> Option<Value> {
        let url = format!("http://{}/api/v1/{what}", self.address);
        let answer = http::client().get(url).query(query).send().await.ok()?;
        answer.json().await.ok()
    }
}
