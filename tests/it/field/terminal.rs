//! kubernetes#101695: an escape sequence in what the upstream says reached the terminal.

use serde_json::json;

use crate::process::world::{Settings, World, jobs_of_each_kind};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escape_sequence_of_the_upstream_is_shown_and_not_obeyed() {
    let world = World::new(Settings {
        jobs: jobs_of_each_kind(),
        ..Settings::default()
    })
    .await;
    world.patch(json!({
        "external_reference": "EXT-\u{1b}]0;x\u{7}", "status": "NOT_SENT", "age": "3h",
    }));
    let ended = world.run(&["plan"]).await;
    let said = ended.stdout + &ended.stderr;
    assert!(!said.contains(['\u{1b}', '\u{7}']), "{said:?}");
}
