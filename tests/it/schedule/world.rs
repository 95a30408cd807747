//! A store, a runner and a clock that the driver can live with, all in memory and on tokio's paused time: an hour
//! of schedule takes milliseconds, and a call can be made to fail or hang at will.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "support for tests, where a panic is the report"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::clock::Clock;
use tesa_reconciler::domain::ids::{JobName, Org, ReplicaId, RunId, TriggerId};
use tesa_reconciler::domain::run::SlotResult;
use tesa_reconciler::domain::{RunOutcome, Trigger};
use tesa_reconciler::schedule::{
    Activator, CatchUp, Overlap, Parts, RunRequest, Runner, ScheduleStore, ScheduledJob, Spec,
    Ticker, When, drive,
};
use tesa_reconciler::store::StoreError;
use tesa_reconciler::store::controls::{Pause, TriggerRow};
use tesa_reconciler::store::runs::{CLOCKS_DIFFER_BY, RunLease, Started, UnrunSlots};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Goes with tokio's time, and can be set.
#[derive(Debug)]
pub struct WallClock {
    begin: Instant,
    at_begin: Mutex<DateTime<Utc>>,
}

impl WallClock {
    pub fn jump(&self, by: TimeDelta) {
        *self.at_begin.lock().unwrap() += by;
    }
}

impl Clock for WallClock {
    fn now(&self) -> DateTime<Utc> {
        *self.at_begin.lock().unwrap() + self.begin.elapsed()
    }

    fn uptime(&self) -> Duration {
        self.begin.elapsed()
    }

    fn random(&self) -> u64 {
        4
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well,
    Down,
    Hung,
    PausesDamaged,
    AnswersLost,
}

#[derive(Debug)]
pub struct Run {
    pub request: RunRequest,
    pub began: DateTime<Utc>,
    pub by: ReplicaId,
}

#[derive(Debug)]
pub struct Memory {
    pub mood: Mood,
    pub slots: BTreeMap<(JobName, Org), BTreeSet<DateTime<Utc>>>,
    pub last: BTreeMap<(JobName, Org), DateTime<Utc>>,
    pub unrun: Vec<UnrunSlots>,
    pub triggers: Vec<TriggerRow>,
    pub pauses: Vec<Pause>,
    pub runs: Vec<Run>,
    /// Runs that go on, ours or a dead replica's.
    pub running: BTreeMap<(JobName, Org), RunId>,
    pub panicked: Vec<RunId>,
    /// Claims of this org fail.
    pub broken_org: Option<Org>,
    /// The next run panics.
    pub panic_next: bool,
    /// The newest zone data that a living process goes by.
    pub zones: String,
}

/// The store, and what happens in it.
#[derive(Debug)]
pub struct Shared {
    memory: Mutex<Memory>,
    /// Runs end only while this is true.
    pub gate: watch::Sender<bool>,
}

impl Shared {
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn mood(&self, operation: &'static str) -> Result<Mood, StoreError> {
        let mood = self.memory().mood;
        match mood {
            Mood::Down => Err(StoreError::Unavailable {
                operation,
                detail: "gone".to_owned(),
            }),
            Mood::Hung => std::future::pending().await,
            other => Ok(other),
        }
    }
}

#[async_trait]
impl ScheduleStore for Shared {
    async fn last_slot(
        &self,
        job: &JobName,
        org: &Org,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.mood("last_slot").await?;
        Ok(self.memory().last.get(&(job.clone(), org.clone())).copied())
    }

    async fn record_unrun(&self, slots: &UnrunSlots, _: DateTime<Utc>) -> Result<(), StoreError> {
        self.mood("record_unrun").await?;
        let mut memory = self.memory();
        let key = (slots.job_name.clone(), slots.org.clone());
        let last = memory.last.get(&key).copied();
        if last.is_none_or(|last| slots.last > last) {
            memory.last.insert(key, slots.last);
            memory.unrun.push(slots.clone());
        }
        Ok(())
    }

    async fn set_back(
        &self,
        job: &JobName,
        org: &Org,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.mood("set_back").await?;
        let mut memory = self.memory();
        let key = (job.clone(), org.clone());
        let reached = memory.last.get(&key).copied();
        let Some(reached) = reached.filter(|&last| last > now + CLOCKS_DIFFER_BY) else {
            return Ok(None);
        };
        let slots = memory.slots.entry(key.clone()).or_default();
        slots.retain(|&slot| slot <= now);
        let ran = slots.last().copied();
        memory.unrun.retain(|slots| slots.last <= now);
        let unrun = memory.unrun.iter().map(|slots| slots.last).max();
        match ran.max(unrun) {
            Some(last) => memory.last.insert(key, last),
            None => memory.last.remove(&key),
        };
        Ok(Some(reached))
    }

