//! A private PostgreSQL: its own directory, a Unix socket only, and everything as installed, so every commit is synced
//! to disk.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

/// Stopped when dropped, and by the kernel when this process is killed.
pub struct Postgres {
    home: TempDir,
    server: Child,
    next: AtomicU32,
}

impl Postgres {
    /// Makes a cluster and starts it.
    pub async fn start() -> Result<Self> {
        let home = tempfile::Builder::new().prefix("tesa-bench-pg").tempdir()?;
        // Root's server runs as somebody else.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777))?;
        let data = home.path().join("data");
        let made = command("initdb")?
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8"])
            .args(["--locale=C", "--no-instructions"])
            .output()?;
        if !made.status.success() {
            bail!("initdb: {}", String::from_utf8_lossy(&made.stderr));
        }
        let log = std::fs::File::create(home.path().join("log"))?;
        let server = command("postgres")?
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(home.path())
            .args(["-c", "listen_addresses="])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("postgres (Debian: apt-get install postgresql)")?;
        let postgres = Self {
            home,
            server,
            next: AtomicU32::new(0),
        };
        for _ in 0..600 {
            if PgConnection::connect(&postgres.url("postgres"))
                .await
                .is_ok()
            {
                return Ok(postgres);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("PostgreSQL did not start")
    }

    /// The URL of a new, empty database.
    pub async fn database(&self) -> Result<String> {
        let name = format!("bench_{}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&self.url("postgres")).await?;
        let create = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut admin)
            .await?;
        admin.close().await?;
        Ok(self.url(&name))
    }

    fn url(&self, database: &str) -> String {
        let home = self.home.path().display();
        format!("postgres://postgres@localhost/{database}?host={home}")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = self.server.id().to_string();
        // The fast way to stop; if it fails, the kernel stops it a moment later.
        let _ = Command::new("kill").args(["-s", "INT", &pid]).status();
        let _ = self.server.wait();
    }
}

/// One of the server's programs, as a user that it accepts: the newest of Debian's versions, or the search path's.
fn command(program: &str) -> Result<Command> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin").join(program)))
        })
        .max();
    let program = newest.map_or_else(|| program.into(), |(_, path)| path);
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self")?);
    let mut command = Command::new("setpriv");
    if uid == 0 {
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    }
    command.args(["--pdeathsig", "INT"]).arg(program);
    Ok(command)
}
