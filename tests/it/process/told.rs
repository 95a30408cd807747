//! What the log tells to those who look after the daemon, and to those who lost its store.

use serde_json::Value;
use tesa_reconciler::sandbox::{Effect, Fault};

use super::world::{Ended, Settings, World};

/// The lines with this message.
fn lines(text: &str, message: &str) -> Vec<Value> {
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["message"] == message)
        .collect()
}

async fn once(world: &World) -> Ended {
    world.run(&["run", "--once", "--quiet"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_about_a_write_names_its_order_so_that_a_lost_store_can_be_told_what_was_sent() {
    let world = World::new(Settings::default()).await;
    let order = world.stuck("ORD-1");
    let mut told = once(&world).await.stderr;
    while world.states().await != ["confirmed"] {
        told += &once(&world).await.stderr;
    }
    for message in [
        "sending a write",
        "the write's answer is recorded",
        "a write is settled",
    ] {
        let lines = lines(&told, message);
        assert_eq!(lines.len(), 1, "{message}\n{told}");
        assert_eq!(lines[0]["external_reference"], "ORD-1", "{message}");
        assert_eq!(lines[0]["level"], "INFO", "{message}");
    }
    let sent = &lines(&told, "sending a write")[0];
    assert_eq!(sent["reference_id"], order.reference_id.as_str());
    assert_eq!(
        (&sent["org"], &sent["operation"]),
        (&"masmovil".into(), &"create_activation".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_and_a_failed_run_are_warnings() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    world.faults(vec![
        Fault::new(Effect::Drop { applied: true }).on(&["create_activation"]),
    ]);
    let told = once(&world).await.stderr;
    let unknown = &lines(&told, "the outcome of a write is unknown")[0];
    assert_eq!(
        (&unknown["level"], &unknown["external_reference"]),
        (&"WARN".into(), &"ORD-1".into())
    );
    let refuse = Effect::Error {
        status: 401,
        applied: false,
        shape: Default::default(),
    };
    world.faults(vec![Fault::new(refuse).on(&["reads"])]);
    let told = once(&world).await.stderr;
    let ended = &lines(&told, "a run ended")[0];
    assert_eq!(
        (&ended["level"], &ended["outcome"]),
        (&"WARN".into(), &"failed".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_is_told_once() {
    let settings = Settings {
        mode: "observe",
        ..Settings::default()
    };
    let world = World::new(settings).await;
    let told = lines(
        &once(&world).await.stderr,
        "the schema is brought up to date",
    );
    assert_eq!(told[0]["migrations"], "[\"0001 ground\"]", "{told:?}");
    let again = lines(
        &once(&world).await.stderr,
        "the schema is brought up to date",
    );
    assert!(again.is_empty(), "{again:?}");
    std::fs::remove_file(world.store_file()).unwrap();
    std::fs::remove_file(world.path("state.db.id")).unwrap();
    let ended = world.run(&["migrate"]).await;
    assert!(ended.stderr.contains("applied: 0001 ground"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_a_newer_version_changed_ends_the_start_with_the_way_out() {
    let world = World::new(Settings::default()).await;
    once(&world).await;
    let url = format!("sqlite:{}", world.store_file().display());
    let mut store = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url)
        .await
        .unwrap();
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', TRUE, '', 0)";
    sqlx::query(newer).execute(&mut store).await.unwrap();
    // It only added to what is there: this version is one to go back to.
    assert_eq!(once(&world).await.code, Some(0));
    let floor = "UPDATE schema_floor SET migration = 9999";
    sqlx::query(floor).execute(&mut store).await.unwrap();
    for args in [&["run"][..], &["run", "--once"], &["status"], &["migrate"]] {
        let ended = world.run(args).await;
        // systemd does not start it again and again.
        assert_eq!(ended.code, Some(78), "{args:?}: {ended:?}");
        assert!(
            ended.stderr.contains("start that version again"),
            "{ended:?}"
        );
    }
}
