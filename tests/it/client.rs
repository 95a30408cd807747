//! The HTTP client as the rest of the program has it, against a server that watches how it is treated.
#![expect(clippy::unwrap_used, reason = "a test's helpers may panic too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::join_all;
use tesa_reconciler::clock::SystemClock;
use tesa_reconciler::config;
use tesa_reconciler::config::default_endpoints;
use tesa_reconciler::domain::ids::{Org, ReferenceId};
use tesa_reconciler::domain::{IdBatch, Status};
use tesa_reconciler::sandbox::{Effect, Fault, More, Sandbox, SandboxConfig};
use tesa_reconciler::tesamanager::{HttpTesamanager, ListFilter, ReadError, Tesamanager};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// The least that a request must say of itself.
const LEAST: &str =
    r#"{"status":"FINISHED","external_reference":"EXT-1","last_updated":"2026-03-01T00:00:00Z"}"#;

/// The folder holds the token, so it must live as long as the client.
fn client(
    url: &str,
    change: impl FnOnce(&mut config::Tesamanager),
) -> (HttpTesamanager, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token").unwrap();
    let mut settings = config::Tesamanager {
        base_url: url.to_owned(),
        orgs: vec![Org::from("masmovil")],
        credentials: config::Credentials::TokenFile(token),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        max_in_flight: Some(16),
        reads_per_second: 100_000,
        writes_per_second: 100,
        ca_file: None,
        max_list_ids: 2_000_000,
        max_list_bytes: 1 << 28,
        timezone: tesa_reconciler::zone::Zone::UTC,
        attributes: Default::default(),
        settle_time: std::time::Duration::from_secs(60),
        unsupported_filters: Vec::new(),
        endpoints: default_endpoints(),
    };
    change(&mut settings);
    (
        HttpTesamanager::new(&settings, Arc::new(SystemClock)).unwrap(),
        folder,
    )
}

/// A server that knows how many requests it holds at once. Raw, because it must count until the answer is out.
async fn watching(most: Arc<AtomicUsize>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let now = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
                let (reader, mut writer) = socket.into_split();
                let mut lines = BufReader::new(reader).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if !line.is_empty() {
                        continue;
                    }
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // Long enough for others to arrive; the test asserts a maximum, so it can't fail by chance.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    let length = LEAST.len();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{LEAST}");
                    writer.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn never_more_in_flight_than_the_cap() {
    let most = Arc::new(AtomicUsize::new(0));
    let url = watching(Arc::clone(&most)).await;
    let (client, _folder) = client(&url, |settings| settings.max_in_flight = Some(4));
    let (one, other) = (Org::from("masmovil"), Org::from("yoigo"));
    let id = ReferenceId::from("1");
    let calls = (0..100).map(|number| client.get_request([&one, &other][number % 2], &id));
    for outcome in join_all(calls).await {
        outcome.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn the_read_rate_holds_for_an_org() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_string(LEAST))
        .mount(&server)
        .await;
    let (client, _folder) = client(&server.uri(), |settings| settings.reads_per_second = 100);
    let (org, id) = (Org::from("masmovil"), ReferenceId::from("1"));
    let start = Instant::now();
    let calls = (0..30).map(|_| client.get_request(&org, &id));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    // One every 10 ms.
    assert!(start.elapsed() >= Duration::from_millis(285));
}

#[tokio::test]
async fn a_large_list_streams_in_batches_and_loses_no_id() {
    const IDS: usize = 100_000;
    let ids: Vec<_> = (0..IDS).map(|number| format!("REF-{number:08}")).collect();
    let server = MockServer::start().await;
    let body = serde_json::json!({"reference_ids": ids});
    Mock::given(method("GET"))
        .and(path("/tesa/orgs/masmovil/requests"))
        .and(query_param("statuses", "NOT_SENT,VALIDATING"))
        .and(header("authorization", "Bearer a-token"))
        .respond_with(ResponseTemplate::new(200).set_body_json(body))
        .expect(1)
        .mount(&server)
        .await;
    let (client, _folder) = client(&server.uri(), |_| {});
    let filter = ListFilter {
        statuses: Some(vec![Status::NotSent, Status::Validating]),
        ..ListFilter::default()
    };
    let org = Org::from("masmovil");
    let batches: Vec<_> = client
        .list_reference_ids(&org, &filter)
        .await
        .unwrap()
        .map(Result::unwrap)
        .collect()
        .await;
    assert!(batches.len() > 1, "it came in one piece");
    let read: Vec<_> = batches.iter().flat_map(IdBatch::iter).collect();
    assert_eq!(read, ids);
}

#[tokio::test]
async fn dropping_a_read_gives_its_slot_back() {
    let server = MockServer::start().await;
    Mock::given(path("/tesa/orgs/masmovil/requests/slow"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(60)))
        .mount(&server)
        .await;
    Mock::given(path("/tesa/orgs/masmovil/requests/quick"))
        .respond_with(ResponseTemplate::new(200).set_body_string(LEAST))
        .mount(&server)
        .await;
    let (client, _folder) = client(&server.uri(), |settings| settings.max_in_flight = Some(1));
    let org = Org::from("masmovil");
    let slow = ReferenceId::from("slow");
    let dropped = tokio::time::timeout(Duration::from_millis(100), client.get_request(&org, &slow));
    assert!(dropped.await.is_err());
    client
        .get_request(&org, &ReferenceId::from("quick"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_page_of_a_list_is_never_taken_for_the_list() {
    let config = SandboxConfig {
        requests: 200,
        speed: 0.0,
        tokens: vec!["a-token".to_owned()],
        ..SandboxConfig::default()
    };
    let anywhere = ([127, 0, 0, 1], 0).into();
    let sandbox = Sandbox::start(config, Arc::new(SystemClock), anywhere);
    let sandbox = sandbox.await.unwrap();
    let (client, _folder) = client(&sandbox.base_url(), |_| {});
    let org = Org::from("masmovil");
    let list = async || -> Result<usize, ReadError> {
        let all = ListFilter::default();
        let mut batches = client.list_reference_ids(&org, &all).await?;
        let mut count = 0;
        while let Some(batch) = batches.next().await {
            count += batch?.len();
        }
        Ok(count)
    };
    for (says, words) in [
        (More::Total, "there are 200 and holds 100"),
        (More::Count, "there are 200 and holds 100"),
        (More::Next, "\"next\""),
        (More::HasMore, "\"hasMore\""),
        (More::NextPage, "\"nextPage\""),
    ] {
        let page = Fault::new(Effect::Page { share: 0.5, says });
        sandbox.handle().set_faults(vec![page]).unwrap();
        let error = list().await.unwrap_err();
        assert!(matches!(error, ReadError::Contract { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let whole = Fault::new(Effect::Page {
        share: 1.0,
        says: More::Total,
    });
    for faults in [vec![whole], vec![]] {
        sandbox.handle().set_faults(faults).unwrap();
        assert_eq!(list().await.unwrap(), 200);
    }
}
