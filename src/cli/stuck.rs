//! `stuck`: which requests are stuck now, the oldest first: for how long, by which rule, with which issue, whose turn it is,
//! and what comes next. Reads the store only: what the last runs found.

use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;
use clap::builder::TypedValueParser;

use super::common::Session;
use super::exit::Failure;
use super::findings::groups;
use super::lists::{gather_oldest_findings, limit, tell_the_rest, word};
use super::output::{self, NOT_YET_READ, Row, or_dash, or_not_read};
use super::time;
use crate::answers::groups::GroupBy;
use crate::answers::stuck::Stuck;
use crate::answers::{self, columns};
use crate::domain::{FindingKind, FindingState};
use crate::store::findings::FindingFilter;

/// `stuck`.
#[derive(Debug, Args)]
pub struct StuckArgs {
    /// Only where either reference begins so, in any case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only of this org
    #[arg(long)]
    org: Option<String>,
    /// Only in this status
    #[arg(long)]
    status: Option<String>,
    /// Only found by this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Only found by this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Those of which a person said hands off, too
    #[arg(long)]
    acknowledged: bool,
    /// How many there are of each, instead of which
    #[arg(long, value_name = "WHAT", value_parser = word!(GroupBy), conflicts_with = "limit")]
    group_by: Option<GroupBy>,
    /// At most so many rows [default: 50 in a table, all of them in JSON and CSV]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Lists them, or counts them by something.
pub async fn run(session: &Session, args: &StuckArgs) -> Result<(), Failure> {
    let filter = FindingFilter {
        org: session.known_org(args.org.as_deref()).await?,
        kind: Some(FindingKind::StuckRequest),
        state: (!args.acknowledged).then_some(FindingState::Open),
        search: args.search.clone(),
        job_name: session.known_job(args.job.as_deref()).await?,
        rule: session.known_rule(args.rule.as_deref())?,
        detail: args.status.clone(),
        ..FindingFilter::default()
    };
    if let Some(by) = args.group_by {
        return groups::show(session, by, &filter).await;
    }
    let (store, limit) = (&session.store, limit(session.format, args.limit));
    let found = gather_oldest_findings(session, limit, &filter).await?;
    if limit.is_some_and(|limit| found.len() == limit as usize) {
        tell_the_rest(found.len(), store.count_findings(&filter).await?, "");
    }
    let (rows, alive) = answers::stuck::stuck(session, found).await?;
    if !alive {
        output::note("no daemon is alive just now: what comes next is what the schedules say");
    }
    Ok(output::list(session.format, &rows)?)
}

impl Row for Stuck {
    const COLUMNS: &'static [&'static str] = &[
        "org",
        "request",
        "order",
        "status",
        "age",
        "threshold",
        "issue",
        "turn",
        "next",
    ];
    const FIRST: &'static [&'static str] = columns::STUCK;
    fn cells(&self) -> Vec<String> {
        let is_read = self.since.is_some();
        let threshold = self.threshold_seconds.map(Duration::from_secs);
        let threshold = threshold.and_then(|length| TimeDelta::from_std(length).ok());
        vec![
            self.org.to_string(),
            self.reference_id.to_string(),
            or_not_read(self.external_reference.as_ref(), is_read),
            self.status.clone(),
            self.age_seconds.map_or_else(
                || NOT_YET_READ.to_owned(),
                |age| time::rough(TimeDelta::seconds(age)),
            ),
            or_dash(threshold, time::rough),
            or_dash(self.issue_code.as_ref(), ToString::to_string),
            or_dash(self.party.as_ref(), ToString::to_string),
            self.next.clone(),
        ]
    }
}
