//! The dashboards keep the conventions that make them usable on any Grafana, and speak of metrics that exist. Among them are all
//! rules of Grafana's own linter (dashboard-linter), which can't be had as a program: it is built of modules that are not free.

use std::path::Path;

use serde_json::Value;

use super::rules;

fn dashboards() -> Vec<(String, Value)> {
    dashboards_in(&super::path("deploy/grafana"))
}

fn dashboards_in(folder: &Path) -> Vec<(String, Value)> {
    super::files_in(folder, ".json")
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

/// The panels of a dashboard that show queries.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().unwrap();
    panels
        .iter()
        .filter(|panel| panel["type"] != "row" && panel["type"] != "alertlist")
        .collect()
}

/// Every query as Grafana would send it: where it stands, and its text.
pub fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                let query = query
                    .replace("$__rate_interval", "1m")
                    .replace("$job", ".+")
                    .replace("$instance", ".+");
                let place = format!("{name}/{}/{}", panel["title"], target["refId"]);
                queries.push((place.replace('"', ""), query));
            }
        }
    }
    queries
}

#[test]
fn dashboards_keep_the_conventions() {
    let dashboards = dashboards();
    assert_eq!(dashboards.len(), 2);
    for (name, dashboard) in dashboards {
        assert_eq!(dashboard["editable"], false, "{name}");
        assert!(dashboard["id"].is_null(), "{name}");
        assert_eq!(dashboard["uid"], format!("tesa-reconciler-{name}"));
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert_eq!(variables[0]["type"], "datasource");
        assert_eq!(variables[0]["label"], "Data source");
        for (variable, wanted) in variables[1..].iter().zip(["job", "instance"]) {
            assert_eq!(variable["name"], wanted, "{name}");
            assert_eq!(variable["multi"], true, "{name} {wanted}");
            assert_eq!(variable["type"], "query", "{name} {wanted}");
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{name}");
            let label = variable["label"].as_str().unwrap();
            assert_eq!(label.to_lowercase(), wanted, "{name}");
            let query = variable["query"]["query"].as_str().unwrap();
            assert!(query.starts_with("label_values("), "{name}: {query}");
            assert_eq!(variable["allValue"], ".+", "{name} {wanted}");
            assert_eq!(
                variable["refresh"], 2,
                "{name} {wanted}: on time range change"
            );
        }
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(!title.is_empty(), "{name}");
            assert!(
                !panel["description"].as_str().unwrap().is_empty(),
                "{title}"
            );
            assert!(
                panel["fieldConfig"]["defaults"]["unit"].is_string(),
                "{title}"
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                let selectors = query.matches('{').count();
                let chosen = query
                    .matches("{job=~\"$job\", instance=~\"$instance\"")
                    .count();
                assert_eq!(selectors, chosen, "{title}: {query}");
                let ranges = query.matches('[').count();
                assert_eq!(
                    ranges,
                    query.matches("[$__rate_interval]").count(),
                    "{title}: {query}"
                );
                // What only grows says nothing by itself.
                for (at, _) in query.match_indices("_total{") {
                    let begin = query[..at].rfind(|c: char| !(c.is_alphanumeric() || c == '_'));
                    let before = &query[..=begin.unwrap()];
                    let counted = before.ends_with("rate(") || before.ends_with("increase(");
                    assert!(counted, "{title}: {query}");
                }
                // Two installations are two, whatever else is taken together.
                for kept in query.split("max by (").skip(1) {
                    let job = kept.starts_with("job,") || kept.starts_with("job)");
                    assert!(job, "{title}: {query}");
                }
                // While nothing is counted there is nothing to show, and not "NaN".
                let quantile = query.starts_with("histogram_quantile(");
                assert!(!quantile || query.ends_with(" >= 0"), "{title}: {query}");
                let divided = query.split_once(" / ");
                let guarded = divided.is_none_or(|(_, by)| by.ends_with(" > 0)"));
                assert!(guarded, "{title}: {query}");
                let metrics = rules::metrics(query);
                assert!(!metrics.is_empty(), "{title}");
                // One selector each: a bare name would mix installations.
                for metric in metrics {
                    assert!(rules::is_catalogued(&metric), "{title} speaks of {metric}");
                    assert!(query.contains(&format!("{metric}{{")), "{title}: {metric}");
                }
            }
        }
    }
}

#[test]
fn the_overview_lists_what_fires_and_each_dashboard_leads_to_the_other() {
    for (name, dashboard) in dashboards() {
        let other = if name == "overview" {
            "internals"
        } else {
            "overview"
        };
        let link = &dashboard["links"][0];
        assert_eq!(link["url"], format!("/d/tesa-reconciler-{other}"), "{name}");
        let panels = dashboard["panels"].as_array().unwrap();
        let lists = panels.iter().filter(|panel| panel["type"] == "alertlist");
        assert_eq!(lists.count(), usize::from(name == "overview"), "{name}");
    }
}

