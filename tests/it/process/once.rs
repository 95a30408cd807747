//! `run --once`, and who may work on a store at the same time.

use sqlx::Connection;
use tesa_reconciler::sandbox::{Effect, Fault};

use super::daemon::Daemon;
use super::world::{NEVER, PATIENCE, Settings, World, resend_job};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_once_runs_each_job_once_and_the_second_time_sends_nothing() {
    let flag = format!("[[job]]\nname = \"flag-events\"\nkind = \"flag_events\"\n{NEVER}\n");
    let settings = Settings {
        jobs: resend_job(NEVER) + &flag,
        ..Settings::default()
    };
    let world = World::new(settings).await;
    world.stuck("ORD-1");
    let reports = world.rows(&["run", "--once"]).await;
    let jobs: Vec<_> = reports.iter().map(|row| row["job_name"].as_str()).collect();
    assert_eq!(jobs, [Some("retry-stuck"), Some("flag-events")]);
    assert_eq!((&reports[0]["sent"], world.effects()), (&1.into(), 1));
    let reports = world.rows(&["run", "--once"]).await;
    assert_eq!(reports[0]["sent"], 0);
    assert_eq!(world.writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_once_runs_only_the_jobs_named() {
    let flag = format!("[[job]]\nname = \"flag-events\"\nkind = \"flag_events\"\n{NEVER}\n");
    let settings = Settings {
        jobs: resend_job(NEVER) + &flag,
        ..Settings::default()
    };
    let world = World::new(settings).await;
    world.stuck("ORD-1");
    let reports = world.rows(&["run", "--once", "--job", "flag-events"]).await;
    assert_eq!(reports.len(), 1);
    assert!(world.writes().is_empty());
    let ended = world.run(&["run", "--once", "--job", "flag-event"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("flag-events"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_once_ends_with_the_worst_outcome() {
    let settings = Settings {
        safety: "hold_above_count = 1\nhold_above_fraction = 0.0".to_owned(),
        ..Settings::default()
    };
    let world = World::new(settings).await;
    world.stuck("ORD-1");
    world.stuck("ORD-2");
    let ended = world.run(&["run", "--once"]).await;
    assert_eq!(ended.code, Some(3), "held: {ended:?}");
    assert!(world.writes().is_empty());

    let refuse = Effect::Error {
        status: 401,
        applied: false,
        shape: Default::default(),
    };
    world.faults(vec![Fault::new(refuse).on(&["reads"])]);
    let ended = world.run(&["run", "--once"]).await;
    assert_eq!(ended.code, Some(1), "failed: {ended:?}");
    assert!(ended.stdout.contains("not authorised"), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_has_one_daemon_and_the_second_is_told_what_to_use() {
    let world = World::new(Settings::default()).await;
    let daemon = world.daemon().await;
    for args in [&["run"][..], &["run", "--once"]] {
        let ended = world.run(args).await;
        assert_eq!(ended.code, Some(75), "{args:?}: {ended:?}");
        let pid = format!("process {}", daemon.pid());
        assert!(ended.stderr.contains(&pid), "{}", ended.stderr);
        let way_out = "`tesa-reconciler trigger`";
        assert!(ended.stderr.contains(way_out), "{}", ended.stderr);
    }
    assert_eq!(daemon.get("/readyz").await.0, 200, "the first goes on");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn startup_is_all_or_nothing() {
    let settings = Settings {
        mode: "observe",
        ..Settings::default()
    };
    let world = World::new(settings).await;
    let taken = world.sandbox.address().to_string();
    let ended = world.run(&["run", "--listen-http", &taken]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for said in [taken.as_str(), "[http].listen"] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    assert!(!world.store_file().exists(), "nothing was begun");
    // Nothing is held: the next one starts.
    let daemon = world.daemon().await;
    daemon.stop().await;

    // The store can't be had: the port is free again.
    std::fs::remove_file(world.store_file()).unwrap();
    std::fs::create_dir(world.store_file()).unwrap();
    let mut daemon: Daemon = world.start_daemon();
    assert_eq!(daemon.exit().await, Some(75), "{}", daemon.output());
    assert_eq!(daemon.times_logged("ready"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_once_beats_as_long_as_it_works_like_a_daemon() {
    let world = World::new(Settings::default()).await;
    world.stuck("ORD-1");
    let slow = Effect::Latency {
        ms: 6_000,
        jitter_ms: 0,
    };
    world.faults(vec![Fault::new(slow).on(&["get_request"]).times(1)]);
    let once = Daemon::start(world.program(&["run", "--once"]), world.dir.path());
    let url = format!("sqlite:{}?mode=ro", world.store_file().display());
    let mut beats = std::collections::BTreeSet::new();
    let begun = std::time::Instant::now();
    while beats.len() < 2 {
        assert!(begun.elapsed() < PATIENCE, "heard of it {beats:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if let Ok(mut store) = sqlx::SqliteConnection::connect(&url).await {
            let beat: Result<Option<i64>, _> = sqlx::query_scalar("SELECT last_beat FROM replicas")
                .fetch_optional(&mut store)
                .await;
            beats.extend(beat.ok().flatten());
        }
    }
    assert_eq!(world.writes().len(), 0, "it is still at work");
    once.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_by_a_timer_leaves_its_metrics_behind_and_prints_nothing_among_the_log() {
    let settings = Settings {
        safety: "hold_above_count = 1\nhold_above_fraction = 0.0".to_owned(),
        ..Settings::default()
    };
    let world = World::new(settings).await;
    world.stuck("ORD-1");
    world.stuck("ORD-2");
    let run = ["run", "--once", "--quiet", "--textfile", "once.prom"];
    let page = || std::fs::read_to_string(world.path("once.prom")).unwrap();
    let says = |line: &str| {
        let page = page();
        assert!(page.lines().any(|other| other == line), "{line}\n{page}");
    };
    let held = "tesa_reconciler_guard_held{job_name=\"retry-stuck\",org=\"masmovil\"} 1";

    let ended = world
        .run(&[&run[..], &["--partial-is-success"]].concat())
        .await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "held");
    for line in ended.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of the log");
        assert!(line["message"].is_string(), "{line}");
    }
    says("tesa_reconciler_once_exit_code 3");
    says(held);
    says("tesa_reconciler_requests_stuck{org=\"masmovil\",status=\"NOT_SENT\"} 2");
    let success = |page: String| {
        let mut lines = page.lines().map(str::to_owned);
        lines.find(|line| line.starts_with("tesa_reconciler_once_last_success_timestamp_seconds "))
    };
    let before = success(page()).expect("it did its work");
    let mode = std::fs::metadata(world.path("once.prom"))
        .unwrap()
        .permissions();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode);
    assert_eq!(mode & 0o777, 0o644, "for another user to read");

    // A mistake in the configuration is told, too; the rest stays as it was known.
    let config = world.path("tesa-reconciler.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{good}\n[nonsense]\n")).unwrap();
    assert_eq!(world.run(&run).await.code, Some(78));
    says("tesa_reconciler_once_exit_code 78");
    says(held);
    assert_eq!(success(page()), Some(before));
    let promtool = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::fs::File::open(world.path("once.prom")).unwrap())
        .output()
        .expect("promtool: run tests/run --install, which gets it");
    assert!(promtool.status.success(), "{promtool:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_by_a_cron_job_pushes_its_metrics_and_ends_well_without_a_pushgateway() {
    let world = World::new(Settings::default()).await;
    let gateway = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/metrics/job/x", gateway.local_addr().unwrap());
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let answer = move |body: String| {
        tell.send(body).unwrap();
        std::future::ready(())
    };
    let routes = axum::Router::new().route("/metrics/job/x", axum::routing::post(answer));
    let serving = tokio::spawn(async move { axum::serve(gateway, routes).await });
    let run = ["run", "--once", "--quiet", "--push", &address];
    let ended = world.run(&run).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let page = told.recv().await.unwrap();
    assert!(
        page.contains("\ntesa_reconciler_once_exit_code 0\n"),
        "{page}"
    );
    assert!(
        page.contains("\ntesa_reconciler_mode{mode=\"enforce\"} 1\n"),
        "{page}"
    );

    serving.abort();
    let _ = serving.await;
    let ended = world.run(&run).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("could not be pushed"), "{ended:?}");
    let ended = world
        .run(&["run", "--once", "--push", "gateway:9091"])
        .await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
