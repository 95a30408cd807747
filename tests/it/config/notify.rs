//! `[notify]`: absent, it means nobody; begun anywhere, its defaults hold; and its mistakes are told.

use std::time::Duration;

use tesa_reconciler::config::{Notify, NotifyFormat, example};
use tesa_reconciler::domain::AlertName;

use super::{LEAST, parse, parse_with};

fn least() -> Notify {
    Notify {
        url: "https://receiver.example/hook".to_owned(),
        format: NotifyFormat::Json,
        alerts: AlertName::ALL.to_vec(),
        token_file: None,
        ca_file: None,
        timeout: Duration::from_secs(10),
    }
}

#[test]
fn without_the_section_nobody_is_told() {
    assert_eq!(parse(LEAST).unwrap().notify, None);
    assert_eq!(parse(&example()).unwrap().notify, None);
}

#[test]
fn a_url_is_enough_in_the_file_or_in_the_environment() {
    let file = format!("{LEAST}[notify]\nurl = \"https://receiver.example/hook\"\n");
    assert_eq!(parse(&file).unwrap().notify, Some(least()));
    let variables = [
        (
            "TESA_RECONCILER__NOTIFY__URL",
            "https://receiver.example/hook",
        ),
        ("TESA_RECONCILER__NOTIFY__ALERTS", "guard_held, given_up"),
    ];
    let chosen = Notify {
        alerts: vec![AlertName::GuardHeld, AlertName::GivenUp],
        ..least()
    };
    assert_eq!(parse_with(LEAST, variables).unwrap().notify, Some(chosen));
}

#[test]
fn the_receiver_is_named_by_its_host_because_the_path_may_be_a_secret() {
    assert_eq!(least().host(), "receiver.example");
}

#[test]
fn mistakes_are_told_with_the_way_out() {
    for (section, says) in [
        ("", "`url` is missing in [notify]"),
        (
            "url = \"http://receiver.example/\"",
            "over http to another machine",
        ),
        ("url = \"https://u:hunter2@x/\"", "notify.token_file"),
        ("url = \"https://x/?token=hunter2\"", "nothing may follow"),
        (
            "url = \"https://x\"\nformat = \"slack\"",
            "is not a form of notifications",
        ),
        (
            "url = \"https://x\"\nalerts = [\"guard_hold\"]",
            "did you mean `guard_held`?",
        ),
        (
            "url = \"https://x\"\nalerts = []",
            "leave [notify] out instead",
        ),
        (
            "url = \"https://x\"\ntimeout = \"2m\"",
            "must be at most 1m",
        ),
        ("url = \"https://x\"\ntoken = \"hunter2\"", "token_file"),
    ] {
        let errors = parse(&format!("{LEAST}[notify]\n{section}\n")).unwrap_err();
        let errors = errors.to_string();
        assert!(errors.contains(says), "{section}\n{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}
