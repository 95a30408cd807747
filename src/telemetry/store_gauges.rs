//! Gauges that the store knows better than this process: findings, open attempts, pauses, latches, last runs.
//!
//! They are read at scrape, so they survive restarts and are the same on every replica; at most every five
//! seconds, so that scrapers can't load the store; and within two seconds, so that a store that hangs costs a
//! scrape its store gauges and nothing else. [`values`] is pure: what was read in, one number a label set out.
//! A label set that is no longer there is written as 0, because a scraped gauge does not go away by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use metrics::gauge;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::Scope;
use super::catalogue::{self as m, CIRCUIT_STATES, Metric, UNDOCUMENTED_STATUS};
use super::record::{self, seconds};
use super::textfile::Sample;
use crate::clock::SharedClock;
use crate::domain::ids::{JobName, Org};
use crate::domain::run::Mode;
use crate::domain::{AttemptState, FindingKind, Status};
use crate::store::attempts::AttemptCount;
use crate::store::controls::{CircuitRow, Latch, Pause};
use crate::store::findings::FindingCount;
use crate::store::runs::LastRuns;
use crate::store::{Store, StoreError};

/// Readings younger than this are good enough.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// Then the scrape is answered without.
const TIME_OUT: Duration = Duration::from_secs(2);

/// The metrics made here.
pub const METRICS: &[Metric] = &[
    m::JOB_LAST_SUCCESS,
    m::JOB_LAST_RUN,
    m::JOB_PAUSED,
    m::REQUESTS_STUCK,
    m::OLDEST_STUCK,
    m::ATTEMPTS_OPEN,
    m::ATTEMPTS_OLDEST_OPEN,
    m::FINDINGS_OPEN,
    m::GUARD_HELD,
    m::CIRCUIT_STATE,
    m::REPLICAS_LIVE,
];

/// What the store answered.
#[derive(Debug, Clone, Default)]
struct Readings {
    findings: Vec<FindingCount>,
    attempts: Vec<AttemptCount>,
    runs: Vec<LastRuns>,
    pauses: Vec<Pause>,
    latches: Vec<Latch>,
    circuits: Vec<CircuitRow>,
    replicas: usize,
}

type Reader = Box<dyn Fn() -> BoxFuture<'static, Result<Readings, StoreError>> + Send + Sync>;

/// A gauge's name and its label values, in the order of its keys.
type Series = (&'static str, Vec<(&'static str, String)>);

/// Brings the gauges up to date when scraped.
pub struct StoreGauges {
    read: Reader,
    scope: watch::Receiver<Scope>,
    time_out: Duration,
    last: Mutex<Last>,
}

/// The lock around it lets one scrape read while others wait for its result.
#[derive(Default)]
struct Last {
    tried: Option<Instant>,
    /// The last try failed, and the log says so.
    failing: bool,
    written: BTreeMap<Series, f64>,
}

impl Last {
    /// Not a line a scrape: an outage is told as it begins.
    fn told_once(&mut self, error: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(error, "the gauges made from the store are out of date");
        }
    }
}

impl std::fmt::Debug for StoreGauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreGauges").finish_non_exhaustive()
    }
}

impl StoreGauges {
    /// Reads from `store`, for what `scope` names; replicas count as live when they beat within `live_within`.
    pub fn new(
        store: Arc<dyn Store>,
        scope: watch::Receiver<Scope>,
        clock: SharedClock,
        live_within: Duration,
    ) -> Self {
        let read = move || {
            let (store, now) = (Arc::clone(&store), clock.now());
            let future: BoxFuture<'static, _> =
                Box::pin(async move { read(&*store, now, live_within).await });
            future
        };
        Self::reading(Box::new(read), scope)
    }

    fn reading(read: Reader, scope: watch::Receiver<Scope>) -> Self {
        Self {
            read,
            scope,
            time_out: TIME_OUT,
            last: Mutex::default(),
        }
    }

