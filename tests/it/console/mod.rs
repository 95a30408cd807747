//! The console over real sockets and a real store: what it shows, who may come, and what it refuses.

mod acts;
mod addresses;
mod door;
mod lists;
mod order;
mod overview;
mod passwords;
mod proxy;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;
use tesa_reconciler::clock::{ManualClock, SystemClock};
use tesa_reconciler::config::{self, Overrides};
use tesa_reconciler::console::{Console, Role, line, router};
use tesa_reconciler::http;
use tesa_reconciler::store::{self, Store, StoreOptions};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::LEAST;
use crate::store::values::at;
use crate::support::http::client;

/// Every page that is about no single thing.
pub const PAGES: [&str; 8] = [
    "/",
    "/people",
    "/orders",
    "/findings",
    "/attempts",
    "/runs",
    "/audit",
    "/system",
];

pub const PASSWORD: &str = "correct horse battery";

/// A console that is served, its store, and somebody with a browser.
pub struct House {
    pub dir: TempDir,
    pub store: Arc<dyn Store>,
    pub clock: Arc<ManualClock>,
    pub address: SocketAddr,
    browser: reqwest::Client,
    _open: DropGuard,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl House {
    /// Nobody is asked who they are.
    pub async fn open() -> Self {
        Self::with("").await
    }

    /// Ana may act, Eva may look; both have the same password.
    pub async fn asking() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let line = |name, role| line(name, PASSWORD, role, &SystemClock).unwrap();
        let lines = [line("ana", Role::Operator), line("eva", Role::Viewer)].join("\n");
        std::fs::write(dir.path().join("passwords"), lines).unwrap();
        let file = dir.path().join("passwords");
        Self::in_folder(dir, &format!("password_file = {file:?}")).await
    }

    /// `settings` are lines of `[console]`.
    pub async fn with(settings: &str) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), settings).await
    }

    async fn in_folder(dir: TempDir, settings: &str) -> Self {
        let url = format!("sqlite:{}", dir.path().join("state.db").display());
        let text = format!(
            "{LEAST}[state]\nurl = \"{url}\"\n[console]\ntimezone = \"Europe/Madrid\"\n{settings}\n"
        );
        let config = config::parse(&text, "t.toml", std::iter::empty(), &Overrides::default());
        let config = Arc::new(config.unwrap());
        let store = store::open(&url, &StoreOptions::default()).await.unwrap();
        store.migrate().await.unwrap();
        let clock = Arc::new(ManualClock::new(at(0), 7));
        let settings = config.console.clone().unwrap();
        let zone = settings.timezone.unwrap();
        let console = Console::new(
            Arc::new(move || Arc::clone(&config)),
            Arc::clone(&store),
            clock.clone(),
            zone,
        );
        let listener = http::bind(([127, 0, 0, 1], 0).into(), "[console].listen").await;
        let listener = listener.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let pages = router(console, &settings).unwrap();
        tokio::spawn(http::serve(listener, pages, stop.clone()));
        Self {
            dir,
            store,
            clock,
            address,
            browser: client(),
            _open: stop.drop_guard(),
        }
    }

    pub fn passwords(&self) -> PathBuf {
        self.dir.path().join("passwords")
    }

    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.browser.request(method, url)
    }

    /// As Ana, with the right password.
    pub fn as_ana(&self, method: Method, path: &str) -> RequestBuilder {
        self.ask(method, path).basic_auth("ana", Some(PASSWORD))
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.ask(Method::GET, path)).await
    }

    /// A page that must be there.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.text
    }
}

pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}
