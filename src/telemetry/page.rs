//! `docs/metrics.md`, made from the catalogue. A test holds the file equal to it.

use std::fmt::Write;

use super::catalogue::{self, Kind, Metric, Start, Values};
use super::{process, textfile};

const HEAD: &str = "\
# Metrics

Scraped from `/metrics`. This page is made from the catalogue in the code, and a test holds the two equal; after a
change there, `UPDATE_DOCS=1 cargo nextest run metrics` writes it anew.

How to read them:

- Every metric starts at zero in every label set, but for those marked *absent*: those appear when they are known.
- Instants are seconds since 1970; 0 means never. Ask for `time() - X`, and mind the zero.
- Gauges marked *store* are read from the store at scrape, at most every five seconds. All replicas show the same,
  so aggregate them with `max by (…)`, never `sum`. While the store is down they keep their last value, and
  `tesa_reconciler_store_errors_total` grows.
- The label for a job is `job_name`, because `job` is Prometheus' own.
- No label carries an id, a reference or free text, so the number of series does not depend on that of requests.

";

const ONCE: &str =
    "What `run --once` leaves behind (`--textfile`, `--push`), beside the gauges marked *store*";

/// The page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    table(&mut page, "The reconciler", catalogue::ALL);
    table(&mut page, "The process", process::METRICS);
    table(&mut page, ONCE, textfile::METRICS);
    labels(&mut page);
    page
}

// Writing to a text can't fail, so its results are dropped throughout.
fn table(page: &mut String, title: &str, metrics: &[Metric]) {
    let _ = write!(
        page,
        "## {title}\n\n| metric | type | meaning |\n|---|---|---|\n"
    );
    for metric in metrics {
        let keys: Vec<&str> = metric.labels.iter().map(|label| label.key).collect();
        let keys = if keys.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", keys.join(","))
        };
        let _ = writeln!(
            page,
            "| `{}{keys}` | {} | {} |",
            metric.name,
            kind(metric),
            metric.help
        );
    }
    page.push('\n');
}

fn kind(metric: &Metric) -> String {
    let mut text = match metric.kind {
        Kind::Counter => "counter".to_owned(),
        Kind::Gauge => "gauge".to_owned(),
        Kind::Histogram(bounds) => {
            let bounds: Vec<String> = bounds.iter().map(ToString::to_string).collect();
            format!("histogram: {}", bounds.join(" "))
        }
    };
    if super::store_gauges::METRICS
        .iter()
        .any(|of_store| of_store.name == metric.name)
    {
        text.push_str(", *store*");
    }
    if metric.start == Start::Absent && metric.name.starts_with("tesa_") {
        text.push_str(", *absent*");
    }
    text
}

fn labels(page: &mut String) {
    page.push_str("## Label values\n\n| label | of | values |\n|---|---|---|\n");
    let mut rows: Vec<(&str, String, Vec<&str>)> = Vec::new();
    for metric in catalogue::ALL {
        for label in metric.labels {
            let values = match label.values {
                Values::Jobs => "the configured jobs".to_owned(),
                Values::Orgs => "the configured tenants".to_owned(),
                Values::Open(what) => what.to_owned(),
                Values::Closed(words) => {
                    let words: Vec<_> = words().iter().map(|word| format!("`{word}`")).collect();
                    words.join(", ")
                }
            };
            let same = rows
                .iter_mut()
                .find(|row| row.0 == label.key && row.1 == values);
            match same {
                Some(row) => row.2.push(metric.name),
                None => rows.push((label.key, values, vec![metric.name])),
            }
        }
    }
    for (key, values, metrics) in rows {
        let of = match metrics.as_slice() {
            [one] => format!("`{one}`"),
            several if several.len() > 4 => "many".to_owned(),
            several => several
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        let _ = writeln!(page, "| `{key}` | {of} | {values} |");
    }
}
