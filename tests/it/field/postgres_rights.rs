//! golang-migrate#826: from PostgreSQL 15 on, a role makes no table in `public` unless it is told so; and doctor, which
//! did not give the store its password.

use tesa_reconciler::store::{self, StoreOptions};

use crate::process::world::{Settings, World, empty_sandbox};
use crate::support::postgres::Database;
use crate::support::postgres::tls::TlsServer;

#[tokio::test]
async fn a_role_that_may_make_no_tables_is_told_the_grant() {
    let database = Database::empty().await;
    let mut owner = database.connect().await;
    let role = format!("weak_{}", std::process::id());
    for statement in [
        format!("CREATE ROLE {role} LOGIN"),
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC".to_owned(),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&mut owner)
            .await
            .unwrap();
    }
    let url = database
        .url()
        .replace("postgres://postgres@", &format!("postgres://{role}@"));
    let store = store::open(&url, &StoreOptions::default()).await.unwrap();
    let grant = format!("GRANT USAGE, CREATE ON SCHEMA \"public\" TO \"{role}\"");
    let looked = store.check_schema().await.map(|_| ()).unwrap_err();
    let tried = store.migrate().await.unwrap_err();
    for error in [looked, tried] {
        assert!(error.to_string().contains(&grant), "{error}");
    }
    store.close().await;
    drop(store);
    database.cut_connections().await;
    let mut owner = database.connect().await;
    sqlx::query(sqlx::AssertSqlSafe(format!("DROP ROLE {role}")))
        .execute(&mut owner)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_asks_the_store_with_its_password() {
    let server = TlsServer::start();
    let options = format!("sslmode=verify-full&sslrootcert={}", server.path("ca.pem"));
    let url = server.url("127.0.0.1", &options);
    let settings = Settings {
        state_url: Some(format!(
            "{url}\"\npassword_file = \"{}",
            server.path("password")
        )),
        ..Settings::default()
    };
    let world = World::before_the_first_start(empty_sandbox(), settings).await;
    let ended = world.run(&["doctor"]).await;
    let said = ended.stdout + &ended.stderr;
    assert!(
        said.contains("lacks") && said.contains("migration"),
        "{said}"
    );
    assert!(!said.contains("CANARY"), "{said}");
}
