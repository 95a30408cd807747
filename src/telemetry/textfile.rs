//! The metrics of `run --once`: it is over before anybody could scrape it, so it leaves a page behind, for
//! node_exporter's textfile collector or a Pushgateway.
//!
//! On the page stand how it ended and the gauges that the store knows. Its counters don't: they begin at zero with each
//! process, and nothing could be told from their growth. What a run could not learn stays on the page as an earlier one
//! left it, as a daemon's gauges stay while its store is away.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::catalogue::{self, Kind, Metric, Start};
use super::record::seconds;

macro_rules! once {
    ($( $ident:ident = $name:literal $help:literal; )+) => {
        $( const $ident: Metric = Metric {
            name: concat!("tesa_reconciler_once_", $name), kind: Kind::Gauge, help: $help, labels: &[], start: Start::Absent,
        }; )+

        /// The metrics made here. A daemon has none of them.
        pub const METRICS: &[Metric] = &[ $($ident),+ ];
    };
}

once! {
    LAST_END = "last_end_timestamp_seconds" "When the last `run --once` ended, however.";
    LAST_SUCCESS = "last_success_timestamp_seconds" "When the last `run --once` ended that did its work (exit code 0 or 3).";
    EXIT_CODE = "exit_code" "How the last `run --once` ended.";
}

/// A sample: the metric's name, its labels and its value.
pub type Sample = (&'static str, Vec<(&'static str, String)>, f64);

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// The exit code.
    pub code: u8,
    /// It did its work.
    pub well: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// The page: how it ended, what was learnt, and what `before` says of all else.
pub fn page(ending: Ending, learnt: &[Sample], before: &str) -> String {
    let at = seconds(ending.at);
    let sample = |metric: &Metric, value| (metric.name, vec![], value);
    let mut samples = vec![
        sample(&LAST_END, at),
        sample(&EXIT_CODE, f64::from(ending.code)),
    ];
    if ending.well {
        samples.push(sample(&LAST_SUCCESS, at));
    }
    let mut blocks = parts(before);
    blocks.extend(parts(&text(&samples)));
    blocks.extend(parts(&text(learnt)));
    blocks.into_values().collect()
}

/// Samples as text, those of one metric together.
fn text(samples: &[Sample]) -> String {
    let mut by_name: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        by_name.entry(sample.0).or_default().push(sample);
    }
    let mut page = String::new();
    for (name, samples) in by_name {
        let help = catalogue::find(name).map_or("", |metric| metric.help);
        // Writing to a text can't fail.
        let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} gauge\n");
        for (_, labels, value) in samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
                .collect();
            let labels = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            let _ = writeln!(page, "{name}{labels} {value}");
        }
    }
    page
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', r#"\""#)
        .replace('\n', r"\n")
}

/// A page's metrics by name, each with its help and type.
fn parts(page: &str) -> BTreeMap<String, String> {
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            rest.split(' ')
                .next()
                .unwrap_or_default()
                .clone_into(&mut name);
        }
        if !name.is_empty() {
            let part = parts.entry(name.clone()).or_default();
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

/// Puts the page in place as a whole, readable to all: whoever reads the file is another user, and may come at any
/// moment.
pub fn put(path: &Path, page: &str) -> io::Result<()> {
    // Not ending in `.prom`, so that it is never taken for one.
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, page)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o644))?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(code: u8, second: i64) -> Ending {
        Ending {
            code,
            well: code == 0 || code == 3,
            at: DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(second),
        }
    }

    fn held(job: &str, value: f64) -> Sample {
        let labels = vec![("job_name", job.to_owned()), ("org", "yoigo".to_owned())];
        (catalogue::GUARD_HELD.name, labels, value)
    }

    fn has(page: &str, line: &str) -> bool {
        page.lines().any(|other| other == line)
    }

    #[test]
    fn a_page_says_how_it_ended_and_what_was_learnt() {
        let page = page(ending(3, 600), &[held("a \"b\"", 1.0), held("c", 0.0)], "");
        for line in [
            "tesa_reconciler_once_last_end_timestamp_seconds 600",
            "tesa_reconciler_once_last_success_timestamp_seconds 600",
            "tesa_reconciler_once_exit_code 3",
            "# TYPE tesa_reconciler_guard_held gauge",
            r#"tesa_reconciler_guard_held{job_name="a \"b\"",org="yoigo"} 1"#,
            r#"tesa_reconciler_guard_held{job_name="c",org="yoigo"} 0"#,
        ] {
            assert!(has(&page, line), "{line}\n{page}");
        }
        assert_eq!(page.matches("# HELP tesa_reconciler_guard_held").count(), 1);
    }

    #[test]
    fn what_a_failed_run_could_not_learn_stays_as_it_was() {
        let first = page(ending(0, 600), &[held("a", 1.0)], "");
        let second = page(ending(75, 1200), &[], &first);
        for line in [
            "tesa_reconciler_once_last_end_timestamp_seconds 1200",
            "tesa_reconciler_once_last_success_timestamp_seconds 600",
            "tesa_reconciler_once_exit_code 75",
            r#"tesa_reconciler_guard_held{job_name="a",org="yoigo"} 1"#,
        ] {
            assert!(has(&second, line), "{line}\n{second}");
        }
        // A job that is no longer configured is gone.
        let third = page(ending(0, 1800), &[held("b", 0.0)], &second);
        assert!(!third.contains("job_name=\"a\""), "{third}");
    }
}