    async fn take_triggers(
        &self,
        _: &ReplicaId,
        _: DateTime<Utc>,
    ) -> Result<Vec<TriggerRow>, StoreError> {
        self.mood("take_triggers").await?;
        let memory = self.memory();
        let open = memory.triggers.iter().filter(|row| row.run_id.is_none());
        Ok(open.cloned().collect())
    }

    async fn answer_triggers(&self, ids: &[TriggerId], run: RunId) -> Result<(), StoreError> {
        if self.mood("answer_triggers").await? == Mood::AnswersLost {
            return Err(StoreError::Timeout {
                operation: "answer_triggers",
                limit: MINUTE,
                place: String::new(),
            });
        }
        for row in &mut self.memory().triggers {
            if ids.contains(&row.id) {
                assert_eq!(row.run_id, None, "answered once");
                row.run_id = Some(run);
            }
        }
        Ok(())
    }

    async fn pauses(&self, _: DateTime<Utc>) -> Result<Vec<Pause>, StoreError> {
        if self.mood("pauses").await? == Mood::PausesDamaged {
            return Err(StoreError::Corrupt {
                operation: "pauses",
                detail: "no such word".to_owned(),
            });
        }
        Ok(self.memory().pauses.clone())
    }

    async fn newest_zones(&self, _: DateTime<Utc>) -> Result<Option<String>, StoreError> {
        self.mood("newest_zones").await?;
        Ok(Some(self.memory().zones.clone()))
    }
}

struct FakeRunner {
    shared: Arc<Shared>,
    clock: Arc<WallClock>,
    replica: ReplicaId,
}

#[async_trait]
impl Runner for FakeRunner {
    async fn claim(&self, request: &RunRequest) -> Result<Started, StoreError> {
        self.shared.mood("start").await?;
        let mut memory = self.shared.memory();
        let key = (request.job.clone(), request.org.clone());
        if memory.broken_org.as_ref() == Some(&request.org) {
            return Err(StoreError::Internal {
                operation: "start",
                detail: "a constraint".to_owned(),
            });
        }
        if let Some(slot) = request.slot
            && memory.last.get(&key).is_some_and(|&last| slot <= last)
        {
            return Ok(Started::SlotTaken);
        }
        if let Some(&run) = memory.running.get(&key) {
            return Ok(Started::AlreadyRunning(run));
        }
        if let Some(slot) = request.slot {
            memory.last.insert(key.clone(), slot);
            assert!(
                memory.slots.entry(key.clone()).or_default().insert(slot),
                "a slot runs once"
            );
        }
        memory.runs.push(Run {
            request: request.clone(),
            began: self.clock.now(),
            by: self.replica.clone(),
        });
        let run_id = RunId(memory.runs.len() as i64);
        memory.running.insert(key, run_id);
        Ok(Started::Yes(RunLease { run_id, token: 1 }))
    }

    async fn execute(&self, request: RunRequest, _: RunLease) -> RunOutcome {
        if std::mem::take(&mut self.shared.memory().panic_next) {
            panic!("as told");
        }
        let mut gate = self.shared.gate.subscribe();
        gate.wait_for(|&open| open).await.unwrap();
        let mut memory = self.shared.memory();
        memory.running.remove(&(request.job, request.org));
        RunOutcome::Succeeded
    }

