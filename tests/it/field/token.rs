//! hetznercloud/cli#102 and google-auth-library-java#682: a token file that holds more than a token, and a token endpoint
//! whose clock is a little behind.

use crate::process::world::{Settings, World};

async fn said_of(content: &str) -> (Option<i32>, String) {
    let world = World::new(Settings {
        tesamanager: "token_file = \"token\"".to_owned(),
        ..Settings::default()
    })
    .await;
    std::fs::write(world.path("token"), content).unwrap();
    let ended = world.run(&["doctor"]).await;
    (ended.code, ended.stdout + &ended.stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_token_is_refused_before_the_upstream_sees_it() {
    for (content, way_out) in [
        ("Bearer CANARY", "which is added by itself"),
        ("\"CANARY\"", "in quotes"),
        ("{\"access_token\": \"CANARY\"}", "holds JSON"),
    ] {
        let (code, said) = said_of(content).await;
        assert_eq!(code, Some(69), "{said}");
        assert!(said.contains(way_out), "{content}: {said}");
        assert!(!said.contains("CANARY"), "{said}");
    }
}
