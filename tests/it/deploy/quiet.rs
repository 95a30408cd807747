//! A quiet week and a first day alert nobody: made-up histories of all that the rules look at, judged by promtool.
//!
//! Quiet does not mean that nothing happens: answers get lost and are proven within minutes, the upstream is away for some
//! minutes, a run overlaps another one, versions are deployed. Nothing of that is for a person at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Minutes before anything is there: no real history begins at instant 0.
const BEFORE: usize = 200;
const HOUR: usize = 60;
const DAY: usize = 24 * HOUR;

/// Name, the pause between two runs in minutes.
const JOBS: [(&str, usize); 4] = [
    ("retry-stuck", 5),
    ("resolve-issues", 10),
    ("flag-events", 15),
    ("housekeeping", DAY),
];

/// One sample every few minutes; none where nothing was scraped.
struct History {
    series: BTreeMap<String, Vec<Option<f64>>>,
    /// So many minutes.
    step: usize,
}

impl History {
    fn put(&mut self, minute: usize, series: String, value: f64) {
        let samples = self.series.entry(series).or_default();
        samples.resize((BEFORE + minute) / self.step, None);
        samples.push(Some(value));
    }

    /// In promtool's words, equal neighbours together.
    fn written(&self) -> String {
        let mut text = String::new();
        for (series, samples) in &self.series {
            let mut values = String::new();
            for run in samples.chunk_by(|one, next| one == next) {
                let more = run.len() - 1;
                match run[0] {
                    Some(value) => drop(write!(values, "{value}x{more} ")),
                    None => drop(write!(values, "_x{more} ")),
                }
            }
            let _ = write!(
                text,
                "      - series: '{series}'\n        values: '{values}stale'\n"
            );
        }
        text
    }

    /// Nothing fires from the beginning to the end, by the rules in this folder.
    fn alerts_nobody(&self, rules: &Path, minutes: usize) {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "rule_files: ['{rules}/recording.yml', '{rules}/alerts.yml']\nevaluation_interval: {step}m\n\
             group_eval_order: [tesa-reconciler-records, tesa-reconciler-alerts]\n\
             tests:\n  - interval: {step}m\n    input_series:\n{series}    promql_expr_test:\n\
             \x20     - expr: count by (alertname) (count_over_time(ALERTS{{alertstate=\"firing\"}}[{window}m]))\n\
             \x20       eval_time: {end}m\n        exp_samples: []\n",
            rules = rules.display(),
            step = self.step,
            series = self.written(),
            window = minutes - 10,
            end = BEFORE + minutes - self.step,
        );
        let file = dir.path().join("quiet.yml");
        std::fs::write(&file, text).unwrap();
        super::run_well(Command::new("promtool").args(["test", "rules"]).arg(file));
    }
}

/// What a process counts, from zero with each start.
#[derive(Default)]
struct Process {
    started: usize,
    counters: BTreeMap<&'static str, f64>,
}

impl Process {
    fn count(&mut self, series: &'static str, more: f64) {
        *self.counters.entry(series).or_default() += more;
    }
}

/// What there is to count, so that all of it starts at zero.
const COUNTERS: [&str; 18] = [
    r#"job_runs_total{J,job_name="retry-stuck",org="yoigo",trigger="schedule",outcome="succeeded"}"#,
    r#"job_runs_total{J,job_name="retry-stuck",org="yoigo",trigger="schedule",outcome="failed"}"#,
    r#"job_run_duration_seconds_sum{J,job_name="retry-stuck"}"#,
    r#"job_run_duration_seconds_count{J,job_name="retry-stuck"}"#,
    r#"slots_total{J,job_name="retry-stuck",result="run"}"#,
    r#"slots_total{J,job_name="retry-stuck",result="skipped_overlap"}"#,
    r#"decisions_total{J,job_name="retry-stuck",decision="read_failed"}"#,
    r#"findings_total{J,kind="inconsistent_event"}"#,
    r#"upstream_requests_total{J,operation="get_request",code="200"}"#,
    r#"upstream_requests_total{J,operation="get_request",code="503"}"#,
    r#"upstream_requests_total{J,operation="get_request",code="401"}"#,
    r#"upstream_requests_total{J,operation="token",code="200"}"#,
    r#"claims_checked_total{J,filter="statuses",result="agrees"}"#,
    r#"claims_checked_total{J,filter="statuses",result="contradicted"}"#,
    r#"store_errors_total{J,reason="timeout"}"#,
    r#"store_errors_total{J,reason="corrupt"}"#,
    r#"time_to_repair_seconds_bucket{J,le="1800"}"#,
    r#"time_to_repair_seconds_count{J}"#,
];

