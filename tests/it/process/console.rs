//! The daemon with a console: it is served beside the metrics, shows what the commands do, and is refused where it would be open.

use serde_json::json;

use super::world::{Settings, World};
use crate::support::http::client;

fn with_console(lines: &str) -> Settings {
    Settings {
        // The last lines of the file: a section of their own.
        jobs: format!(
            "{}\n[console]\nlisten = \"127.0.0.1:0\"\n{lines}\n",
            super::world::resend_job(super::world::NEVER)
        ),
        ..Settings::default()
    }
}

#[tokio::test]
async fn the_daemon_serves_it_and_it_shows_what_the_commands_do() {
    let world = World::new(with_console("")).await;
    let mut daemon = world.daemon().await;
    let address = daemon.logged("ready").await["console"].clone();
    let page = |path: &str| {
        let url = format!("http://{}{path}", address.as_str().unwrap());
        async move {
            client()
                .get(url)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap()
        }
    };
    assert!(page("/").await.contains("all well"), "{}", page("/").await);
    let paused = ["pause", "--all", "--reason", "change at the gateway"];
    assert_eq!(world.run(&paused).await.code, Some(0));
    let shown = page("/").await;
    assert!(
        shown.contains("stopped") && shown.contains("change at the gateway"),
        "{shown}"
    );
    let pid = daemon.pid().to_string();
    assert!(page("/system").await.contains(&pid));
    daemon.signal("TERM");
    assert_eq!(daemon.exit().await, Some(0));
}

#[tokio::test]
async fn one_that_would_be_open_to_others_or_lets_nobody_in_is_a_mistake() {
    let open = Settings {
        jobs: with_console("").jobs.replace("127.0.0.1:0", "0.0.0.0:0"),
        ..Settings::default()
    };
    for (settings, said) in [
        (open, "can be reached from other machines"),
        (with_console("password_file = \"passwords\""), "line 1"),
    ] {
        let world = World::new(Settings {
            mode: "observe",
            ..settings
        })
        .await;
        std::fs::write(world.path("passwords"), "ana:plain").unwrap();
        let ended = world.run(&["run"]).await;
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
}

#[tokio::test]
async fn a_password_line_is_made_from_what_is_typed() {
    let world =
        World::before_the_first_start(super::world::empty_sandbox(), with_console("")).await;
    let file = world.path("typed");
    for (typed, code) in [("correct horse battery\n", 0), ("short\n", 2)] {
        std::fs::write(&file, typed).unwrap();
        let mut command = world.program(&["console", "password", "ana", "--role", "operator"]);
        command.stdin(std::fs::File::open(&file).unwrap());
        let ended = command.output().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{}", json!(typed));
        let line = String::from_utf8(ended.stdout).unwrap();
        assert_eq!(
            code == 0,
            line.starts_with("ana:$argon2id$v=19$") && line.ends_with(":operator\n"),
            "{line}"
        );
    }
}
