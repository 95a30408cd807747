//! The one loop that starts runs.
//!
//! It wakes up for any reason (the alarm, two seconds gone by, a poke, a run's end, a new configuration) and then does
//! the same thing: listen to people (pauses, triggers), ask [`decide`](super::decide) about each job and org, do what
//! it says. So the reason to wake up doesn't matter, and a lost one costs two seconds.
//!
//! What may fail, and what follows:
//! - *the store*: said once, tried again with growing pauses; nothing is started meanwhile, and every slot stays due,
//!   because only the store's own word accounts for it. A call that hangs is given up on ([`STORE_TIMEOUT`]);
//! - *one job or org*: backs off by itself, the others go on;
//! - *a run that panics*: its task is lost, not the loop; it ends as failed and the job goes on;
//! - *a pause state that can't be read*: counts as paused.
//!
//! Cancelling the token stops claiming at once; the future then ends when its runs have ended (draining them in time is
//! `lifecycle`'s business). Dropping the future leaves the runs alone.

mod backoff;
mod job_state;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ports::{Runner, ScheduleStore, ScheduledJob};
use super::spec::When;
use super::ticker::Ticker;
use crate::clock::SharedClock;
use crate::domain::ids::{ReplicaId, RunId, TriggerId};
use crate::store::StoreError;
use crate::store::controls::Pause;
use crate::telemetry::record;
use backoff::Backoff;
use job_state::{JobState, Key};

/// The loop's name, for liveness and its metric.
pub const LOOP_NAME: &str = "scheduler";

/// How long the driver waits for a call that goes to the store.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often people are listened to when nothing says that they spoke: they are promised two seconds.
const LISTEN_EVERY: Duration = Duration::from_secs(2);

/// Everything the driver is built from.
pub struct Parts<S: ?Sized, R: ?Sized> {
    /// Slots, triggers, pauses.
    pub store: Arc<S>,
    /// Carries runs out.
    pub runner: Arc<R>,
    /// The wall clock.
    pub clock: SharedClock,
    /// The alarm.
    pub ticker: Ticker,
    /// The jobs, as configured now.
    pub jobs: watch::Receiver<Arc<Vec<ScheduledJob>>>,
    /// Wakes the driver.
    pub activator: Arc<Activator>,
    /// Stops claiming.
    pub stop: CancellationToken,
    /// Runs are spawned on it.
    pub tracker: TaskTracker,
    /// Who takes triggers.
    pub replica: ReplicaId,
    /// The version of the zone data by which this process knows local time.
    pub zones: String,
    /// Called each time the loop has come around, for liveness.
    pub beat: Arc<dyn Fn() + Send + Sync>,
}

/// Wakes the driver from elsewhere. Pokes coalesce.
#[derive(Debug, Default)]
pub struct Activator {
    run_all: AtomicBool,
    listen: AtomicBool,
    wake: Notify,
}

