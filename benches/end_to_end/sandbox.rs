//! The sandbox as a process of its own, and how the world in it is changed.

use std::path::Path;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::Process;

/// The only tenant.
pub const ORG: &str = "masmovil";

/// A token that the floor's loop shows.
pub const TOKEN: &str = "bare-loop";

/// A world of requests, all of them unsent and stuck.
pub struct Sandbox {
    _process: Process,
    dir: TempDir,
    /// `http://127.0.0.1:port`
    pub origin: String,
    http: reqwest::Client,
}

/// Calls that came in.
#[derive(Clone, Copy)]
pub struct Calls {
    /// List calls.
    pub lists: u64,
    /// Reads of one request, its events or its issues.
    pub reads: u64,
}

impl Sandbox {
    /// Starts one of which every request is stuck, and which answers as fast as it can.
    pub async fn start(program: &Path, requests: u32) -> Result<Self> {
        Self::of(program, requests, requests, "0s").await
    }

    /// Starts one, of which so many requests are unsent and stuck.
    pub async fn of(program: &Path, requests: u32, stuck: u32, latency: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        // Taken from the system and given back: the sandbox says the same port where it listens.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let (listen, requests) = (format!("127.0.0.1:{port}"), requests.to_string());
        let stuck = stuck.to_string();
        let arguments = [
            "sandbox",
            "--listen",
            &listen,
            "--orgs",
            ORG,
            "--requests",
            &requests,
            "--stuck-unsent",
            &stuck,
            "--latency",
            latency,
            "--speed",
            "0",
            "--token",
            TOKEN,
            "--write-service-account",
            "account.json",
        ];
        let mut process = Process::start(program, &arguments, dir.path())?;
        process.line("The sandbox listens on").await?;
        let origin = format!("http://{listen}");
        let http = super::floor::client(&origin, 1)?;
        Ok(Self {
            _process: process,
            dir,
            origin,
            http,
        })
    }

    /// What `[tesamanager] base_url` must be.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.origin)
    }

    /// Its service account's file.
    pub fn account(&self) -> String {
        self.dir.path().join("account.json").display().to_string()
    }

    /// When the first write came in.
    pub async fn first_write(&self) -> Result<Option<DateTime<Utc>>> {
        let url = format!("{}/_sandbox/ledger", self.origin);
        let ledger: Value = self.http.get(url).send().await?.json().await?;
        let entries = ledger
            .as_array()
            .or_else(|| ledger.get("entries")?.as_array());
        let times = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.get("time")?.as_str());
        Ok(times.filter_map(|time| time.parse().ok()).min())
    }

    /// Every id.
    pub async fn ids(&self) -> Result<Vec<String>> {
        let url = format!("{}/tesa/orgs/{ORG}/requests", self.base_url());
        let answer = self.http.get(url).bearer_auth(TOKEN).send().await?;
        let list: Value = answer.json().await?;
        let ids = list.get("reference_ids").and_then(Value::as_array);
        let ids = ids.context("no id list")?;
        Ok(ids
            .iter()
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect())
    }

    /// What it was asked so far.
    pub async fn calls(&self) -> Result<Calls> {
        let url = format!("{}/_sandbox/stats", self.origin);
        let stats: Value = self.http.get(url).send().await?.json().await?;
        let count = |name: &str| stats.pointer(name).and_then(Value::as_u64);
        let lists = count("/calls/list_reference_ids").context("no count of lists")?;
        let reads = count("/reads").context("no count of reads")?;
        Ok(Calls {
            lists,
            reads: reads - lists,
        })
    }

    /// So many orders come in that are stuck already.
    pub async fn add_stuck(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.patch(json!({"another": true, "status": "NOT_SENT", "age": "2h"}))
                .await?;
        }
        Ok(())
    }

    /// Something happens to these now.
    pub async fn touch(&self, ids: &[String]) -> Result<()> {
        for id in ids {
            self.patch(json!({"reference_id": id, "status": "VALIDATING", "age": "0s"}))
                .await?;
        }
        Ok(())
    }

    async fn patch(&self, patch: Value) -> Result<()> {
        let url = format!("{}/_sandbox/requests", self.origin);
        let answer = self.http.post(url).json(&patch).send().await?;
        answer.error_for_status()?;
        Ok(())
    }
}
