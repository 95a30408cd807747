//! The real binary as a child process, on a sandbox in this process, with a service manager that listens.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tesa_reconciler::clock::SystemClock;
use tesa_reconciler::sandbox::{Effect, Fault, Running, Sandbox, SandboxConfig};

const PATIENCE: Duration = Duration::from_secs(60);

/// What the daemon said to the service manager, a datagram each.
pub struct Daemon {
    child: Child,
    socket: UnixDatagram,
    /// Its configuration.
    pub config: PathBuf,
    /// Where its HTTP server is, once it is ready.
    pub address: String,
    /// Its folder and its upstream last as long as it.
    _dir: TempDir,
    _sandbox: Running,
}

/// `jobs` is the end of the configuration.
pub async fn start(watchdog: Duration, jobs: &str) -> Daemon {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = sandbox().await;
    let account = dir.path().join("service-account.json");
    sandbox.write_service_account(&account).unwrap();
    let config = dir.path().join("tesa-reconciler.toml");
    let text = format!(
        "[tesamanager]\nbase_url = \"{}\"\norgs = [\"masmovil\", \"yoigo\"]\nservice_account_file = \
         \"service-account.json\"\nreads_per_second = 2000\nwrites_per_second = 20\n\
         [state]\nurl = \"sqlite:{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n{jobs}",
        sandbox.base_url(),
        dir.path().join("store.db").display(),
    );
    std::fs::write(&config, text).unwrap();
    // A new store, which some of them begin to act from.
    super::run_well(
        Command::new(env!("CARGO_BIN_EXE_tesa-reconciler"))
            .args(["state", "adopt", "--reason", "made for a test", "--config"])
            .arg(&config),
    );
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_tesa-reconciler"))
        .args(["run", "--config"])
        .arg(&config)
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut daemon = Daemon {
        child,
        socket,
        config,
        address: String::new(),
        _dir: dir,
        _sandbox: sandbox,
    };
    let ready = daemon.hears("READY=1");
    let address = ready.rsplit_once("http://").unwrap().1;
    daemon.address = address.trim().to_owned();
    daemon
}

async fn sandbox() -> Running {
    let config = SandboxConfig {
        orgs: vec!["masmovil".into(), "yoigo".into()],
        requests: 300,
        stuck_unsent: Some(10),
        faults: vec![
            Fault::new(Effect::Drop { applied: true })
                .on(&["writes"])
                .rate(0.2),
        ],
        ..SandboxConfig::default()
    };
    Sandbox::start(config, Arc::new(SystemClock), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap()
}

impl Daemon {
    /// The next datagram that begins with `word`; others are passed over.
    pub fn hears(&self, word: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        while Instant::now() < until {
            let mut buffer = [0; 1024];
            let length = self.socket.recv(&mut buffer).unwrap_or_else(|error| {
                panic!("the daemon does not say {word}, but {heard:?}: {error}")
            });
            let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if said.starts_with(word) {
                return said;
            }
            heard.push(said);
        }
        panic!("the daemon does not say {word}, but {heard:?}");
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        super::run_well(Command::new("kill").args([&format!("-{name}"), &pid]));
    }

    /// Waits for its end; the test's own limit is how long.
    pub fn end(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only matters where a test failed: an ended child can't be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
