//! What goes out, what the log says of it, and how long anybody waits. No process and no collector are needed.

use std::io;
use std::sync::{Arc, Mutex};

use chrono::DateTime;
use opentelemetry_sdk::trace::SpanExporter as _;
use serde_json::Value;
use uuid::Uuid;

use super::collector::Undelivered;
use super::*;
use crate::clock::ManualClock;
use crate::domain::ids::Org;
use crate::telemetry::logs::{self, Look};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Nobody listens there.
fn settings(sample_ratio: f64) -> config::Traces {
    config::Traces {
        endpoint: "http://127.0.0.1:1".to_owned(),
        sample_ratio,
        headers_file: None,
        ca_file: None,
        timeout: Duration::from_secs(1),
    }
}

/// Runs `test` under a log beside traces, and answers what was written.
fn log(json: bool, filter: &str, traces: Option<&Traces>, test: impl FnOnce()) -> String {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH, 1));
    let look = Look {
        json,
        colour: false,
    };
    let (subscriber, _handle) =
        logs::subscriber(look, filter, clock, move || writer.clone(), traces).unwrap();
    tracing::subscriber::with_default(subscriber, test);
    buffer.text()
}

fn a_call() -> tracing::Span {
    let run = tracing::info_span!("run", org = "yoigo").entered();
    let call = call("get_request", &Org::from("yoigo"), Uuid::nil(), 1);
    call.in_scope(|| tracing::info!(attempts = 2, "sent"));
    drop(run);
    call
}

#[tokio::test]
async fn both_forms_of_the_log_name_the_innermost_span_and_gain_nothing_else() {
    let traces = Traces::start(&settings(1.0), &ReplicaId::new("one")).unwrap();
    let mut parent = String::new();
    let text = log(false, "info", Some(&traces), || {
        parent = traceparent(&a_call()).unwrap();
    });
    let ids: Vec<&str> = parent.split('-').collect();
    let [version, trace_id, span_id, flags] = ids[..] else {
        panic!("{parent}")
    };
    assert_eq!((version, flags), ("00", "01"));
    let expected = format!(
        "1970-01-01T00:00:00.000Z  INFO run{{org=\"yoigo\"}}: sent attempts=2 trace_id={trace_id} span_id={span_id}\n"
    );
    assert_eq!(text, expected);

    let json = log(true, "info", Some(&traces), || {
        parent = traceparent(&a_call()).unwrap();
    });
    let line: Value = serde_json::from_str(&json).unwrap();
    let ids = format!(
        "00-{}-{}-01",
        line["trace_id"].as_str().unwrap(),
        line["span_id"].as_str().unwrap()
    );
    assert_eq!(ids, parent);
    assert_eq!(line["operation"], Value::Null, "{line}");
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_goes_on_upstream_and_is_not_in_the_log() {
    let traces = Traces::start(&settings(0.0), &ReplicaId::new("one")).unwrap();
    let text = log(true, "info", Some(&traces), || {
        let parent = traceparent(&a_call()).unwrap();
        assert!(
            parent.starts_with("00-") && parent.ends_with("-00"),
            "{parent}"
        );
    });
    assert!(!text.contains("trace_id"), "{text}");
}

#[test]
fn with_traces_off_a_span_is_nothing_even_for_a_log_that_shows_all() {
    let text = log(false, "trace", None, || {
        let call = a_call();
        assert!(call.is_disabled());
        assert_eq!(traceparent(&call), None);
    });
    assert_eq!(
        text,
        "1970-01-01T00:00:00.000Z  INFO run{org=\"yoigo\"}: sent attempts=2\n"
    );
}

#[test]
fn with_traces_off_the_log_alone_decides_what_is_looked_at() {
    log(false, "info", None, || {
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        assert_eq!(LevelFilter::current(), LevelFilter::INFO);
        assert!(tracing::debug_span!("detail").is_disabled());
    });
}

#[tokio::test]
async fn a_silent_log_switches_no_trace_off() {
    let traces = Traces::start(&settings(1.0), &ReplicaId::new("one")).unwrap();
    let text = log(true, "off", Some(&traces), || {
        assert!(traceparent(&a_call()).is_some());
    });
    assert_eq!(text, "");
}

#[tokio::test]
async fn an_outage_is_told_once() {
    let collector = Collector::new(&settings(1.0)).unwrap();
    let exporter = Exporter::new(collector, tokio::runtime::Handle::current());
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH, 1));
    let look = Look {
        json: true,
        colour: false,
    };
    let (subscriber, _handle) =
        logs::subscriber(look, "info", clock, move || writer.clone(), None).unwrap();
    let _log = tracing::subscriber::set_default(subscriber);
    for _ in 0..3 {
        exporter.export(vec![]).await.unwrap_err();
    }
    let text = buffer.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains("does not take spans") && text.contains("onnect"),
        "{text}"
    );
}

#[test]
fn the_flush_takes_what_the_drain_left() {
    let seconds = Duration::from_secs;
    for (drain, spent, flush) in [(30, 0, 2), (30, 29, 1), (1, 0, 1), (30, 30, 0), (30, 32, 0)] {
        assert_eq!(flush_within(seconds(drain), seconds(spent)), seconds(flush));
    }
}

#[tokio::test]
async fn every_span_is_counted_as_taken_or_given_up() {
    let recorder = crate::telemetry::metrics::recorder().unwrap();
    let exporter = Exporter::new(
        Collector::new(&settings(1.0)).unwrap(),
        tokio::runtime::Handle::current(),
    );
    metrics::with_local_recorder(&recorder, || {
        exporter.note(5, &Ok(()));
        exporter.note(7, &Err(Undelivered::InPart(2)));
        exporter.note(3, &Err(Undelivered::Ending));
    });
    let page = recorder.handle().render();
    for line in [
        "tesa_reconciler_trace_spans_total{outcome=\"exported\"} 10",
        "tesa_reconciler_trace_spans_total{outcome=\"failed\"} 5",
    ] {
        assert!(page.contains(line), "{page}");
    }
}
