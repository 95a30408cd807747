//! A child process: its lines, and what the kernel says of its memory and its time.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The longest that a line is waited for: a sweep of a million on a busy machine.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// What `/proc` counts time in, on every Linux that there is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Killed when dropped, and by the kernel when this process is killed.
pub struct Process {
    child: Child,
    lines: UnboundedReceiver<String>,
    said: String,
}

impl Process {
    /// Starts it in `dir`.
    pub fn start(program: &Path, arguments: &[&str], dir: &Path) -> Result<Self> {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(arguments)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {}", program.display()))?;
        let stderr = child.stderr.take().context("no stderr")?;
        let (told, lines) = unbounded_channel();
        // Ends with the child, or when nobody listens any more.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            lines,
            said: String::new(),
        })
    }

    /// The next line that has `text` in it.
    pub async fn line(&mut self, text: &str) -> Result<String> {
        let found = async {
            while let Some(line) = self.lines.recv().await {
                if line.contains(text) {
                    self.said.clear();
                    return Ok(line);
                }
                self.said = format!("{}\n{line}", self.said);
            }
            bail!("it ended without saying {text:?}:{}", self.said)
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .with_context(|| format!("it never said {text:?}"))?
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) -> Result<()> {
        let pid = self.child.id().to_string();
        if !Command::new("kill")
            .args(["-s", name, &pid])
            .status()?
            .success()
        {
            bail!("kill -s {name} failed");
        }
        Ok(())
    }

    /// Ends it in good order. Blocks for that long.
    pub fn stop(&mut self) -> Result<()> {
        self.signal("TERM")?;
        let ended = self.child.wait()?;
        if !ended.success() {
            bail!("it ended with {ended}");
        }
        Ok(())
    }

    /// User and system time so far.
    pub fn cpu(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name stands in parentheses and may hold anything; 14 and 15 count from before it.
        let (_, rest) = text.rsplit_once(')').context("/proc/PID/stat")?;
        let ticks = rest.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
    }

    /// Resident memory in MB: `VmRSS` now, `VmHWM` at most so far.
    pub fn memory(&self, key: &str) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find(|line| line.starts_with(key));
        let kb = line.and_then(|line| line.split_whitespace().nth(1));
        let kb: f64 = kb.context("/proc/PID/status")?.parse()?;
        Ok(kb / 1_024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
