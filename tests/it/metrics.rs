//! The metrics as scraped: what stands there before anything happened, what may never stand there, how much it is,
//! and that the catalogue, the page that documents it and `/metrics` are one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::DateTime;
use metrics_exporter_prometheus::PrometheusHandle;
use tesa_reconciler::domain::run::{Mode, SlotResult};
use tesa_reconciler::domain::{
    AttemptState, FindingKind, JobName, Operation, Org, ReadOperation, RunOutcome, Trigger, Verdict,
};
use tesa_reconciler::store::StoreError;
use tesa_reconciler::telemetry::catalogue::{self, Kind, Start, Values};
use tesa_reconciler::telemetry::{self, Scope, process, record};

/// As many jobs and tenants as the default configuration has.
fn scope() -> Scope {
    Scope {
        jobs: ["retry-stuck", "resolve-issues", "flag-events"]
            .map(JobName::from)
            .to_vec(),
        orgs: ["masmovil", "yoigo"].map(Org::from).to_vec(),
    }
}

/// The page after `events`.
fn page(events: impl FnOnce()) -> String {
    let recorder = telemetry::metrics::recorder().unwrap();
    let handle: PrometheusHandle = recorder.handle();
    metrics::with_local_recorder(&recorder, events);
    let mut page = handle.render();
    process::render(&mut page);
    page
}

fn initialised() -> String {
    page(|| telemetry::initialise(&scope()))
}

/// Everything that can happen happens, in every label that it can have.
fn everything() {
    let now = DateTime::from_timestamp_nanos(1_700_000_000_000_000_000);
    let took = Duration::from_millis(40);
    let scope = scope();
    telemetry::initialise(&scope);
    record::build_info();
    record::mode(Mode::Observe);
    record::reload(true, now);
    record::token_expiry(now);
    record::beat("driver", now);
    record::panicked();
    record::runs_lost(1);
    record::time_to_repair(took);
    record::upstream_throttled(Duration::from_secs(3));
    let reads = ReadOperation::ALL.iter().map(|read| read.as_str());
    let writes = Operation::ALL.iter().map(|write| write.as_str());
    for operation in reads.chain(writes) {
        record::upstream_request(operation, "200", took);
        record::upstream_request(operation, "timeout", took);
        record::contract_violation(operation);
    }
    record::upstream_request(catalogue::TOKEN_OPERATION, "200", took);
    for operation in catalogue::STORE_OPERATIONS
        .iter()
        .chain(&["audit", "findings"])
    {
        record::store_operation(operation, took);
    }
    for reason in StoreError::REASONS {
        record::store_error(reason);
    }
    for operation in Operation::ALL {
        for state in AttemptState::ALL {
            record::attempt(*operation, *state);
        }
    }
    for outcome in catalogue::DELIVERIES {
        record::notification(outcome);
    }
    for outcome in catalogue::SPAN_OUTCOMES {
        record::trace_spans(outcome, 1);
    }
    for kind in FindingKind::ALL {
        record::findings_opened(*kind, 2);
    }
    for job in &scope.jobs {
        of_job(job, &scope.orgs, took);
        record::issue_unmatched(job, "CLI");
    }
}

fn of_job(job: &JobName, orgs: &[Org], took: Duration) {
    record::job_next_run(job, DateTime::UNIX_EPOCH);
    record::job_interval(job, took);
    record::slot_delay(job, took);
    for result in SlotResult::ALL {
        record::slot(job, *result, 1);
    }
    for label in Verdict::labels() {
        record::decision(job, label, 1);
    }
    for org in orgs {
        record::run_started(job, org);
        record::requests_observed(job, org, 100_000);
        record::requests_unchanged(job, org, 100_000);
        for trigger in Trigger::ALL {
            for outcome in RunOutcome::ALL {
                record::run_finished(job, org, *trigger, *outcome, took);
            }
        }
    }
}

