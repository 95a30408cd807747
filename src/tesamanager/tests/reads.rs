//! Reads: classes of failure, retries and their budget, and the streamed list.

use std::time::{Duration, Instant};

use futures::StreamExt as _;

use super::support::{Fixture, LEAST, Reply, Server, answer, client, client_with, id, org, with};
use crate::tesamanager::{ListFilter, ReadError, Tesamanager, WriteError};

async fn read(fixture: &Fixture) -> Result<String, ReadError> {
    let read = fixture.client.get_request(&org(), &id()).await;
    read.map(|request| request.seen.status.to_string())
}

/// All ids of the list, and how it ended.
async fn list(fixture: &Fixture) -> (Vec<String>, Option<ReadError>) {
    let mut ids = Vec::new();
    let filter = ListFilter::default();
    let mut stream = match fixture.client.list_reference_ids(&org(), &filter).await {
        Ok(stream) => stream,
        Err(error) => return (ids, Some(error)),
    };
    while let Some(batch) = stream.next().await {
        match batch {
            Ok(batch) => ids.extend(batch.iter().map(str::to_owned)),
            Err(error) => return (ids, Some(error)),
        }
    }
    (ids, None)
}

#[tokio::test]
async fn a_hiccup_is_asked_again_and_a_definite_answer_is_not() {
    let unhappy = [
        ("500", answer(500, ""), 2),
        ("503", with(503, "Retry-After: 0\r\n", ""), 2),
        ("429", with(429, "Retry-After: 0\r\n", ""), 2),
        ("closed", Reply::Close(vec![]), 2),
        ("400", answer(400, ""), 1),
        ("403", answer(403, ""), 1),
        ("404", answer(404, ""), 1),
        ("406", answer(406, ""), 1),
        ("302", with(302, "Location: /elsewhere\r\n", ""), 1),
        ("garbled", answer(200, "<html>"), 1),
    ];
    for (case, first, calls) in unhappy {
        let server = Server::start(move |number, _| match number {
            0 => first.clone(),
            _ => answer(200, LEAST),
        })
        .await;
        let outcome = read(&client(&server.url)).await;
        assert_eq!(server.seen().len(), calls, "{case}: {outcome:?}");
        assert_eq!(outcome.is_ok(), calls == 2, "{case}: {outcome:?}");
    }
}

#[tokio::test]
async fn failures_are_told_by_what_can_be_done_about_them() {
    type Expected = fn(&ReadError) -> bool;
    let no_gzip = with(200, "Content-Encoding: gzip\r\n", "{}");
    let too_large = answer(200, &format!("{{\"x\":\"{}\"}}", "x".repeat(17 << 20)));
    let contract: Expected = |error| matches!(error, ReadError::Contract { .. });
    let cases: [(Reply, Expected); 9] = [
        (no_gzip, contract),
        (too_large, contract),
        (answer(500, ""), |error| {
            matches!(error, ReadError::Transient { .. })
        }),
        (answer(404, ""), |error| {
            matches!(error, ReadError::NotFound { .. })
        }),
        (answer(400, r#"{"code":"E1"}"#), |error| {
            matches!(error, ReadError::Refused { http_status: 400, problem, .. }
                if problem.code == Some("E1".into()))
        }),
        (with(307, "Location: /elsewhere\r\n", ""), |error| {
            matches!(
                error,
                ReadError::Refused {
                    http_status: 307,
                    ..
                }
            )
        }),
        (with(429, "Retry-After: 1800\r\n", ""), |error| {
            matches!(error, ReadError::Throttled { retry_after: Some(after), .. }
                if after.as_secs() == 1800)
        }),
        (answer(200, r#"{"reference_id":"another"}"#), |error| {
            matches!(error, ReadError::Contract { .. })
        }),
        (answer(204, ""), |error| {
            matches!(error, ReadError::Contract { .. })
        }),
    ];
    for (reply, expected) in cases {
        let server = Server::start(move |_, _| reply.clone()).await;
        let error = read(&client(&server.url)).await.unwrap_err();
        assert!(expected(&error), "{error:?}");
    }
}

