//! The pages over real sockets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::health::Patience;
use super::server::{Limits, serve_within};
use super::*;
use crate::store::{SchemaState, StoreError};
use crate::telemetry::metrics::recorder;

const SOON: Duration = Duration::from_millis(30);
/// No test takes so long that an answer grows old meanwhile.
const PATIENCE: Patience = Patience {
    fresh_for: Duration::from_secs(3600),
    time_out: SOON,
};

/// What the world looks like to the pages under test.
#[derive(Clone, Default)]
struct World {
    stale: Arc<AtomicBool>,
    draining: CancellationToken,
    store: Arc<std::sync::Mutex<Behaviour>>,
    asked: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Default)]
enum Behaviour {
    #[default]
    Good,
    Down,
    Hung,
    Behind,
    Ahead,
}

impl World {
    fn with_store(behaviour: Behaviour) -> Self {
        let world = Self::default();
        *world.store.lock().unwrap() = behaviour;
        world
    }

    fn health(&self) -> Health {
        let (stale, world) = (Arc::clone(&self.stale), self.clone());
        let stale_loops: StaleLoops = Arc::new(move || {
            let stale = stale.load(Ordering::Relaxed);
            stale.then(|| "driver".to_owned()).into_iter().collect()
        });
        let check = move || -> BoxFuture<'static, _> {
            world.asked.fetch_add(1, Ordering::Relaxed);
            let behaviour = *world.store.lock().unwrap();
            Box::pin(async move {
                match behaviour {
                    Behaviour::Good => Ok(SchemaState::Current),
                    Behaviour::Behind => Ok(SchemaState::Behind { pending: 2 }),
                    Behaviour::Ahead => Ok(SchemaState::Ahead),
                    Behaviour::Hung => std::future::pending().await,
                    Behaviour::Down => Err(StoreError::Unavailable {
                        operation: "ping",
                        detail: "connection refused".to_owned(),
                    }),
                }
            })
        };
        Health::checking(
            stale_loops,
            Box::new(check),
            self.draining.clone(),
            PATIENCE,
        )
    }

    async fn served(&self, limits: Limits) -> Server {
        let pages = Arc::new(Pages {
            metrics: recorder().unwrap().handle(),
            store: StoreGauges::of_a_hung_store(SOON),
            health: self.health(),
        });
        let listener = bind(([127, 0, 0, 1], 0).into(), "[http].listen")
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve_within(
            limits,
            listener,
            router(pages),
            shutdown.clone(),
        ));
        Server {
            address,
            shutdown,
            task,
        }
    }

    async fn ask(&self, path: &str) -> (u16, String) {
        self.served(GENEROUS).await.get(path).await
    }
}

const GENEROUS: Limits = Limits {
    head_within: Duration::from_secs(30),
    connections: 8,
};

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Sends a request's text and answers everything that comes until the end.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        parts(&self.raw(&request).await)
    }
}

