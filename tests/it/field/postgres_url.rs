//! pgjdbc#3679: `?sslmdoe=verify-full` connected in clear, because a driver passes over what it doesn't know.

use tesa_reconciler::store::{self, StoreOptions};

use crate::process::world::{program, run};
use crate::support::postgres::Database;

/// The file that a person writes first, with this store.
fn configuration(url: &str) -> String {
    format!(
        "[tesamanager]\nbase_url = \"https://x.example/v1\"\norgs = [\"o\"]\ntoken_file = \"token\"\n\
         [state]\nurl = \"{url}\"\n"
    )
}

#[tokio::test]
async fn a_slip_in_sslmode_ends_with_78_and_the_right_word() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "t").unwrap();
    for (parameters, way_out) in [
        ("sslmdoe=verify-full", "did you mean `sslmode`?"),
        ("sslmode=verify_full", "did you mean `verify-full`?"),
        ("search_path=tesa", "options[search_path]=SCHEMA"),
        ("target_session_attrs=read-write", "one host is named"),
    ] {
        let text = configuration(&format!("postgres://u@127.0.0.1:1/d?{parameters}"));
        std::fs::write(dir.path().join("tesa-reconciler.toml"), text).unwrap();
        for command in [&["config", "check"][..], &["run"]] {
            let ended = run(program(dir.path(), command)).await;
            assert_eq!(ended.code, Some(78), "{parameters}: {ended:?}");
            assert!(ended.stderr.contains(way_out), "{parameters}: {ended:?}");
        }
    }
}

/// A URL of the command line passes no configuration.
#[tokio::test]
async fn the_target_of_a_copy_is_read_as_strictly() {
    let url = "postgres://u@127.0.0.1:1/d?sslmdoe=verify-full";
    let opened = store::open(url, &StoreOptions::default()).await;
    let error = opened.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("did you mean `sslmode`?"), "{error}");
}

#[tokio::test]
async fn another_schema_is_used_where_options_name_it() {
    let database = Database::empty().await;
    let mut beside = database.connect().await;
    sqlx::query("CREATE SCHEMA elsewhere")
        .execute(&mut beside)
        .await
        .unwrap();
    let url = format!("{}&options[search_path]=elsewhere", database.url());
    let store = store::open(&url, &StoreOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    store.probe().await.unwrap();
    let (here, elsewhere): (bool, bool) = sqlx::query_as(
        "SELECT to_regclass('public.attempts') IS NOT NULL, to_regclass('elsewhere.attempts') IS NOT NULL",
    )
    .fetch_one(&mut beside)
    .await
    .unwrap();
    assert!(elsewhere && !here);
    store.close().await;
}

#[tokio::test]
async fn a_server_that_is_away_is_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let url = format!("postgres://u@{address}/d");
    let opened = store::open(&url, &StoreOptions::default()).await;
    let error = opened.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(&address), "{error}");
    // One that takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let impatient = StoreOptions {
        call_timeout: std::time::Duration::from_millis(300),
        ..StoreOptions::default()
    };
    let opened = store::open(&format!("postgres://u@{address}/d"), &impatient).await;
    let error = opened.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(&address), "{error}");
}
