//! The dashboards keep the conventions that make them usable on any Grafana, and speak of metrics that exist.

use serde_json::Value;

use super::rules;

fn dashboards() -> Vec<(String, Value)> {
    let files = super::files("deploy/grafana", ".json");
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

/// The panels of a dashboard, rows left out.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().unwrap();
    panels
        .iter()
        .filter(|panel| panel["type"] != "row")
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
