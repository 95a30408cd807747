//! Alerts, runbooks and tests belong together, and speak of metrics that exist.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_yaml_ng::Value;
use tesa_reconciler::telemetry::catalogue::{self, Kind};

/// The expressions of the rules in a file: name, expression.
pub fn rules(file: &str, key: &str) -> Vec<(String, String)> {
    let document: Value =
        serde_yaml_ng::from_str(&super::text(&format!("deploy/prometheus/{file}"))).unwrap();
    let groups = document["groups"].as_sequence().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_sequence().unwrap());
    rules
        .map(|rule| {
            let text = |key: &str| rule[key].as_str().unwrap().to_owned();
            (text(key), text("expr"))
        })
        .collect()
}

/// The names of this program's metrics in a text, without those of recording rules.
pub fn metrics(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !word(c));
    words
        .filter(|word| word.starts_with("tesa_reconciler_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

pub fn is_catalogued(name: &str) -> bool {
    let part = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|part| name.strip_suffix(part))
        .and_then(catalogue::find)
        .is_some_and(|metric| matches!(metric.kind, Kind::Histogram(_)));
    part || catalogue::find(name).is_some()
}

#[test]
fn promtool_accepts_the_rules() {
    super::run_well(
        Command::new("promtool")
            .current_dir(super::path("deploy/prometheus"))
            .args(["check", "rules", "recording.yml", "alerts.yml"]),
    );
    super::run_well(
        Command::new("promtool")
            .current_dir(super::path("deploy/prometheus"))
            .args(["check", "config", "--syntax-only", "scrape.yml"]),
    );
}

#[test]
fn each_alert_fires_when_it_must_and_is_silent_when_it_must_not() {
    super::run_well(
        Command::new("promtool")
            .current_dir(super::path("deploy/prometheus"))
            .args(["test", "rules", "tests.yml", "tests-weeks.yml"]),
    );
}

#[test]
fn alertmanager_accepts_the_example_of_a_route() {
    super::run_well(
        Command::new("amtool")
            .arg("check-config")
            .arg(super::path("deploy/prometheus/alertmanager.yml")),
    );
}

#[test]
fn every_severity_goes_somewhere_and_is_not_forgotten_before_it_is_repeated() {
    every_severity_goes_somewhere(&super::path("deploy/prometheus/alertmanager.yml"));
}

pub fn every_severity_goes_somewhere(route: &Path) {
    let document: Value =
        serde_yaml_ng::from_str(&std::fs::read_to_string(route).unwrap()).unwrap();
    let receivers = document["receivers"].as_sequence().unwrap();
    let leads_somewhere = |name: &str| {
        let receiver = receivers.iter().find(|receiver| receiver["name"] == name);
        receiver.unwrap().as_mapping().unwrap().len() > 1
    };
    for (severity, expected) in [
        ("critical", "pager"),
        ("warning", "tickets"),
        ("info", "reading"),
    ] {
        let receiver = super::run_well(
            Command::new("amtool")
                .args(["config", "routes", "test", "--config.file"])
                .arg(route)
                .args([
                    "alertname=TesaReconcilerDown",
                    &format!("severity={severity}"),
                ]),
        );
        assert_eq!(receiver.trim(), expected, "{severity}");
        assert!(leads_somewhere(receiver.trim()), "{severity} goes nowhere");
    }
    // Alertmanager remembers for 120 h by default what it has said.
    let own = &document["route"]["routes"][0];
    let routes = own["routes"].as_sequence().unwrap().iter().chain([own]);
    for repeat in routes.filter_map(|route| route["repeat_interval"].as_str()) {
        let repeat = humantime::parse_duration(repeat).unwrap();
        assert!(repeat.as_secs() < 120 * 3600, "{repeat:?}");
    }
}

#[test]
fn each_runbook_says_what_to_do_on_kubernetes_and_under_systemd() {
    each_runbook_says_what_to_do(&super::path("deploy/runbooks"));
}

pub fn each_runbook_says_what_to_do(folder: &Path) {
    let text = |page: &Path| std::fs::read_to_string(page).unwrap();
    // After its tenth start in ten minutes a unit does not start without this.
    for name in [
        "Down",
        "CrashLooping",
        "StoreFailing",
        "LoopNotBeating",
        "ReplicaMissing",
        "OnceStalled",
        "ConfigReloadFailed",
    ] {
        let text = text(&folder.join(format!("TesaReconciler{name}.md")));
        assert!(text.contains("`systemctl reset-failed"), "{name}");
    }
    for page in super::files_in(folder, ".md") {
        let text = text(&page);
        let section = text.split("\n## On Kubernetes\n").nth(1);
        let section = section.unwrap_or_else(|| panic!("{}", page.display()));
        assert!(section.contains("\nkubectl -n "), "{}", page.display());
        for line in section.lines().filter(|line| line.contains(" exec ")) {
            let into =
                "kubectl -n tesa-reconciler exec deploy/tesa-reconciler -- /tesa-reconciler ";
            assert!(line.starts_with(into), "{}: {line}", page.display());
        }
    }
}

#[test]
fn each_alert_has_a_runbook_and_both_its_cases() {
    let tests = super::text("deploy/prometheus/tests.yml")
        + &super::text("deploy/prometheus/tests-weeks.yml");
    let document: Value =
        serde_yaml_ng::from_str(&super::text("deploy/prometheus/alerts.yml")).unwrap();
    let alerts = document["groups"][0]["rules"].as_sequence().unwrap();
    for alert in alerts {
        let name = alert["alert"].as_str().unwrap();
        assert!(name.starts_with("TesaReconciler"), "{name}");
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}"
        );
        let annotations = &alert["annotations"];
        assert!(
            !annotations["summary"].as_str().unwrap().contains("{{"),
            "{name}"
        );
        let url = annotations["runbook_url"].as_str().unwrap();
        assert!(url.ends_with(&format!("/{name}.md")), "{url}");
        let runbook = super::text(&format!("deploy/runbooks/{name}.md"));
        for part in ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"] {
            assert!(runbook.contains(part), "{name} lacks {part}");
        }
        for case in ["fires", "stays silent"] {
            assert!(
                tests.contains(&format!("name: {name} {case}\n")),
                "{name} {case}"
            );
        }
        let fires = format!("{{alertname=\"{name}\"}}");
        assert!(tests.contains(&fires), "{name} never fires");
    }
    let pages = super::files("deploy/runbooks", ".md");
    assert_eq!(pages.len(), alerts.len(), "a runbook without an alert");
}

