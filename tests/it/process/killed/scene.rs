//! The daemons, their lives and deaths, and what is collected for the judge.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use chrono::DateTime;
use serde_json::Value;
use tesa_reconciler::app::ALIVE_WITHIN;
use tesa_reconciler::clock::{Clock, ManualClock};
use tesa_reconciler::sandbox::{RepeatedCreate, SandboxConfig};

use super::judge::{Broken, Evidence, Row};
use super::orders::{self, HandsOff};
use super::weather::{self, TIMEOUT, VERIFY_AFTER};
use crate::process::daemon::Daemon;
use crate::process::world::{Settings, World, empty_sandbox};

/// The first gets orders life by life, the second more than its cap at once.
const ORGS: &[&str] = &["masmovil", "yoigo"];
const PER_RUN: usize = 5;
const PATIENCE: Duration = Duration::from_secs(180);

/// What is to be played.
#[derive(Debug, Clone)]
pub struct Plot {
    pub seed: u64,
    pub kills: u32,
    /// Wait in the end until every write is settled.
    pub thorough: bool,
    pub replicas: usize,
    pub repeated_create: RepeatedCreate,
    pub state_url: Option<String>,
}

pub struct Scene {
    world: World,
    daemons: Vec<Daemon>,
    dice: ManualClock,
    hands_off: Vec<HandsOff>,
    /// Orders of which a look-up has named a second request.
    named: Vec<String>,
    per_hour: usize,
    plot: Plot,
}

fn settings(plot: &Plot, per_hour: usize) -> Settings {
    let seconds = |duration: Duration| format!("\"{}s\"", duration.as_secs());
    let pauses = VERIFY_AFTER.map(seconds).join(", ");
    let timeout = seconds(TIMEOUT);
    Settings {
        orgs: ORGS,
        tesamanager: format!(
            "reads_per_second = 1000\nwrites_per_second = 50\nrequest_timeout = {timeout}\nconnect_timeout = {timeout}"
        ),
        safety: format!(
            "max_writes_per_run = {PER_RUN}\nmax_writes_per_hour = {per_hour}\nhold_above_count = 1000000\n\
             verify_after = [{pauses}]\nbackoff = {{ initial = \"1s\", max = \"2s\" }}\nmax_attempts = 4"
        ),
        jobs: orders::JOBS.to_owned(),
        state_url: plot.state_url.clone(),
        ..Settings::default()
    }
}

impl Scene {
    /// The daemons run, the first orders are there, and of some a person has said hands off.
    pub async fn begin(plot: Plot) -> Self {
        let per_hour = 20 + 3 * plot.kills as usize;
        let sandbox = SandboxConfig {
            orgs: ORGS.iter().map(|org| (*org).to_owned()).collect(),
            seed: plot.seed,
            repeated_create: plot.repeated_create,
            ..empty_sandbox()
        };
        let world = World::with(sandbox, settings(&plot, per_hour)).await;
        let mut scene = Self {
            daemons: Vec::new(),
            dice: ManualClock::new(DateTime::UNIX_EPOCH, plot.seed),
            hands_off: Vec::new(),
            named: Vec::new(),
            per_hour,
            world,
            plot,
        };
        for _ in 0..scene.plot.replicas {
            let daemon = scene.world.daemon().await;
            scene.daemons.push(daemon);
        }
        let reason = ["--all", "--reason", "a person looks first"];
        let paused = scene.world.run(&[&["pause"], &reason[..]].concat()).await;
        assert_eq!(paused.code, Some(0), "{paused:?}");
        for number in 0..8 {
            orders::add(&scene.world, ORGS[0], &format!("FIRST-{number}"), number);
        }
        for number in 0..per_hour as u64 + 5 {
            orders::add(&scene.world, ORGS[1], &format!("MANY-{number}"), number);
        }
        // A paused job runs when a person asks for it: it looks, and writes nothing.
        for job in ["retry-stuck", "resolve-issues"] {
            scene.world.run(&["trigger", job, "--wait"]).await;
        }
        orders::acknowledge(&scene.world, 8, &mut scene.hands_off).await;
        assert_eq!(scene.hands_off.len(), 8);
        let resumed = scene.world.run(&[&["resume"], &reason[..]].concat()).await;
        assert_eq!(resumed.code, Some(0), "{resumed:?}");
        scene
    }

    fn draw(&self, below: u64) -> u64 {
        self.dice.random() % below
    }

    /// One life more: new orders, other weather, a person's word perhaps, and a death.
    pub async fn live_and_die(&mut self, life: u32) {
        let mut dice = |below| self.dice.random() % below;
        let faults = weather::of_life(life, &mut dice, &self.named);
        self.world.faults(faults);
        for number in 0..2 {
            let name = format!("LIFE-{life}-{number}");
            orders::add(&self.world, ORGS[0], &name, self.draw(5));
        }
        let place = self.draw(self.daemons.len() as u64) as usize;
        self.await_a_write(life).await;
        // One in four dies while it starts.
        if self.draw(4) == 0 {
            self.sleep(500).await;
        } else {
            self.daemons[place].ready().await;
            if self.draw(2) == 0 && weather::wanted("hands_off") {
                orders::acknowledge(&self.world, 1, &mut self.hands_off).await;
            }
            self.sleep(2_500).await;
        }
        let alive = self.daemons[place].lives();
        assert!(alive, "it ended:\n{}", self.daemons[place].output());
        self.daemons[place].signal("KILL");
        self.daemons[place].exit().await;
        self.daemons[place] = self.world.start_daemon();
    }