fn parts(answer: &str) -> (u16, String) {
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_head, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

#[tokio::test]
async fn livez_ok_while_store_is_down() {
    for behaviour in [Behaviour::Down, Behaviour::Hung] {
        let world = World::with_store(behaviour);
        assert_eq!(world.ask("/livez").await, (200, "ok\n".to_owned()));
        assert_eq!(
            world.asked.load(Ordering::Relaxed),
            0,
            "the store was asked"
        );
    }
}

#[tokio::test]
async fn a_loop_that_stands_still_is_named() {
    let world = World::default();
    world.stale.store(true, Ordering::Relaxed);
    assert_eq!(
        world.ask("/livez").await,
        (503, "the loop driver does not beat\n".to_owned())
    );
    assert_eq!(
        world.ask("/readyz").await.0,
        200,
        "liveness is not readiness"
    );
}

#[tokio::test]
async fn readyz_says_what_is_wrong_with_the_store() {
    for (behaviour, status, reason) in [
        (Behaviour::Good, 200, "ok\n"),
        (
            Behaviour::Down,
            503,
            "store: ping: the store can't be reached: connection refused\n",
        ),
        (
            Behaviour::Hung,
            503,
            "store: it did not answer within 30ms\n",
        ),
        (
            Behaviour::Behind,
            503,
            "store: 2 migrations are not applied (`tesa-reconciler migrate` applies them)\n",
        ),
        (
            Behaviour::Ahead,
            503,
            "store: its schema is newer than this program; start the newer one\n",
        ),
    ] {
        assert_eq!(
            World::with_store(behaviour).ask("/readyz").await,
            (status, reason.to_owned())
        );
    }
}

#[tokio::test]
async fn a_drain_is_seen_at_once_although_the_stores_answer_is_remembered() {
    let world = World::default();
    let server = world.served(GENEROUS).await;
    assert_eq!(server.get("/readyz").await.0, 200);
    world.draining.cancel();
    assert_eq!(
        server.get("/readyz").await,
        (503, "drain: the process is stopping\n".to_owned())
    );
    assert_eq!(
        world.asked.load(Ordering::Relaxed),
        1,
        "the store was asked again"
    );
}

#[tokio::test]
async fn verbose_lists_the_good_checks_too() {
    let world = World::with_store(Behaviour::Ahead);
    let (status, lines) = world.ask("/readyz?verbose").await;
    assert_eq!(status, 503);
    let names: Vec<&str> = lines
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(names, ["configuration", "store", "drain"]);
    assert!(lines.contains("drain: ok\n"), "{lines}");
}

#[tokio::test]
async fn metrics_answer_while_the_store_hangs_and_in_the_right_format() {
    let world = World::with_store(Behaviour::Hung);
    let server = world.served(GENEROUS).await;
    let answer = server
        .raw("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await;
    let lower = answer.to_lowercase();
    assert!(
        lower.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{answer}"
    );
    let (status, page) = parts(&answer);
    assert_eq!(status, 200);
    assert!(page.contains("\nprocess_cpu_seconds_total "), "{page}");
}

#[tokio::test]
async fn a_wrong_path_is_told_the_right_ones() {
    let (status, page) = World::default().ask("/").await;
    assert_eq!(status, 404);
    for path in ["/metrics", "/livez", "/readyz"] {
        assert!(page.contains(path), "{page}");
    }
}

#[tokio::test]
async fn only_reading_is_allowed_and_bodies_are_refused() {
    let server = World::default().served(GENEROUS).await;
    let bare = "POST /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(parts(&server.raw(bare).await).0, 405);
    let body = "GET /livez HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
    assert_eq!(parts(&server.raw(body).await).0, 413);
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off_and_gives_its_place_back() {
    let limits = Limits {
        head_within: SOON,
        connections: 1,
    };
    let server = World::default().served(limits).await;
    let answer = server.raw("GET /livez HTTP/1.1\r\nhost: local").await;
    assert!(!answer.contains("200"), "{answer}");
    assert_eq!(server.get("/livez").await.0, 200);
}

#[tokio::test]
async fn those_who_only_sit_there_make_room_for_a_prober() {
    let server = World::default().served(GENEROUS).await;
    let mut idle = Vec::new();
    // Some never speak, some stop in the middle of a head, some keep a connection that was answered.
    for said in [
        "",
        "GET /livez HTTP/1.1\r\nhost: lo",
        "GET /livez HTTP/1.1\r\nhost: l\r\n\r\n",
    ] {
        for _ in 0..GENEROUS.connections {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            idle.push(stream);
        }
        let asked = tokio::time::timeout(Duration::from_secs(1), server.get("/livez"));
        assert_eq!(asked.await.expect("within a second").0, 200, "{said:?}");
    }
}

#[tokio::test]
async fn a_stop_ends_the_server_although_a_client_keeps_its_connection() {
    let server = World::default().served(GENEROUS).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 15];
    idle.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    server.shutdown.cancel();
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_named_with_the_key_that_sets_it() {
    let taken = bind(([127, 0, 0, 1], 0).into(), "[http].listen")
        .await
        .unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address, "[http].listen")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("[http].listen"),
        "{error}"
    );
}
