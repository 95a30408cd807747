//! `[traces]`: without an endpoint there are none; with one its defaults hold; and its mistakes are told.

use std::path::PathBuf;
use std::time::Duration;

use tesa_reconciler::config::{Traces, changed_sections, example, restart_needed};

use super::{LEAST, parse, parse_with};

fn least() -> Traces {
    Traces {
        endpoint: "http://127.0.0.1:4318/".to_owned(),
        sample_ratio: 1.0,
        headers_file: None,
        ca_file: None,
        timeout: Duration::from_secs(10),
    }
}

fn section(text: &str) -> String {
    format!("{LEAST}[traces]\n{text}\n")
}

#[test]
fn without_an_endpoint_there_are_none() {
    assert_eq!(parse(LEAST).unwrap().traces, None);
    assert_eq!(parse(&example()).unwrap().traces, None);
    assert_eq!(parse(&section("sample_ratio = 0.5")).unwrap().traces, None);
}

#[test]
fn an_endpoint_is_enough_in_the_file_or_in_the_environment() {
    let file = section("endpoint = \"http://127.0.0.1:4318\"");
    assert_eq!(parse(&file).unwrap().traces, Some(least()));
    let variables = [
        ("TESA_RECONCILER__TRACES__ENDPOINT", "http://127.0.0.1:4318"),
        ("TESA_RECONCILER__TRACES__SAMPLE_RATIO", "0.1"),
    ];
    let chosen = Traces {
        sample_ratio: 0.1,
        ..least()
    };
    assert_eq!(parse_with(LEAST, variables).unwrap().traces, Some(chosen));
}

#[test]
fn the_signals_path_is_added_to_the_base_url() {
    for (endpoint, url) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("https://c.example/otlp", "https://c.example/otlp/v1/traces"),
        (
            "https://c.example/otlp/",
            "https://c.example/otlp/v1/traces",
        ),
        (
            "http://collector.monitoring:4318",
            "http://collector.monitoring:4318/v1/traces",
        ),
    ] {
        let config = parse(&section(&format!("endpoint = \"{endpoint}\""))).unwrap();
        assert_eq!(config.traces.unwrap().url(), url);
    }
}

#[test]
fn mistakes_are_told_with_the_way_out() {
    for (text, says) in [
        (
            "endpoint = \"collector:4318\"",
            "is not a scheme to reach a collector by",
        ),
        ("endpoint = \"collector\"", "this is not a URL"),
        (
            "endpoint = \"http://c:4318/v1/traces\"",
            "leave /v1/traces out",
        ),
        (
            "endpoint = \"http://c:4318\"\nheaders_file = \"h\"",
            "over http to another machine",
        ),
        ("endpoint = \"https://u:hunter2@c\"", "traces.headers_file"),
        (
            "endpoint = \"https://c/?key=hunter2\"",
            "nothing may follow",
        ),
        ("sample_ratio = 1.5", "must lie between 0 and 1"),
        ("sample_ratio = \"all\"", "a number between 0 and 1"),
        ("timeout = \"0s\"", "must be at least 1ms"),
        ("headers = \"hunter2\"", "unknown key `headers` in [traces]"),
    ] {
        let errors = parse(&section(text)).unwrap_err().to_string();
        assert!(errors.contains(says), "{text}\n{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_change_takes_a_restart_and_a_key_in_the_file_does_not() {
    let old = parse(LEAST).unwrap();
    let new = parse(&section("endpoint = \"http://127.0.0.1:4318\"")).unwrap();
    assert_eq!(changed_sections(&old, &new), ["traces"]);
    assert_eq!(restart_needed(&old, &new), ["traces"]);
    // The file's name stays, whatever stands in it: it is read for each delivery.
    let named = section("endpoint = \"http://127.0.0.1:4318\"\nheaders_file = \"h\"");
    let named = parse(&named).unwrap();
    assert_eq!(restart_needed(&named, &named), [""; 0]);
    assert_eq!(named.traces.unwrap().headers_file, Some(PathBuf::from("h")));
}
