//! `runs`, `attempts`, `audit`: what the store remembers, newest first, with filters.
//!
//! A table is a page and says how many there are; programs get everything, unless they ask for less.

use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::TypedValueParser;

use super::common::Session;
use super::exit::Failure;
use super::output::{self, Format, Row, instant, or_dash};
use super::time::since;
use crate::answers::columns;
use crate::domain::ids::RunId;
use crate::domain::{AttemptState, Operation, RunOutcome};
use crate::store::attempts::{Attempt, AttemptFilter};
use crate::store::audit::{ACTIONS, AuditFilter, AuditRow};
use crate::store::findings::{Finding, FindingFilter};
use crate::store::runs::{RunFilter, RunRow};
use crate::store::{Page, StoreError};

/// Reads a word of a closed set; what is none of them is answered with all of them.
macro_rules! word {
    ($set:ty) => {
        clap::builder::PossibleValuesParser::new(<$set>::ALL.iter().map(|word| word.as_str()))
            .try_map(|text| text.parse::<$set>())
    };
}
pub(super) use word;

/// Which page of a list.
#[derive(Debug, Clone, Args)]
pub struct PageArgs {
    /// At most so many rows [default: 50 in a table, all of them in JSON and CSV]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,
    /// Only rows with an id below this one: the last id of the page before
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
}

/// How many rows a table has where nobody says so.
const SCREENFUL: u32 = 50;

/// At most so many rows are asked of the store at once.
const CHUNK: u32 = 10_000;

/// How many rows are shown; none: all.
pub(super) fn limit(format: Format, asked: Option<u32>) -> Option<u32> {
    asked.or_else(|| (format == Format::Table).then_some(SCREENFUL))
}

/// Takes rows from the store, chunk by chunk, until there are enough or no more. `fetch` gets what it has, and how many
/// more are wanted.
async fn gather<T>(
    limit: Option<u32>,
    fetch: impl AsyncFn(&[T], u32) -> Result<Vec<T>, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut rows: Vec<T> = Vec::new();
    loop {
        let have = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let wanted = limit.map_or(CHUNK, |limit| (limit - have).min(CHUNK));
        if wanted == 0 {
            return Ok(rows);
        }
        let found = fetch(&rows, wanted).await?;
        let is_last = found.len() < wanted as usize;
        rows.extend(found);
        if is_last {
            return Ok(rows);
        }
    }
}

/// Says that there are more than those.
pub(super) fn tell_the_rest(shown: usize, total: u64, next: &str) {
    if total > shown as u64 {
        output::note(&format!(
            "{shown} of {total} shown: --limit {total} shows all{next}"
        ));
    }
}

/// The rows of a list that is ordered by id, newest first, from below `before` on.
pub(super) async fn gather_newest<T>(
    limit: Option<u32>,
    before: Option<i64>,
    id: impl Fn(&T) -> i64,
    fetch: impl AsyncFn(Page) -> Result<Vec<T>, StoreError>,
) -> Result<Vec<T>, Failure> {
    gather(limit, async |have: &[T], limit| {
        let before = have.last().map(&id).or(before);
        Ok(fetch(Page { limit, before }).await?)
    })
    .await
}

/// The findings that a filter wants, newest first.
pub(super) async fn gather_findings(
    session: &Session,
    limit: Option<u32>,
    filter: &FindingFilter,
) -> Result<Vec<Finding>, Failure> {
    let fetch = async |page| session.store.findings(filter, page).await;
    gather_newest(limit, None, |row: &Finding| row.id.0, fetch).await
}

/// The same, oldest first.
pub(super) async fn gather_oldest_findings(
    session: &Session,
    limit: Option<u32>,
    filter: &FindingFilter,
) -> Result<Vec<Finding>, Failure> {
    gather(limit, async |have: &[Finding], limit| {
        let after = have.last().map(Finding::oldest_key);
        let store = &session.store;
        Ok(store.oldest_findings(filter, after, limit).await?)
    })
    .await
}

/// The page of a list that is ordered by id, newest first.
async fn newest<T>(
    session: &Session,
    page: &PageArgs,
    id: impl Fn(&T) -> i64,
    fetch: impl AsyncFn(Page) -> Result<Vec<T>, StoreError>,
    count: impl AsyncFnOnce() -> Result<u64, StoreError>,
) -> Result<Vec<T>, Failure> {
    let limit = limit(session.format, page.limit);
    let rows = gather_newest(limit, page.before, &id, fetch).await?;
    if limit.is_some_and(|limit| rows.len() == limit as usize) {
        let next = rows.last().map(&id);
        let next = next.map_or_else(String::new, |id| format!(", --before {id} the next"));
        tell_the_rest(rows.len(), count().await?, &next);
    }
    Ok(rows)
}

/// The page of the findings that a filter wants, newest first.
pub(super) async fn newest_findings(
    session: &Session,
    page: &PageArgs,
    filter: &FindingFilter,
) -> Result<Vec<Finding>, Failure> {
    let store = &session.store;
    let fetch = async |page| store.findings(filter, page).await;
    let count = async || store.count_findings(filter).await;
    newest(session, page, |row: &Finding| row.id.0, fetch, count).await
}

/// An end of a stretch of time; none: it goes on for ever.
type Bound = Option<DateTime<Utc>>;

/// From when to when.
#[derive(Debug, Clone, Default, Args)]
pub struct TimeArgs {
    /// Only since: an age ("12h") or an instant ("2026-11-27 22:00", 2026-11-27, yesterday, 22:00; local time, or RFC 3339)
    #[arg(long, value_name = "T")]
    pub(super) since: Option<String>,
    /// Only before, likewise
    #[arg(long, value_name = "T")]
    pub(super) until: Option<String>,
}

