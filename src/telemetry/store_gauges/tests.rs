//! What the store's readings become, how often they are read, and what happens when they can't be.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};

use super::*;
use crate::domain::Operation;
use crate::telemetry::metrics::recorder;

fn scope() -> Scope {
    Scope {
        jobs: vec!["retry".into(), "flag".into()],
        orgs: vec!["masmovil".into(), "yoigo".into()],
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn stuck(org: &str, status: &str, count: u64, oldest: i64) -> FindingCount {
    FindingCount {
        org: org.into(),
        kind: FindingKind::StuckRequest,
        status: status.to_owned(),
        count,
        oldest: Some(at(oldest)),
    }
}

fn pause(job: Option<&str>) -> Pause {
    Pause {
        job_name: job.map(Into::into),
        who: "cli:ana".to_owned(),
        reason: "maintenance".to_owned(),
        since: at(0),
        until: None,
    }
}

fn value(values: &BTreeMap<Series, f64>, metric: &Metric, labels: &[&str]) -> Option<f64> {
    let mut wanted = Values::default();
    wanted.put(metric, labels, 0.0);
    wanted
        .0
        .keys()
        .next()
        .and_then(|series| values.get(series))
        .copied()
}

#[test]
fn with_nothing_read_every_series_is_there_at_zero_and_circuits_are_closed() {
    let values = values(&Readings::default(), &scope());
    for metric in METRICS {
        assert!(
            values.keys().any(|(name, _)| *name == metric.name),
            "{}",
            metric.name
        );
    }
    for ((name, labels), value) in &values {
        let closed = labels.iter().any(|(_, text)| text == "closed");
        assert_eq!(*value, one_if(closed), "{name}{labels:?}");
    }
}

#[test]
fn stuck_requests_count_by_status_and_the_oldest_is_the_oldest_of_all() {
    let readings = Readings {
        findings: vec![
            stuck("yoigo", "NOT_SENT", 3, 500),
            stuck("yoigo", "PROCESSED", 1, 100),
            stuck("masmovil", "NOT_SENT", 7, 900),
        ],
        ..Readings::default()
    };
    let values = values(&readings, &scope());
    let of = |metric, labels: &[&str]| value(&values, metric, labels);
    assert_eq!(of(&m::REQUESTS_STUCK, &["yoigo", "NOT_SENT"]), Some(3.0));
    assert_eq!(of(&m::REQUESTS_STUCK, &["yoigo", "PROCESSED"]), Some(1.0));
    assert_eq!(of(&m::OLDEST_STUCK, &["yoigo"]), Some(100.0));
    assert_eq!(
        of(&m::FINDINGS_OPEN, &["yoigo", "stuck_request"]),
        Some(4.0)
    );
}

#[test]
fn the_upstreams_own_text_never_becomes_a_label() {
    let readings = Readings {
        findings: vec![
            stuck("yoigo", "CALLE MAYOR 1", 2, 1),
            stuck("yoigo", "", 1, 1),
        ],
        ..Readings::default()
    };
    let values = values(&readings, &scope());
    let undocumented = value(&values, &m::REQUESTS_STUCK, &["yoigo", UNDOCUMENTED_STATUS]);
    assert_eq!(undocumented, Some(3.0));
    let mut texts = values.keys().flat_map(|(_, labels)| labels);
    assert!(texts.all(|(_, text)| !text.contains("MAYOR")));
}

#[test]
fn what_is_no_longer_configured_has_no_series() {
    let readings = Readings {
        findings: vec![stuck("sold-brand", "NOT_SENT", 3, 1)],
        latches: vec![Latch {
            job_name: "renamed".into(),
            org: "yoigo".into(),
            since: at(0),
            reason: String::new(),
        }],
        ..Readings::default()
    };
    assert_eq!(
        values(&readings, &scope()),
        values(&Readings::default(), &scope())
    );
}

#[test]
fn a_pause_of_all_pauses_each_job_and_a_pause_of_one_only_that() {
    for (pauses, expected) in [
        (vec![pause(None)], [1.0, 1.0]),
        (vec![pause(Some("flag"))], [0.0, 1.0]),
    ] {
        let readings = Readings {
            pauses,
            ..Readings::default()
        };
        let values = values(&readings, &scope());
        let paused = ["retry", "flag"].map(|job| value(&values, &m::JOB_PAUSED, &[job]).unwrap());
        assert_eq!(paused, expected);
    }
}

#[test]
fn only_open_attempts_count_over_all_operations() {
    let count = |operation, state, count, oldest| AttemptCount {
        operation,
        state,
        count,
        oldest: at(oldest),
    };
    let readings = Readings {
        attempts: vec![
            count(Operation::ChangeCto, AttemptState::Unknown, 2, 70),
            count(Operation::CreatePort, AttemptState::Unknown, 3, 50),
            count(Operation::CreatePort, AttemptState::Confirmed, 90, 10),
        ],
        ..Readings::default()
    };
    let values = values(&readings, &scope());
    assert_eq!(value(&values, &m::ATTEMPTS_OPEN, &["unknown"]), Some(5.0));
    assert_eq!(value(&values, &m::ATTEMPTS_OPEN, &["confirmed"]), None);
    let oldest = |state| value(&values, &m::ATTEMPTS_OLDEST_OPEN, &[state]);
    assert_eq!(oldest("unknown"), Some(50.0));
    assert_eq!(oldest("needs_human"), Some(0.0));
}

#[test]
fn last_runs_and_an_open_circuit_are_shown_for_their_own_labels_only() {
    let readings = Readings {
        runs: vec![LastRuns {
            job_name: "retry".into(),
            org: "yoigo".into(),
            last_started: at(90),
            last_outcome: None,
            last_success: Some(at(60)),
        }],
        circuits: vec![CircuitRow {
            org: "yoigo".into(),
            state: "open".to_owned(),
            cause: None,
            failures: 5,
            opened_at: None,
            probe_at: None,
            due: false,
        }],
        ..Readings::default()
    };
    let values = values(&readings, &scope());
    let of = |metric, labels: &[&str]| value(&values, metric, labels).unwrap();
    assert_eq!(of(&m::JOB_LAST_RUN, &["retry", "yoigo"]), 90.0);
    assert_eq!(of(&m::JOB_LAST_SUCCESS, &["retry", "yoigo"]), 60.0);
    assert_eq!(of(&m::JOB_LAST_SUCCESS, &["retry", "masmovil"]), 0.0);
    assert_eq!(of(&m::CIRCUIT_STATE, &["yoigo", "open"]), 1.0);
    assert_eq!(of(&m::CIRCUIT_STATE, &["yoigo", "closed"]), 0.0);
    assert_eq!(of(&m::CIRCUIT_STATE, &["masmovil", "closed"]), 1.0);
}

/// A runtime of one thread, so that the thread's own recorder sees everything.
fn with_recorder<F: Future<Output = ()>>(test: impl FnOnce(PrometheusHandle) -> F) {
    let recorder: PrometheusRecorder = recorder().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(test(recorder.handle())));
}

fn reader(
    read: impl Fn() -> BoxFuture<'static, Result<Readings, StoreError>> + Send + Sync + 'static,
) -> StoreGauges {
    let (_, scope) = watch::channel(scope());
    StoreGauges::reading(Box::new(read), scope)
}

#[test]
fn a_label_set_that_empties_is_written_as_zero() {
    with_recorder(|page| async move {
        let (send, receive) = watch::channel(scope());
        let read = || -> BoxFuture<'static, _> {
            let findings = vec![stuck("yoigo", "NOT_SENT", 3, 1)];
            Box::pin(async {
                Ok(Readings {
                    findings,
                    ..Readings::default()
                })
            })
        };
        let gauges = StoreGauges::reading(Box::new(read), receive);
        let line = |value| format!("requests_stuck{{org=\"yoigo\",status=\"NOT_SENT\"}} {value}\n");
        gauges.refresh().await;
        assert!(page.render().contains(&line(3)), "{}", page.render());

        send.send_modify(|scope| scope.orgs.retain(|org| org.as_str() != "yoigo"));
        gauges.last.lock().await.tried = None;
        gauges.refresh().await;
        assert!(page.render().contains(&line(0)), "{}", page.render());
    });
}