/// A scraped line: name, labels, value.
#[derive(Debug)]
struct Sample<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    value: f64,
}

impl Sample<'_> {
    /// The metric it belongs to: a histogram's parts have names of their own.
    fn metric(&self) -> &str {
        let parts = ["_bucket", "_sum", "_count"];
        let mut bases = parts.iter().filter_map(|part| self.name.strip_suffix(part));
        bases
            .find(|base| {
                catalogue::find(base).is_some_and(|m| matches!(m.kind, Kind::Histogram(_)))
            })
            .unwrap_or(self.name)
    }
}

fn samples(page: &str) -> Vec<Sample<'_>> {
    let lines = page
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
                None => (series, ""),
            };
            let pairs = labels.split(',').filter(|pair| !pair.is_empty());
            Sample {
                name,
                labels: pairs
                    .map(|pair| pair.split_once('=').unwrap())
                    .map(|(key, value)| (key, value.trim_matches('"')))
                    .collect(),
                value: value.parse().unwrap(),
            }
        })
        .collect()
}

/// What promtool says of a page: all is well, or its complaints.
pub fn promtool(page: &str) -> Result<(), String> {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect(
            "promtool is needed: `apt-get install prometheus`, or run tests/run --install, which does it",
        );
    // Taken, so that it is closed after the page, which is what promtool waits for.
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(page.as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    let clean = output.status.success() && complaints.is_empty();
    if clean { Ok(()) } else { Err(complaints) }
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    assert_eq!(promtool(&initialised()), Ok(()));
    assert_eq!(promtool(&page(everything)), Ok(()));
    let wrong = page(everything).replace("panics_total counter", "panics_total gauge");
    assert!(
        promtool(&wrong).is_err(),
        "promtool would find nothing anyway"
    );
}

#[test]
fn the_page_of_the_catalogue_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, telemetry::markdown()).unwrap();
    }
    let documented = std::fs::read_to_string(path).unwrap();
    assert!(
        documented == telemetry::markdown(),
        "docs/metrics.md differs from the catalogue; `UPDATE_DOCS=1 cargo nextest run metrics` writes it anew"
    );
}

#[test]
fn what_is_scraped_is_what_is_catalogued() {
    let page = page(everything);
    let scraped: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next())
        .collect();
    let all = catalogue::ALL.iter().chain(process::METRICS);
    let catalogued: BTreeSet<&str> = all.map(|metric| metric.name).collect();
    assert_eq!(scraped, catalogued);
    for metric in catalogue::ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        for line in [
            format!("# TYPE {} {kind}\n", metric.name),
            format!("# HELP {} {}\n", metric.name, metric.help),
        ] {
            assert!(page.contains(&line), "{line}");
        }
    }
}

#[test]
fn every_label_is_catalogued_with_its_value_so_none_can_carry_an_id() {
    let page = page(everything);
    let scope = scope();
    for sample in samples(&page) {
        let metric = catalogue::find(sample.metric()).unwrap_or_else(|| panic!("{sample:?}"));
        let keys = sample.labels.keys().filter(|key| **key != "le").copied();
        let expected: BTreeSet<&str> = metric.labels.iter().map(|label| label.key).collect();
        assert_eq!(keys.collect::<BTreeSet<_>>(), expected, "{sample:?}");
        for label in metric.labels {
            let value = sample.labels[label.key];
            let allowed = match label.values {
                Values::Jobs => scope.jobs.iter().any(|job| job.as_str() == value),
                Values::Orgs => scope.orgs.iter().any(|org| org.as_str() == value),
                Values::Closed(words) => words().contains(&value),
                Values::Open(_) => true,
            };
            assert!(allowed, "{} of {sample:?}", label.key);
        }
    }
}

