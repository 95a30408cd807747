//! How things stand: a verdict, who is alive, what runs and what stops it, what is open, what waits for a person; and the
//! command that comes next. Reads the store only, so it can be told when all else is down.

mod hints;
pub mod verdict;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use self::verdict::Verdict;
use super::Sources;
use super::jobs::{self, JobRow};
use crate::domain::finding::{Attention, FindingState};
use crate::domain::ids::{JobName, Org};
use crate::domain::run::Mode;
use crate::domain::{AttemptState, Filter, FindingKind};
use crate::reconcile::claims::DISTRUSTED_AT;
use crate::reconcile::guard::caps;
use crate::store::controls::{CircuitRow, Latch, Pause};
use crate::store::findings::FindingFilter;
use crate::store::rates::HeldBack;
use crate::store::replicas::{ALIVE_WITHIN, ReplicaRow};
use crate::store::runs::RunFilter;
use crate::store::{Page, StoreError};

/// More findings that wait for a person than this are not counted one by one.
pub const COUNTED_AT_MOST: u32 = 1_000;

/// Everything on the screen.
#[derive(Debug, Serialize)]
pub struct Status {
    /// What all that follows comes to.
    pub verdict: Verdict,
    /// When.
    pub as_of: DateTime<Utc>,
    /// A daemon has beaten lately.
    pub alive: bool,
    /// Who lives.
    pub replicas: Vec<ReplicaRow>,
    /// As configured for this command; each daemon says itself what it goes by.
    pub mode: Mode,
    /// In which mode the last run was made.
    pub last_run_mode: Option<Mode>,
    /// The jobs, a row for each org.
    pub jobs: Vec<JobRow>,
    /// Why nothing is enforced from this store; none in observe.
    pub doubt: Option<String>,
    /// The guard's latches of configured jobs.
    pub holds: Vec<Latch>,
    /// Pauses in force.
    pub pauses: Vec<Pause>,
    /// Circuits that are open.
    pub circuits: Vec<CircuitRow>,
    /// Orgs that the upstream asked to be left alone.
    pub held_back: Vec<HeldBack>,
    /// Filters of the list call that reads contradict.
    pub distrusted: Vec<Distrusted>,
    /// Writes that a cap withheld in a job's last run.
    pub capped: Vec<Capped>,
    /// Writes whose outcome isn't settled, by state.
    pub open_attempts: BTreeMap<AttemptState, u64>,
    /// Findings that aren't resolved, by kind.
    pub findings: BTreeMap<FindingKind, u64>,
    /// People's words that hold: hands off.
    pub acknowledgements: u64,
    /// Findings that wait for a person and of which nobody said hands off, by why.
    pub attention: BTreeMap<Attention, u64>,
    /// Findings of jobs that are no longer configured, by job.
    pub left_behind: BTreeMap<String, u64>,
    /// What to do next.
    pub hints: Vec<String>,
}

/// A filter by which nothing is concluded or written until it proves right again.
#[derive(Debug, Serialize)]
pub struct Distrusted {
    /// The tenant whose lists it was seen in.
    pub org: Org,
    /// The filter that is not believed until it proves right again.
    pub filter: Filter,
    /// What contradicted it.
    pub why: Vec<String>,
}

/// Writes that a cap withheld.
#[derive(Debug, Serialize)]
pub struct Capped {
    /// The job whose last run met a cap.
    pub job_name: JobName,
    /// The tenant that the cap is for.
    pub org: Org,
    /// Writes that the run wanted and did not send.
    pub writes: u64,
    /// From when on the hour's cap has room again; none where it has, and only the run's cap was met.
    pub room_from: Option<DateTime<Utc>>,
}

