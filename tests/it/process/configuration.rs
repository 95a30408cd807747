//! A wrong configuration: 78, everything that is wrong at once, one clear message each, and nothing begun.

use super::world::{Settings, World, empty_sandbox};

/// A world whose configuration has this instead of that.
async fn with(from: &str, to: &str) -> World {
    let world = World::before_the_first_start(empty_sandbox(), Settings::default()).await;
    let file = world.path("tesa-reconciler.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from} is not in\n{text}");
    std::fs::write(&file, text.replace(from, to)).unwrap();
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_is_named_with_its_place_and_the_way_out() {
    let cron = "schedule = \"0 0 0 29 2 *\"";
    let statuses = "statuses = [\"NOT_SENT\"]";
    // What stands in the file, what takes its place, what is said of it, and the way out.
    for (from, to, says, help) in [
        (
            "writes_per_second",
            "writes_per_secnd",
            "unknown key `writes_per_secnd`",
            "did you mean `writes_per_second`?",
        ),
        (
            "not_updated_for = \"30m\"",
            "not_updated_for = \"30 parsecs\"",
            "parsecs",
            "30m",
        ),
        (
            "not_updated_for = \"30m\"",
            "not_updated_for = 30",
            "a duration needs its unit",
            "30m",
        ),
        ("account.json", "no-such.json", "no-such.json", ""),
        (cron, "schedule = \"0 99 * * * *\"", "99", ""),
        (cron, "schedule = \"0 0 0 31 2 *\"", "31", ""),
        (
            cron,
            "schedule = \"0 0 0 1 1 *\"\ntimezone = \"Europe/Madird\"",
            "Europe/Madird",
            "Europe/Madrid",
        ),
        (
            "orgs = [\"masmovil\"]",
            "orgs = []",
            "no org, nothing to do",
            "",
        ),
        (
            statuses,
            "statuses = [\"NOT_SEND\"]",
            "NOT_SEND",
            "NOT_SENT",
        ),
        (statuses, "statuses = [\"FINISHED\"]", "FINISHED", ""),
        (
            "action = \"resend\"",
            "action = \"create_port\"",
            "`port` is missing",
            "",
        ),
        (
            "mode = \"enforce\"",
            "mode = \"enforced\"",
            "enforced",
            "enforce",
        ),
        ("[safety]", "[safety", "tesa-reconciler.toml:", ""),
    ] {
        let world = with(from, to).await;
        for args in [&["run"][..], &["config", "check"]] {
            let ended = world.run(args).await;
            let said = &ended.stderr;
            assert_eq!(ended.code, Some(78), "{args:?} {to}: {ended:?}");
            assert!(said.contains(says) && said.contains(help), "{to}: {said}");
            assert!(
                said.contains("1 error in the configuration"),
                "{to}: {said}"
            );
            assert!(said.contains("tesa-reconciler.toml:"), "{to}: {said}");
            assert_eq!(ended.stdout, "");
        }
        assert!(!world.store_file().exists(), "nothing was begun");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_meant_is_said_on_stderr_and_at_the_start_and_stops_nothing() {
    let world = with(
        "[state]\n",
        "unsupported_filters = [\"notUpdatedSince\"]\n[state]\n",
    )
    .await;
    let costs = "unsupported_filters names notUpdatedSince, which costs reads in every run: \
                 job retry-stuck reads every request in NOT_SENT";
    let check = world.run(&["config", "check"]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
    for warning in [costs, "no job of kind resolve_issues: "] {
        assert!(check.stderr.contains(warning), "{}", check.stderr);
        assert!(!check.stdout.contains(warning), "{}", check.stdout);
    }
    let once = world.run(&["run", "--once"]).await;
    assert!(once.stderr.contains(costs), "{once:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_mistakes_are_told_at_once() {
    let world = with("[safety]\n", "[safety]\nmax_attempts = 0\nmax_writs = 1\n").await;
    let mut command = world.program(&["run", "--mode", "enforcing"]);
    command.env("TESA_RECONCILER__HTTP__LISTEN", "nowhere");
    let ended = super::world::run(command).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    for said in [
        "max_attempts",
        "max_writs",
        "--mode",
        "TESA_RECONCILER__HTTP__LISTEN",
        "4 errors in the configuration",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_is_not_there_is_said_with_what_makes_one() {
    let world = World::new(Settings::default()).await;
    let ended = world.run(&["run", "--config", "none.toml"]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let way_out = "tesa-reconciler config example > none.toml";
    assert!(ended.stderr.contains(way_out), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_show_and_example_print_data_on_stdout() {
    let world = World::before_the_first_start(empty_sandbox(), Settings::default()).await;
    let check = world.run(&["config", "check"]).await;
    assert_eq!(check.code, Some(0));
    let warnings: Vec<&str> = check.stderr.lines().collect();
    assert!(
        warnings
            .iter()
            .all(|line| line.starts_with("warning: no job of kind ")),
        "{check:?}"
    );
    assert!(check.stdout.starts_with("OK: tesa-reconciler.toml\n"));
    assert!(check.stdout.contains("mode      enforce"), "{check:?}");

    let show = world.run(&["config", "show", "--mode", "observe"]).await;
    assert_eq!((show.code, show.stderr.as_str()), (Some(0), ""));
    let shown: toml::Table = show.stdout.parse().expect("TOML");
    assert_eq!(shown["safety"]["mode"].as_str(), Some("observe"));
    assert_eq!(shown["safety"]["max_attempts"].as_integer(), Some(3));
    assert!(show.stdout.contains("--mode"), "the origin of each value");

    // Works without any configuration, and is one.
    std::fs::remove_file(world.path("tesa-reconciler.toml")).unwrap();
    let example = world.run(&["config", "example"]).await;
    assert_eq!((example.code, example.stderr.as_str()), (Some(0), ""));
    assert!(example.stdout.parse::<toml::Table>().is_ok());
    assert!(!world.store_file().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_explains_each_rule_on_eighty_columns_and_for_programs() {
    let world = World::new(Settings::default()).await;
    let page = world.run(&["config", "check", "--explain"]).await;
    assert_eq!(page.code, Some(0), "{page:?}");
    for part in [
        "retry-stuck (retry_stuck), masmovil",
        "resend, sent",
        "notUpdatedSince=<now-30m>",
        "cancelling=true",
    ] {
        assert!(page.stdout.contains(part), "{part}: {}", page.stdout);
    }
    let args = ["config", "check", "--explain", "--output", "json"];
    let json = world
        .run(&[&args[..], &["--mode", "observe"]].concat())
        .await;
    let jobs: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let rule = &jobs[0]["rules"][0];
    assert_eq!(rule["action"], "resend");
    assert_eq!(rule["acts"], false);
    assert_eq!(rule["classes"][0]["status"], "NOT_SENT");
    assert_eq!(rule["classes"][0]["decided_by"], "lists");
    assert_eq!(jobs[0]["lists"][1]["query"], "cancelling=true");
}
