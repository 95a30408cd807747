//! A PostgreSQL for the tests: the one that `TEST_DATABASE_URL` names, else a private cluster that the first test to
//! need it starts. There is always one, or the test fails and says what to install: a back end that nobody tested is
//! none.
//!
//! With cargo-nextest every test is a process, and a cluster for each would take a second. So all share one: whoever
//! uses it holds a shared lock on a file, and a small shell script beside the server takes that lock for itself once
//! nobody does, stops the server and removes it. It listens on a Unix socket only and syncs nothing to disk.
//! A test's database is a copy of one that was migrated once, so it costs a tenth of a second.
//!
//! `POSTGRES_BIN` names the folder of another server's programs (`initdb`, `pg_ctl`, `postgres`), to run the same tests on
//! another version: see `tests/postgres-versions`.

pub mod tls;

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use tesa_reconciler::store::{self, StoreOptions};

const HOW_TO: &str = "these tests need PostgreSQL: install it (Debian: `apt-get install postgresql`; `tests/run --install` does), \
                      or name a server where databases may be made in TEST_DATABASE_URL";

/// A test's own database, removed with this value.
pub struct Database {
    name: String,
    server: Server,
}

/// A server, as long as this value lives.
#[derive(Clone)]
pub struct Server {
    /// Of its maintenance database.
    url: String,
}

impl Database {
    /// A migrated one.
    pub async fn migrated() -> Self {
        let server = Server::shared();
        let template = server.template().await;
        Self::create(server, &format!("TEMPLATE {template}")).await
    }

    /// An empty one.
    pub async fn empty() -> Self {
        Self::create(Server::shared(), "").await
    }

    /// One with all that is in another, which nobody is connected to.
    pub async fn copy_of(other: &Self) -> Self {
        other.cut_connections().await;
        Self::create(other.server.clone(), &format!("TEMPLATE {}", other.name)).await
    }

    async fn create(server: Server, how: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tesa_test_{}_{next}", std::process::id());
        let mut admin = server.connect().await;
        // Left over from a process of the same number that was killed.
        run(
            &mut admin,
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        )
        .await;
        run(&mut admin, format!("CREATE DATABASE {name} {how}")).await;
        Self { name, server }
    }

    /// Where a store finds it.
    pub fn url(&self) -> String {
        self.server.url_of(&self.name)
    }

    /// A connection past every store.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    /// Sets something for every connection that is made from now on.
    pub async fn set(&self, setting: &str) {
        let mut admin = self.server.connect().await;
        run(
            &mut admin,
            format!("ALTER DATABASE {} SET {setting}", self.name),
        )
        .await;
    }

    /// Ends every other connection to it, as a restart of the server does.
    pub async fn cut_connections(&self) {
        let mut admin = self.server.connect().await;
        let cut = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        );
        run(&mut admin, cut).await;
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A value is dropped outside of any await; another thread may wait.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut admin = server.connect().await;
                run(
                    &mut admin,
                    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
                )
                .await;
            });
        });
        if dropping.join().is_err() && !std::thread::panicking() {
            panic!("the database {} could not be dropped", self.name);
        }
    }
}

async fn run(connection: &mut PgConnection, statement: String) {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.clone()))
        .execute(connection)
        .await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

impl Server {
    /// The one for all tests.
    pub fn shared() -> Self {
        static SHARED: OnceLock<(Server, Option<File>)> = OnceLock::new();
        SHARED.get_or_init(shared).0.clone()
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}; {HOW_TO}", self.url))
    }

    fn url_of(&self, database: &str) -> String {
        let options: sqlx::postgres::PgConnectOptions = self.url.parse().unwrap();
        let mut url = options.to_url_lossy();
        url.set_path(database);
        url.to_string()
    }

    /// The name of a migrated database that nobody is connected to, made when there is none for these migrations.
    async fn template(&self) -> String {
        let mut hasher = DefaultHasher::new();
        for file in std::fs::read_dir("migrations/postgres").unwrap() {
            let path = file.unwrap().path();
            (path.file_name(), std::fs::read(&path).unwrap()).hash(&mut hasher);
        }
        let name = format!("tesa_template_{:016x}", hasher.finish());
        let mut admin = self.connect().await;
        run(&mut admin, "SELECT pg_advisory_lock(5465)".to_owned()).await;
        let there = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1").bind(&name);
        if there.fetch_optional(&mut admin).await.unwrap().is_none() {
            let making = format!("{name}_making");
            run(
                &mut admin,
                format!("DROP DATABASE IF EXISTS {making} WITH (FORCE)"),
            )
            .await;
            // Another locale than bytes, where the server can: what is sorted must not depend on it.
            let version: i32 = sqlx::query("SELECT current_setting('server_version_num')::int")
                .fetch_one(&mut admin)
                .await
                .unwrap()
                .get(0);
            let how = if version >= 150_000 {
                "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'es'"
            } else {
                "TEMPLATE template0"
            };
            run(
                &mut admin,
                format!("CREATE DATABASE {making} ENCODING 'UTF8' {how}"),
            )
            .await;
            let store = store::open(&self.url_of(&making), &StoreOptions::default())
                .await
                .unwrap();
            store.migrate().await.unwrap();
            store.close().await;
            run(
                &mut admin,
                format!("ALTER DATABASE {making} RENAME TO {name}"),
            )
            .await;
        }
        admin.close().await.unwrap();
        name
    }
}