#[test]
fn rules_and_pages_speak_of_metrics_that_exist() {
    let mut texts: Vec<(String, String)> = rules("alerts.yml", "alert");
    texts.extend(rules("recording.yml", "record"));
    let mut pages = super::files("deploy/runbooks", ".md");
    pages.extend(super::files("docs", ".md"));
    pages.push(super::path("README.md"));
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        texts.push((page.display().to_string(), text));
    }
    for (name, text) in texts {
        for metric in metrics(&text) {
            assert!(is_catalogued(&metric), "{name} speaks of {metric}");
        }
    }
}

#[test]
fn commands_in_runbooks_exist() {
    use clap::CommandFactory;
    let cli = tesa_reconciler::cli::Cli::command();
    for page in super::files("deploy/runbooks", ".md") {
        let text = std::fs::read_to_string(&page).unwrap();
        let in_words = text.match_indices("`tesa-reconciler ");
        let in_a_pod = text.match_indices("-- /tesa-reconciler ");
        for rest in in_words
            .chain(in_a_pod)
            .map(|(at, word)| &text[at + word.len()..])
        {
            let line = rest.split(['`', '\n']).next().unwrap();
            let mut words = line.split_whitespace();
            let name = words.next().unwrap();
            let command = cli.find_subcommand(name);
            let mut command = command.unwrap_or_else(|| panic!("{}: {name}", page.display()));
            for word in words {
                if let Some(inner) = command.find_subcommand(word) {
                    command = inner;
                } else if let Some(flag) = word.strip_prefix("--") {
                    let known = command
                        .get_arguments()
                        .any(|arg| arg.get_long() == Some(flag));
                    assert!(known, "{}: {name} has no --{flag}", page.display());
                }
            }
        }
    }
}

#[test]
fn the_address_of_the_runbooks_is_named_in_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let install = || Command::new(super::path("deploy/prometheus/install"));
    super::run_well(install().arg("https://wiki.example.com/x/").arg(dir.path()));
    let text = std::fs::read_to_string(dir.path().join("alerts.yml")).unwrap();
    let urls = text.matches("runbook_url: ").count();
    let ours = "runbook_url: https://wiki.example.com/x/TesaReconciler";
    assert!(urls > 0 && text.matches(ours).count() == urls, "{text}");
    super::run_well(Command::new("promtool").current_dir(dir.path()).args([
        "check",
        "rules",
        "recording.yml",
        "alerts.yml",
    ]));
    let bad = super::run(install().arg("x|e id").arg(dir.path()));
    assert_eq!(bad.status.code(), Some(2));
}
