//! What must agree between the table of keys and the code that reads them.

use std::collections::BTreeSet;

use super::keys::{self, Kind, Preset, SECTIONS};
use super::{Overrides, default_endpoints, defaults, parse, rule, tree};
use crate::domain::{Operation, ReadOperation};
use crate::rules::WriteKind;

const JOB: &str = "[[job]]\nname = \"j\"\nkind = \"resolve_issues\"\nevery = \"5m\"\n";
const RULE: &str = "[[job.rule]]\nname = \"r\"\naction = \"flag\"\n";
const UPSTREAM: &str =
    "[tesamanager]\nbase_url = \"https://x\"\norgs = [\"o\"]\ntoken_file = \"t\"\n";

fn errors(text: &str) -> String {
    match parse(text, "f", std::iter::empty(), &Overrides::default()) {
        Ok(_) => String::new(),
        Err(errors) => errors.to_string(),
    }
}

/// A file in which `key` of `path` stands once, with a value that no key takes.
fn with_a_date(path: &str, key: &str) -> String {
    let line = format!("{key} = 1979-05-27");
    let without = |text: &str| -> String {
        let others = text
            .lines()
            .filter(|row| !row.starts_with(&format!("{key} =")));
        others.map(|row| format!("{row}\n")).collect()
    };
    match path {
        "tesamanager" => format!("{}{line}\n", without(UPSTREAM)),
        "service_level" => {
            let level = without("name = \"n\"\nwithin = \"5d\"\n");
            format!("{UPSTREAM}[[service_level]]\n{level}{line}\n")
        }
        "job" => format!("{UPSTREAM}{}{line}\n", without(JOB)),
        "job.rule" => {
            // A parameter is read where an action takes it.
            let takes = |kind: &&WriteKind| kind.parameters().iter().any(|one| one.key == key);
            let action = WriteKind::ALL.iter().find(takes);
            let action = action.map_or("flag", |kind| kind.as_str());
            let rule = without(&RULE.replace("flag", action));
            format!("{UPSTREAM}{JOB}{rule}{line}\n")
        }
        _ => format!("{UPSTREAM}[{path}]\n{line}\n"),
    }
}

#[test]
fn every_key_of_the_table_is_read() {
    for section in SECTIONS {
        for key in section.keys {
            let text = with_a_date(section.path, key.name);
            let shown = errors(&text);
            let line = text.lines().position(|row| row.contains("1979")).unwrap() + 1;
            assert!(
                shown.contains(&format!("f:{line}:")) && shown.contains("this is a date"),
                "{}.{} is in the table, but nobody reads it:\n{shown}",
                section.path,
                key.name
            );
        }
    }
}

#[test]
fn every_default_and_every_example_is_a_value() {
    let place = super::problem::Place::WholeFile;
    for key in SECTIONS.iter().flat_map(|section| section.keys) {
        let value = tree::value(key.sample(), &place);
        let value = value.unwrap_or_else(|| panic!("{}: {}", key.name, key.sample()));
        let fits = match key.kind {
            Kind::Text | Kind::Url | Kind::File => "a text",
            Kind::Switch => "true or false",
            Kind::List => "a list",
            Kind::Map => "a table",
            Kind::Number => value.what(),
        };
        assert_eq!(value.what(), fits, "{}", key.name);
        assert!(
            !key.doc.contains('\n') && key.doc.ends_with(['.', '?']),
            "{}",
            key.name
        );
    }
}

#[test]
fn the_table_names_each_operation_once() {
    let named: Vec<&str> = keys::section("tesamanager.endpoints")
        .unwrap()
        .keys
        .iter()
        .map(|key| key.name)
        .collect();
    let operations: Vec<&str> = Operation::ALL
        .iter()
        .map(|operation| operation.as_str())
        .chain(
            ReadOperation::ALL
                .iter()
                .map(|operation| operation.as_str()),
        )
        .collect();
    assert_eq!(named, operations);
}

#[test]
fn the_default_endpoints_are_what_an_empty_section_gives() {
    let config = parse(UPSTREAM, "f", std::iter::empty(), &Overrides::default()).unwrap();
    assert_eq!(config.tesamanager.endpoints, default_endpoints());
    assert_eq!(default_endpoints().writes.len(), 12);
    assert_eq!(default_endpoints().reads.len(), 4);
}

#[test]
fn the_table_names_each_parameter_of_each_action() {
    let known: BTreeSet<&str> = rule::SECTION.keys.iter().map(|key| key.name).collect();
    for kind in WriteKind::ALL {
        for parameter in kind.parameters() {
            assert!(known.contains(parameter.key), "{kind}: {}", parameter.key);
        }
    }
}

#[test]
fn the_built_in_jobs_can_be_read() {
    assert!(defaults::jobs().is_some());
    assert!(defaults::stuck_rules().is_some());
}

#[test]
fn a_name_has_one_preset_in_each_section() {
    for section in SECTIONS {
        let names: BTreeSet<&str> = section.keys.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), section.keys.len(), "{}", section.path);
        let required = section
            .keys
            .iter()
            .filter(|key| matches!(key.preset, Preset::Required(_)));
        let expected = match section.path {
            "tesamanager" | "service_level" | "job" | "job.rule" => 2,
            "notify" => 1,
            _ => 0,
        };
        assert_eq!(required.count(), expected, "{}", section.path);
    }
}

/// A value that holds a number or a time, sensible or not, as it is written in a file.
fn odd_value() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        prop::sample::select(&[0, 1, -1, i64::MAX, i64::MIN, 1 << 32][..])
            .prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}").replace("NaN", "nan")),
        "[0-9]{1,22}".prop_map(|number| format!("\"{number}\"")),
        "[0-9]{1,20}(ns|us|ms|s|m|h|d|w|M|y| years)( [0-9]{1,20}(s|h|y))?"
            .prop_map(|span| format!("\"{span}\"")),
        "[0-9*/,LW#?-]{1,8}( [0-9*/,LW#?-]{1,8}){4,6}".prop_map(|cron| format!("\"{cron}\"")),
        "[0-9]{1,20}(ns|s|y)"
            .prop_map(|span| format!("{{ initial = \"{span}\", max = \"{span}\" }}")),
        "[0-9]{1,20}(ns|s|y)".prop_map(|span| format!("[\"{span}\"]")),
    ]
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_value_of_any_key_panics_nor_does_what_is_reckoned_with_it(
        at in proptest::prelude::any::<proptest::sample::Index>(),
        value in odd_value(),
    ) {
        let all: Vec<_> = SECTIONS
            .iter()
            .flat_map(|section| section.keys.iter().map(|key| (section.path, key.name)))
            .collect();
        let (path, key) = all[at.index(all.len())];
        let text = with_a_date(path, key).replace("1979-05-27", &value);
        if let Ok(config) = parse(&text, "f", std::iter::empty(), &Overrides::default()) {
            let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
            for job in &config.jobs {
                crate::schedule::next_due(&job.schedule, &job.name, now);
                for rule in &job.rules {
                    let age = rule.matcher.not_updated_for.unwrap_or_default();
                    crate::rules::later(now, age);
                    let _ = (now - age, now + age);
                }
            }
            let safety = &config.safety;
            let spans = safety.verify_after.iter().chain([&safety.backoff.max, &config.state.retention, &config.state.history_retention]);
            for span in spans {
                let _ = (now - *span, now + *span);
            }
        }
    }
}
