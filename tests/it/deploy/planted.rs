//! The tests of the alerts are tested: each fault that once woke people for nothing, or let them sleep, is planted into a copy
//! of the shipped files again, and what should find it must find it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use serde_yaml_ng::Value;

use super::{dashboards, quiet, rules};

/// Who must find it.
enum Finder {
    /// The case of this name in `tests.yml`.
    Case(&'static str),
    /// The made-up first day.
    FirstDay,
    /// The made-up quiet week.
    QuietWeek,
    /// What is held of Alertmanager's route.
    Route,
    /// What is held of the runbooks.
    Runbooks,
    /// The cases of the overview's verdict.
    Verdict,
}
use Finder::{Case, FirstDay, QuietWeek, Route, Runbooks, Verdict};

struct Fault {
    what: &'static str,
    /// Below `deploy`.
    file: &'static str,
    good: &'static str,
    bad: &'static str,
    found_by: &'static [Finder],
}

const ALERTS: &str = "prometheus/alerts.yml";
const RECORDING: &str = "prometheus/recording.yml";
const ROUTE: &str = "prometheus/alertmanager.yml";

const FAULTS: &[Fault] = &[
    Fault {
        what: "who has never succeeded yet is stale since 1970",
        file: RECORDING,
        good: "max by (job, job_name, org) (max_over_time(tesa_reconciler_job_last_success_timestamp_seconds[5m])) > 0\n",
        bad: "max by (job, job_name, org) (max_over_time(tesa_reconciler_job_last_success_timestamp_seconds[5m]))\n",
        found_by: &[Case("A first start alerts nobody"), FirstDay],
    },
    Fault {
        what: "a handful of minutes after a stop is a rate",
        file: ALERTS,
        good: "            and\n            count_over_time(job:tesa_reconciler_stale:max[1h]) >= 15\n",
        bad: "",
        found_by: &[Case("A planned stop of 70 minutes burns no budget fast")],
    },
    Fault {
        what: "a long run after a stop is nobody at work",
        file: RECORDING,
        good: "tesa_reconciler_job_running == 1 and",
        bad: "tesa_reconciler_job_running == 2 and",
        found_by: &[Case(
            "A long run after a stop of half an hour alerts nobody",
        )],
    },
    Fault {
        what: "a refused token pages nobody",
        file: ALERTS,
        good: "          or\n          sum by (job) (increase(tesa_reconciler_upstream_requests_total{operation=\"token\",code=\"400\"}[30m])) > 3\n",
        bad: "",
        found_by: &[Case(
            "TesaReconcilerUpstreamAuthFailing fires when a token is refused",
        )],
    },
    Fault {
        what: "what was due while nothing might be written is a late repair",
        file: ALERTS,
        good: "          unless on (job) (max by (job) (max_over_time(tesa_reconciler_mode{mode=\"observe\"}[6h])) == 1)\n",
        bad: "",
        found_by: &[Case(
            "RepairTime stays silent in the first hours of enforce",
        )],
    },
    Fault {
        what: "as long as one replica lives, the others may be dead",
        file: ALERTS,
        good: "            < quantile_over_time(0.5, job:tesa_reconciler_replicas_live:max[1d])\n",
        bad: "            < 1\n",
        found_by: &[Case("TesaReconcilerReplicaMissing fires")],
    },
    Fault {
        what: "on a full disk nobody can say that he lives",
        file: ALERTS,
        good: "(job:tesa_reconciler_replicas_live:max > 0)\n",
        bad: "job:tesa_reconciler_replicas_live:max\n",
        found_by: &[Case("A store that takes no beats is no missing replica")],
    },
    Fault {
        what: "a replica that can't be scraped is not missed",
        file: ALERTS,
        good: "count by (job) (up{job=~\".*tesa-reconciler.*\"} == 0)",
        bad: "count by (job) (up{job=~\".*tesa-reconciler.*\"} == 2)",
        found_by: &[Case("TesaReconcilerReplicaMissing fires")],
    },
    Fault {
        what: "a deployment's spare replica is the usual number",
        file: ALERTS,
        good: "quantile_over_time(0.5, job:tesa_reconciler_replicas_live:max[1d])",
        bad: "max_over_time(job:tesa_reconciler_replicas_live:max[1d])",
        found_by: &[Case("TesaReconcilerReplicaMissing stays silent"), QuietWeek],
    },
    Fault {
        what: "lost answers one after another are one of unknown outcome for ever",
        file: ALERTS,
        good: "time() - (max by (job) (last_over_time(tesa_reconciler_attempts_oldest_open_timestamp_seconds{state=\"unknown\"}[5m])) > 0)\n          > 2700\n        for: 0m\n",
        bad: "max by (job) (max_over_time(tesa_reconciler_attempts_open{state=\"unknown\"}[5m])) > 0\n        for: 45m\n",
        found_by: &[Case("TesaReconcilerAttemptUnknown stays silent")],
    },
    Fault {
        what: "all that is found by the first run is a spike",
        file: ALERTS,
        good: "          and on (job)\n          count by (job) (max_over_time(tesa_reconciler_findings_total[1h] offset 23h))\n",
        bad: "",
        found_by: &[Case("A first start alerts nobody")],
    },
    Fault {
        what: "a job whose next slot is a day ahead is in order",
        file: ALERTS,
        good: "            or\n            max by (job, job_name) (min_over_time(tesa_reconciler_job_next_run_timestamp_seconds[5m])) - time()\n            > on (job, job_name) job_name:tesa_reconciler_job_interval_seconds:max + 300\n",
        bad: "",
        found_by: &[Case(
            "TesaReconcilerJobStalled fires when a clock was ahead",
        )],
    },
    Fault {
        what: "where runs are begun by a timer, the daemon is down for ever",
        file: ALERTS,
        good: " unless on () tesa_reconciler_once_last_end_timestamp_seconds\n",
        bad: "\n",
        found_by: &[Case("TesaReconcilerOnceStalled stays silent")],
    },
    Fault {
        what: "a timer whose runs all fail is in order",
        file: ALERTS,
        good: "last_over_time(tesa_reconciler_once_last_success_timestamp_seconds[5m])) > 1800",
        bad: "last_over_time(tesa_reconciler_once_last_end_timestamp_seconds[5m])) > 1800",
        found_by: &[Case("TesaReconcilerOnceStalled fires")],
    },
    Fault {
        what: "what was said is forgotten before it is repeated",
        file: ROUTE,
        good: "repeat_interval: 4d",
        bad: "repeat_interval: 7d",
        found_by: &[Route],
    },
    Fault {
        what: "info goes nowhere",
        file: ROUTE,
        good: "  - name: reading\n    webhook_configs:\n      - url: http://127.0.0.1:9999/reading\n",
        bad: "  - name: reading\n",
        found_by: &[Route],
    },
    Fault {
        what: "a runbook leaves a unit dead that systemd has given up",
        file: "runbooks/TesaReconcilerDown.md",
        good: "systemctl reset-failed",
        bad: "systemctl start",
        found_by: &[Runbooks],
    },
    Fault {
        what: "a runbook knows nothing of Kubernetes",
        file: "runbooks/TesaReconcilerGuardHeld.md",
        good: "## On Kubernetes",
        bad: "## Elsewhere",
        found_by: &[Runbooks],
    },
    Fault {
        what: "the slots of an outage are lost for an hour after it",
        file: ALERTS,
        good: "          and\n          sum by (job, job_name) (increase(tesa_reconciler_slots_total{result=~\"skipped_overlap|missed\"}[15m])) > 0\n",
        bad: "",
        found_by: &[Case("TesaReconcilerJobFallingBehind stays silent")],
    },
    Fault {
        what: "who is busy with a first run loses slots",
        file: ALERTS,
        good: "          unless on (job, job_name)\n          min by (job, job_name) (max_over_time(tesa_reconciler_job_last_success_timestamp_seconds[5m])) == 0\n",
        bad: "",
        found_by: &[Case(
            "A first run that takes an hour is no job that falls behind",
        )],
    },
    Fault {
        what: "some minutes without an upstream page",
        file: ALERTS,
        good: "job:tesa_reconciler_stale_minutes:ratio1h > 14.4 * 0.005",
        bad: "job:tesa_reconciler_stale_minutes:ratio1h > 0",
        found_by: &[QuietWeek],
    },
    Fault {
        what: "the overview is green while the guard holds",
        file: "grafana/overview.json",
        good: "(sum(max by (job, job_name, org) (tesa_reconciler_guard_held{job=~\\\"$job\\\", instance=~\\\"$instance\\\"})) or vector(0)) + ",
        bad: "",
        found_by: &[Verdict],
    },
    Fault {
        what: "the overview is green while no token is to be had",
        file: "grafana/overview.json",
        good: "operation=\\\"token\\\", code=\\\"400\\\"",
        bad: "operation=\\\"token\\\", code=\\\"499\\\"",
        found_by: &[Verdict],
    },
];

/// A copy of what is shipped.
fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["prometheus", "runbooks", "grafana"] {
        let source = super::path("deploy").join(folder);
        super::run_well(Command::new("cp").arg("-r").arg(source).arg(dir.path()));
    }
    dir
}

