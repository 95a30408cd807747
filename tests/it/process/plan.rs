//! What only looks: `plan` and the mode `observe` leave no trace upstream, and `plan` none here either.

use super::world::{Settings, World, empty_sandbox, jobs_of_each_kind};
use tesa_reconciler::sandbox::{Effect, Fault, SandboxConfig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_before_the_first_start_leaves_nothing_anywhere() {
    let world = World::before_the_first_start(empty_sandbox(), Settings::default()).await;
    world.stuck("ORD-1");
    let files = || {
        let entries = std::fs::read_dir(world.dir.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files();
    let ended = world.run(&["plan"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for said in ["ORD-1", "resend-unsent", "act"] {
        assert!(ended.stdout.contains(said), "{said}: {}", ended.stdout);
    }
    assert!(
        ended.stderr.contains("Nothing was written"),
        "{}",
        ended.stderr
    );
    let rows = world.rows(&["plan"]).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["external_reference"], "ORD-1");
    assert_eq!(rows[0]["job_name"], "retry-stuck");
    assert_eq!(files(), before);
    assert!(world.writes().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_beside_a_daemon_changes_nothing() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    let daemon = world.daemon().await;
    let rows = world.rows(&["plan"]).await;
    assert_eq!(rows.len(), 1);
    assert!(world.writes().is_empty() && world.attempts().await.is_empty());
    assert!(world.rows(&["runs"]).await.is_empty());
    assert!(world.rows(&["findings"]).await.is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_observe_the_jobs_run_and_the_upstream_gets_no_write() {
    let sandbox = SandboxConfig {
        requests: 300,
        stuck_unsent: Some(5),
        ..empty_sandbox()
    };
    let settings = Settings {
        mode: "observe",
        jobs: jobs_of_each_kind(),
        ..Settings::default()
    };
    let world = World::with(sandbox, settings).await;
    let mut daemon = world.daemon().await;
    daemon.signal("USR1");
    daemon.logged_again("a run ended", 3).await;
    for run in world.rows(&["runs"]).await {
        assert_eq!(run["outcome"], "succeeded", "{run}");
        assert_eq!(run["mode"], "observe");
        assert_eq!(run["summary"]["sent"], 0);
    }
    assert!(world.writes().is_empty());
    assert!(world.attempts().await.is_empty());
    let observed = [r#"job_name="retry-stuck""#, r#"decision="observe_mode""#];
    assert_eq!(daemon.metric("decisions_total", &observed).await, 5.0);
    assert!(!world.rows(&["findings"]).await.is_empty(), "it flags");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_against_an_upstream_that_fails_opens_no_circuit() {
    let world = World::new(Settings::default()).await;
    for order in 0..8 {
        world.stuck(&format!("ORD-{order}"));
    }
    let daemon = world.daemon().await;
    let ill = Effect::Error {
        status: 503,
        applied: false,
        shape: Default::default(),
    };
    world.faults(vec![Fault::new(ill).on(&["get_request"])]);
    let rows = world.rows(&["plan"]).await;
    assert_eq!(rows.len(), 8);
    let status = world.run(&["status", "--output", "json"]).await.stdout;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["circuits"], serde_json::json!([]));
    daemon.stop().await;
}
