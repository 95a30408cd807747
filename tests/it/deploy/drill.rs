//! The drills: what is taken away, which alerts of the shipped rules must fire in a real Prometheus and why, that no
//! other does, and that all are over once it is mended.

mod peace;
mod scene;
mod shortened;

use serde_json::json;

use crate::process::outage::limit_files;
use crate::support::cluster::Cluster;
use scene::{Beginning, Scene};

fn on(cluster: &Cluster) -> Beginning {
    Beginning {
        state_url: Some(cluster.url()),
        ..Beginning::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_away() {
    let expected = [
        (
            "CircuitOpen",
            "the calls fail, so the upstream is left alone: the cause",
        ),
        (
            "JobFailing",
            "runs begin as they should, and fail: the effect, as a ticket",
        ),
        (
            "FreshnessBurningFast",
            "nobody is looked after meanwhile: the promise to people is being broken, which is what wakes somebody",
        ),
    ];
    // Not JobStalled: the runs begin. Not FreshnessBurningSlow: two minutes of three days are within the budget.
    let mut scene = Scene::healthy(Beginning::default()).await;
    scene.kill_upstream();
    scene.fires(&expected).await;
    scene.start_upstream().await;
    // The circuit's pauses make this the longest drill, and a burn that long is remembered for half an hour; that it
    // ends is seen in the others.
    scene.quiet_but("FreshnessBurningFast", &expected).await;
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_that_is_refused() {
    let expected = [
        ("UpstreamAuthFailing", "no token is to be had: the cause"),
        ("JobFailing", "each run fails: the effect, as a ticket"),
        ("FreshnessBurningFast", "nobody is looked after meanwhile"),
    ];
    // Not CircuitOpen: the upstream is well.
    let scene = Scene::healthy(Beginning::default()).await;
    scene
        .trouble(json!([
            {"do": "revoke_token", "operations": ["reads"], "count": 1},
            {"do": {"error": {"status": 400}}, "operations": ["token"]},
        ]))
        .await;
    scene.fires(&expected).await;
    scene.trouble(json!([])).await;
    scene.quiet_but("FreshnessBurningFast", &expected).await;
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away() {
    let expected = [
        ("StoreFailing", "its calls fail: the cause"),
        (
            "JobStalled",
            "without a store no run may begin, and by what was last known none has for long: the effect, as a ticket",
        ),
        (
            "FreshnessBurningFast",
            "nobody is looked after meanwhile, which is what wakes somebody",
        ),
    ];
    // Not LoopNotBeating: the loops live through it. Not JobFailing: no run begins, so none fails. Not Down: metrics
    // are answered whatever is away. Not RunsLost: no run was under way. Not JobFallingBehind, though the slots of
    // the outage are found missed when it is over: none is missed any more.
    let cluster = Cluster::start().await;
    let mut scene = Scene::healthy(on(&cluster)).await;
    scene.between_two_runs().await;
    cluster.stop().await;
    scene.fires(&expected).await;
    cluster.start_again().await;
    scene.quiet(&expected).await;
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_that_stands_still() {
    let expected = [
        ("LoopNotBeating", "the loop makes no progress: the cause"),
        (
            "JobStalled",
            "nobody else begins runs: the effect, as a ticket",
        ),
        ("FreshnessBurningFast", "nobody is looked after meanwhile"),
    ];
    let scene = Scene::healthy(Beginning::default()).await;
    let file = scene.wedge("scheduler");
    std::fs::write(&file, "").unwrap();
    scene.fires(&expected).await;
    std::fs::remove_file(&file).unwrap();
    scene.quiet(&expected).await;
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_that_stands_still() {
    // Runs go on without it: nothing but the cause is to be seen.
    let expected = [("LoopNotBeating", "the loop makes no progress: the cause")];
    let scene = Scene::healthy(Beginning::default()).await;
    let file = scene.wedge("keeper");
    std::fs::write(&file, "").unwrap();
    scene.fires(&expected).await;
    std::fs::remove_file(&file).unwrap();
    scene.quiet(&expected).await;
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_dead() {
    let expected = [(
        "ReplicaMissing",
        "one of two lives, and one can't be scraped: nothing else suffers, so a ticket",
    )];
    // Not Down: the other one answers. Not RunsLost: it had no run.
    let cluster = Cluster::start().await;
    let mut scene = Scene::healthy(Beginning {
        daemons: 2,
        ..on(&cluster)
    })
    .await;
    scene.between_two_runs().await;
    scene.kill_the_other().await;
    scene.fires(&expected).await;
    scene.start_the_other().await;
    scene.quiet(&expected).await;
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full() {
    let expected = [
        ("StoreFailing", "nothing can be written down: the cause"),
        (
            "JobStalled",
            "without a store no run may begin: the effect, as a ticket",
        ),
        ("FreshnessBurningFast", "nobody is looked after meanwhile"),
    ];
    let scene = Scene::healthy(Beginning::default()).await;
    limit_files(&scene.daemon, &scene.log_of_the_store().to_string());
    scene.fires(&expected).await;
    limit_files(&scene.daemon, "unlimited");
    scene.quiet(&expected).await;
    scene.daemon.stop().await;
}
