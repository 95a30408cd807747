//! hiero-block-node#3168: sixty-four connections that only sat there kept `/livez` waiting for ten seconds.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::process::world::{Settings, World};
use crate::support::http;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_do_not_keep_a_prober_waiting() {
    let world = World::new(Settings::default()).await;
    let daemon = world.daemon().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(daemon.address()).await.unwrap());
    }
    let asked = Instant::now();
    let url = format!("http://{}/livez", daemon.address());
    let answer = http::client().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(asked.elapsed() < Duration::from_secs(1));
}
