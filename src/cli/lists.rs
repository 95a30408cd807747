//! `runs`, `attempts`, `audit`: what the store remembers, newest first, with filters.

use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::TypedValueParser;

use super::common::Session;
use super::exit::Failure;
use super::output::{self, Row, instant, or_dash};
use super::time::since;
use crate::domain::ids::{JobName, Org, RunId};
use crate::domain::{AttemptState, Operation, RunOutcome};
use crate::store::Page;
use crate::store::attempts::{Attempt, AttemptFilter};
use crate::store::audit::{AuditFilter, AuditRow};
use crate::store::runs::{RunFilter, RunRow};

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
    /// At most so many rows
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only rows with an id below this one: the last id of the page before
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
}

impl PageArgs {
    pub(super) fn page(&self) -> Page {
        Page {
            limit: self.limit,
            before: self.before,
        }
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
    /// Only started since: an age ("12h") or an instant ("2026-11-27 22:00", 2026-11-27, yesterday, 22:00; local time, or RFC 3339)
    #[arg(long, value_name = "T")]
    since: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

/// `attempts`.
#[derive(Debug, Args)]
pub struct AttemptsArgs {
    /// Only of this reference id or external reference
    reference: Option<String>,
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
    /// Only since: an age ("12h") or an instant ("2026-11-27 22:00", 2026-11-27, yesterday, 22:00; local time, or RFC 3339)
    #[arg(long, value_name = "T")]
    since: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

/// `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only by this actor
    #[arg(long)]
    who: Option<String>,
    /// Only this action: pause, pause_ended, resume, latch, release, trigger, acknowledge, unacknowledge, acknowledgement_ended, settle,
    /// set_back, start, stop, reload
    #[arg(long)]
    action: Option<String>,
    /// Only since: an age ("12h") or an instant ("2026-11-27 22:00", 2026-11-27, yesterday, 22:00; local time, or RFC 3339)
    #[arg(long, value_name = "T")]
    since: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

fn instant_of(text: &Option<String>, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Failure> {
    text.as_deref().map(|text| since(text, now)).transpose()
}

/// Runs.
pub async fn runs(session: &Session, args: &RunsArgs) -> Result<(), Failure> {
    let filter = RunFilter {
        job_name: args.job.as_ref().map(JobName::new),
        org: args.org.as_ref().map(Org::new),
        outcome: args.outcome,
        since: instant_of(&args.since, session.now())?,
    };
    let rows = session.store.runs(&filter, args.page.page()).await?;
    Ok(output::list(session.format, &rows)?)
}

/// Attempts.
pub async fn attempts(session: &Session, args: &AttemptsArgs) -> Result<(), Failure> {
    let filter = AttemptFilter {
        org: args.org.as_ref().map(Org::new),
        reference: args.reference.clone(),
        state: args.state,
        operation: args.operation,
        run_id: args.run,
        since: instant_of(&args.since, session.now())?,
    };
    let rows = session.store.attempts(&filter, args.page.page()).await?;
    Ok(output::list(session.format, &rows)?)
}

/// The audit.
pub async fn audit(session: &Session, args: &AuditArgs) -> Result<(), Failure> {
    let filter = AuditFilter {
        who: args.who.clone(),
        action: args.action.clone(),
        since: instant_of(&args.since, session.now())?,
    };
    let rows = session.store.audit(&filter, args.page.page()).await?;
    Ok(output::list(session.format, &rows)?)
}

impl Row for RunRow {
    const COLUMNS: &'static [&'static str] = &[
        "id", "job", "org", "started", "took", "trigger", "mode", "outcome", "selected", "read",
        "sent", "flagged", "capped", "failed", "trouble",
    ];
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
