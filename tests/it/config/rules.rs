//! Rules mean what they say whatever stands beside them: those that are never heard are refused, and what may not be
//! meant is said.

use tesa_reconciler::cli::config::{ConfigCommand, run};
use tesa_reconciler::cli::output::Format;
use tesa_reconciler::config::{Overrides, warnings};

use super::{LEAST, parse};

fn job(kind: &str, rules: &[(&str, &str)]) -> String {
    let mut text = format!("\n[[job]]\nname = \"{kind}\"\nkind = \"{kind}\"\nevery = \"5m\"\n");
    for (name, keys) in rules {
        text.push_str(&format!("[[job.rule]]\nname = \"{name}\"\n{keys}\n"));
    }
    text
}

const WIDE: &str =
    "statuses = [\"NOT_SENT\", \"VALIDATING\"]\nnot_updated_for = \"2h\"\naction = \"flag\"";
const NARROW: &str =
    "statuses = [\"NOT_SENT\"]\npersistence_type = \"ACTIVATION\"\nnot_updated_for = \"5d\"\n";

#[test]
fn a_rule_behind_a_wider_one_is_refused_whatever_it_would_do() {
    for action in ["flag", "ignore", "resend"] {
        let narrow = format!("{NARROW}action = \"{action}\"");
        let text = format!(
            "{LEAST}{}",
            job("retry_stuck", &[("wide", WIDE), ("narrow", &narrow)])
        );
        let errors = parse(&text).unwrap_err();
        let said = errors.to_string();
        assert!(said.contains("t.toml:15:1: job retry_stuck, rule narrow: it can never match: rule wide before it takes all that it is for"), "{said}");
        assert!(
            said.contains("put it before it, narrow it, or remove this rule"),
            "{said}"
        );
        assert!(said.ends_with("1 error in the configuration"), "{said}");
        // The other way round both are heard.
        let text = format!(
            "{LEAST}{}",
            job("retry_stuck", &[("narrow", &narrow), ("wide", WIDE)])
        );
        parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn every_rule_that_is_never_heard_is_named_with_all_that_take_it() {
    let rules = [
        ("a", "statuses = [\"INCIDENCE_TESA\"]\naction = \"flag\""),
        (
            "b",
            "statuses = [\"INCIDENCE_OPERATOR\"]\naction = \"flag\"",
        ),
        (
            "c",
            "statuses = [\"INCIDENCE_INSTALLING\"]\naction = \"ignore\"",
        ),
        // A job that resolves issues lists no other status.
        ("rest", "action = \"flag\""),
        (
            "again",
            "statuses = [\"INCIDENCE_TESA\"]\nissue_codes = [\"CLI-*\"]\naction = \"resolve_incident\"",
        ),
    ];
    let errors = parse(&format!("{LEAST}{}", job("resolve_issues", &rules))).unwrap_err();
    let said: Vec<&str> = errors
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    assert_eq!(
        said,
        [
            "job resolve_issues, rule rest: it can never match: rule a, rule b and rule c before it takes all that it is for",
            "job resolve_issues, rule again: it can never match: rule a before it takes all that it is for",
        ]
    );
}

#[test]
fn a_rule_that_has_a_mistake_of_its_own_hides_no_other() {
    let wrong = "statuses = [\"NOT_SEND\"]\nnot_updated_for = \"2h\"\naction = \"flag\"";
    let narrow = format!("{NARROW}action = \"flag\"");
    let rules = [
        ("wide", WIDE),
        ("wrong", wrong),
        ("narrow", narrow.as_str()),
    ];
    let errors = parse(&format!("{LEAST}{}", job("retry_stuck", &rules))).unwrap_err();
    assert_eq!(errors.iter().count(), 2, "{errors}");
}

fn said(text: &str) -> Vec<String> {
    warnings(&parse(&format!("{LEAST}{text}")).unwrap())
}

#[test]
fn the_program_s_own_jobs_are_warned_of_nothing() {
    assert_eq!(said(""), [""; 0]);
}

#[test]
fn a_word_that_never_counts_and_the_kinds_left_out_are_said() {
    let narrow =
        "statuses = [\"NOT_SENT\", \"INSTALLED\"]\nnot_updated_for = \"5d\"\naction = \"flag\"";
    let jobs = job("retry_stuck", &[("wide", WIDE), ("late", narrow)]) + &job("flag_events", &[]);
    assert_eq!(
        said(&jobs),
        [
            "job retry_stuck, rule late: NOT_SENT in `statuses` never counts: rule wide before it takes it",
            "no job of kind resolve_issues: open issues are neither flagged nor resolved",
            "no job of kind housekeeping: the store keeps everything and grows",
        ]
    );
}

#[test]
fn what_an_unsupported_filter_costs_is_said() {
    let unsupported = |filters: &str| said(&format!("unsupported_filters = [{filters}]\n"));
    let aged = unsupported("\"notUpdatedSince\"");
    assert_eq!(aged.len(), 1, "{aged:?}");
    for part in [
        "job retry-stuck reads every request in NOT_SENT, VALIDATING, ",
        "job resolve-issues can't tell what changed and reads every request that it lists",
        "job flag-events can't tell what changed",
    ] {
        assert!(aged[0].contains(part), "{aged:?}");
    }
    // No rule asks for it, so it costs nothing.
    assert_eq!(
        unsupported("\"persistence_type\", \"autoInstallation\""),
        [""; 0]
    );
    assert!(unsupported("\"statuses\"")[0].contains("requests of every status"));
    assert!(unsupported("\"cancelling\"")[0].contains("every aged request in NOT_SENT"));
}

#[test]
fn the_page_that_explains_fits_eighty_columns_whatever_the_rules_ask() {
    let long = "statuses = [\"INCIDENCE_INSTALLING\", \"INCIDENCE_OPERATOR\"]\npersistence_type = \"TERMINATION\"\n\
                auto_installation = true\nterritory_owners = [\"VULA_COMMERCIAL\"]\nnot_updated_for = \"5d\"\naction = \"create_status_cto\"";
    let rules = [(
        "a-rule-whose-name-is-as-long-as-a-name-may-ever-be-in-any-file-x",
        long,
    )];
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "t").unwrap();
    let path = folder.path().join("tesa-reconciler.toml");
    let jobs =
        job("retry_stuck", &rules[..0]) + &job("resolve_issues", &[]) + &job("flag_events", &[]);
    let one = format!(
        "[[job]]\nname = \"one\"\nkind = \"retry_stuck\"\nevery = \"1h\"\n[[job.rule]]\nname = \"{}\"\n{}\n",
        &rules[0].0[..63],
        rules[0].1
    );
    std::fs::write(&path, format!("{LEAST}{jobs}{one}")).unwrap();
    let mut out = Vec::new();
    let command = ConfigCommand::Check { explain: true };
    let overrides = Overrides::default();
    run(
        &command,
        &path,
        std::iter::empty(),
        &overrides,
        Format::Table,
        "2026-11-28T18:30:00Z".parse().unwrap(),
        &mut out,
    )
    .unwrap();
    let page = String::from_utf8(out).unwrap();
    let explained = page.split_once("\n\n").unwrap().1;
    for line in explained.lines() {
        assert!(line.chars().count() <= 80, "{line}\n{explained}");
    }
}