    /// Reads the store, unless that was tried less than five seconds ago, and sets the gauges. Ends within two
    /// seconds; on failure the gauges stay as they are. Cancel safe.
    pub async fn refresh(&self) {
        let mut last = self.last.lock().await;
        if last.tried.is_some_and(|tried| tried.elapsed() < FRESH_FOR) {
            return;
        }
        last.tried = Some(Instant::now());
        match tokio::time::timeout(self.time_out, (self.read)()).await {
            Ok(Ok(readings)) => {
                let values = values(&readings, &self.scope.borrow());
                set(&last.written, &values);
                last.written = values;
                if std::mem::replace(&mut last.failing, false) {
                    tracing::info!("the gauges made from the store are up to date again");
                }
            }
            // The store has counted it already.
            Ok(Err(error)) => last.told_once(&error.to_string()),
            // Its call was dropped before it could count.
            Err(_elapsed) => {
                record::store_error("timeout");
                last.told_once(&format!("no answer within {:?}", self.time_out));
            }
        }
    }
}

#[cfg(test)]
impl StoreGauges {
    /// Gauges of a store that never answers, given up after `time_out`.
    pub(crate) fn of_a_hung_store(time_out: Duration) -> Self {
        let (_, scope) = watch::channel(Scope::default());
        let read = || -> BoxFuture<'static, _> { Box::pin(std::future::pending()) };
        Self {
            time_out,
            ..Self::reading(Box::new(read), scope)
        }
    }
}

/// One call after the other: a scrape must not take several connections from the pool.
async fn read(
    store: &dyn Store,
    now: DateTime<Utc>,
    live_within: Duration,
) -> Result<Readings, StoreError> {
    Ok(Readings {
        findings: store.finding_counts().await?,
        attempts: store.attempt_counts().await?,
        runs: store.last_runs().await?,
        pauses: store.pauses(now).await?,
        latches: store.latches().await?,
        circuits: store.circuits(now).await?,
        replicas: store.live_replicas(now - live_within, now).await?.len(),
    })
}

/// The gauges as samples, for a process that nobody scrapes. Without `replicas_live`: it was one of them, and is gone.
pub async fn samples(
    store: &dyn Store,
    scope: &Scope,
    mode: Mode,
    now: DateTime<Utc>,
) -> Result<Vec<Sample>, StoreError> {
    let readings = read(store, now, Duration::ZERO).await?;
    let mut values = values(&readings, scope);
    values.retain(|(name, _), _| *name != m::REPLICAS_LIVE.name);
    let gauges = values.into_iter();
    let mut samples: Vec<Sample> = gauges
        .map(|((name, labels), value)| (name, labels, value))
        .collect();
    for other in Mode::ALL {
        let labels = vec![("mode", other.to_string())];
        samples.push((m::MODE.name, labels, one_if(*other == mode)));
    }
    Ok(samples)
}

fn set(before: &BTreeMap<Series, f64>, now: &BTreeMap<Series, f64>) {
    let gone = before.keys().filter(|series| !now.contains_key(*series));
    let zeros = gone.map(|series| (series, &0.0));
    for ((name, labels), value) in now.iter().chain(zeros) {
        gauge!(*name, labels).set(*value);
    }
}

/// Every series of [`METRICS`] for `scope`, at zero where nothing was read. What was read about jobs and tenants
/// that are no longer configured is left out, or old names would live in the metrics for ever.
fn values(readings: &Readings, scope: &Scope) -> BTreeMap<Series, f64> {
    let mut values = Values::default();
    runs(&mut values, readings, scope);
    controls(&mut values, readings, scope);
    for org in &scope.orgs {
        findings(&mut values, readings, org);
        circuit(&mut values, readings, org);
    }
    for state in AttemptState::ALL.iter().filter(|state| state.is_open()) {
        let of_state = || readings.attempts.iter().filter(|row| row.state == *state);
        let open: u64 = of_state().map(|row| row.count).sum();
        values.put(&m::ATTEMPTS_OPEN, &[state.as_str()], float(open));
        let oldest = of_state().map(|row| row.oldest).min();
        values.put(
            &m::ATTEMPTS_OLDEST_OPEN,
            &[state.as_str()],
            oldest.map_or(0.0, seconds),
        );
    }
    values.put(&m::REPLICAS_LIVE, &[], float(readings.replicas as u64));
    values.0
}