    /// Alone on PostgreSQL it begins nothing until the run of its life before is given up. A death before that would show
    /// nothing.
    async fn await_a_write(&self, life: u32) {
        let alone = self.plot.replicas == 1 && self.plot.state_url.is_some();
        let (before, begun) = (self.world.writes().len(), Instant::now());
        let lease = ALIVE_WITHIN + Duration::from_secs(10);
        while alone && life > 0 && self.world.writes().len() == before && begun.elapsed() < lease {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn sleep(&self, below_ms: u64) {
        tokio::time::sleep(Duration::from_millis(self.draw(below_ms))).await;
    }

    /// What the ledgers say now is right.
    pub async fn judge(&mut self) -> Evidence {
        let entries = self.world.writes();
        let rows = self.world.attempts().await;
        let rows: Vec<Row> = rows
            .into_iter()
            .map(|row| serde_json::from_value(row).unwrap())
            .collect();
        let confirmed =
            |row: &&Row| row.state == "confirmed" && row.operation.starts_with("create_");
        let named = rows.iter().filter(confirmed).take(20);
        self.named = named.map(|row| row.external_reference.clone()).collect();
        let evidence = Evidence {
            entries,
            rows,
            hands_off: self.hands_off.clone(),
            per_run: PER_RUN,
            per_hour: self.per_hour,
        };
        let broken = evidence.judge();
        if !broken.is_empty() {
            panic!("{}", self.story(&evidence, &broken).await);
        }
        evidence
    }

    /// The whole story of every order that something is wrong with.
    async fn story(&self, evidence: &Evidence, broken: &[Broken]) -> String {
        let mut told = BTreeMap::new();
        let mut story = format!(
            "KILLED_SEED={} after {} writes\n",
            self.plot.seed,
            evidence.entries.len()
        );
        for Broken { what, order } in broken {
            let _ = writeln!(story, "{order}: {what}");
            told.insert(order.clone(), ());
        }
        for order in told.keys() {
            let _ = writeln!(story, "\n{order} upstream:");
            for entry in &evidence.entries {
                if entry.external_reference.as_ref() == Some(order) {
                    let _ = writeln!(
                        story,
                        "  {} {} {:?} effect {:?} due {:?} {}",
                        entry.time,
                        entry.operation,
                        entry.answered,
                        entry.effect_at,
                        entry.effect_due,
                        entry.correlation_id.as_deref().unwrap_or("-"),
                    );
                }
            }
            for word in self.hands_off.iter().filter(|word| word.order == *order) {
                let _ = writeln!(story, "  {} hands off", word.since);
            }
            let _ = writeln!(story, "{order} here:");
            let words = ["explain", order, "--output", "json"];
            let explained = self.world.run(&words).await;
            let explained: Value = serde_json::from_str(&explained.stdout).unwrap_or_default();
            let attempts = explained.pointer("/0/attempts").and_then(Value::as_array);
            for attempt in attempts.into_iter().flatten() {
                let _ = writeln!(
                    story,
                    "  {} {} of run {} by {}, before: {}",
                    attempt["correlation_id"],
                    attempt["operation"],
                    attempt["run_id"],
                    attempt["replica"],
                    attempt["before"],
                );
                for step in attempt["steps"].as_array().into_iter().flatten() {
                    let _ = writeln!(
                        story,
                        "    {} {} by {}: {}",
                        step["at"], step["state"], step["who"], step["detail"]
                    );
                }
            }
        }
        story
    }

    /// All is well upstream; whatever is still to be learnt is learnt, if there is the time.
    pub async fn end(mut self) -> Tally {
        self.world.faults(Vec::new());
        for daemon in &mut self.daemons {
            daemon.ready().await;
        }
        let begun = Instant::now();
        let evidence = loop {
            let evidence = self.judge().await;
            let mut entries = evidence.entries.iter();
            let coming = entries.any(|entry| entry.effect_due.is_some());
            let open = |row: &Row| ["intended", "accepted", "unknown"].contains(&&*row.state);
            let open = evidence.rows.iter().any(open);
            let long_enough = begun.elapsed() > VERIFY_AFTER.iter().sum();
            // A test that saw nothing has proven nothing.
            let enough = evidence.entries.iter().filter(|entry| entry.effect).count() > 5;
            if enough && !coming && long_enough && !(open && self.plot.thorough) {
                break evidence;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not come to rest");
            tokio::time::sleep(Duration::from_millis(250)).await;
        };
        for daemon in self.daemons.drain(..) {
            daemon.stop().await;
        }
        Tally::of(&evidence)
    }
}

/// In figures, for the one line at the end.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "printed")]
pub struct Tally {
    writes: usize,
    effects: usize,
    late_effects: usize,
    hands_off: usize,
    attempts: BTreeMap<String, usize>,
}

impl Tally {
    fn of(evidence: &Evidence) -> Self {
        let mut tally = Self {
            writes: evidence.entries.len(),
            hands_off: evidence.hands_off.len(),
            ..Self::default()
        };
        for entry in &evidence.entries {
            tally.effects += usize::from(entry.effect);
            let late = entry.effect_at.is_some_and(|at| at > entry.time);
            tally.late_effects += usize::from(late);
        }
        for row in &evidence.rows {
            *tally.attempts.entry(row.state.clone()).or_default() += 1;
        }
        tally
    }
}