#[tokio::test]
async fn an_outage_gets_a_tenth_of_retries_not_a_multiple() {
    let server = Server::start(|_, _| with(503, "Retry-After: 0\r\n", "")).await;
    let fixture = client(&server.url);
    while fixture.client.budget.withdraw() {}
    for _ in 0..30 {
        assert!(read(&fixture).await.is_err());
    }
    assert_eq!(server.seen().len(), 30 + 3);
}

/// hyperium/hyper#2136: a server closed after each answer without a word of it, and the circuit opened.
#[tokio::test]
async fn a_kept_connection_that_is_dead_costs_no_retry() {
    let known = std::sync::Mutex::new(std::collections::HashSet::new());
    let server = Server::start(move |_, request| {
        if known.lock().unwrap().insert(request.connection) {
            answer(200, LEAST)
        } else {
            Reply::Close(vec![])
        }
    })
    .await;
    let fixture = client(&server.url);
    while fixture.client.budget.withdraw() {}
    for _ in 0..8 {
        read(&fixture).await.unwrap();
    }
    let closed = server.seen().len() - 8;
    assert!(closed > 0, "no connection was used twice");
}

#[tokio::test]
async fn a_server_that_breaks_off_on_fresh_connections_too_is_unwell() {
    let server = Server::start(|number, _| match number {
        0 => answer(200, LEAST),
        _ => Reply::Close(vec![]),
    })
    .await;
    let fixture = client(&server.url);
    while fixture.client.budget.withdraw() {}
    read(&fixture).await.unwrap();
    let error = read(&fixture).await.unwrap_err();
    assert!(error.is_ill_health(), "{error}");
    assert_eq!(server.seen().len(), 1 + 2);
}