#[test]
fn every_closed_label_set_starts_at_zero_and_events_add_no_series_to_it() {
    let (before, after) = (initialised(), page(everything));
    let of_start = |samples: Vec<Sample<'_>>| -> BTreeSet<String> {
        let zero =
            |sample: &Sample<'_>| catalogue::find(sample.metric()).unwrap().start == Start::Zero;
        let series = samples.into_iter().filter(zero);
        series
            .map(|sample| format!("{}{:?}", sample.name, sample.labels))
            .collect()
    };
    for sample in samples(&before) {
        if catalogue::find(sample.metric()).unwrap().start == Start::Zero {
            assert!(sample.value == 0.0, "{sample:?}");
        }
    }
    assert_eq!(of_start(samples(&before)), of_start(samples(&after)));
    let zeroed: BTreeSet<String> = samples(&before)
        .iter()
        .map(|sample| sample.metric().to_owned())
        .collect();
    for metric in catalogue::ALL
        .iter()
        .filter(|metric| metric.start == Start::Zero)
    {
        assert!(zeroed.contains(metric.name), "{} has no zero", metric.name);
    }
}

#[test]
fn a_second_initialisation_keeps_what_was_counted() {
    let page = page(|| {
        telemetry::initialise(&scope());
        record::panicked();
        record::run_started(&"retry-stuck".into(), &"yoigo".into());
        telemetry::initialise(&scope());
    });
    assert!(page.contains("\ntesa_reconciler_panics_total 1\n"));
    let running = r#"tesa_reconciler_job_running{job_name="retry-stuck",org="yoigo"} 1"#;
    assert!(page.contains(running));
}

#[test]
fn there_are_at_most_a_thousand_series_even_if_everything_happens() {
    let count = |page: &str| samples(page).len();
    let (start, most) = (count(&initialised()), count(&page(everything)));
    assert!(
        start <= most && most <= 1000,
        "{start} at start, {most} at most"
    );
}

#[test]
fn the_number_of_requests_does_not_change_the_number_of_series() {
    let after = |requests| {
        let page = page(|| {
            telemetry::initialise(&scope());
            let (job, org) = (JobName::from("retry-stuck"), Org::from("yoigo"));
            for _ in 0..requests {
                record::requests_observed(&job, &org, 1);
                record::decision(&job, "backing_off", 1);
                record::upstream_request("get_request", "200", Duration::from_millis(5));
                record::attempt(Operation::CreateActivation, AttemptState::Accepted);
            }
        });
        samples(&page).len()
    };
    assert_eq!(after(10), after(100_000));
}

#[test]
fn histograms_have_the_buckets_of_the_catalogue() {
    let page = initialised();
    for metric in catalogue::ALL {
        let Kind::Histogram(bounds) = metric.kind else {
            continue;
        };
        let bucket = format!("{}_bucket", metric.name);
        let scraped: BTreeSet<String> = samples(&page)
            .iter()
            .filter(|sample| sample.name == bucket)
            .map(|sample| sample.labels["le"].to_owned())
            .collect();
        let bounds = bounds
            .iter()
            .map(ToString::to_string)
            .chain(["+Inf".to_owned()]);
        assert_eq!(scraped, bounds.collect::<BTreeSet<_>>(), "{}", metric.name);
    }
}

#[test]
fn service_levels_are_bucket_boundaries() {
    let has = |metric: catalogue::Metric, bound| match metric.kind {
        Kind::Histogram(bounds) => bounds.contains(&bound),
        _ => false,
    };
    // 95 % of repairs within 30 minutes; a run's default time-out of ten minutes; a call's of ten seconds.
    assert!(has(catalogue::TIME_TO_REPAIR, 1800.0));
    assert!(has(catalogue::JOB_RUN_DURATION, 600.0));
    assert!(has(catalogue::UPSTREAM_DURATION, 10.0));
}

#[test]
fn the_stores_catalogued_calls_exist() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let rust = files.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let source: String = rust
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for operation in catalogue::STORE_OPERATIONS {
        assert!(
            source.contains(&format!("async fn {operation}(")),
            "no call {operation}"
        );
    }
}
