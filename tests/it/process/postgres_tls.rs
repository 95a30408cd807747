//! PostgreSQL with TLS and a password, as the program meets it: what works, and what is said when it doesn't.

use super::world::{Ended, Settings, World, run};
use crate::support::postgres::tls::{PASSWORD, TlsServer};

/// Runs a command with this store and the password in this file.
async fn ask(world: &World, args: &[&str], url: &str, password_file: &str) -> Ended {
    let mut command = world.program(args);
    command
        .env("TESA_RECONCILER__STATE__URL", url)
        .env("TESA_RECONCILER__STATE__PASSWORD_FILE", password_file);
    run(command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verified_server_and_a_password_from_a_file_are_enough() {
    let (world, server) = (World::new(Settings::default()).await, TlsServer::start());
    let options = format!("sslmode=verify-full&sslrootcert={}", server.path("ca.pem"));
    let url = server.url("127.0.0.1", &options);
    for command in ["migrate", "jobs"] {
        let ended = ask(&world, &[command], &url, &server.path("password")).await;
        assert_eq!(ended.code, Some(0), "{command}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_or_its_certificate_forbids_is_told_with_the_way_out() {
    let (world, server) = (World::new(Settings::default()).await, TlsServer::start());
    let wrong = world.path("wrong-password");
    std::fs::write(&wrong, "wrong-CANARY-password\n").unwrap();
    let (right, wrong) = (server.path("password"), wrong.display().to_string());
    let trusting = |ca: &str| format!("sslmode=verify-full&sslrootcert={}", server.path(ca));
    let cases = [
        (
            "127.0.0.1",
            trusting("other-ca.pem"),
            &right,
            ["UnknownIssuer", "sslrootcert=FILE"],
        ),
        // The authorities that the machine trusts don't know this one either.
        (
            "127.0.0.1",
            "sslmode=verify-full".to_owned(),
            &right,
            ["UnknownIssuer", "sslrootcert=FILE"],
        ),
        (
            "localhost",
            trusting("ca.pem"),
            &right,
            ["localhost", "for another name"],
        ),
        (
            "127.0.0.1",
            "sslmode=disable".to_owned(),
            &right,
            ["no pg_hba.conf entry", "sslmode=verify-full"],
        ),
        (
            "127.0.0.1",
            trusting("ca.pem"),
            &wrong,
            ["password authentication failed", "state.password_file"],
        ),
        (
            "127.0.0.1",
            trusting("missing.pem"),
            &right,
            ["No such file", "`sslrootcert`"],
        ),
    ];
    for (host, options, password, says) in cases {
        let url = server.url(host, &options);
        let ended = ask(&world, &["status"], &url, password).await;
        assert_eq!(ended.code, Some(75), "{url}: {ended:?}");
        for text in [says[0], says[1], host] {
            assert!(
                ended.stderr.contains(text),
                "{url}: no {text:?} in {ended:?}"
            );
        }
        for secret in [PASSWORD, "wrong-CANARY-password"] {
            assert!(!format!("{ended:?}").contains(secret), "{url}: {ended:?}");
        }
    }
}
