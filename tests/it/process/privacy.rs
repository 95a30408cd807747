//! No customer, no token, no key: not in a log, a page, a file or a command's output, whatever goes wrong.

use std::path::Path;

use tesa_reconciler::sandbox::{Effect, ErrorShape, Fault, PERSONAL_MARKER, SandboxConfig};

use super::world::{Settings, World, empty_sandbox, jobs_of_each_kind};

/// Everything that must not be seen, and what to call it.
fn secrets(world: &World) -> Vec<(&'static str, String)> {
    let account = std::fs::read_to_string(world.path("account.json")).unwrap();
    let account: serde_json::Value = serde_json::from_str(&account).unwrap();
    let key = account["private_key"].as_str().unwrap();
    let middle = key.lines().nth(5).unwrap().to_owned();
    vec![
        ("personal data", PERSONAL_MARKER.to_owned()),
        ("the private key", middle),
        ("a key", "BEGIN PRIVATE".to_owned()),
        // Every JWT begins so: assertions and the sandbox's tokens.
        ("a token", "eyJ".to_owned()),
        ("a header", "Bearer e".to_owned()),
    ]
}

pub fn assert_clean(world: &World, what: &str, bytes: &[u8]) {
    for (name, secret) in secrets(world) {
        let found = bytes
            .windows(secret.len())
            .position(|window| window == secret.as_bytes());
        if let Some(at) = found {
            let near = &bytes[at.saturating_sub(200)..bytes.len().min(at + 200)];
            panic!("{name} in {what}: …{}…", String::from_utf8_lossy(near));
        }
    }
}