    async fn panicked(&self, lease: &RunLease) {
        let mut memory = self.shared.memory();
        memory.panicked.push(lease.run_id);
        memory.running.retain(|_, run| *run != lease.run_id);
    }
}

/// A driver at work.
pub struct World {
    pub shared: Arc<Shared>,
    pub clock: Arc<WallClock>,
    pub jobs: watch::Sender<Arc<Vec<ScheduledJob>>>,
    pub activator: Arc<Activator>,
    pub stop: CancellationToken,
    pub bell: Arc<Notify>,
    pub heartbeats: Arc<AtomicU64>,
    pub driver: JoinHandle<()>,
}

/// The zone data of every driver here.
pub const ZONES: &str = "2026a";

pub const MINUTE: Duration = Duration::from_secs(60);

pub fn on(time: &str) -> DateTime<Utc> {
    format!("2026-06-01T{time}Z").parse().unwrap()
}

pub fn five() -> Spec {
    every(5 * MINUTE)
}

pub fn every(interval: Duration) -> Spec {
    Spec {
        when: When::Every(interval),
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
        catch_up_window: 60 * MINUTE,
        jitter: Duration::ZERO,
    }
}

pub fn job(name: &str, spec: Spec, orgs: &[&str]) -> ScheduledJob {
    ScheduledJob {
        name: JobName::new(name),
        spec,
        orgs: orgs.iter().map(Org::new).collect(),
    }
}

/// The store has accounted for everything up to 10:00, when it is 10:00:30.
pub fn world(jobs: Vec<ScheduledJob>) -> World {
    let last = jobs
        .iter()
        .flat_map(|job| job.orgs.iter().map(|org| (job.name.clone(), org.clone())))
        .map(|key| (key, on("10:00:00")))
        .collect();
    let shared = Arc::new(Shared {
        memory: Mutex::new(Memory {
            mood: Mood::Well,
            slots: BTreeMap::new(),
            last,
            unrun: Vec::new(),
            triggers: Vec::new(),
            pauses: Vec::new(),
            runs: Vec::new(),
            running: BTreeMap::new(),
            panicked: Vec::new(),
            broken_org: None,
            panic_next: false,
            zones: ZONES.to_owned(),
        }),
        gate: watch::Sender::new(true),
    });
    replica("one", shared, jobs)
}

/// Another driver on a store.
pub fn replica(name: &str, shared: Arc<Shared>, jobs: Vec<ScheduledJob>) -> World {
    let clock = Arc::new(WallClock {
        begin: Instant::now(),
        at_begin: Mutex::new(on("10:00:30")),
    });
    let replica = ReplicaId::new(name);
    let ticker = Ticker::without_alarm(clock.clone());
    let bell = ticker.bell();
    let jobs = watch::Sender::new(Arc::new(jobs));
    let activator = Arc::new(Activator::default());
    let stop = CancellationToken::new();
    let heartbeats = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&heartbeats);
    let parts = Parts {
        store: Arc::clone(&shared),
        runner: Arc::new(FakeRunner {
            shared: Arc::clone(&shared),
            clock: clock.clone(),
            replica: replica.clone(),
        }),
        clock: clock.clone(),
        ticker,
        jobs: jobs.subscribe(),
        activator: Arc::clone(&activator),
        stop: stop.clone(),
        tracker: TaskTracker::new(),
        replica,
        zones: ZONES.to_owned(),
        beat: Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }),
    };
    World {
        shared,
        clock,
        jobs,
        activator,
        stop,
        bell,
        heartbeats,
        driver: tokio::spawn(drive(parts)),
    }
}

impl World {
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.shared.memory()
    }

    /// Lets the wall clock reach `time` of this day.
    pub async fn until(&self, time: &str) {
        let left = on(time) - self.clock.now();
        tokio::time::sleep(left.to_std().expect("still to come")).await;
    }

    /// Waits for a state; an hour at most.
    pub async fn wait_for(&self, what: &str, holds: impl Fn(&Memory) -> bool) {
        let wait = async {
            while !holds(&self.memory()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(60 * MINUTE, wait)
            .await
            .unwrap_or_else(|_| panic!("{what}: {:#?}", self.memory()));
    }

    pub fn hold_runs(&self, hold: bool) {
        self.shared.gate.send_replace(!hold);
    }

    pub fn trigger(&self, job: &str, org: &str) -> TriggerId {
        let mut memory = self.memory();
        let id = TriggerId(memory.triggers.len() as i64 + 1);
        memory.triggers.push(TriggerRow {
            id,
            job_name: JobName::new(job),
            org: Org::new(org),
            who: "cli:ops".to_owned(),
            reason: "to see".to_owned(),
            requested_at: self.clock.now(),
            run_id: None,
        });
        id
    }

    pub fn pause(&self, job: Option<&str>) {
        let since = self.clock.now();
        self.memory().pauses.push(Pause {
            job_name: job.map(JobName::new),
            who: "cli:ops".to_owned(),
            reason: "works upstream".to_owned(),
            since,
            until: None,
        });
    }

    /// Slot and trigger of every run, with how many seconds after the slot it began.
    pub fn ran(&self) -> Vec<(String, Trigger, i64)> {
        let memory = self.memory();
        let runs = memory.runs.iter();
        runs.map(|run| {
            let slot = run
                .request
                .slot
                .map(|slot| slot.format("%H:%M:%S").to_string());
            let late = run
                .request
                .slot
                .map(|slot| (run.began - slot).num_seconds());
            (
                slot.unwrap_or_else(|| "none".to_owned()),
                run.request.trigger,
                late.unwrap_or_default(),
            )
        })
        .collect()
    }

    /// Result, first, last and count of every stretch that did not run.
    pub fn unrun(&self) -> Vec<(SlotResult, String, String, Option<u64>)> {
        let memory = self.memory();
        let time = |at: DateTime<Utc>| at.format("%H:%M:%S").to_string();
        let unrun = memory.unrun.iter();
        unrun
            .map(|slots| {
                (
                    slots.result,
                    time(slots.first),
                    time(slots.last),
                    slots.count,
                )
            })
            .collect()
    }
}
