//! The units pass systemd's own checks, and the real binary keeps the notify protocol that they rely on.

use std::process::Command;
use std::time::Duration;

use super::daemon;

const UNITS: [&str; 3] = [
    "tesa-reconciler.service",
    "tesa-reconciler-once.service",
    "tesa-reconciler-once.timer",
];

/// The units with this build as the program, in a folder of their own: systemd looks whether the program is there.
fn units() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for unit in UNITS {
        let text = super::text(&format!("deploy/systemd/{unit}"));
        let text = text.replace(
            "/usr/bin/tesa-reconciler",
            env!("CARGO_BIN_EXE_tesa-reconciler"),
        );
        std::fs::write(dir.path().join(unit), text).unwrap();
    }
    dir
}

#[test]
fn units_and_drop_ins_are_understood_by_systemd() {
    let dir = units();
    let drop_ins = |unit: &str| dir.path().join(format!("{unit}.d"));
    let plain = UNITS.map(|unit| (unit, None));
    let changed = super::files("deploy/systemd/dropins", ".conf")
        .into_iter()
        .map(|file| {
            let once = file
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("once-");
            (UNITS[usize::from(once)], Some(file))
        });
    for (unit, drop_in) in plain.into_iter().chain(changed) {
        for unit in UNITS {
            let _ = std::fs::remove_dir_all(drop_ins(unit));
        }
        if let Some(file) = &drop_in {
            std::fs::create_dir(drop_ins(unit)).unwrap();
            std::fs::copy(file, drop_ins(unit).join("local.conf")).unwrap();
        }
        let output = super::run(
            Command::new("systemd-analyze")
                .args(["verify", "--man=no", "--recursive-errors=no"])
                .arg(dir.path().join(unit)),
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{unit} {drop_in:?}: {said}");
        // An unknown key is a warning only, and would leave the daemon without what it asks for.
        assert!(
            !said.contains(unit) && !said.contains("local.conf"),
            "{unit} {drop_in:?}: {said}"
        );
    }
}

#[test]
fn units_call_nothing_that_a_small_system_lacks() {
    for unit in UNITS {
        for line in super::text(&format!("deploy/systemd/{unit}")).lines() {
            let Some((_, command)) = line
                .split_once('=')
                .filter(|(key, _)| key.starts_with("Exec"))
            else {
                continue;
            };
            let program = command.split_whitespace().next().unwrap();
            assert!(
                ["/usr/bin/tesa-reconciler", "/bin/sh"].contains(&program),
                "{unit}: {line}"
            );
        }
    }
}

#[test]
fn services_are_exposed_as_little_as_they_can_be() {
    let dir = units();
    for unit in UNITS.iter().filter(|unit| unit.ends_with(".service")) {
        // The threshold is ten times the level: 1.2 is the level wanted, 1.5 is where systemd says no.
        let said = super::run_well(
            Command::new("systemd-analyze")
                .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
                .arg(dir.path().join(unit)),
        );
        let level = said.split("Overall exposure level").nth(1).unwrap();
        let level: f64 = level
            .split_whitespace()
            .find_map(|word| word.parse().ok())
            .unwrap();
        assert!(level <= 1.2, "{unit}: {level}\n{said}");
    }
}

#[test]
fn the_daemon_may_take_longer_to_drain_than_its_own_limit_but_not_than_the_units() {
    let config = tesa_reconciler::config::example();
    assert!(
        config.contains("#drain_timeout = \"30s\""),
        "the units count on it"
    );
    for unit in UNITS.iter().filter(|unit| unit.ends_with(".service")) {
        let text = super::text(&format!("deploy/systemd/{unit}"));
        let stop = text
            .lines()
            .find_map(|line| line.strip_prefix("TimeoutStopSec="));
        let stop: u64 = stop.unwrap().parse().unwrap();
        assert!(
            stop >= 30 + tesa_reconciler::lifecycle::drain::GRACE.as_secs() + 5,
            "{unit}: {stop}"
        );
    }
}

#[test]
fn the_example_of_a_configuration_is_good_and_names_the_daemons_own_store() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("service-account.json"), "{}").unwrap();
    let file = super::path("deploy/systemd/etc/tesa-reconciler.toml");
    super::run_well(
        Command::new(env!("CARGO_BIN_EXE_tesa-reconciler"))
            .args(["config", "check", "--config"])
            .arg(&file)
            .env("CREDENTIALS_DIRECTORY", dir.path()),
    );
    let service = super::text("deploy/systemd/tesa-reconciler.service");
    assert!(service.contains("\nStateDirectory=tesa-reconciler\n"));
    let config = std::fs::read_to_string(file).unwrap();
    assert!(config.contains("url = \"sqlite:/var/lib/tesa-reconciler/tesa-reconciler.db\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_ready_alive_reloading_and_stopping() {
    let daemon = daemon::start(Duration::from_millis(400), "").await;
    daemon.hears("WATCHDOG=1");
    daemon.hears("WATCHDOG=1");

    daemon.signal("HUP");
    let reloading = daemon.hears("RELOADING=1");
    let since_boot = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    assert!(
        since_boot.unwrap().parse::<u64>().unwrap() > 0,
        "{reloading}"
    );
    assert_eq!(daemon.hears("READY=1"), "READY=1\nSTATUS=reloaded");

    let good = std::fs::read_to_string(&daemon.config).unwrap();
    std::fs::write(&daemon.config, format!("{good}\n[nonsense]\n")).unwrap();
    daemon.signal("HUP");
    daemon.hears("RELOADING=1");
    let ready = daemon.hears("READY=1");
    assert!(ready.contains("the old one stays in force"), "{ready}");

    let health = Command::new(env!("CARGO_BIN_EXE_tesa-reconciler"))
        .args(["healthcheck", "--listen-http", &daemon.address, "--config"])
        .arg(super::path("deploy/systemd/etc/tesa-reconciler.toml"))
        .status()
        .unwrap();
    assert!(health.success());

    daemon.signal("TERM");
    assert_eq!(daemon.hears("STOPPING=1"), "STOPPING=1\nSTATUS=draining");
    assert_eq!(daemon.end().code(), Some(0));
}

#[tokio::test]
async fn a_health_check_fails_where_nobody_listens() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let output = Command::new(env!("CARGO_BIN_EXE_tesa-reconciler"))
        .args(["healthcheck", "--listen-http", &address, "--config"])
        .arg(super::path("deploy/systemd/etc/tesa-reconciler.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&address), "{said}");
}