/// A healthy installation, and what changes one thing about it for the worse. A line each: the series, its values.
const HEALTHY: &[(&str, &str)] = &[
    (r#"mode{mode="enforce"}"#, "1x30"),
    (r#"guard_held{job_name="a",org="o"}"#, "0x30"),
    (
        r#"attempts_oldest_open_timestamp_seconds{state="unknown"}"#,
        "0x30",
    ),
    (
        r#"upstream_requests_total{operation="get_request",code="200"}"#,
        "0+9x30",
    ),
    (
        r#"upstream_requests_total{operation="get_request",code="401"}"#,
        "0x30",
    ),
    (
        r#"upstream_requests_total{operation="token",code="400"}"#,
        "0x30",
    ),
    (r#"store_errors_total{reason="timeout"}"#, "0x30"),
    (
        r#"loop_last_beat_timestamp_seconds{loop="keeper"}"#,
        "6000+60x30",
    ),
    (
        r#"job_last_success_timestamp_seconds{job_name="a",org="o"}"#,
        "6000+60x30",
    ),
    (r#"job_interval_seconds{job_name="a"}"#, "300x30"),
    (r#"job_paused{job_name="a"}"#, "0x30"),
];
const PAGES: &[(&str, &str, &str)] = &[
    ("nobody tells", r#"mode{mode="enforce"}"#, "1x5 stale"),
    ("held", r#"guard_held{job_name="a",org="o"}"#, "1x30"),
    (
        "unknown",
        r#"attempts_oldest_open_timestamp_seconds{state="unknown"}"#,
        "60x30",
    ),
    (
        "refused",
        r#"upstream_requests_total{operation="get_request",code="401"}"#,
        "0+1x30",
    ),
    (
        "token",
        r#"upstream_requests_total{operation="token",code="400"}"#,
        "0+1x30",
    ),
    ("store", r#"store_errors_total{reason="timeout"}"#, "0+5x30"),
    (
        "loop",
        r#"loop_last_beat_timestamp_seconds{loop="keeper"}"#,
        "6000x30",
    ),
    (
        "stale",
        r#"job_last_success_timestamp_seconds{job_name="a",org="o"}"#,
        "4000x30",
    ),
    ("timer", "once_last_success_timestamp_seconds", "60x30"),
];

#[test]
fn the_verdict_is_red_when_anything_would_page_and_only_then() {
    the_verdict_is_red(&super::path("deploy/grafana"));
}

pub fn the_verdict_is_red(folder: &Path) {
    let dashboards = dashboards_in(folder);
    let (_, overview) = dashboards
        .iter()
        .find(|(name, _)| name == "overview")
        .unwrap();
    let verdict = panels(overview)[0];
    assert_eq!(verdict["title"], "Verdict");
    let steps = &verdict["fieldConfig"]["defaults"]["thresholds"]["steps"];
    assert_eq!(
        (&steps[1]["color"], &steps[1]["value"]),
        (&"red".into(), &1.into())
    );
    let query = verdict["targets"][0]["expr"].as_str().unwrap();
    let query = query
        .replace("$__rate_interval", "5m")
        .replace("$job", ".+");
    let query = query.replace("$instance", ".+");
    let mut text = "rule_files: []\nevaluation_interval: 1m\ntests:\n".to_owned();
    let mut case = |name: &str, changed: Option<(&str, &str)>, expected: u8| {
        text += &format!("  - name: {name}\n    interval: 1m\n    input_series:\n");
        let healthy = HEALTHY.iter().copied();
        let kept = healthy.filter(|(series, _)| changed.is_none_or(|(other, _)| other != *series));
        for (series, values) in kept.chain(changed) {
            let (metric, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.trim_end_matches('}');
            let own = "job=\"j\",instance=\"i\"";
            let before = "_x99 ";
            text += &format!(
                "      - series: 'tesa_reconciler_{metric}{{{own},{labels}}}'\n        values: '{before}{values}'\n"
            );
        }
        text += &format!(
            "    promql_expr_test:\n      - expr: clamp_max({query}, 1)\n        eval_time: 125m\n        \
             exp_samples: [{{labels: '{{}}', value: {expected}}}]\n"
        );
    };
    case("all well", None, 0);
    for (name, series, values) in PAGES {
        case(name, Some((series, values)), 1);
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("verdict.yml");
    std::fs::write(&file, text).unwrap();
    super::run_well(
        std::process::Command::new("promtool")
            .args(["test", "rules"])
            .arg(file),
    );
}
