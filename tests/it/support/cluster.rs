//! A PostgreSQL of a test's own, for what no other test would survive: restarts, crashes, a server that is away.
//!
//! It never syncs to disk, like the one that the tests share, and forgets what it said was committed if it is let
//! (`synchronous_commit=off`): so what survives its crashes does so because the store asked for it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};

use super::postgres::{make_open_dir, must, server_command, socket_url, start, start_again, watch};

/// A running server. Stopped and removed with this value, or some seconds after this process.
pub struct Cluster {
    home: PathBuf,
    /// Held; its end is the watcher's sign.
    _in_use: File,
}

impl Cluster {
    /// A new one, empty.
    pub async fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (next, pid) = (NEXT.fetch_add(1, Ordering::Relaxed), std::process::id());
        // Short, because a socket's path may have no more than 107 bytes.
        let home = std::env::temp_dir().join(format!("tesa-pgc-{pid}-{next}"));
        make_open_dir(&home);
        let in_use = File::create(home.join("in-use")).unwrap();
        in_use.lock_shared().unwrap();
        File::create(home.join("last-use")).unwrap();
        let cluster = Self {
            home,
            _in_use: in_use,
        };
        cluster.blocking(|home| start(home, "")).await;
        watch(&cluster.home);
        cluster
    }

    /// Where its socket is.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where a store finds it.
    pub fn url(&self) -> String {
        socket_url(&self.home)
    }

    /// A connection past every store.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    /// The server dies and comes back.
    pub async fn restart(&self) {
        self.stop().await;
        self.start_again().await;
    }

    /// The server dies: no goodbye, no checkpoint.
    pub async fn stop(&self) {
        self.blocking(|home| must(&mut stopping(home))).await;
    }

    /// And comes back with what it had written.
    pub async fn start_again(&self) {
        self.blocking(|home| start_again(home, "")).await;
    }

    /// Ends every connection but the one that says so.
    pub async fn cut_connections(&self) {
        let mut admin = self.connect().await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
        sqlx::raw_sql(cut).execute(&mut admin).await.unwrap();
    }

    /// Waits until so many calls wait for somebody's lock.
    pub async fn waiting_for_locks(&self, count: i64) {
        let mut connection = self.connect().await;
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        loop {
            let row = sqlx::query(waiting).fetch_one(&mut connection).await;
            if row.unwrap().get::<i64, _>(0) >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn blocking(&self, work: impl FnOnce(&Path) + Send + 'static) {
        let home = self.home.clone();
        tokio::task::spawn_blocking(move || work(&home))
            .await
            .unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may be stopped already, and a test that failed has said more important things.
        let _ = stopping(&self.home).output();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn stopping(home: &Path) -> std::process::Command {
    let mut command = server_command("pg_ctl");
    command
        .arg("-D")
        .arg(home.join("data"))
        .args(["-m", "immediate", "-w", "-t", "60", "stop"]);
    command
}
