//! `/livez` and `/readyz` through a drain and an outage of the upstream.

use tesa_reconciler::sandbox::{Effect, Fault};

use super::world::{Settings, World, wait_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_away_makes_no_replica_unready() {
    let world = World::new(Settings::default()).await;
    let down = Effect::Drop { applied: false };
    world.faults(vec![
        Fault::new(down),
        Fault::new(Effect::Drop { applied: false }).on(&["token"]),
    ]);
    let daemon = world.daemon().await;
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(daemon.get("/readyz").await.0, 200);
    assert_eq!(daemon.get("/livez").await.0, 200);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_is_unready_at_once_and_can_be_watched() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    world.faults(vec![
        Fault::new(Effect::Hang { applied: false }).on(&["writes"]),
    ]);
    let mut daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck"]).await;
    wait_for("the write", || !world.writes().is_empty()).await;
    daemon.signal("TERM");
    daemon.answers("/readyz", 503).await;
    let (_, why) = daemon.get("/readyz").await;
    assert!(why.contains("stopping"), "{why}");
    assert_eq!(daemon.get("/livez").await.0, 200);
    assert_eq!(daemon.get("/metrics").await.0, 200);
    daemon.signal("TERM");
    daemon.exit().await;
}