/// Gathers it all.
pub async fn gather(sources: &Sources) -> Result<Status, StoreError> {
    let (store, now) = (&sources.store, sources.now());
    let replicas = store.live_replicas(now - ALIVE_WITHIN, now).await?;
    let last_run = store.runs(&RunFilter::default(), Page::first(1)).await?;
    let mut circuits = store.circuits(now).await?;
    circuits.retain(CircuitRow::is_open);
    let mut open_attempts = BTreeMap::new();
    for count in store.attempt_counts().await? {
        if count.state.is_open() {
            *open_attempts.entry(count.state).or_default() += count.count;
        }
    }
    let mut findings = BTreeMap::new();
    for count in store.finding_counts().await? {
        *findings.entry(count.kind).or_default() += count.count;
    }
    let mut attention = BTreeMap::new();
    for why in Attention::ALL {
        let filter = FindingFilter {
            attention: Some(*why),
            state: Some(FindingState::Open),
            ..FindingFilter::default()
        };
        let page = Page::first(COUNTED_AT_MOST);
        let waiting = store.findings(&filter, page).await?.len() as u64;
        if waiting > 0 {
            attention.insert(*why, waiting);
        }
    }
    let configured: Vec<_> = sources
        .config
        .jobs
        .iter()
        .map(|job| job.name.clone())
        .collect();
    let left_behind = store.left_behind(&configured).await?;
    let left_behind = left_behind
        .into_iter()
        .map(|(job, count)| (job.to_string(), count))
        .collect();
    let acknowledgements = store.acknowledgements(None).await?.len() as u64;
    let mut holds = store.latches().await?;
    holds.retain(|hold| configured.contains(&hold.job_name));
    let doubt = match sources.config.safety.mode {
        Mode::Enforce => store.doubt().await?,
        Mode::Observe => None,
    };
    let mut status = Status {
        verdict: Verdict::default(),
        as_of: now,
        alive: !replicas.is_empty(),
        replicas,
        mode: sources.config.safety.mode,
        last_run_mode: last_run.first().map(|run| run.mode),
        jobs: jobs::rows(sources).await?,
        doubt: doubt.map(|doubt| doubt.to_string()),
        holds,
        pauses: store.pauses(now).await?,
        circuits,
        held_back: store.held_back(now).await?,
        distrusted: distrusted(sources).await?,
        capped: capped(sources).await?,
        open_attempts,
        findings,
        acknowledgements,
        attention,
        left_behind,
        hints: vec![],
    };
    silence(sources, &mut status);
    status.verdict = verdict::verdict(&status);
    status.hints = hints::hints(&status);
    Ok(status)
}

/// A job that has not begun for three of its intervals, though a daemon is there for as long and nobody paused it, is not
/// late but silent.
fn silence(sources: &Sources, status: &mut Status) {
    let Some(daemon) = status.replicas.iter().map(|one| one.started_at).min() else {
        return;
    };
    for row in &mut status.jobs {
        let mut jobs = sources.config.jobs.iter();
        let Some(job) = jobs.find(|job| job.name == row.job_name) else {
            continue;
        };
        let since = row.last_started.map_or(daemon, |last| last.max(daemon));
        let pause = job.schedule.when.longest_pause(since);
        let patience = pause.and_then(|pause| TimeDelta::from_std(pause * 3).ok());
        let is_over = patience.is_some_and(|patience| status.as_of - since > patience);
        let runs = row.last_started.is_some() && row.last_outcome.is_none();
        row.silent_since = (is_over && !runs && row.paused.is_none()).then_some(since);
    }
}

async fn distrusted(sources: &Sources) -> Result<Vec<Distrusted>, StoreError> {
    let mut distrusted = Vec::new();
    for org in &sources.config.tesamanager.orgs {
        let mut by_filter: BTreeMap<Filter, Vec<String>> = BTreeMap::new();
        for one in sources.store.contradictions(org).await? {
            by_filter.entry(one.filter).or_default().push(one.what);
        }
        by_filter.retain(|_, why| why.len() >= DISTRUSTED_AT);
        distrusted.extend(by_filter.into_iter().map(|(filter, why)| Distrusted {
            org: org.clone(),
            filter,
            why,
        }));
    }
    Ok(distrusted)
}

async fn capped(sources: &Sources) -> Result<Vec<Capped>, StoreError> {
    let (store, now) = (&sources.store, sources.now());
    let mut capped = Vec::new();
    for org in &sources.config.tesamanager.orgs {
        let sent = store.attempts_since(org, caps::begin(now)).await?;
        let hour = caps::hour(&sent, sources.config.safety.max_writes_per_hour, now);
        for job in &sources.config.jobs {
            let last = RunFilter {
                job_name: Some(job.name.clone()),
                org: Some(org.clone()),
                ..RunFilter::default()
            };
            let last = store.runs(&last, Page::first(1)).await?;
            let writes = last.iter().map(|run| run.summary.capped).sum();
            if writes > 0 {
                capped.push(Capped {
                    job_name: job.name.clone(),
                    org: org.clone(),
                    writes,
                    room_from: hour.room_from,
                });
            }
        }
    }
    Ok(capped)
}
