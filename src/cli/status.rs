//! `status`: how things stand, on one screen: a verdict, who is alive, what runs and what stops it, what is open, what waits
//! for a person; and the command that comes next. Reads the store only, so it works when all else is down. Ends with 0 only
//! if all is well, so that a script needs to read nothing.

mod hints;
mod show;
mod verdict;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use self::verdict::{Verdict, Word};
use super::common::Session;
use super::exit::{Exit, Failure};
use super::jobs::{self, JobRow};
use super::output::{self, Format};
use crate::app::ALIVE_WITHIN;
use crate::domain::finding::{Attention, FindingState};
use crate::domain::ids::{JobName, Org};
use crate::domain::run::Mode;
use crate::domain::{AttemptState, Filter, FindingKind};
use crate::reconcile::claims::DISTRUSTED_AT;
use crate::reconcile::guard::caps;
use crate::store::Page;
use crate::store::controls::{CircuitRow, Latch, Pause};
use crate::store::findings::FindingFilter;
use crate::store::rates::HeldBack;
use crate::store::replicas::ReplicaRow;
use crate::store::runs::RunFilter;

/// More findings that wait for a person than this are not counted one by one.
const COUNTED_AT_MOST: u32 = 1_000;

/// Everything on the screen.
#[derive(Debug, Serialize)]
struct Status {
    /// What all that follows comes to.
    verdict: Verdict,
    as_of: DateTime<Utc>,
    /// A daemon has beaten lately.
    alive: bool,
    replicas: Vec<ReplicaRow>,
    /// As configured for this command; each daemon says itself what it goes by.
    mode: Mode,
    /// In which mode the last run was made.
    last_run_mode: Option<Mode>,
    jobs: Vec<JobRow>,
    /// Why nothing is enforced from this store; none in observe.
    doubt: Option<String>,
    /// The guard's latches of configured jobs.
    holds: Vec<Latch>,
    pauses: Vec<Pause>,
    circuits: Vec<CircuitRow>,
    /// Orgs that the upstream asked to be left alone.
    held_back: Vec<HeldBack>,
    /// Filters of the list call that reads contradict.
    distrusted: Vec<Distrusted>,
    /// Writes that a cap withheld in a job's last run.
    capped: Vec<Capped>,
    /// Writes whose outcome isn't settled, by state.
    open_attempts: BTreeMap<AttemptState, u64>,
    /// Findings that aren't resolved, by kind.
    findings: BTreeMap<FindingKind, u64>,
    /// People's words that hold: hands off.
    acknowledgements: u64,
    /// Findings that wait for a person and of which nobody said hands off, by why.
    attention: BTreeMap<Attention, u64>,
    /// Findings of jobs that are no longer configured, by job.
    left_behind: BTreeMap<String, u64>,
    /// What to do next.
    hints: Vec<String>,
}

/// A filter by which nothing is concluded or written until it proves right again.
#[derive(Debug, Serialize)]
struct Distrusted {
    org: Org,
    filter: Filter,
    /// What contradicted it.
    why: Vec<String>,
}

/// Writes that a cap withheld.
#[derive(Debug, Serialize)]
struct Capped {
    job_name: JobName,
    org: Org,
    writes: u64,
    /// From when on the hour's cap has room again; none where it has, and only the run's cap was met.
    room_from: Option<DateTime<Utc>>,
}

/// Prints it.
pub async fn run(session: &Session) -> Result<Exit, Failure> {
    let status = gather(session).await?;
    match session.format {
        Format::Json => output::json(&status)?,
        Format::Table | Format::Csv => output::text(&show::show(&status))?,
    }
    Ok(match status.verdict.word {
        Word::AllWell => Exit::Done,
        _ => Exit::PartialOrHeld,
    })
}

async fn gather(session: &Session) -> Result<Status, Failure> {
    let (store, now) = (&session.store, session.now());
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
    let configured: Vec<_> = session
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
    let doubt = match session.config.safety.mode {
        Mode::Enforce => store.doubt().await?,
        Mode::Observe => None,
    };
    let mut status = Status {
        verdict: Verdict::default(),
        as_of: now,
        alive: !replicas.is_empty(),
        replicas,
        mode: session.config.safety.mode,
        last_run_mode: last_run.first().map(|run| run.mode),
        jobs: jobs::rows(session).await?,
        doubt: doubt.map(|doubt| doubt.to_string()),
        holds,
        pauses: store.pauses(now).await?,
        circuits,
        held_back: store.held_back(now).await?,
        distrusted: distrusted(session).await?,
        capped: capped(session).await?,
        open_attempts,
        findings,
        acknowledgements,
        attention,
        left_behind,
        hints: vec![],
    };
    silence(session, &mut status);
    status.verdict = verdict::verdict(&status);
    status.hints = hints::hints(&status);
    Ok(status)
}

/// A job that has not begun for three of its intervals, though a daemon is there for as long and nobody paused it, is not
/// late but silent.
fn silence(session: &Session, status: &mut Status) {
    let Some(daemon) = status.replicas.iter().map(|one| one.started_at).min() else {
        return;
    };
    for row in &mut status.jobs {
        let mut jobs = session.config.jobs.iter();
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

async fn distrusted(session: &Session) -> Result<Vec<Distrusted>, Failure> {
    let mut distrusted = Vec::new();
    for org in &session.config.tesamanager.orgs {
        let mut by_filter: BTreeMap<Filter, Vec<String>> = BTreeMap::new();
        for one in session.store.contradictions(org).await? {
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

async fn capped(session: &Session) -> Result<Vec<Capped>, Failure> {
    let (store, now) = (&session.store, session.now());
    let mut capped = Vec::new();
    for org in &session.config.tesamanager.orgs {
        let sent = store.attempts_since(org, caps::begin(now)).await?;
        let hour = caps::hour(&sent, session.config.safety.max_writes_per_hour, now);
        for job in &session.config.jobs {
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