#[test]
fn scrapes_in_quick_succession_read_the_store_once() {
    with_recorder(|_| async {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let gauges = reader(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(Readings::default()) })
        });
        futures::join!(gauges.refresh(), gauges.refresh());
        gauges.refresh().await;
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_store_that_is_down_is_not_asked_at_every_scrape_either() {
    with_recorder(|_| async {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let gauges = reader(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let error = StoreError::Unavailable {
                operation: "pauses",
                detail: String::new(),
            };
            Box::pin(async { Err(error) })
        });
        gauges.refresh().await;
        gauges.refresh().await;
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn an_outage_is_told_once_however_often_it_is_scraped() {
    #[derive(Clone, Default)]
    struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = {
        let lines = lines.clone();
        move || lines.clone()
    };
    let look = crate::telemetry::logs::Look {
        json: true,
        colour: false,
    };
    let clock = Arc::new(crate::clock::ManualClock::new(at(0), 1));
    let (log, _) = crate::telemetry::logs::subscriber(look, "info", clock, writer, None).unwrap();
    let _logged = tracing::subscriber::set_default(log);
    with_recorder(|_| async {
        let away = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let is_away = Arc::clone(&away);
        let gauges = reader(move || {
            let error = StoreError::Unavailable {
                operation: "pauses",
                detail: String::new(),
            };
            let away = is_away.load(Ordering::Relaxed);
            let answer = if away {
                Err(error)
            } else {
                Ok(Readings::default())
            };
            Box::pin(async { answer })
        });
        for still_away in [true, true, false, false] {
            away.store(still_away, Ordering::Relaxed);
            gauges.last.lock().await.tried = None;
            gauges.refresh().await;
        }
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn hung_store_call_times_out_and_is_counted() {
    with_recorder(|page| async move {
        let gauges = StoreGauges::of_a_hung_store(Duration::from_millis(10));
        gauges.refresh().await;
        let counted = "tesa_reconciler_store_errors_total{reason=\"timeout\"} 1\n";
        assert!(page.render().contains(counted), "{}", page.render());
    });
}
