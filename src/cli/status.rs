//! `status`: how things stand, on one screen: who is alive, what runs and what stops it, what is open, what waits
//! for a person; and the command that comes next. Reads the store only, so it works when all else is down.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::common::Session;
use super::exit::Failure;
use super::jobs::{self, JobRow};
use super::output::{self, Format, instant, or_dash};
use crate::app::ALIVE_WITHIN;
use crate::domain::finding::{Attention, FindingState};
use crate::domain::ids::{JobName, Org};
use crate::domain::run::Mode;
use crate::domain::{AttemptState, Filter, FindingKind, RunOutcome};
use crate::reconcile::claims::DISTRUSTED_AT;
use crate::reconcile::guard::caps;
use crate::store::Page;
use crate::store::controls::CircuitRow;
use crate::store::findings::FindingFilter;
use crate::store::rates::HeldBack;
use crate::store::replicas::ReplicaRow;
use crate::store::runs::RunFilter;

/// More findings that wait for a person than this are not counted one by one.
const COUNTED_AT_MOST: u32 = 1_000;

/// Everything on the screen.
#[derive(Debug, Serialize)]
struct Status {
    as_of: DateTime<Utc>,
    /// A daemon has beaten lately.
    alive: bool,
    replicas: Vec<ReplicaRow>,
    /// As configured for this command; each daemon says itself what it goes by.
    mode: Mode,
    /// In which mode the last run was made.
    last_run_mode: Option<Mode>,
    jobs: Vec<JobRow>,
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
pub async fn run(session: &Session) -> Result<(), Failure> {
    let status = gather(session).await?;
    match session.format {
        Format::Json => output::json(&status)?,
        Format::Table => output::text(&show(&status))?,
    }
    Ok(())
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
    let mut status = Status {
        as_of: now,
        alive: !replicas.is_empty(),
        replicas,
        mode: session.config.safety.mode,
        last_run_mode: last_run.first().map(|run| run.mode),
        jobs: jobs::rows(session).await?,
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
    status.hints = hints(&status);
    Ok(status)
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

/// What to do next, most pressing first.
fn hints(status: &Status) -> Vec<String> {
    let mut hints = Vec::new();
    let mut hint = |when: bool, text: &str| {
        if when {
            hints.push(text.to_owned());
        }
    };
    hint(
        !status.alive,
        "no daemon is running: start it with `tesa-reconciler run`",
    );
    hint(
        status.jobs.iter().any(|job| job.held.is_some()),
        "the guard holds a job: look at `tesa-reconciler plan`, then `tesa-reconciler release JOB --org ORG --reason …`",
    );
    hint(
        !status.circuits.is_empty(),
        "an org's circuit is open: `tesa-reconciler doctor` says whether the upstream can be reached",
    );
    hint(
        !status.distrusted.is_empty(),
        "a list's filter is not trusted: `tesa-reconciler doctor` tries each; what is not supported is declared as `unsupported_filters`",
    );
    hint(
        !status.held_back.is_empty(),
        "the upstream asked for patience (Retry-After): `tesa-reconciler rates reset --org ORG --reason …` ends that, if you know better",
    );
    hint(
        !status.capped.is_empty(),
        "caps withhold writes, the oldest go first: if they shall go faster, raise `max_writes_per_run` or `max_writes_per_hour` in `[safety]`",
    );
    hint(
        status.open_attempts.contains_key(&AttemptState::NeedsHuman),
        "writes wait for a person: `tesa-reconciler attempts --state needs_human`, then `tesa-reconciler attempts settle`",
    );
    hint(
        status.attention.contains_key(&Attention::GivenUp),
        "requests were given up: `tesa-reconciler findings --attention given_up`",
    );
    hint(
        status
            .jobs
            .iter()
            .any(|job| job.last_outcome.is_some_and(is_bad)),
        "a job's last run went wrong: `tesa-reconciler runs` says why",
    );
    hint(
        status.jobs.iter().any(|job| job.paused.is_some()),
        "jobs are paused: `tesa-reconciler resume JOB --reason …` (or --all) lets them go on",
    );
    let other = status
        .replicas
        .iter()
        .find(|replica| replica.mode != status.mode);
    if let Some(other) = other {
        let text = format!(
            "the daemon goes by {}, this configuration says {}: reload the daemon (SIGHUP) if it was changed",
            other.mode, status.mode
        );
        hint(true, &text);
    }
    let watches = status
        .replicas
        .iter()
        .all(|replica| replica.mode == Mode::Observe);
    hint(
        status.jobs.iter().any(|job| job.set_back.is_some()),
        "a clock was ahead within the last day: check the clocks (`tesa-reconciler audit --action set_back`)",
    );
    hint(
        watches && (status.alive || status.mode == Mode::Observe),
        "nothing is written in observe: `tesa-reconciler plan` shows what would be; `[safety] mode = \"enforce\"` allows it",
    );
    hints
}

fn is_bad(outcome: RunOutcome) -> bool {
    matches!(
        outcome,
        RunOutcome::Failed | RunOutcome::Partial | RunOutcome::Lost
    )
}

fn show(status: &Status) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, text: String| lines.push(format!("{name:<10}{text}"));
    for replica in &status.replicas {
        line(
            "daemon",
            format!(
                "alive: {} in {} (process {}, version {}), up {}, last beat {} ago",
                replica.host,
                replica.mode,
                replica.pid,
                replica.version,
                span(status.as_of - replica.started_at),
                span(status.as_of - replica.last_beat),
            ),
        );
    }
    if !status.alive {
        line("daemon", "not running".to_owned());
    }
    line("mode", status.mode.to_string());
    for circuit in &status.circuits {
        let since = or_dash(circuit.opened_at, instant);
        let why = jobs::circuit(circuit);
        line(
            "circuit",
            format!("of {} since {since}: {why}", circuit.org),
        );
    }
    for held in &status.held_back {
        let until = instant(held.until);
        line(
            "rate",
            format!("{} is asked nothing until {until} (Retry-After)", held.org),
        );
    }
    for Distrusted { org, filter, why } in &status.distrusted {
        let first = why.first().map_or("", String::as_str);
        line(
            "lists",
            format!("the filter {filter} of {org} is not trusted: {first}"),
        );
    }
    for Capped {
        job_name,
        org,
        writes,
        room_from,
    } in &status.capped
    {
        let until = match room_from {
            Some(at) => format!(
                "the hour (max_writes_per_hour), which has room from {}",
                instant(*at)
            ),
            None => "its next run (max_writes_per_run)".to_owned(),
        };
        line(
            "capped",
            format!("{writes} writes of {job_name} in {org} wait for {until}"),
        );
    }
    line(
        "writes",
        counts(&status.open_attempts, u64::MAX, "none open"),
    );
    line("findings", counts(&status.findings, u64::MAX, "none"));
    line(
        "people",
        counts(
            &status.attention,
            u64::from(COUNTED_AT_MOST),
            "nothing waits for one",
        ),
    );
    for (job, count) in &status.left_behind {
        line(
            "left",
            format!("{count} findings of {job}, which is not configured"),
        );
    }
    if status.acknowledgements > 0 {
        let what = "acknowledgements hold: `tesa-reconciler findings --state acknowledged`";
        line("hands off", format!("{} {what}", status.acknowledgements));
    }
    let rows = status.jobs.iter().map(|job| {
        vec![
            job.job_name.to_string(),
            job.org.to_string(),
            or_dash(job.last_outcome, |outcome| outcome.to_string()),
            or_dash(job.last_started, |at| {
                format!("{} ago", span(status.as_of - at))
            }),
            or_dash(job.next, |at| format!("in {}", span(at - status.as_of))),
            or_dash(job.held_by(), |why| why),
        ]
    });
    let columns = ["job", "org", "last run", "when", "next", "held by"];
    let table = output::table(&columns, rows);
    lines.push(String::new());
    lines.push(table);
    if !status.hints.is_empty() {
        lines.push(String::new());
        lines.extend(status.hints.iter().map(|hint| format!("→ {hint}")));
    }
    lines.join("\n")
}

/// `3 unknown, 1 needs_human`; what was counted only up to `at_most` may be more.
fn counts<K: std::fmt::Display>(counts: &BTreeMap<K, u64>, at_most: u64, none: &str) -> String {
    if counts.is_empty() {
        return none.to_owned();
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(key, count)| {
            let more = if *count >= at_most { "+" } else { "" };
            format!("{count}{more} {key}")
        })
        .collect();
    parts.join(", ")
}

/// A span to the second; a clock that was set back is no reason for a negative one.
fn span(span: TimeDelta) -> String {
    let seconds = u64::try_from(span.num_seconds()).unwrap_or(0);
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}
