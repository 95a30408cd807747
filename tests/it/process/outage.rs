//! The store goes away under a running daemon: no ledger, no write; alive, not ready, and well again by itself.

use tesa_reconciler::sandbox::{Effect, Fault};

use super::world::{Settings, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn livez_ok_while_store_is_down() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    let mut daemon = world.daemon().await;
    assert_eq!(daemon.get("/readyz").await.0, 200);
    let aside = world.path("aside.db");
    std::fs::rename(world.store_file(), &aside).unwrap();
    daemon.answers("/readyz", 503).await;
    assert_eq!(daemon.get("/livez").await.0, 200);
    let (_, why) = daemon.get("/readyz").await;
    assert!(why.contains("store"), "{why}");
    // Asked to run, it can't begin: what it did could not be accounted for.
    daemon.signal("USR1");
    daemon.logged("the store is away").await;
    assert_eq!(daemon.get("/metrics").await.0, 200);
    assert!(daemon.metric("store_errors_total", &[]).await > 0.0);
    let ended = world.run(&["pause", "--all", "--reason", "x"]).await;
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(world.writes().is_empty());

    std::fs::rename(&aside, world.store_file()).unwrap();
    daemon.answers("/readyz", 200).await;
    daemon.logged("the store is back").await;
    // The signal was not forgotten.
    daemon.logged("a run ended").await;
    assert_eq!(world.effects(), 1);
    assert!(daemon.lives());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_lost_in_the_middle_of_a_run_stops_its_writes() {
    let settings = Settings {
        tesamanager: "reads_per_second = 5000\nwrites_per_second = 20".to_owned(),
        ..Settings::default()
    };
    let world = World::new(settings).await;
    for order in 0..20 {
        world.stuck(&format!("ORD-{order:02}"));
    }
    let late = Effect::Latency {
        ms: 50,
        jitter_ms: 0,
    };
    world.faults(vec![Fault::new(late).on(&["writes"])]);
    let mut daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck"]).await;
    super::world::wait_for("some writes", || world.writes().len() > 2).await;
    let aside = world.path("aside.db");
    std::fs::rename(world.store_file(), &aside).unwrap();
    let before = world.writes().len();
    daemon.answers("/readyz", 503).await;
    // The one whose intent was committed already may still leave.
    let after = world.writes().len();
    assert!(after <= before + 1, "{before} → {after}");
    std::fs::rename(&aside, world.store_file()).unwrap();
    daemon.answers("/readyz", 200).await;
    daemon.logged("a run ended").await;
    world.faults(vec![]);

    // Whatever was in doubt is settled, the rest is sent, nothing twice.
    let begun = std::time::Instant::now();
    while world.effects() < 20 {
        assert!(begun.elapsed() < super::world::PATIENCE);
        world.run(&["trigger", "retry-stuck", "--wait"]).await;
    }
    world.await_states(20, &["confirmed"]).await;
    assert_eq!(world.writes().len(), 20);
    daemon.stop().await;
}