impl TimeArgs {
    /// Both instants.
    pub(super) fn read(&self, now: DateTime<Utc>) -> Result<(Bound, Bound), Failure> {
        let read = |text: &Option<String>| text.as_deref().map(|text| since(text, now)).transpose();
        Ok((read(&self.since)?, read(&self.until)?))
    }
}

/// `runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Only of this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Only of this org
    #[arg(long)]
    org: Option<String>,
    /// Only with this outcome
    #[arg(long, value_parser = word!(RunOutcome))]
    outcome: Option<RunOutcome>,
    #[command(flatten)]
    time: TimeArgs,
    #[command(flatten)]
    page: PageArgs,
}

/// `attempts`.
#[derive(Debug, Args)]
pub struct AttemptsArgs {
    /// Only of this reference id or external reference
    reference: Option<String>,
    /// Only where either reference begins so, in any case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only of this org
    #[arg(long)]
    org: Option<String>,
    /// Only in this state
    #[arg(long, value_parser = word!(AttemptState))]
    state: Option<AttemptState>,
    /// Only of this operation
    #[arg(long, value_parser = word!(Operation))]
    operation: Option<Operation>,
    /// Only of this run
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,
    #[command(flatten)]
    time: TimeArgs,
    #[command(flatten)]
    page: PageArgs,
}

/// `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only by this actor
    #[arg(long)]
    who: Option<String>,
    /// Only this action
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(ACTIONS.iter().copied()))]
    action: Option<String>,
    #[command(flatten)]
    time: TimeArgs,
    #[command(flatten)]
    page: PageArgs,
}

/// Runs.
pub async fn runs(session: &Session, args: &RunsArgs) -> Result<(), Failure> {
    let (since, until) = args.time.read(session.now())?;
    let filter = RunFilter {
        job_name: session.known_job(args.job.as_deref()).await?,
        org: session.known_org(args.org.as_deref()).await?,
        outcome: args.outcome,
        since,
        until,
    };
    let store = &session.store;
    let fetch = async |page| store.runs(&filter, page).await;
    let count = async || store.count_runs(&filter).await;
    let rows = newest(session, &args.page, |row: &RunRow| row.id.0, fetch, count).await?;
    Ok(output::list(session.format, &rows)?)
}

/// Attempts.
pub async fn attempts(session: &Session, args: &AttemptsArgs) -> Result<(), Failure> {
    let (since, until) = args.time.read(session.now())?;
    let filter = AttemptFilter {
        org: session.known_org(args.org.as_deref()).await?,
        reference: args.reference.clone(),
        search: args.search.clone(),
        state: args.state,
        operation: args.operation,
        run_id: args.run,
        since,
        until,
    };
    let store = &session.store;
    let fetch = async |page| store.attempts(&filter, page).await;
    let count = async || store.count_attempts(&filter).await;
    let rows = newest(session, &args.page, |row: &Attempt| row.id.0, fetch, count).await?;
    Ok(output::list(session.format, &rows)?)
}

/// The audit.
pub async fn audit(session: &Session, args: &AuditArgs) -> Result<(), Failure> {
    let (since, until) = args.time.read(session.now())?;
    let filter = AuditFilter {
        who: args.who.clone(),
        action: args.action.clone(),
        since,
        until,
    };
    let store = &session.store;
    let fetch = async |page| store.audit(&filter, page).await;
    let count = async || store.count_audit(&filter).await;
    let rows = newest(session, &args.page, |row: &AuditRow| row.id, fetch, count).await?;
    Ok(output::list(session.format, &rows)?)
}

impl Row for RunRow {
    const COLUMNS: &'static [&'static str] = &[
        "id", "job", "org", "started", "took", "trigger", "mode", "outcome", "selected", "read",
        "sent", "flagged", "capped", "failed", "trouble",
    ];
    const FIRST: &'static [&'static str] = columns::RUNS;
    fn cells(&self) -> Vec<String> {
        let took = self
            .finished_at
            .and_then(|end| (end - self.started_at).to_std().ok());
        vec![
            self.id.to_string(),
            self.job_name.to_string(),
            self.org.to_string(),
            instant(self.started_at),
            or_dash(took, |took| format!("{:.1}s", took.as_secs_f64())),
            self.trigger.to_string(),
            self.mode.to_string(),
            self.outcome
                .map_or_else(|| "running".to_owned(), |outcome| outcome.to_string()),
            self.summary.selected.to_string(),
            self.summary.observed.to_string(),
            self.summary.sent.to_string(),
            self.summary.flagged.to_string(),
            self.summary.capped.to_string(),
            self.summary.failed.to_string(),
            self.summary.trouble.clone(),
        ]
    }
}

impl Row for Attempt {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "org",
        "order",
        "request",
        "operation",
        "state",
        "intended",
        "http",
        "verify at",
        "detail",
    ];
    const FIRST: &'static [&'static str] = columns::ATTEMPTS;
    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.org.to_string(),
            self.external_reference.to_string(),
            self.reference_id.to_string(),
            self.operation.to_string(),
            self.state.to_string(),
            instant(self.intended_at),
            or_dash(self.http_status, |status| status.to_string()),
            or_dash(self.verify_at, instant),
            self.detail.clone(),
        ]
    }
}

impl Row for AuditRow {
    const COLUMNS: &'static [&'static str] = &["id", "at", "who", "action", "subject", "reason"];
    const FIRST: &'static [&'static str] = columns::AUDIT;
    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            instant(self.at),
            self.who.clone(),
            self.action.clone(),
            self.subject.clone(),
            self.reason.clone(),
        ]
    }
}
