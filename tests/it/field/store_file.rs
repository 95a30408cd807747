//! A SQLite store that can't be used, each for another reason, and where it is looked for.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::world::{Ended, Settings, World, empty_sandbox, program, run};

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

/// Runs the program where the folder can only be read: in a mount namespace of its own.
async fn run_read_only(world: &World, args: &[&str]) -> Ended {
    let inner = world.program(args);
    let command = {
        let mut outer = Command::new("unshare");
        let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && cd \"$0\" && exec \"$@\"";
        outer
            .args(["--mount", "--map-root-user", "sh", "-c", mount])
            .arg(world.dir.path())
            .arg(inner.get_program())
            .args(inner.get_args())
            .env_clear();
        for (name, value) in inner.get_envs() {
            outer.env(name, value.unwrap_or_default());
        }
        outer
    };
    run(command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_reads_works_where_nothing_can_be_written() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    let daemon = world.daemon().await;
    let run_once = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(run_once.code, Some(0), "{run_once:?}");
    daemon.stop().await;
    for args in [
        &["runs"][..],
        &["attempts"],
        &["findings"],
        &["jobs"],
        &["audit"],
        &["history", "ORD-1"],
        &["stuck"],
    ] {
        let ended = run_read_only(&world, args).await;
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    }
    let status = run_read_only(&world, &["status"]).await;
    assert_eq!(status.code, Some(3), "no daemon lives: {status:?}");
    let pause = run_read_only(&world, &["pause", "--all", "--reason", "x"]).await;
    assert_eq!(pause.code, Some(75), "{pause:?}");
    assert!(pause.stderr.contains("read-only file system"), "{pause:?}");
    // A daemon that died has left its newest changes beside the file.
    std::fs::write(world.path("state.db-wal"), "x").unwrap();
    let unread = run_read_only(&world, &["runs"]).await;
    assert_eq!(unread.code, Some(75), "{unread:?}");
    assert!(unread.stderr.contains("copy both"), "{unread:?}");
}

/// Debian's `nobody`, who may do nothing in the folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_may_not_be_read_is_told_from_one_that_is_missing() {
    let world = World::new(Settings::default()).await;
    assert_eq!(world.run(&["migrate"]).await.code, Some(0));
    let locked = world.path("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::rename(world.store_file(), locked.join("state.db")).unwrap();
    let url = format!("sqlite:{}", locked.join("state.db").display());
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o000)).unwrap();
    std::fs::set_permissions(world.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let inner = world.program(&["runs"]);
    let mut command = Command::new("setpriv");
    // Without this right of root's nobody looks into a closed folder.
    command
        .args([
            "--bounding-set",
            "-dac_override,-dac_read_search",
            "--inh-caps",
            "-all",
        ])
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(world.dir.path())
        .env("TESA_RECONCILER__STATE__URL", &url);
    let ended = run(command).await;
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(ended.stderr.contains("ermission denied"), "{ended:?}");
    assert!(!ended.stderr.contains("there is no store"), "{ended:?}");
}