#[tokio::test]
async fn a_hang_ends_with_the_time_out() {
    let server = Server::start(|_, _| Reply::Hang(vec![])).await;
    let fixture = client_with(&server.url, |settings| {
        settings.request_timeout = Duration::from_millis(50);
    });
    let start = Instant::now();
    let error = read(&fixture).await.unwrap_err();
    assert!(
        matches!(&error, ReadError::Transient { detail, .. } if detail.contains("within")),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_429_pauses_the_whole_org_for_as_long_as_asked() {
    let server = Server::start(|number, _| match number {
        0 => with(429, "Retry-After: 1\r\n", ""),
        _ => answer(200, LEAST),
    })
    .await;
    let fixture = client(&server.url);
    let start = Instant::now();
    read(&fixture).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn calls_share_connections_and_carry_their_own_correlation_id() {
    let server = Server::start(|_, _| answer(200, LEAST)).await;
    let fixture = client(&server.url);
    for _ in 0..3 {
        read(&fixture).await.unwrap();
    }
    let seen = server.seen();
    assert!(seen.iter().all(|request| request.connection == 0));
    let ids: std::collections::HashSet<_> = seen
        .iter()
        .map(|request| request.header("request-correlation-id").unwrap())
        .collect();
    assert_eq!(ids.len(), 3);
    let agent = format!("tesa-reconciler/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(seen[0].header("user-agent"), Some(agent.as_str()));
    assert_eq!(seen[0].header("authorization"), Some("Bearer a-token"));
    assert_eq!(seen[0].header("accept"), Some("application/json"));
}

#[tokio::test]
async fn the_upstreams_clock_is_compared_with_ours() {
    let date = "Date: Sun, 29 Mar 2026 01:31:30 GMT\r\n";
    let server = Server::start(move |_, _| with(200, date, LEAST)).await;
    let fixture = client(&server.url);
    assert_eq!(fixture.client.clock_skew(), None);
    read(&fixture).await.unwrap();
    assert_eq!(
        fixture.client.clock_skew(),
        Some(chrono::TimeDelta::seconds(90))
    );
}

fn chunked(parts: &[&str], last: bool) -> Vec<u8> {
    let mut bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for part in parts {
        bytes.push_str(&format!("{:x}\r\n{part}\r\n", part.len()));
    }
    if last {
        bytes.push_str("0\r\n\r\n");
    }
    bytes.into_bytes()
}

#[tokio::test]
async fn a_list_comes_whole_or_with_an_error_at_its_end() {
    type Expected = (usize, fn(&Option<ReadError>) -> bool);
    let whole: fn(&Option<ReadError>) -> bool = Option::is_none;
    let transient: fn(&Option<ReadError>) -> bool =
        |error| matches!(error, Some(ReadError::Transient { .. }));
    let contract: fn(&Option<ReadError>) -> bool =
        |error| matches!(error, Some(ReadError::Contract { .. }));
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n[\"A\",\"B\"]".to_vec();
    let until_close = b"HTTP/1.1 200 OK\r\n\r\n[\"A\",\"B".to_vec();
    let cases: [(&str, Reply, Expected); 9] = [
        (
            "in pieces",
            Reply::Send(chunked(&["[\"A", "\",", "\"B\"]"], true)),
            (2, whole),
        ),
        (
            "wrapped",
            answer(200, r#"{"reference_ids":[1,{"referenceId":"B"}]}"#),
            (2, whole),
        ),
        ("empty", answer(200, "[]"), (0, whole)),
        (
            "cut chunks",
            Reply::Close(chunked(&["[\"A\",\"B\"]"], false)),
            (2, transient),
        ),
        ("cut length", Reply::Close(cut), (2, transient)),
        ("cut by closing", Reply::Close(until_close), (1, transient)),
        (
            "still",
            Reply::Hang(chunked(&["[\"A\","], false)),
            (1, transient),
        ),
        ("trailing", answer(200, r#"["A"]["B"]"#), (1, contract)),
        (
            "an error with a 200",
            answer(200, r#"{"code":"E","title":"T"}"#),
            (0, contract),
        ),
    ];
    for (case, reply, (count, ended)) in cases {
        let server = Server::start(move |_, _| reply.clone()).await;
        let fixture = client_with(&server.url, |settings| {
            settings.request_timeout = Duration::from_millis(200);
        });
        let (ids, error) = list(&fixture).await;
        assert!(
            ids.len() == count && ended(&error),
            "{case}: {ids:?} {error:?}"
        );
    }
}

#[tokio::test]
async fn empty_selection_selects_nothing() {
    let server = Server::start(|_, _| answer(200, r#"["A"]"#)).await;
    let fixture = client(&server.url);
    let nothing = ListFilter {
        statuses: Some(vec![]),
        ..ListFilter::default()
    };
    let stream = fixture
        .client
        .list_reference_ids(&org(), &nothing)
        .await
        .unwrap();
    assert_eq!(stream.count().await, 0);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_list_that_is_being_read_does_not_block_the_reads_about_its_ids() {
    let server = Server::start(|_, request| {
        if request.line.ends_with("/requests") {
            Reply::Hang(chunked(
                &[&format!("[{}\"Z\",", "\"A\",".repeat(2000))],
                false,
            ))
        } else {
            answer(200, LEAST)
        }
    })
    .await;
    let fixture = client_with(&server.url, |settings| settings.max_in_flight = Some(1));
    let filter = ListFilter::default();
    let mut stream = fixture
        .client
        .list_reference_ids(&org(), &filter)
        .await
        .unwrap();
    assert!(stream.next().await.unwrap().unwrap().len() >= 1024);
    read(&fixture).await.unwrap();
}

#[tokio::test]
async fn an_id_that_makes_no_address_asks_nobody() {
    let server = Server::start(|_, _| answer(200, "[]")).await;
    let fixture = client(&server.url);
    for id in ["", ".", ".."] {
        let error = fixture
            .client
            .get_request(&org(), &id.into())
            .await
            .unwrap_err();
        assert!(matches!(error, ReadError::Contract { .. }), "{error}");
    }
    assert!(server.seen().is_empty());
}

/// The list's chunks for as long as somebody reads them.
fn endless(chunk: &str, apart: Duration) -> Reply {
    Reply::Drip(
        chunked(&["[\"A\""], false),
        format!("{:x}\r\n{chunk}\r\n", chunk.len()).into_bytes(),
        apart,
    )
}

#[tokio::test]
async fn a_list_that_drips_is_cut() {
    let server = Server::start(|_, _| endless(" ", Duration::from_millis(10))).await;
    let fixture = client_with(&server.url, |settings| {
        settings.request_timeout = Duration::from_millis(300);
    });
    let begun = Instant::now();
    let (_, error) = list(&fixture).await;
    let took = begun.elapsed();
    assert!(
        matches!(&error, Some(ReadError::Transient { detail, .. }) if detail.contains("too slowly")),
        "{error:?}"
    );
    assert!((300..2_000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn a_long_list_that_keeps_coming_is_not_cut() {
    // Longer than the time-out in all, but never still, and fast enough.
    let server = Server::start(|_, _| {
        let part = format!(",\"{}\"", "B".repeat(30_000));
        endless(&part, Duration::from_millis(20))
    })
    .await;
    let fixture = client_with(&server.url, |settings| {
        settings.request_timeout = Duration::from_millis(200);
        settings.max_list_bytes = 1_000_000;
    });
    let (ids, error) = list(&fixture).await;
    assert!(ids.len() > 20, "{}", ids.len());
    assert!(
        matches!(error, Some(ReadError::TooLarge { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_endless_list_ends_with_the_words_that_say_the_way_out() {
    let many = ",\"B\"".repeat(1_000);
    for (ids, bytes, key) in [
        (10_000, u32::MAX, "max_list_ids"),
        (u32::MAX, 100_000, "max_list_bytes"),
    ] {
        let many = many.clone();
        let server = Server::start(move |_, _| endless(&many, Duration::ZERO)).await;
        let fixture = client_with(&server.url, |settings| {
            (settings.max_list_ids, settings.max_list_bytes) = (ids, bytes);
        });
        let (read, error) = list(&fixture).await;
        let error = error.unwrap();
        assert!(
            matches!(error, ReadError::TooLarge { .. }) && error.to_string().contains(key),
            "{error}"
        );
        assert!(read.len() < 100_000, "{}", read.len());
    }
}

/// So many spaces, packed by gzip's one trick that matters here: the byte before, 258 times. Without a true checksum,
/// because nobody shall get to it.
fn spaces(count: usize) -> Vec<u8> {
    let mut bits = vec![true, true, false];
    let mut put = |code: u16, length: u32| {
        bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
    };
    put(0x50, 8);
    for _ in 0..count / 258 {
        put(0b1100_0101, 8);
        put(0, 5);
    }
    put(0, 7);
    let byte = |bits: &[bool]| {
        (0..)
            .zip(bits)
            .fold(0, |byte, (at, bit)| byte | u8::from(*bit) << at)
    };
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    packed.extend(bits.chunks(8).map(byte));
    packed.extend([0; 8]);
    packed
}

#[tokio::test]
async fn what_unpacks_to_more_than_an_answer_may_have_is_cut() {
    let packed = spaces(17 << 20);
    assert!(packed.len() < 128 * 1024);
    let mut reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    )
    .into_bytes();
    reply.extend(packed);
    let server = Server::start(move |_, _| Reply::Send(reply.clone())).await;
    let fixture = client_with(&server.url, |settings| settings.max_list_bytes = 1 << 20);
    let error = read(&fixture).await.unwrap_err();
    assert!(
        matches!(&error, ReadError::Contract { detail, .. } if detail.contains("larger than")),
        "{error}"
    );
    let (_, error) = list(&fixture).await;
    assert!(
        matches!(error, Some(ReadError::TooLarge { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_answer_that_drips_is_cut_when_its_time_is_up() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{".to_vec();
    for head in [head, b"HTTP/1.1 200 OK\r\nX: ".to_vec()] {
        let server = Server::start(move |_, _| {
            Reply::Drip(head.clone(), b" ".to_vec(), Duration::from_millis(10))
        })
        .await;
        let fixture = client_with(&server.url, |settings| {
            settings.connect_timeout = Duration::from_millis(1_100);
            settings.request_timeout = Duration::from_millis(1_200);
        });
        while fixture.client.budget.withdraw() {}
        let begun = Instant::now();
        let error = read(&fixture).await.unwrap_err();
        assert!(matches!(error, ReadError::Transient { .. }), "{error}");
        let read_took = begun.elapsed();
        assert!(
            (1_200..2_200).contains(&read_took.as_millis()),
            "{read_took:?}"
        );
        let begun = Instant::now();
        let error = fixture.write(super::support::permit()).await.unwrap_err();
        assert!(matches!(error, WriteError::Unknown { .. }), "{error}");
        let write_took = begun.elapsed();
        assert!(
            (1_200..2_200).contains(&write_took.as_millis()),
            "{write_took:?}"
        );
    }
}