impl Activator {
    /// Every job runs now (SIGUSR1).
    pub fn run_all(&self) {
        self.run_all.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// People's wishes are looked up now instead of within two seconds.
    pub fn listen(&self) {
        self.listen.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

/// Runs the schedule until it is told to stop and its runs have ended.
pub async fn drive<S, R>(parts: Parts<S, R>)
where
    S: ScheduleStore + ?Sized + 'static,
    R: Runner + ?Sized,
{
    Driver::new(parts).run().await;
}

/// Ends when a run has ended, however it did, and says whose it was.
type Ended = Pin<Box<dyn Future<Output = Key> + Send>>;

struct Driver<S: ?Sized, R: ?Sized> {
    parts: Parts<S, R>,
    job_states: BTreeMap<Key, JobState>,
    runs: FuturesUnordered<Ended>,
    /// None: unreadable.
    pauses: Option<Vec<Pause>>,
    listened: Option<Instant>,
    /// Triggers whose run has begun, until the store has noted it.
    answered: BTreeMap<TriggerId, RunId>,
    /// Triggers that nothing here can answer; remembered only to say so once.
    strays: BTreeSet<TriggerId>,
    store_backoff: Backoff,
    answer_backoff: Backoff,
    trigger_backoff: Backoff,
    /// Slots in local time are left to a process that knows more of zones: said once.
    zones_are_old: bool,
}

impl<S, R> Driver<S, R>
where
    S: ScheduleStore + ?Sized + 'static,
    R: Runner + ?Sized,
{
    fn new(parts: Parts<S, R>) -> Self {
        let mut driver = Self {
            parts,
            job_states: BTreeMap::new(),
            runs: FuturesUnordered::new(),
            pauses: None,
            listened: None,
            answered: BTreeMap::new(),
            strays: BTreeSet::new(),
            store_backoff: Backoff::default(),
            answer_backoff: Backoff::default(),
            trigger_backoff: Backoff::default(),
            zones_are_old: false,
        };
        driver.adopt_jobs(None);
        driver
    }

    async fn run(mut self) {
        let stop = self.parts.stop.clone();
        let activator = Arc::clone(&self.parts.activator);
        let mut reloads = true;
        self.set_alarm().await;
        while !stop.is_cancelled() {
            self.pass().await;
            self.beat();
            let wake = self.next_wake();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(key) = self.runs.next() => self.run_ended(&key),
                () = activator.wake.notified() => {}
                changed = self.parts.jobs.changed(), if reloads => match changed {
                    Ok(()) => {
                        self.adopt_jobs(Some(self.parts.clock.now()));
                        self.set_alarm().await;
                    }
                    Err(_) => reloads = false,
                },
                () = self.parts.ticker.wait_until(wake) => {}
                () = tokio::time::sleep(LISTEN_EVERY) => {}
            }
        }
        self.parts.ticker.stop().await;
        while !self.runs.is_empty() {
            self.beat();
            tokio::select! {
                biased;
                Some(key) = self.runs.next() => self.run_ended(&key),
                () = tokio::time::sleep(LISTEN_EVERY) => {}
            }
        }
    }

    async fn set_alarm(&mut self) {
        let jobs = Arc::clone(&self.parts.jobs.borrow());
        let mut schedules: Vec<When> = Vec::new();
        for job in jobs.iter() {
            if !schedules.contains(&job.spec.when) {
                schedules.push(job.spec.when.clone());
            }
        }
        self.parts.ticker.set(&schedules).await;
    }

    /// Past instants are left out: a job_state that waits for the store must not make the loop spin.
    fn next_wake(&self) -> Option<DateTime<Utc>> {
        let now = self.parts.clock.now();
        let wakes = self
            .job_states
            .values()
            .filter_map(|job_state| job_state.wake);
        wakes.filter(|&wake| wake > now).min()
    }

    fn beat(&self) {
        (self.parts.beat)();
        record::beat(LOOP_NAME, self.parts.clock.now());
    }

    /// One time around. Never fails, and never waits longer than a few calls' time-outs.
    async fn pass(&mut self) {
        if self.parts.activator.run_all.swap(false, Ordering::AcqRel) {
            self.job_states
                .values_mut()
                .for_each(|job_state| job_state.signalled = true);
        }
        if self.store_backoff.waits() {
            return;
        }
        match self.work().await {
            Ok(()) if self.store_backoff.succeeded() => {
                tracing::info!("the store answers again: the schedule goes on");
            }
            Ok(()) => {}
            Err(error) => {
                if self.store_backoff.failed() {
                    tracing::error!(%error, "the schedule waits for the store; slots stay due");
                }
            }
        }
        self.report_next_runs();
    }

    /// Errs only where the store itself is unwell: then the other calls needn't be tried.
    async fn work(&mut self) -> Result<(), StoreError> {
        self.listen().await?;
        self.answer_triggers().await;
        let keys: Vec<Key> = self.job_states.keys().cloned().collect();
        for key in keys {
            if self.parts.stop.is_cancelled() {
                break;
            }
            let result = self.step(&key).await;
            self.beat();
            let Some(job_state) = self.job_states.get_mut(&key) else {
                continue;
            };
            match result {
                Ok(()) if job_state.backoff.waits() => {}
                Ok(()) => {
                    job_state.backoff.succeeded();
                }
                Err(error) => {
                    // The job_state waits too, so that after a pause the others get their turn first: what looks like
                    // an outage may be the trouble of this one.
                    let first = job_state.backoff.failed();
                    if error.is_outage() {
                        return Err(error);
                    }
                    if first {
                        let (job, org) = &key;
                        tracing::error!(job_name = %job, %org, %error, "the job waits; its slots stay due");
                    }
                }
            }
        }
        self.answer_triggers().await;
        self.job_states
            .retain(|_, job_state| job_state.running || !job_state.gone);
        Ok(())
    }

    /// Looks up what people want, every two seconds or when poked.
    async fn listen(&mut self) -> Result<(), StoreError> {
        let asked = self.parts.activator.listen.swap(false, Ordering::AcqRel);
        if !asked && self.listened.is_some_and(|at| at.elapsed() < LISTEN_EVERY) {
            return Ok(());
        }
        let now = self.parts.clock.now();
        let (store, replica) = (&self.parts.store, &self.parts.replica);
        match bounded("pauses", store.pauses(now)).await {
            Ok(pauses) => self.pauses = Some(pauses),
            Err(error) if error.is_outage() => return Err(error),
            Err(error) => {
                if self.pauses.take().is_some() || self.listened.is_none() {
                    tracing::error!(%error, "the pause state is unreadable: every job counts as paused");
                }
            }
        }
        match bounded("take_triggers", store.take_triggers(replica, now)).await {
            Ok(triggers) => {
                self.trigger_backoff.succeeded();
                self.adopt_triggers(triggers);
            }
            Err(error) if error.is_outage() => return Err(error),
            Err(error) => {
                if self.trigger_backoff.failed() {
                    tracing::error!(%error, "people's triggers can't be read");
                }
            }
        }
        self.listened = Some(Instant::now());
        Ok(())
    }

    /// Takes the jobs as configured now. `changed_at`: the process was running already, so what is new or changed
    /// counts from then.
    fn adopt_jobs(&mut self, changed_at: Option<DateTime<Utc>>) {
        let jobs = Arc::clone(&self.parts.jobs.borrow_and_update());
        let now = changed_at.unwrap_or_else(|| self.parts.clock.now());
        let mut wanted = BTreeSet::new();
        for job in jobs.iter() {
            for org in &job.orgs {
                let key = (job.name.clone(), org.clone());
                wanted.insert(key.clone());
                let job_state = self
                    .job_states
                    .entry(key)
                    .or_insert_with(|| JobState::new(job.spec.clone(), now, changed_at));
                job_state.next_spec =
                    (job_state.gone || job_state.spec != job.spec).then(|| job.spec.clone());
                job_state.gone = false;
            }
        }
        for (key, job_state) in &mut self.job_states {
            job_state.gone = !wanted.contains(key);
            // Here and by nobody else: a pass under way would tell the old instant once more.
            if !jobs.iter().any(|job| job.name == key.0) {
                record::job_next_run(&key.0, DateTime::UNIX_EPOCH);
            }
        }
    }

    /// Those that the store said are in force: its clock ends them, not ours.
    fn is_paused(&self, key: &Key) -> bool {
        self.pauses.as_ref().is_none_or(|pauses| {
            pauses
                .iter()
                .any(|pause| pause.job_name.as_ref().is_none_or(|job| *job == key.0))
        })
    }

    fn report_next_runs(&self) {
        let mut next: BTreeMap<_, DateTime<Utc>> = BTreeMap::new();
        // A removed job's job_state stays until its run has ended, but is not due again.
        let kept = self
            .job_states
            .iter()
            .filter(|(_, job_state)| !job_state.gone);
        for ((job, _), job_state) in kept {
            if let Some(wake) = job_state.wake {
                next.entry(job)
                    .and_modify(|earliest| *earliest = wake.min(*earliest))
                    .or_insert(wake);
            }
        }
        for (job, wake) in next {
            record::job_next_run(job, wake);
        }
    }
}

/// Gives up on a call that hangs; dropping it rolls its transaction back.
async fn bounded<T>(
    operation: &'static str,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(STORE_TIMEOUT, call)
        .await
        .unwrap_or(Err(StoreError::Timeout {
            operation,
            limit: STORE_TIMEOUT,
            place: String::new(),
        }))
}
