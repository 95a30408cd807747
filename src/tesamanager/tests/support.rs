//! A server whose every answer, or refusal to give one, is a line of the test: raw bytes on real sockets, because
//! what matters here (a cut, a reset, a silence) is what an HTTP library would hide.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::{ManualClock, SharedClock};
use crate::config;
use crate::config::default_endpoints;
use crate::domain::ids::{ExternalReference, Org, ReferenceId};
use crate::domain::write::{ByReference, Write};
use crate::reconcile::guard::WritePermit;
use crate::tesamanager::{Accepted, HttpTesamanager, Tesamanager as _, WriteError};

/// Made for these tests, and good for nothing else.
pub const TEST_KEY: &str = include_str!("test-only-key.pem");

/// One request as the server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which of the server's connections it came by.
    pub connection: usize,
    /// Method and target.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Seen {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers, and keeps the connection.
    Send(Vec<u8>),
    /// Sends these bytes and closes: cut, or nothing at all.
    Close(Vec<u8>),
    /// Sends these bytes, then nothing more, and keeps the connection.
    Hang(Vec<u8>),
    /// Sends the first bytes, then the others again and again, so far apart.
    Drip(Vec<u8>, Vec<u8>, Duration),
}

/// The least that a request must say of itself.
pub const LEAST: &str =
    r#"{"status":"FINISHED","external_reference":"EXT-1","last_updated":"2026-03-01T00:00:00Z"}"#;

/// A complete answer.
pub fn answer(status: u16, body: &str) -> Reply {
    with(status, "", body)
}

/// A complete answer with more headers (each ends with CRLF).
pub fn with(status: u16, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Send(
        format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
            .into_bytes(),
    )
}

/// A server on loopback; it ends with the test's runtime.
pub struct Server {
    /// Its address.
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Serves each request, counted from zero, by `script`.
    pub async fn start(script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(script), Arc::clone(&seen));
        tokio::spawn(async move {
            for connection in 0.. {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(
                    socket,
                    connection,
                    Arc::clone(&script),
                    Arc::clone(&log),
                ));
            }
        });
        Self { url, seen }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut socket: TcpStream,
    connection: usize,
    script: Arc<impl Fn(usize, &Seen) -> Reply>,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    while let Some(request) = read_request(&mut socket, connection).await {
        let number = {
            let mut log = log.lock().unwrap();
            log.push(request.clone());
            log.len() - 1
        };
        match script(number, &request) {
            Reply::Send(bytes) => drop(socket.write_all(&bytes).await),
            Reply::Close(bytes) => {
                drop(socket.write_all(&bytes).await);
                return;
            }
            Reply::Drip(first, then, apart) => {
                let mut sent = socket.write_all(&first).await;
                while sent.is_ok() {
                    tokio::time::sleep(apart).await;
                    sent = socket.write_all(&then).await;
                }
                return;
            }
            Reply::Hang(bytes) => {
                drop(socket.write_all(&bytes).await);
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn read_request(socket: &mut TcpStream, connection: usize) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let mut lines = head.split("\r\n");
            let line = lines
                .next()
                .unwrap()
                .trim_end_matches(" HTTP/1.1")
                .to_owned();
            let headers: Vec<_> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8(bytes[end + 4..end + 4 + length].to_vec()).unwrap();
                return Some(Seen {
                    connection,
                    line,
                    headers,
                    body,
                });
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// The folder holds the credentials, so it must live as long as the client.
pub struct Fixture {
    /// Under test.
    pub client: HttpTesamanager,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// With `token` or `account.json`.
    pub folder: tempfile::TempDir,
}

impl Fixture {
    /// Sends a write as the executor does: all that takes time before the permit is made.
    pub async fn write(&self, permit: WritePermit) -> Result<Accepted, WriteError> {
        let ready = self.client.prepare_write(&org()).await.unwrap();
        self.client.write(permit, ready).await
    }
}

/// Settings for a server, with a token file.
pub fn settings(url: &str, folder: &tempfile::TempDir) -> config::Tesamanager {
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token\n").unwrap();
    config::Tesamanager {
        base_url: url.to_owned(),
        orgs: vec![org()],
        credentials: config::Credentials::TokenFile(token),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        max_in_flight: Some(16),
        reads_per_second: 100_000,
        writes_per_second: 1_000,
        ca_file: None,
        max_list_ids: 2_000_000,
        max_list_bytes: 1 << 28,
        timezone: crate::zone::Zone::UTC,
        attributes: Default::default(),
        settle_time: std::time::Duration::from_secs(60),
        unsupported_filters: Vec::new(),
        endpoints: default_endpoints(),
    }
}

/// A client of a server, possibly with other settings.
pub fn client_with(url: &str, change: impl FnOnce(&mut config::Tesamanager)) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(url, &folder);
    change(&mut settings);
    let now = DateTime::from_timestamp(1_774_747_800, 0).unwrap();
    let clock = Arc::new(ManualClock::new(now, 7));
    let shared: SharedClock = clock.clone();
    let client = HttpTesamanager::new(&settings, shared).unwrap();
    Fixture {
        client,
        clock,
        folder,
    }
}

/// A client of a server.
pub fn client(url: &str) -> Fixture {
    client_with(url, |_| {})
}

/// A client that gets its token from `authn` by a service account.
pub fn client_with_account(url: &str, authn: &str) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = write_account(&folder, authn);
    let mut fixture = client_with(url, |settings| {
        settings.credentials = config::Credentials::ServiceAccountFile(path);
    });
    fixture.folder = folder;
    fixture
}

fn write_account(folder: &tempfile::TempDir, authn: &str) -> PathBuf {
    let path = folder.path().join("account.json");
    let account = json!({
        "private_key_id": "kid-1", "private_key": TEST_KEY, "client_email": "robot@example.com",
        "token_uri": format!("{authn}/v1/oauth/token"),
    });
    std::fs::write(&path, account.to_string()).unwrap();
    path
}

/// The tenant of these tests.
pub fn org() -> Org {
    Org::from("masmovil")
}

/// The request of these tests.
pub fn id() -> ReferenceId {
    ReferenceId::from("77")
}

/// Leave for the plainest write.
pub fn permit() -> WritePermit {
    let body = ByReference {
        external_reference: ExternalReference::from("EXT-1"),
    };
    WritePermit::for_test(org(), Write::CancelRequest(body))
}
