//! A token that is missing or refused: a clear error and a failed run, never a crash; and it heals by itself.

use std::time::Instant;

use tesa_reconciler::sandbox::{Effect, ErrorShape, Fault, SandboxConfig};

use super::world::{PATIENCE, Settings, World, empty_sandbox};

const GOOD: &str = "a-good-token";

/// A world whose token stands in a file.
async fn with_a_token_file() -> World {
    let sandbox = SandboxConfig {
        tokens: vec![GOOD.to_owned()],
        ..empty_sandbox()
    };
    let mut settings = Settings::default();
    settings.tesamanager += "\ntoken_file = \"token\"";
    let world = World::with(sandbox, settings).await;
    world.stuck("ORD-1");
    std::fs::write(world.path("token"), GOOD).unwrap();
    world
}

async fn failed_run(world: &World) -> String {
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let runs = world.rows(&["runs"]).await;
    assert_eq!(runs[0]["outcome"], "failed");
    runs[0]["summary"]["trouble"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_refused_or_gone_fails_the_run_and_heals_when_mended() {
    let world = with_a_token_file().await;
    std::fs::write(world.path("token"), "a-bad-token").unwrap();
    let mut daemon = world.daemon().await;
    let trouble = failed_run(&world).await;
    assert!(
        trouble.contains("not authorised") && trouble.contains("token"),
        "{trouble}"
    );
    std::fs::remove_file(world.path("token")).unwrap();
    let trouble = failed_run(&world).await;
    assert!(trouble.contains("token file"), "{trouble}");
    std::fs::write(world.path("token"), "").unwrap();
    let trouble = failed_run(&world).await;
    assert!(trouble.contains("is empty"), "{trouble}");
    assert!(daemon.lives() && daemon.get("/readyz").await.0 == 200);
    assert!(world.writes().is_empty());
    assert!(!daemon.output().contains("a-bad-token"));

    std::fs::write(world.path("token"), GOOD).unwrap();
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!((ended.code, world.effects()), (Some(0), 1), "{ended:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_that_is_refused_fails_the_run_and_heals() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    let refused = Effect::Error {
        status: 401,
        applied: false,
        shape: ErrorShape::Gateway,
    };
    world.faults(vec![Fault::new(refused).on(&["token"])]);
    let daemon = world.daemon().await;
    let trouble = failed_run(&world).await;
    assert!(
        trouble.contains("token endpoint") && trouble.contains("401"),
        "{trouble}"
    );
    world.faults(vec![]);
    // After a refusal it asks for no other token for a second; a run that begins sooner fails like the first.
    let begun = Instant::now();
    while world.effects() == 0 {
        assert!(begun.elapsed() < PATIENCE, "it does not heal");
        world.run(&["trigger", "retry-stuck", "--wait"]).await;
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_asks_the_upstream_ends_with_69() {
    let world = with_a_token_file().await;
    std::fs::write(world.path("token"), "a-bad-token").unwrap();
    for args in [&["plan"][..], &["explain", "ORD-1"]] {
        let ended = world.run(args).await;
        assert_eq!(ended.code, Some(69), "{args:?}: {ended:?}");
        assert!(
            ended.stderr.contains("not authorised"),
            "{args:?}: {}",
            ended.stderr
        );
    }
}
