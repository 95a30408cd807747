//! A server of its own that takes nobody without TLS and a password.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;

use super::{make_open_dir, must, server_command, start_again};

/// For 127.0.0.1 and no other name, with its key.
const CERTIFICATE: &str = include_str!("../../../../src/tesamanager/tests/test-only-server.pem");
const CA: &str = include_str!("../../../../src/tesamanager/tests/test-only-ca.pem");
const OTHER_CA: &str = include_str!("test-only-other-ca.pem");

/// What the server's user `postgres` has to say.
pub const PASSWORD: &str = "right-CANARY-password";

const RULES: &str = "
local   all all           trust
hostssl all all 0.0.0.0/0 scram-sha-256
hostssl all all ::/0      scram-sha-256
";

/// It runs as long as this value lives, and listens on loopback.
pub struct TlsServer {
    home: TempDir,
    port: u16,
}

impl TlsServer {
    pub fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        make_open_dir(home.path());
        let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
        write("ca.pem", CA);
        write("other-ca.pem", OTHER_CA);
        write("password", PASSWORD);
        let data = home.path().join("data");
        must(
            server_command("initdb")
                .arg("-D")
                .arg(&data)
                .args(["-U", "postgres", "-A", "scram-sha-256", "-N", "-E", "UTF8"])
                .args(["--locale=C", "--pwfile"])
                .arg(home.path().join("password")),
        );
        std::fs::write(data.join("pg_hba.conf"), RULES).unwrap();
        keep_secret(&data.join("server.pem"), &data);
        let port = free_port();
        start_again(
            home.path(),
            &format!(
                "-c listen_addresses=127.0.0.1 -c port={port} -c ssl=on \
                 -c ssl_cert_file=server.pem -c ssl_key_file=server.pem"
            ),
        );
        Self { home, port }
    }

    /// A file beside the data: `ca.pem`, `other-ca.pem`, `password`.
    pub fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    /// A store there, asked by this name of the machine and with these options.
    pub fn url(&self, host: &str, options: &str) -> String {
        format!(
            "postgres://postgres@{host}:{}/postgres?{options}",
            self.port
        )
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let data = self.home.path().join("data");
        let stopped = server_command("pg_ctl")
            .arg("-D")
            .arg(data)
            .args(["-m", "immediate", "-s", "stop"])
            .stdin(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) && !std::thread::panicking() {
            panic!(
                "the server in {} could not be stopped",
                self.home.path().display()
            );
        }
    }
}

/// The server insists that its key is its own and nobody else may read it.
fn keep_secret(file: &Path, like: &Path) {
    std::fs::write(file, CERTIFICATE).unwrap();
    std::fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    let owner = std::fs::metadata(like).unwrap();
    chown(file, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// Nobody else's for now; somebody may take it before the server does, which then says so.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