pub fn every_fault() -> Vec<Fault> {
    let error = |status, applied, shape| Effect::Error {
        status,
        applied,
        shape,
    };
    vec![
        Fault::new(Effect::Undecodable).rate(0.1),
        Fault::new(Effect::Cut).rate(0.1),
        Fault::new(error(500, false, ErrorShape::Text))
            .on(&["reads"])
            .rate(0.1),
        Fault::new(error(400, false, ErrorShape::Errors))
            .on(&["writes"])
            .rate(0.2),
        Fault::new(error(500, true, ErrorShape::Array))
            .on(&["writes"])
            .rate(0.2),
        Fault::new(Effect::Drop { applied: true })
            .on(&["writes"])
            .rate(0.2),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_personal_data_anywhere() {
    let sandbox = SandboxConfig {
        requests: 300,
        stuck_unsent: Some(15),
        ..empty_sandbox()
    };
    let mut settings = Settings {
        jobs: jobs_of_each_kind(),
        daemon: "log_level = \"trace\"".to_owned(),
        ..Settings::default()
    };
    settings.tesamanager += "\nrequest_timeout = \"2s\"";
    let world = World::with(sandbox, settings).await;
    // First a round that reaches its writes, one of which loses its answer: later ones may not get so far.
    let lost = Effect::Drop { applied: true };
    world.faults(vec![Fault::new(lost).on(&["writes"]).times(1)]);
    let mut daemon = world.daemon().await;
    for round in 1..=3 {
        daemon.signal("USR1");
        daemon.logged_again("a run ended", 3 * round).await;
        world.faults(every_fault());
    }
    // The upstream refuses the account altogether.
    let refused = Effect::Error {
        status: 401,
        applied: false,
        shape: ErrorShape::Gateway,
    };
    let revoked = Fault::new(Effect::RevokeToken);
    world.faults(vec![revoked, Fault::new(refused).on(&["token"])]);
    daemon.signal("USR1");
    daemon.logged_again("a run ended", 12).await;
    // What is needed to have something to hide: creates went out with the customer, and some failed.
    let writes = world.writes();
    assert!(!writes.is_empty(), "{:?}", world.rows(&["runs"]).await);
    let order = writes[0].external_reference.clone().unwrap();
    let reference = world.sandbox.handle().references("masmovil", &order);
    let upstream = world.sandbox.handle().request("masmovil", &reference[0]);
    let customer = upstream.unwrap().customer.to_string();
    assert!(customer.contains(PERSONAL_MARKER), "{customer}");

    daemon.signal("USR2");
    daemon.logged("state: process").await;
    assert_clean(&world, "/metrics", daemon.metrics().await.as_bytes());
    world.faults(vec![]);
    for args in [
        &["explain", &order][..],
        &["explain", &order, "--output", "json"],
        &["plan", "--output", "json"],
        &["plan", "--all"],
        &["config", "show"],
        &["attempts", "--output", "json"],
        &["findings", "--output", "json"],
        &["runs", "--output", "json"],
        &["audit", "--output", "json"],
        &["status", "--output", "json"],
        &["doctor"],
    ] {
        let ended = world.run(args).await;
        // 3: `status`, of which not all is well in this world.
        assert!(matches!(ended.code, Some(0 | 3)), "{args:?}: {ended:?}");
        assert_clean(&world, &format!("{args:?}"), ended.stdout.as_bytes());
        assert_clean(&world, &format!("{args:?}"), ended.stderr.as_bytes());
    }
    assert_clean(&world, "the daemon's output", daemon.output().as_bytes());
    for name in ["state.db", "state.db-wal"] {
        assert_clean_file(&world, &world.path(name));
    }
    daemon.stop().await;
    assert_clean_file(&world, &world.store_file());
}

fn assert_clean_file(world: &World, path: &Path) {
    let bytes = std::fs::read(path).unwrap_or_default();
    assert_clean(world, &path.display().to_string(), &bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upstreams_own_words_are_shown_to_who_asks_and_nowhere_else() {
    const NAME: &str = "Juana\u{1b}[31m Ibarra";
    const SHOWN: &str = r"Juana\u{1b}[31m Ibarra";
    let settings = Settings {
        jobs: jobs_of_each_kind(),
        ..Settings::default()
    };
    let world = World::with(empty_sandbox(), settings).await;
    for patch in [
        serde_json::json!({"external_reference": "ORDER-1", "status": "INCIDENCE_OPERATOR", "age": "9d",
            "issues": [{"issue_code": NAME}], "events": [{"message_type": NAME, "inconsistent": true}]}),
        serde_json::json!({"external_reference": "ORDER-2", "status": NAME, "age": "9d"}),
    ] {
        let patch = serde_json::from_value(patch).unwrap();
        world.sandbox.handle().patch(&patch).unwrap();
    }
    let ran = world.run(&["run", "--once"]).await;
    let mut told = vec![("run", ran)];
    for args in [
        &["findings"][..],
        &["findings", "--output", "json"],
        &["plan", "--all"],
        &["runs", "--output", "json"],
    ] {
        told.push((args[0], world.run(args).await));
    }
    for (what, ended) in &told {
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains("Ibarra"), "{what}: {text}");
        }
    }
    assert!(told[1].1.stdout.contains('~'), "{:?}", told[1].1);
    for order in ["ORDER-1", "ORDER-2"] {
        let explained = world.run(&["explain", order]).await;
        assert!(explained.stdout.contains(SHOWN), "{explained:?}");
        assert!(!explained.stdout.contains(NAME), "{explained:?}");
    }
    let bytes = std::fs::read(world.store_file()).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"Ibarra"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_service_point_only_what_was_declared_is_kept() {
    let declared = "[attributes]\ngescal = \"/servicePoint/gescal\"\n";
    let sandbox = SandboxConfig {
        requests: 40,
        stuck_unsent: Some(5),
        ..empty_sandbox()
    };
    let world = World::with(
        sandbox,
        Settings {
            jobs: format!("{declared}{}", jobs_of_each_kind()),
            ..Settings::default()
        },
    )
    .await;
    let ran = world.run(&["run", "--once"]).await;
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    let bytes = std::fs::read(world.store_file()).unwrap();
    let has = |text: String| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(
        has(format!("{{\"gescal\":\"{PERSONAL_MARKER}-0")),
        "it is kept"
    );
    for other in [" street", " customer", " coordinator", " 00000000T", " +34"] {
        assert!(!has(format!("{PERSONAL_MARKER}{other}")), "{other}");
    }
}