/// The server and, for a private one, the lock that keeps it up.
fn shared() -> (Server, Option<File>) {
    if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
        return (Server { url }, None);
    }
    let home = home();
    let open = |name: &str| {
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(home.join(name))
            .unwrap()
    };
    let in_use = open("in-use");
    in_use.lock_shared().unwrap();
    let starting = open("starting");
    starting.lock().unwrap();
    File::create(home.join("last-use")).unwrap();
    if !socket_answers(&home) {
        start(&home, "");
        watch(&home);
    }
    (
        Server {
            url: socket_url(&home),
        },
        Some(in_use),
    )
}

/// One place for one checkout, one server and one user; short, because a socket's path may have no more than 107 bytes.
fn home() -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (env!("CARGO_MANIFEST_DIR"), std::env::var_os("POSTGRES_BIN")).hash(&mut hasher);
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    let home = std::env::temp_dir().join(format!("tesa-pg-{uid}-{:08x}", hasher.finish() as u32));
    make_open_dir(&home);
    home
}

pub(super) fn make_open_dir(path: &Path) {
    std::fs::create_dir_all(path).unwrap();
    if is_root() {
        // The server runs as somebody else then.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

pub(super) fn socket_url(home: &Path) -> String {
    format!(
        "postgres://postgres@localhost/postgres?host={}",
        home.display()
    )
}

fn socket_answers(home: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(home.join(".s.PGSQL.5432")).is_ok()
}

/// Where initdb and pg_ctl are: where we are told, or the newest of Debian's versions, or the search path's.
fn binaries() -> PathBuf {
    if let Some(told) = std::env::var_os("POSTGRES_BIN") {
        return told.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = || std::env::split_paths(&path).find(|dir| dir.join("initdb").exists());
    found
        .pop()
        .map(|(_, bin)| bin)
        .or_else(in_path)
        .unwrap_or_else(|| panic!("{HOW_TO}"))
}

/// A server's program, as a user that it accepts.
pub fn server_command(program: &str) -> Command {
    let program = binaries().join(program);
    if is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
            .arg(program);
        command
    } else {
        Command::new(program)
    }
}

pub(super) fn must(command: &mut Command) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes a new cluster in `home` and starts it.
pub(super) fn start(home: &Path, settings: &str) {
    let data = home.join("data");
    if data.exists() {
        std::fs::remove_dir_all(&data).unwrap();
    }
    must(server_command("initdb").arg("-D").arg(&data).args([
        "-U",
        "postgres",
        "-A",
        "trust",
        "-N",
        "-E",
        "UTF8",
        "--locale=C",
    ]));
    start_again(home, settings);
}

/// Starts the cluster that is there.
pub(super) fn start_again(home: &Path, settings: &str) {
    let options = format!(
        "-k {} -c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
         -c max_connections=400 -c shared_buffers=64MB -c autovacuum=off {settings}",
        home.display()
    );
    // A file and no pipe: the server keeps what it inherits, and a pipe would never end.
    must(
        server_command("pg_ctl")
            .arg("-D")
            .arg(home.join("data"))
            .args(["-w", "-s", "-t", "60", "-l"])
            .arg(home.join("data/log"))
            .args(["-o", &options, "start"]),
    );
}

/// Stops and removes the cluster when nobody has used it for some seconds.
pub(super) fn watch(home: &Path) {
    let stop = format!(
        "{:?}",
        server_command("pg_ctl")
            .arg("-D")
            .arg(home.join("data"))
            .args(["-m", "immediate", "stop"])
    );
    let script = format!(
        r#"cd '{home}' || exit
        exec 9<>in-use
        while sleep 2; do
            flock -n -x 9 || continue
            if [ -z "$(find last-use -newermt '-10 seconds')" ]; then
                {stop}
                rm -rf data
                exit
            fi
            flock -u 9
        done"#,
        home = home.display()
    );
    // In a group of its own, so that it outlives the test that started it.
    #[expect(
        clippy::zombie_processes,
        reason = "it ends after this process, by itself"
    )]
    let _watcher = Command::new("bash")
        .arg("-c")
        .arg(script)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
}
