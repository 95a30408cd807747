//! A daemon as its service manager holds it: started, watched, signalled, and never left behind.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::world::PATIENCE;
use crate::support::http;

/// A started daemon. Killed when dropped.
pub struct Daemon {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    address: Option<String>,
    http: reqwest::Client,
}

impl Daemon {
    /// Starts it, its output going to files in `dir`.
    pub fn start(mut command: Command, dir: &Path) -> Self {
        // Each life has files of its own.
        let life = (0..)
            .find(|life| !dir.join(format!("{life}.stderr")).exists())
            .expect("there is a free number");
        let (stdout, stderr) = (
            dir.join(format!("{life}.stdout")),
            dir.join(format!("{life}.stderr")),
        );
        let child = command
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .expect("the program starts");
        Self {
            child,
            stdout,
            stderr,
            address: None,
            http: http::client(),
        }
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self) {
        let line = self.logged("ready").await;
        self.address = Some(line["address"].as_str().expect("an address").to_owned());
    }

    /// Where its HTTP server is, once it is ready.
    pub fn address(&self) -> &str {
        self.address.as_deref().expect("it is ready")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines logged so far; one that is still being written is left out.
    pub fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.stderr).unwrap();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Everything it printed, raw.
    pub fn output(&self) -> String {
        let read = |path| std::fs::read_to_string(path).unwrap();
        read(&self.stdout) + &read(&self.stderr)
    }

    /// How often a message was logged.
    pub fn times_logged(&self, message: &str) -> usize {
        let is = |line: &&Value| line["message"] == message;
        self.log().iter().filter(is).count()
    }

    /// The first line with this message, as soon as it is there.
    pub async fn logged(&mut self, message: &str) -> Value {
        self.logged_again(message, 1).await
    }

    /// The `nth` line with this message (from 1), as soon as it is there.
    pub async fn logged_again(&mut self, message: &str, nth: usize) -> Value {
        let begun = Instant::now();
        loop {
            let ended = self.child.try_wait().unwrap();
            let mut lines = self.log().into_iter();
            let found = lines.by_ref().filter(|line| line["message"] == message);
            if let Some(line) = found.take(nth).nth(nth - 1) {
                return line;
            }
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "{message:?} was not logged ({ended:?}):\n{}",
                self.output()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends a signal by its short name (`TERM`).
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Ends it without a word, as the kernel or a power cut would.
    pub async fn kill(mut self) {
        self.child.kill().unwrap();
        self.exit().await;
    }

    /// Waits for its end and answers the exit code; none if a signal ended it.
    pub async fn exit(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.output()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// It runs.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Stops it with SIGTERM; it must end well.
    pub async fn stop(mut self) {
        self.signal("TERM");
        let code = self.exit().await;
        assert_eq!(code, Some(0), "{}", self.output());
    }

    /// Stops it without letting it drain. Two signals at once may be one to it, so the second follows when the first
    /// was heard.
    pub async fn stop_now(mut self) {
        self.signal("TERM");
        self.logged("stopping: nothing new is begun, what is in flight is finished")
            .await;
        // With nothing in flight it may be gone by now.
        if self.child.try_wait().unwrap().is_none() {
            self.signal("TERM");
        }
        self.exit().await;
    }

    /// A page of its HTTP server: status and text.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.address());
        let response = self.http.get(url).send();
        let response = response.await.expect("its HTTP server answers");
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The metrics page.
    pub async fn metrics(&self) -> String {
        let (status, page) = self.get("/metrics").await;
        assert_eq!(status, 200);
        page
    }

    /// The sum over all series of a metric whose labels contain these (`mode="observe"`).
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        sum(&self.metrics().await, name, labels)
    }

    /// Waits until a path is answered with this status.
    pub async fn answers(&self, path: &str, status: u16) {
        self.answers_within(path, status, PATIENCE).await;
    }

    /// The same, for what takes its time.
    pub async fn answers_within(&self, path: &str, status: u16, patience: Duration) {
        let begun = Instant::now();
        loop {
            let (seen, text) = self.get(path).await;
            if seen == status {
                return;
            }
            assert!(begun.elapsed() < patience, "{path}: {seen} {text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process of ours.
pub fn signal(pid: u32, name: &str) {
    let kill = format!("kill -{name} {pid}");
    let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(status.success(), "{kill}");
}

/// The sum over a page's series of this name whose labels contain all of these.
pub fn sum(page: &str, name: &str, labels: &[&str]) -> f64 {
    let full = format!("tesa_reconciler_{name}");
    let values: Vec<f64> = page
        .lines()
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (is, has) = series.split_once('{').unwrap_or((series, ""));
            let fits = is == full && labels.iter().all(|label| has.contains(label));
            fits.then(|| value.parse().unwrap())
        })
        .collect();
    assert!(!values.is_empty(), "no series {name} {labels:?}:\n{page}");
    values.iter().sum()
}