/// The one case of `tests.yml`, on the rules in `folder`.
fn case(folder: &Path, name: &str) {
    let text = std::fs::read_to_string(folder.join("tests.yml")).unwrap();
    let mut document: Value = serde_yaml_ng::from_str(&text).unwrap();
    let cases = document["tests"].as_sequence_mut().unwrap();
    cases.retain(|case| case["name"] == name);
    assert_eq!(cases.len(), 1, "there is no case {name:?}");
    let file = folder.join("one-case.yml");
    std::fs::write(&file, serde_yaml_ng::to_string(&document).unwrap()).unwrap();
    super::run_well(Command::new("promtool").args(["test", "rules"]).arg(file));
}

fn look(finder: &Finder, deploy: &Path) {
    let prometheus = deploy.join("prometheus");
    match finder {
        Case(name) => case(&prometheus, name),
        FirstDay => quiet::a_first_day_alerts_nobody(&prometheus),
        QuietWeek => quiet::a_quiet_week_alerts_nobody(&prometheus),
        Route => rules::every_severity_goes_somewhere(&prometheus.join("alertmanager.yml")),
        Runbooks => rules::each_runbook_says_what_to_do(&deploy.join("runbooks")),
        Verdict => dashboards::the_verdict_is_red(&deploy.join("grafana")),
    }
}