/// An installation as Prometheus sees it, minute by minute.
struct World {
    history: History,
    /// Those that are scraped, by instance.
    processes: BTreeMap<String, Process>,
    /// Of each job, when its last run began and when the last good one ended.
    last: BTreeMap<&'static str, (usize, usize)>,
    begun: usize,
    /// How long the first run of each job takes.
    first_run: usize,
    enforce: bool,
    unknown_since: Option<usize>,
}

fn second(minute: usize) -> f64 {
    ((BEFORE + minute) * 60) as f64
}

impl World {
    /// Scraped every `step` minutes.
    fn new(step: usize, first_run: usize, enforce: bool) -> Self {
        let series = BTreeMap::new();
        Self {
            history: History { series, step },
            processes: BTreeMap::new(),
            last: BTreeMap::new(),
            begun: 0,
            first_run,
            enforce,
            unknown_since: None,
        }
    }

    fn start(&mut self, minute: usize, instance: String) {
        let process = Process {
            started: minute,
            ..Process::default()
        };
        self.processes.insert(instance, process);
    }

    /// One does the run; who is a matter of chance and of no consequence.
    fn doer(&mut self) -> &mut Process {
        self.processes.values_mut().next_back().expect("one lives")
    }

    fn run(&mut self, minute: usize, upstream_away: bool) {
        for (job, every) in JOBS {
            if !minute.is_multiple_of(every) || (job == "housekeeping" && minute == 0) {
                continue;
            }
            let first = minute.saturating_sub(self.begun) < self.first_run;
            let last = self.last.entry(job).or_default();
            // The first one is still at work.
            if !(first && last.0 > 0) {
                last.0 = BEFORE + minute;
            }
            if !first && !upstream_away {
                last.1 = BEFORE + minute;
            }
            if job == "retry-stuck" {
                let doer = self.doer();
                doer.count(COUNTERS[usize::from(upstream_away)], 1.0);
                doer.count(COUNTERS[2], 12.0);
                doer.count(COUNTERS[3], 1.0);
                doer.count(COUNTERS[4], 1.0);
                doer.count(COUNTERS[8], 30.0);
                doer.count(COUNTERS[12], 3.0);
            }
        }
    }

