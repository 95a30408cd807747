//! config-rs#78: a variable that is set to nothing ended a command that did not even need it.

use crate::process::world::{Settings, World, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_set_to_nothing_is_unset() {
    let world = World::new(Settings::default()).await;
    let named = &["config", "check", "--config", "tesa-reconciler.toml"][..];
    for args in [&["config", "check"][..], named] {
        let mut command = world.program(args);
        command
            .env("TESA_RECONCILER_CONFIG", "")
            .env("TESA_RECONCILER__SAFETY__MODE", "")
            .env("STATE_DIRECTORY", "")
            .env("CREDENTIALS_DIRECTORY", "");
        let ended = run(command).await;
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    }
}
