//! The command: from its flags to a sandbox that answers, and back to silence.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use tesa_reconciler::clock::SystemClock;
use tesa_reconciler::sandbox::{self, SandboxConfig, SetupError};
use tokio_util::sync::CancellationToken;

use super::{Bench, still};
use crate::support::http;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: sandbox::Args,
}

fn args(words: &[&str]) -> sandbox::Args {
    Cli::try_parse_from([&["sandbox"], words].concat())
        .unwrap()
        .args
}

#[tokio::test]
async fn it_serves_what_its_flags_say_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("service-account.json");
    let words = [
        "--listen",
        "127.0.0.1:0",
        "--requests",
        "50",
        "--orgs",
        "one,two",
        "--stuck-unsent",
        "9",
        "--write-service-account",
        file.to_str().unwrap(),
    ];
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(sandbox::run(
        args(&words),
        Arc::new(SystemClock),
        shutdown.clone(),
    ));
    // The port is chosen by the machine; the service account's file says which.
    let account: Value = loop {
        let text = std::fs::read(&file).unwrap_or_default();
        match serde_json::from_slice(&text) {
            Ok(account) => break account,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let uri = account["token_uri"].as_str().unwrap();
    let origin = uri.strip_suffix("/v1/oauth/token").unwrap();
    let stats = http::client()
        .get(format!("{origin}/_sandbox/stats"))
        .send()
        .await
        .unwrap();
    let stats: Value = stats.json().await.unwrap();
    for org in ["one", "two"] {
        assert_eq!(stats["requests"][org]["NOT_SENT"], 9);
    }
    shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .unwrap()
        .unwrap();
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test]
async fn what_can_not_be_is_refused_with_the_way_out() {
    let taken = Bench::new(still()).await.running;
    let listen = taken.address().to_string();
    for (words, said) in [
        (["--listen", &listen], "--listen"),
        (["--error-rate", "2"], "rate must be from 0 to 1"),
        (["--speed", "NaN"], "speed must be 0 or above"),
    ] {
        let run = sandbox::run(
            args(&words),
            Arc::new(SystemClock),
            CancellationToken::new(),
        );
        let error = run.await.unwrap_err();
        assert!(format!("{error:#}").contains(said), "{error:#}");
    }
    let many = SandboxConfig {
        requests: u32::MAX,
        ..still()
    };
    let error = sandbox::Sandbox::new(many, Arc::new(SystemClock)).unwrap_err();
    assert!(matches!(error, SetupError::TooMany(_)));
}