    fn scraped(&mut self, minute: usize, live: usize, circuit_open: bool) {
        if !minute.is_multiple_of(self.history.step) {
            return;
        }
        let first = minute - self.begun < self.first_run;
        for (instance, process) in &self.processes {
            let labels = format!("job=\"tesa-reconciler\",instance=\"{instance}\"");
            let mut put = |name: &str, value: f64| {
                let series = name.replace("J", &labels);
                self.history.put(minute, series, value);
            };
            put("up{J}", 1.0);
            put("process_start_time_seconds{J}", second(process.started));
            let mut ours = |name: &str, value| put(&format!("tesa_reconciler_{name}"), value);
            for series in COUNTERS {
                ours(series, process.counters.get(series).copied().unwrap_or(0.0));
            }
            for (job, every) in JOBS {
                let (begun, succeeded) = self.last.get(job).copied().unwrap_or_default();
                let of_job = |name: &str| format!("{name}{{J,job_name=\"{job}\"}}");
                let of_org = |name: &str| format!("{name}{{J,job_name=\"{job}\",org=\"yoigo\"}}");
                ours(
                    &of_org("job_last_run_timestamp_seconds"),
                    (begun * 60) as f64,
                );
                ours(
                    &of_org("job_last_success_timestamp_seconds"),
                    (succeeded * 60) as f64,
                );
                ours(&of_org("guard_held"), 0.0);
                let runs = first && begun > 0 || minute.is_multiple_of(every);
                ours(&of_org("job_running"), f64::from(u8::from(runs)));
                ours(&of_job("job_paused"), 0.0);
                ours(&of_job("job_interval_seconds"), (every * 60) as f64);
                let next = (minute / every + 1) * every;
                ours(&of_job("job_next_run_timestamp_seconds"), second(next));
            }
            let stuck = 10.0 + (minute / 97 % 7) as f64;
            ours(r#"requests_stuck{J,org="yoigo",status="NOT_SENT"}"#, stuck);
            ours(
                r#"oldest_stuck_timestamp_seconds{J,org="yoigo"}"#,
                (minute / 60 * 60 * 60) as f64,
            );
            let unknown = self.unknown_since.map_or(0.0, second);
            ours(
                r#"attempts_open{J,state="unknown"}"#,
                f64::from(u8::from(unknown > 0.0)),
            );
            ours(
                r#"attempts_oldest_open_timestamp_seconds{J,state="unknown"}"#,
                unknown,
            );
            ours(
                r#"attempts_oldest_open_timestamp_seconds{J,state="needs_human"}"#,
                0.0,
            );
            ours(
                r#"circuit_state{J,org="yoigo",state="open"}"#,
                f64::from(u8::from(circuit_open)),
            );
            ours(
                r#"mode{J,mode="observe"}"#,
                f64::from(u8::from(!self.enforce)),
            );
            ours(
                r#"mode{J,mode="enforce"}"#,
                f64::from(u8::from(self.enforce)),
            );
            ours("replicas_live{J}", live as f64);
            ours("config_last_reload_successful{J}", 1.0);
            ours(
                "token_expiry_timestamp_seconds{J}",
                second(minute / 50 * 50 + 60),
            );
            for counter in ["runs_lost_total{J}", "panics_total{J}"] {
                ours(counter, 0.0);
            }
            ours(
                r#"contract_violations_total{J,operation="get_request"}"#,
                0.0,
            );
            ours(r#"schedule_set_back_total{J,job_name="retry-stuck"}"#, 0.0);
            for name in ["scheduler", "keeper", "verifier", "notifier"] {
                let series = format!("loop_last_beat_timestamp_seconds{{J,loop=\"{name}\"}}");
                ours(&series, second(minute) - 2.0);
            }
        }
    }
}

#[test]
fn a_quiet_week_with_its_small_troubles_and_deployments_alerts_nobody() {
    a_quiet_week_alerts_nobody(&super::path("deploy/prometheus"));
}

pub fn a_quiet_week_alerts_nobody(rules: &Path) {
    let mut world = World::new(2, 0, true);
    let minutes = 7 * DAY;
    for place in ["a", "b"] {
        world.start(0, format!("{place}0"));
    }
    for (job, _) in JOBS {
        world.last.insert(job, (BEFORE, BEFORE));
    }
    for minute in 0..minutes {
        // Every other day the upstream is away for six minutes: a run or two fail, the circuit opens for a while. The budget of
        // stale minutes bears that.
        let away = (320..326).contains(&(minute % (2 * DAY)));
        let open = away && minute % DAY >= 323;
        // A deployment a day, in the afternoon: one comes, one goes, and so again.
        let (day, of_day) = (minute / DAY, minute % DAY);
        let mut live = 2;
        for (place, at) in [("a", 15 * HOUR), ("b", 15 * HOUR + 3)] {
            if of_day == at {
                world.start(minute, format!("{place}{}", day + 1));
            }
            live += usize::from(of_day == at || of_day == at + 1);
            if of_day == at + 2 {
                world.processes.remove(&format!("{place}{day}"));
            }
        }
        world.run(minute, away);
        let doer = world.doer();
        match minute % 40 {
            // An answer is lost, and proven by the first or the second look.
            7 => world.unknown_since = Some(minute),
            9 if minute / 40 % 2 == 0 => world.unknown_since = None,
            13 => world.unknown_since = None,
            20 => {
                let quick = minute / 40 % 40 != 0;
                doer.count(COUNTERS[16], f64::from(u8::from(quick)));
                doer.count(COUNTERS[17], 1.0);
            }
            30 => doer.count(COUNTERS[7], 1.0),
            _ => {}
        }
        let doer = world.doer();
        if away {
            doer.count(COUNTERS[9], 2.0);
        }
        if minute % (5 * HOUR) == 11 {
            doer.count(COUNTERS[5], 1.0);
            doer.count(COUNTERS[6], 1.0);
        }
        if minute % DAY == 777 {
            doer.count(COUNTERS[14], 2.0);
            doer.count(COUNTERS[10], 1.0);
        }
        if minute % 50 == 0 {
            doer.count(COUNTERS[11], 1.0);
        }
        world.scraped(minute, live, open);
    }
    world.history.alerts_nobody(rules, minutes);
}

#[test]
fn a_first_day_with_a_restart_and_the_first_hours_of_enforce_alerts_nobody() {
    a_first_day_alerts_nobody(&super::path("deploy/prometheus"));
}

pub fn a_first_day_alerts_nobody(rules: &Path) {
    // Over a backlog of years the first run takes 25 minutes, and finds all that is inconsistent at once.
    let mut world = World::new(1, 25, false);
    for minute in 0..DAY {
        match minute {
            0 => world.start(0, "host:9464".to_owned()),
            // Two minutes for a new kernel.
            180 => drop(world.processes.remove("host:9464")),
            182 => world.start(minute, "host:9464".to_owned()),
            600 => world.enforce = true,
            _ => {}
        }
        if world.processes.is_empty() {
            continue;
        }
        world.run(minute, false);
        if (25..60).contains(&minute) {
            world.doer().count(COUNTERS[7], 60.0);
        }
        // What was due for months is repaired at the caps' pace, the last of it hours after the first.
        if minute > 600 && minute % 3 == 0 {
            let quick = !(640..=900).contains(&minute);
            let doer = world.doer();
            doer.count(COUNTERS[16], f64::from(u8::from(quick)));
            doer.count(COUNTERS[17], 1.0);
        }
        world.scraped(minute, 1, false);
    }
    world.history.alerts_nobody(rules, DAY);
}
