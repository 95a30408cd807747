//! Whatever is typed into the address: an answer in words, and never a fault of ours.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::House;

/// What a browser, or somebody who is not one, may send as an address.
fn address() -> impl Strategy<Value = String> {
    let known = prop::sample::select(
        &[
            "/",
            "/system",
            "/people",
            "/orders",
            "/orders/masmovil/",
            "/orders/masmovil/ref-1",
            "/findings",
            "/attempts",
            "/runs",
            "/audit",
            "/assets/",
        ][..],
    );
    let part = prop::sample::select(
        &[
            "a",
            "%00",
            "%ff%fe",
            "..",
            "%2e%2e",
            "//",
            ";",
            "'",
            "\"",
            "<script>",
            "%",
            "%zz",
            "\u{e9}",
            "-1",
            "%20",
            "99999999999999999999",
            "1970-13-45",
            "\\",
            "{}",
            "[]",
            "%F0%9F%98%80",
            "=",
            "&",
            "+",
        ][..],
    );
    let path = prop::collection::vec(part.clone(), 0..6).prop_map(|parts| parts.join("/"));
    let key = prop::sample::select(
        &[
            "search",
            "org",
            "status",
            "job",
            "since",
            "until",
            "after",
            "before",
            "sort",
            "kind",
            "state",
            "attention",
            "rule",
            "detail",
            "acknowledged",
            "group_by",
            "run",
            "who",
            "action",
            "outcome",
            "limit",
            "format",
            "x",
        ][..],
    );
    let pair = (key, prop::collection::vec(part, 0..3));
    let pairs = prop::collection::vec(pair, 0..5).prop_map(|pairs| {
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| format!("{key}={}", value.concat()));
        pairs.collect::<Vec<_>>().join("&")
    });
    (known, path, pairs)
        .prop_map(|(known, path, pairs)| format!("{known}{path}?{pairs}").replace(' ', "%20"))
}

/// Sends it as it is: a client would mend it.
async fn status(house: &House, address: &str) -> u16 {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let request = format!("GET {address} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1);
    status
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{address}: {answer}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_address_is_a_fault() {
    let house = House::open().await;
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(Config {
            cases: 400,
            failure_persistence: None,
            ..Config::default()
        });
        runner
            .run(&address(), |address| {
                let status = handle.block_on(status(&house, &address));
                prop_assert!(status < 500, "{}: {}", address, status);
                Ok(())
            })
            .unwrap();
    });
}
