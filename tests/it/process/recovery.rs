//! Backup, restore, and a store that is lost: each as a person would do it, with the real program.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::world::{Settings, World, run};
use crate::support::postgres::Database;

const ADOPT: [&str; 4] = ["state", "adopt", "--reason", "looked up by hand"];

async fn repair(world: &World, order: &str, so_far: usize) {
    world.stuck(order);
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    world.await_states(so_far, &["confirmed"]).await;
}

/// Starts the daemon, which must refuse to; answers what it says.
async fn refused(world: &World) -> String {
    let mut daemon = world.start_daemon();
    assert_eq!(daemon.exit().await, Some(78), "{}", daemon.output());
    assert!(world.run(&["run", "--once"]).await.code == Some(78));
    daemon.output()
}

fn lose(world: &World, endings: &[&str]) {
    for ending in endings {
        let _ = std::fs::remove_file(world.path(&format!("state.db{ending}")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_store_at_work_is_restored_and_the_log_tells_what_it_does_not_know() {
    let world = World::new(Settings::default()).await;
    let daemon = world.daemon().await;
    repair(&world, "ORD-1", 1).await;
    let backup = ["state", "backup", "b.db"];
    let ended = world.run(&backup).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mode = std::fs::metadata(world.path("b.db")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let again = world.run(&backup).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("is there already"), "{again:?}");
    repair(&world, "ORD-2", 2).await;
    std::fs::write(world.path("daemon.log"), daemon.output()).unwrap();
    daemon.stop().await;

    lose(&world, &["", "-wal", "-shm"]);
    std::fs::copy(world.path("b.db"), world.store_file()).unwrap();
    let said = refused(&world).await;
    for word in ["is a backup of", "tesa-reconciler state adopt"] {
        assert!(said.contains(word), "{said}");
    }
    let sent = world.rows(&["state", "sent", "daemon.log"]).await;
    let orders: Vec<&Value> = sent.iter().map(|row| &row["external_reference"]).collect();
    assert_eq!(orders, ["ORD-2"]);

    assert_eq!(world.run(&ADOPT).await.code, Some(0));
    let daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!((world.writes().len(), world.states().await.len()), (2, 1));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_comes_out_of_a_pod_by_stdout() {
    let world = World::new(Settings::default()).await;
    let daemon = world.daemon().await;
    let mut command = world.program(&["state", "backup", "-"]);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::write(world.path("out.db"), &output.stdout).unwrap();
    let url = format!("sqlite:{}", world.path("out.db").display());
    let audit = world
        .rows(&["audit", "--action", "start", "--state-url", &url])
        .await;
    assert_eq!(audit.len(), 1);
    let left = std::fs::read_dir(world.dir.path()).unwrap();
    let left = left.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with(".backup")
    });
    assert_eq!(left.count(), 0, "nothing stays beside the store");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_lost_with_all_beside_it_is_not_acted_from_until_a_person_says_so() {
    let mut world = World::new(Settings::default()).await;
    let daemon = world.daemon().await;
    repair(&world, "ORD-1", 1).await;
    daemon.stop().await;
    let all = ["", "-wal", "-shm", ".id", ".lock", ".bell"];

    lose(&world, &all);
    let said = refused(&world).await;
    for word in ["is new", "restore a backup", "state adopt --reason"] {
        assert!(said.contains(word), "{said}");
    }
    // To steer is no word on the store.
    let paused = world.run(&["pause", "--all", "--reason", "on call"]).await;
    assert_eq!(paused.code, Some(0), "{paused:?}");
    refused(&world).await;
    assert_eq!(world.run(&ADOPT).await.code, Some(0));
    world.daemon().await.stop().await;
    let audit = world.rows(&["audit", "--action", "adopt"]).await;
    assert_eq!(audit[0]["reason"], "looked up by hand");

    // A first start as it is meant: first it observes, and what it is told then is enforced.
    lose(&world, &all);
    world.settings.mode = "observe";
    world.write_configuration();
    let mut daemon = world.daemon().await;
    world.settings.mode = "enforce";
    world.write_configuration();
    daemon.signal("HUP");
    daemon.logged("the configuration is reloaded").await;
    daemon.stop().await;
    world.daemon().await.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_postgresql_the_way_to_back_up_is_named() {
    let database = Database::migrated().await;
    let world = World::new(Settings {
        state_url: Some(database.url()),
        ..Settings::default()
    })
    .await;
    let ended = run(world.program(&["state", "backup", "b.dump"])).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("`pg_dump --format=custom"),
        "{ended:?}"
    );
    assert!(!world.path("b.dump").exists());
}