#[derive(Default)]
struct Values(BTreeMap<Series, f64>);

impl Values {
    fn put(&mut self, metric: &Metric, values: &[&str], value: f64) {
        let keys = metric.labels.iter().map(|label| label.key);
        let labels = keys
            .zip(values)
            .map(|(key, text)| (key, (*text).to_owned()));
        self.0.insert((metric.name, labels.collect()), value);
    }
}

fn runs(values: &mut Values, readings: &Readings, scope: &Scope) {
    for (job, org) in pairs(scope) {
        let of_pair = |row: &&LastRuns| row.job_name == *job && row.org == *org;
        let row = readings.runs.iter().find(of_pair);
        let success = row.and_then(|row| row.last_success);
        let begun = row.map(|row| row.last_started);
        let labels = [job.as_str(), org.as_str()];
        values.put(&m::JOB_LAST_SUCCESS, &labels, success.map_or(0.0, seconds));
        values.put(&m::JOB_LAST_RUN, &labels, begun.map_or(0.0, seconds));
    }
}

fn controls(values: &mut Values, readings: &Readings, scope: &Scope) {
    for job in &scope.jobs {
        let of_job = |pause: &Pause| pause.job_name.as_ref().is_none_or(|name| name == job);
        let paused = readings.pauses.iter().any(of_job);
        values.put(&m::JOB_PAUSED, &[job.as_str()], one_if(paused));
    }
    for (job, org) in pairs(scope) {
        let of_pair = |latch: &Latch| latch.job_name == *job && latch.org == *org;
        let held = readings.latches.iter().any(of_pair);
        values.put(&m::GUARD_HELD, &[job.as_str(), org.as_str()], one_if(held));
    }
}

fn findings(values: &mut Values, readings: &Readings, org: &Org) {
    let of_org = || readings.findings.iter().filter(|row| row.org == *org);
    for kind in FindingKind::ALL {
        let count = of_org()
            .filter(|row| row.kind == *kind)
            .map(|row| row.count)
            .sum();
        values.put(
            &m::FINDINGS_OPEN,
            &[org.as_str(), kind.as_str()],
            float(count),
        );
    }
    let stuck = || of_org().filter(|row| row.kind == FindingKind::StuckRequest);
    let known = Status::KNOWN;
    for status in known
        .iter()
        .map(Status::as_str)
        .chain([UNDOCUMENTED_STATUS])
    {
        let count = stuck()
            .filter(|row| status_label(&row.status) == status)
            .map(|row| row.count)
            .sum();
        values.put(&m::REQUESTS_STUCK, &[org.as_str(), status], float(count));
    }
    let oldest = stuck().filter_map(|row| row.oldest).min();
    values.put(
        &m::OLDEST_STUCK,
        &[org.as_str()],
        oldest.map_or(0.0, seconds),
    );
}

/// A status nobody documented is the upstream's own text, which no label may carry.
fn status_label(text: &str) -> &str {
    if Status::parse(text).is_known() {
        text
    } else {
        UNDOCUMENTED_STATUS
    }
}

/// A circuit that was never remembered is closed.
fn circuit(values: &mut Values, readings: &Readings, org: &Org) {
    let row = readings.circuits.iter().find(|row| row.org == *org);
    let current = row.map_or(CIRCUIT_STATES[0], |row| row.state.as_str());
    for state in CIRCUIT_STATES {
        values.put(
            &m::CIRCUIT_STATE,
            &[org.as_str(), state],
            one_if(state == current),
        );
    }
}

fn pairs(scope: &Scope) -> impl Iterator<Item = (&JobName, &Org)> {
    let orgs = &scope.orgs;
    scope
        .jobs
        .iter()
        .flat_map(move |job| orgs.iter().map(move |org| (job, org)))
}

fn one_if(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
