//! Traces of the real binary, as a collector, the upstream and a reader of the log see them.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tesa_reconciler::sandbox::{Effect, ErrorShape, Fault, SandboxConfig};

use super::collector::{Collector, Span, Way};
use super::daemon::Daemon;
use super::privacy;
use super::world::{Settings, World, empty_sandbox, jobs_of_each_kind, run};

/// A world with one stuck request, and a way to its upstream that keeps what is asked.
async fn world_with_a_way() -> (World, Way) {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    let way = Way::to(&world.sandbox.base_url()).await;
    (world, way)
}

/// The program with its traces on.
fn traced(world: &World, args: &[&str], endpoint: &str) -> Command {
    let mut command = world.program(args);
    command.env("TESA_RECONCILER__TRACES__ENDPOINT", endpoint);
    command
}

fn over(mut command: Command, way: &Way) -> Command {
    command.env("TESA_RECONCILER__TESAMANAGER__BASE_URL", way.url());
    command
}

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn only<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut named = spans.iter().filter(|span| span.name == name);
    let span = named.next().unwrap_or_else(|| panic!("{name}: {spans:#?}"));
    assert!(named.next().is_none(), "one {name}: {spans:#?}");
    span
}

fn line<'a>(log: &'a [Value], message: &str) -> &'a Value {
    log.iter().find(|line| line["message"] == message).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_one_trace_whose_ids_stand_in_the_log_and_in_what_the_upstream_is_asked() {
    let (world, way) = world_with_a_way().await;
    let collector = Collector::start().await;
    let command = over(traced(&world, &["run"], &collector.endpoint()), &way);
    let mut daemon = Daemon::start(command, world.dir.path());
    daemon.ready().await;
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    daemon.signal("TERM");
    assert_eq!(daemon.exit().await, Some(0), "{}", daemon.output());
    let (log, spans) = (daemon.log(), collector.spans());

    let run = only(&spans, "run");
    assert_eq!((run.parent.as_str(), run.client), ("", false));
    for (name, value) in [
        ("job_name", "retry-stuck"),
        ("org", "masmovil"),
        ("trigger", "manual"),
        ("outcome", "succeeded"),
        ("selected", "1"),
        ("sent", "1"),
        ("failed", "0"),
    ] {
        assert_eq!(run.get(name), value, "{name}: {run:#?}");
    }
    assert_eq!(
        run.get("run_id"),
        world.rows(&["runs"]).await[0]["id"].to_string()
    );
    let replica = line(&log, "ready")["replica"].as_str().unwrap();
    for (name, value) in [
        ("service.name", "tesa-reconciler"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", replica),
    ] {
        assert_eq!(run.resource[name], value);
    }

    let act = only(&spans, "act");
    assert_eq!((&act.parent, &act.trace_id), (&run.span_id, &run.trace_id));
    assert_eq!(
        act.get("attempt"),
        world.attempts().await[0]["id"].to_string()
    );
    assert_eq!((act.get("state"), act.get("verdict")), ("accepted", "act"));

    // Every call is a span of its own, under what it was made for.
    let calls: Vec<&Span> = spans.iter().filter(|span| span.client).collect();
    let write = calls.iter().find(|call| call.name == act.get("operation"));
    let write = write.expect("the write's call");
    assert_eq!(write.parent, act.span_id);
    let port = way.url().rsplit_once(':').unwrap().1.to_owned();
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.response.status_code", "201"),
        ("server.address", "127.0.0.1"),
        ("server.port", &port),
        ("try", "1"),
        ("org", "masmovil"),
    ] {
        assert_eq!(write.get(name), value, "{name}: {write:#?}");
    }
    // The selection is the run's own; a create's look-up of its order is the act's.
    let lists = calls
        .iter()
        .filter(|call| call.name == "list_reference_ids");
    let mut above: Vec<&str> = lists.map(|list| list.parent.as_str()).collect();
    above.sort_by_key(|parent| *parent != run.span_id);
    above.dedup();
    assert_eq!(above, [&*run.span_id, &*act.span_id]);
    for call in calls.iter().filter(|call| call.trace_id == run.trace_id) {
        let above = [&run.span_id, &act.span_id];
        assert!(above.contains(&&call.parent), "{call:#?}");
    }

    // What the upstream saw is what the collector got.
    let asked = way.asked();
    assert_eq!(asked.len(), calls.len());
    for asked in asked {
        let of_it = |call: &&&Span| call.get("correlation_id") == asked.correlation_id;
        let call = calls.iter().find(of_it).expect("its span");
        let expected = format!("00-{}-{}-01", call.trace_id, call.span_id);
        assert_eq!(asked.traceparent, Some(expected));
    }

    // From a line of the log to its trace; outside of any, no id.
    for (message, span) in [("sending a write", act), ("a run ended", run)] {
        let line = line(&log, message);
        assert_eq!(line["trace_id"], *span.trace_id, "{line}");
        assert_eq!(line["span_id"], *span.span_id, "{line}");
        assert_eq!(line["operation"].is_string(), message == "sending a write");
    }
    assert_eq!(line(&log, "ready")["trace_id"], Value::Null);
    assert!(
        collector
            .deliveries()
            .iter()
            .all(|one| one.path == "/v1/traces")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_endpoint_nobody_is_told_and_the_upstream_sees_nothing_new() {
    let (world, way) = world_with_a_way().await;
    let collector = Collector::start().await;
    let mut command = over(world.program(&["run", "--once"]), &way);
    // Variables of the SDK's own switch nothing on, and other keys alone don't either.
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .env("TESA_RECONCILER__TRACES__SAMPLE_RATIO", "1.0");
    let ended = run(command).await;
    assert_eq!((ended.code, world.effects()), (Some(0), 1), "{ended:?}");
    assert!(!way.asked().is_empty());
    assert!(way.asked().iter().all(|asked| asked.traceparent.is_none()));
    assert!(collector.deliveries().is_empty());
    assert!(!ended.stderr.contains("trace_id"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_not_sampled_says_so_upstream_and_leaves_no_id_in_the_log() {
    let (world, way) = world_with_a_way().await;
    let collector = Collector::start().await;
    let mut command = over(
        traced(&world, &["run", "--once"], &collector.endpoint()),
        &way,
    );
    command.env("TESA_RECONCILER__TRACES__SAMPLE_RATIO", "0.0");
    let ended = run(command).await;
    assert_eq!((ended.code, world.effects()), (Some(0), 1), "{ended:?}");
    for asked in way.asked() {
        let parent = asked.traceparent.expect("a trace goes on, unsampled");
        assert!(parent.len() == 55 && parent.ends_with("-00"), "{parent}");
    }
    assert!(collector.deliveries().is_empty());
    assert!(!ended.stderr.contains("trace_id"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_looks_the_same_with_traces_but_for_the_ids() {
    let collector = Collector::start().await;
    let names = async |traces: Option<&Collector>, level: &str| {
        let (world, _way) = world_with_a_way().await;
        let args = ["run", "--once", "--log-level", level];
        let command = match traces {
            Some(collector) => traced(&world, &args, &collector.endpoint()),
            None => world.program(&args),
        };
        let ended = run(command).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let lines = ended.stderr.lines();
        let line = |line: &str| {
            let mut line: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
            line.retain(|name, _| !["trace_id", "span_id"].contains(&name.as_str()));
            let names = line.keys().cloned().collect::<Vec<_>>().join(" ");
            format!("{}: {names}", line["message"])
        };
        lines.map(line).collect::<Vec<_>>()
    };
    let level = "warn,tesa_reconciler=debug";
    let with = names(Some(&collector), level).await;
    assert_eq!(with, names(None, level).await);
    assert!(with.len() > 3, "{with:?}");
    // A silent log silences no trace.
    let before = collector.spans().len();
    assert_eq!(names(Some(&collector), "off").await, [""; 0]);
    assert_eq!(collector.spans().len(), 2 * before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_read_is_a_span_for_each_try() {
    let (world, way) = world_with_a_way().await;
    let collector = Collector::start().await;
    let fails = Effect::Error {
        status: 503,
        applied: false,
        shape: ErrorShape::Text,
    };
    world.faults(vec![Fault::new(fails).on(&["list_reference_ids"]).times(1)]);
    let ended = run(over(
        traced(&world, &["run", "--once"], &collector.endpoint()),
        &way,
    ))
    .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let spans = collector.spans();
    let run = only(&spans, "run");
    let mut tries: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "list_reference_ids" && span.parent == run.span_id)
        .map(|span| {
            (
                span.get("try"),
                span.get("http.response.status_code"),
                span.failed,
            )
        })
        .collect();
    tries.sort_unstable();
    // The first list's; those after it were answered at once.
    tries.retain(|tried| *tried != ("1", "200", false));
    assert_eq!(tries, [("1", "503", true), ("2", "200", false)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_collector_delays_neither_a_run_nor_the_end_and_is_told_once() {
    let (world, _way) = world_with_a_way().await;
    let mut daemon = Daemon::start(traced(&world, &["run"], &nobody().await), world.dir.path());
    daemon.ready().await;
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!((ended.code, world.effects()), (Some(0), 1), "{ended:?}");
    let begun = Instant::now();
    daemon.signal("TERM");
    assert_eq!(daemon.exit().await, Some(0));
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(2),
        "a refusal is no wait: {took:?}"
    );
    let told = "the trace collector does not take spans; they are given up until it does";
    assert_eq!(daemon.times_logged(told), 1, "{}", daemon.output());
    assert_eq!(daemon.times_logged("stopped"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_holds_the_end_up_by_two_seconds_at_most() {
    let (world, _way) = world_with_a_way().await;
    let collector = Collector::hanging().await;
    let begun = Instant::now();
    let ended = run(traced(&world, &["run", "--once"], &collector.endpoint())).await;
    let took = begun.elapsed();
    assert_eq!((ended.code, world.effects()), (Some(0), 1), "{ended:?}");
    assert_eq!(collector.deliveries().len(), 1, "it was tried");
    // Its own time-out would be ten seconds.
    assert!(took < Duration::from_secs(7), "{took:?}");
    let told = "the last spans were not all delivered";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_endpoint_is_a_fault_of_the_configuration() {
    let world = World::new(Settings::default()).await;
    for endpoint in ["collector:4318", "http://127.0.0.1:4318/v1/traces"] {
        let ended = run(traced(&world, &["run", "--once"], endpoint)).await;
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.stderr.contains("traces.endpoint"), "{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_says_that_traces_need_a_restart() {
    let mut world = World::new(Settings::default()).await;
    let mut daemon = world.daemon().await;
    let endpoint = nobody().await;
    world.settings.jobs += &format!("\n[traces]\nendpoint = \"{endpoint}\"\n");
    world.write_configuration();
    daemon.signal("HUP");
    let waits = daemon
        .logged("these changes take effect with the next start only")
        .await;
    assert_eq!(waits["keys"], "[\"traces\"]");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_personal_data_in_any_span() {
    const KEY: &str = "key-of-the-collector";
    let sandbox = SandboxConfig {
        requests: 300,
        stuck_unsent: Some(15),
        ..empty_sandbox()
    };
    let mut settings = Settings {
        jobs: jobs_of_each_kind(),
        ..Settings::default()
    };
    settings.tesamanager += "\nrequest_timeout = \"2s\"";
    let world = World::with(sandbox, settings).await;
    std::fs::write(world.path("headers"), format!("X-Key: {KEY}\n")).unwrap();
    let collector = Collector::start().await;
    // First in good order, so that creates go out with the customer; then with all that can go wrong.
    // Every run asks for a list, so that one fails for sure, and one is not answered.
    let ill = Effect::Error {
        status: 503,
        applied: false,
        shape: Default::default(),
    };
    let lists = [ill, Effect::Drop { applied: false }]
        .map(|what| Fault::new(what).on(&["list_reference_ids"]).times(1));
    let all = lists.into_iter().chain(privacy::every_fault()).collect();
    for faults in [vec![], all] {
        world.faults(faults);
        let mut command = traced(&world, &["run", "--once"], &collector.endpoint());
        command.env("TESA_RECONCILER__TRACES__HEADERS_FILE", "headers");
        run(command).await;
    }
    let spans = collector.spans();
    for (what, is) in [
        (
            "a create",
            (|span: &Span| span.client && span.name.starts_with("create_")) as fn(&Span) -> bool,
        ),
        ("a failed call", |span| span.client && span.failed),
        ("a call without an answer", |span| {
            span.client && span.get("http.response.status_code").is_empty()
        }),
    ] {
        assert!(spans.iter().any(is), "no {what}: {spans:#?}");
    }
    for delivery in collector.deliveries() {
        assert_eq!(delivery.headers["x-key"], KEY);
        privacy::assert_clean(&world, "a delivery of spans", &delivery.body);
        let body = String::from_utf8_lossy(&delivery.body);
        assert!(!body.contains(KEY) && !body.contains("/requests"));
    }
    // Neither an order nor a request is named.
    let order = world.writes()[0].external_reference.clone().unwrap();
    let named = |span: &Span| span.attributes.values().any(|value| *value == order);
    assert!(!spans.iter().any(named));
}