/// Plants each fault, and asks those of its finders who are meant here.
fn plant(asked: impl Fn(&Finder) -> bool) {
    let mut missed = Vec::new();
    for fault in FAULTS {
        let finders = || fault.found_by.iter().filter(|finder| asked(finder));
        if finders().next().is_none() {
            continue;
        }
        let dir = copy();
        let file = dir.path().join(fault.file);
        let shipped = std::fs::read_to_string(&file).unwrap();
        assert!(
            shipped.contains(fault.good),
            "plant it anew: {}",
            fault.what
        );
        std::fs::write(&file, shipped.replacen(fault.good, fault.bad, 1)).unwrap();
        if fault.file.starts_with("prometheus/") && fault.file != ROUTE {
            // What promtool does not even read proves nothing.
            super::run_well(Command::new("promtool").args(["check", "rules"]).arg(&file));
        }
        for finder in finders() {
            if catch_unwind(AssertUnwindSafe(|| look(finder, dir.path()))).is_ok() {
                missed.push(fault.what);
            }
        }
    }
    assert!(missed.is_empty(), "nobody finds: {missed:#?}");
}

#[test]
fn each_fault_that_once_was_is_found_again() {
    plant(|finder| !matches!(finder, FirstDay | QuietWeek));
}

#[test]
fn a_fault_that_only_a_whole_day_or_week_shows_is_found_by_it() {
    plant(|finder| matches!(finder, FirstDay | QuietWeek));
}
