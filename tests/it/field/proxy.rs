//! request#2849: `NO_PROXY` named the upstream, and doctor said that calls go through the proxy.

use crate::process::world::{program, run};

#[tokio::test]
async fn doctor_says_of_a_proxy_what_the_client_does() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "t").unwrap();
    let text = "[tesamanager]\nbase_url = \"https://upstream.invalid/v1\"\norgs = [\"o\"]\n\
                token_file = \"token\"\nconnect_timeout = \"1s\"\nrequest_timeout = \"1s\"\n";
    std::fs::write(dir.path().join("tesa-reconciler.toml"), text).unwrap();
    let through = "through the proxy http://127.0.0.1:1";
    for (no_proxy, goes_through) in [
        ("", true),
        ("other.invalid", true),
        ("upstream.invalid", false),
    ] {
        let mut doctor = program(dir.path(), &["doctor"]);
        doctor
            .env("HTTPS_PROXY", "http://user:CANARY@127.0.0.1:1")
            .env("NO_PROXY", no_proxy);
        let ended = run(doctor).await;
        assert_eq!(ended.code, Some(69), "{ended:?}");
        let said = ended.stdout + &ended.stderr;
        assert_eq!(said.contains(through), goes_through, "{no_proxy:?}: {said}");
        assert!(!said.contains("CANARY"), "{said}");
    }
}
