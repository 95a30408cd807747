//! A SQLite store that can't be used, each for another reason, and where it is looked for.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::process::world::{Settings, World, empty_sandbox, program, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_database_is_told_from_one_that_is_missing() {
    let world = World::before_the_first_start(empty_sandbox(), Settings::default()).await;
    let missing = world.run(&["runs"]).await;
    assert_eq!(missing.code, Some(75), "{missing:?}");
    assert!(missing.stderr.contains("there is no store"), "{missing:?}");
    std::fs::write(world.store_file(), "this is a letter, and no database").unwrap();
    let begun = Instant::now();
    let foreign = world.run(&["runs"]).await;
    assert_eq!(foreign.code, Some(75), "{foreign:?}");
    let path = world.store_file().display().to_string();
    for part in ["is no SQLite database", path.as_str()] {
        assert!(foreign.stderr.contains(part), "{part}: {foreign:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_relative_store_is_beside_the_configuration_and_not_where_the_command_began() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("token"), "t").unwrap();
    let file = dir.path().join("tesa-reconciler.toml");
    let text = "[tesamanager]\nbase_url = \"https://x.example/v1\"\norgs = [\"o\"]\ntoken_file = \"token\"\n";
    let named = format!("{text}[state]\nurl = \"sqlite:mine.db\"\n");
    for (text, name) in [(text, "tesa-reconciler.db"), (&named, "mine.db")] {
        std::fs::write(&file, text).unwrap();
        let args = ["migrate", "--config", file.to_str().unwrap()];
        let ended = run(program(elsewhere.path(), &args)).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(dir.path().join(name).exists(), "{name}");
    }
    assert_eq!(elsewhere.path().read_dir().unwrap().count(), 0);
    let modes = std::fs::metadata(dir.path().join("mine.db")).unwrap();
    assert_eq!(modes.permissions().mode() & 0o777, 0o600);
}
