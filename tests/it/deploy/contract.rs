//! A stranger's judge: schemathesis makes a thousand calls out of the contract alone, good and bad ones, and holds the
//! sandbox's answers against it. What the sandbox refuses though the contract allows it, or the other way round, is a fault
//! of one of the two.

use std::process::{Command, Stdio};
use std::sync::Arc;

use tesa_reconciler::clock::SystemClock;
use tesa_reconciler::sandbox::{Sandbox, SandboxConfig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_generated_calls_find_nothing_that_the_contract_does_not_say() {
    let config = SandboxConfig {
        orgs: vec!["masmovil".to_owned()],
        requests: 200,
        speed: 0.0,
        tokens: vec!["token".to_owned()],
        ..SandboxConfig::default()
    };
    let anywhere = ([127, 0, 0, 1], 0).into();
    let sandbox = Sandbox::start(config, Arc::new(SystemClock), anywhere)
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(super::path("target/tools/venv/bin/schemathesis"));
    command
        .arg("--config-file")
        .arg(super::path("tests/it/deploy/schemathesis.toml"))
        .arg("run")
        .arg(super::path("contract/openapi.yaml"))
        .args(["--url", &sandbox.base_url()])
        .args(["--header", "Authorization: Bearer token"])
        // The same calls each time, and enough of them for a quarter of a minute.
        .args(["--generation-deterministic", "--max-examples", "20"])
        .args(["--warnings", "off", "--no-color"])
        .current_dir(dir.path())
        .stdin(Stdio::null());
    let running = tokio::task::spawn_blocking(move || command.output());
    let output = running.await.unwrap().unwrap_or_else(|error| {
        panic!("schemathesis: {error}: run tests/run --install, which gets it")
    });
    let said = String::from_utf8_lossy(&output.stdout);
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{cried}");
    let tested = said.lines().any(|line| line.trim() == "Tested: 16");
    assert!(tested, "not every operation was called:\n{said}");
}
