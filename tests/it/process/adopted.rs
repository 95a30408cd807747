//! A ledger that was emptied, and a database that was copied: nothing is sent from them until a person vouches for it.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tesa_reconciler::sandbox::{Effect, Fault};

use super::world::{Settings, World, wait_for};
use crate::support::postgres::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_ledger_is_no_first_start() {
    let mut world = World::new(Settings {
        safety: "verify_after = [\"1h\"]".to_owned(),
        ..Settings::default()
    })
    .await;
    for order in ["ORD-1", "ORD-2"] {
        world.stuck(order);
    }
    let lost = Fault::new(Effect::Drop { applied: false });
    world.faults(vec![lost.on(&["writes"])]);
    let daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    world.await_states(2, &["unknown"]).await;
    daemon.stop().await;
    let sent = world.writes().len();

    std::fs::write(world.store_file(), "").unwrap();
    let mut refused = world.start_daemon();
    assert_eq!(refused.exit().await, Some(78));
    let said = refused.output();
    assert!(said.contains("tesa-reconciler state adopt"), "{said}");
    let once = world.run(&["run", "--once"]).await;
    assert_eq!(once.code, Some(78), "{once:?}");

    // In observe it is read; enforce is no reload away.
    world.settings.mode = "observe";
    world.write_configuration();
    let mut watching = world.daemon().await;
    watching.logged("the store is in doubt").await;
    world.settings.mode = "enforce";
    world.write_configuration();
    watching.signal("HUP");
    let kept = "the configuration is not reloaded: the old one stays in force";
    let why = watching.logged(kept).await;
    assert!(
        why["error"].as_str().unwrap().contains("state adopt"),
        "{why}"
    );
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(world.writes().len(), sent);

    let word = ["state", "adopt", "--reason", "looked up by hand"];
    let adopted = world.run(&word).await;
    assert_eq!(adopted.code, Some(0), "{adopted:?}");
    let audit = world.rows(&["audit", "--action", "adopt"]).await;
    assert_eq!(audit[0]["reason"], "looked up by hand");
    world.faults(vec![]);
    watching.signal("HUP");
    watching.logged("the configuration is reloaded").await;
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(world.effects(), 2);
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_database_is_not_acted_from_beside_the_live_one() {
    let live = Database::migrated().await;
    let mut world = World::new(Settings {
        state_url: Some(live.url()),
        ..Settings::default()
    })
    .await;
    world.daemon().await.stop().await;
    let copy = Database::copy_of(&live).await;
    world.settings.state_url = Some(copy.url());
    world.write_configuration();
    let mut refused = world.start_daemon();
    assert_eq!(refused.exit().await, Some(78));
    let said = refused.output();
    assert!(said.contains("a copy of one in another database"), "{said}");
    let word = ["state", "adopt", "--reason", "the other is gone"];
    let adopted = world.run(&word).await;
    assert_eq!(adopted.code, Some(0), "{adopted:?}");
    world.daemon().await.stop().await;

    world.settings.state_url = Some(live.url());
    world.write_configuration();
    world.daemon().await.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_emptied_under_a_running_daemon_is_not_acted_from() {
    let database = Database::migrated().await;
    let world = World::new(Settings {
        state_url: Some(database.url()),
        ..Settings::default()
    })
    .await;
    let daemon = world.daemon().await;
    world.stuck("ORD-1");
    let mut sql = PgConnection::connect(&database.url()).await.unwrap();
    let tables: String = sqlx::query_scalar(
        "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables
         WHERE schemaname = current_schema() AND tablename <> '_sqlx_migrations'",
    )
    .fetch_one(&mut sql)
    .await
    .unwrap();
    let empty = AssertSqlSafe(format!("TRUNCATE {tables}"));
    sqlx::query(empty).execute(&mut sql).await.unwrap();
    daemon.signal("USR1");
    wait_for("a word of it", || {
        let log = daemon.log();
        log.iter()
            .any(|line| line.to_string().contains("state adopt"))
    })
    .await;
    assert!(world.writes().is_empty());
    let word = ["state", "adopt", "--reason", "looked up by hand"];
    let adopted = world.run(&word).await;
    assert_eq!(adopted.code, Some(0), "{adopted:?}");
    daemon.signal("USR1");
    wait_for("the write", || world.writes().len() == 1).await;
    daemon.stop().await;
}
