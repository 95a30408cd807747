//! A PostgreSQL server of one test's own, for a test that takes the server away.

use std::fs::File;
use std::path::Path;

use tempfile::TempDir;

use super::postgres::{make_open_dir, must, server_command, socket_url, start, start_again, watch};

/// Running until it is stopped, and gone with this value.
pub struct Cluster {
    home: TempDir,
    /// While it is locked, the watcher lets the server be; a test that is killed unlocks it.
    _in_use: File,
}

impl Cluster {
    /// Makes and starts one.
    pub fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        make_open_dir(home.path());
        let in_use = File::create(home.path().join("in-use")).unwrap();
        in_use.lock_shared().unwrap();
        File::create(home.path().join("last-use")).unwrap();
        start(home.path(), "");
        watch(home.path());
        Self {
            home,
            _in_use: in_use,
        }
    }

    /// Its maintenance database, which is empty.
    pub fn url(&self) -> String {
        socket_url(self.home.path())
    }

    /// Takes it away: connections end, and new ones are refused.
    pub fn stop(&self) {
        stop(self.home.path(), "fast");
    }

    /// Brings it back.
    pub fn start_again(&self) {
        start_again(self.home.path(), "");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.home.path().join("data/postmaster.pid").exists() {
            stop(self.home.path(), "immediate");
        }
    }
}

fn stop(home: &Path, how: &str) {
    must(
        server_command("pg_ctl")
            .arg("-D")
            .arg(home.join("data"))
            .args(["-w", "-s", "-m", how, "stop"]),
    );
}
