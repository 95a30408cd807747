//! `stuck`: which requests are stuck now, the oldest first: for how long, by which rule, with which issue, whose turn it is,
//! and what comes next. Reads the store only: what the last runs found.

mod step;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use clap::builder::TypedValueParser;
use serde::Serialize;

use self::step::World;
use super::common::Session;
use super::exit::Failure;
use super::findings::groups::{self, GroupBy, issue_codes};
use super::lists::{gather_oldest_findings, limit, tell_the_rest, word};
use super::output::{self, NOT_YET_READ, Row, or_dash, or_not_read};
use super::time;
use crate::domain::ids::{ExternalReference, FindingId, JobName, Org, ReferenceId, RuleName};
use crate::domain::{FindingKind, FindingState, Party, Status};
use crate::history::parties::Whose;
use crate::history::replay::replay;
use crate::store::StoreError;
use crate::store::findings::{Finding, FindingFilter};

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

/// A stuck request as listed.
#[derive(Debug, Serialize)]
struct Stuck {
    id: FindingId,
    org: Org,
    reference_id: ReferenceId,
    external_reference: Option<ExternalReference>,
    /// Where it is stuck; `CANCELLING` if its cancellation is.
    status: String,
    /// The upstream's last change; none: not yet read.
    since: Option<DateTime<Utc>>,
    age_seconds: Option<i64>,
    /// From which age on its rule calls it stuck.
    threshold_seconds: Option<u64>,
    job_name: JobName,
    rule: Option<RuleName>,
    /// Of its unresolved issues, as far as a job that resolves issues saw them.
    issue_code: Option<String>,
    /// Whose turn it is, where that is known.
    party: Option<Party>,
    state: FindingState,
    next: String,
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
    let codes = groups::codes(session, &found).await?;
    let world = World::look(session, &found).await?;
    let whose = session.config.parties.whose(&session.config.jobs);
    let mut rows = Vec::with_capacity(found.len());
    for finding in found {
        let code = issue_codes(&finding, &codes);
        let decided = store
            .decisions_about(&finding.org, &finding.key.reference_id)
            .await?;
        let next = world.next(session, &finding, &decided);
        let party = whose_turn(session, &whose, &finding).await?;
        rows.push(stuck(session, finding, code, party, next));
    }
    if !world.alive {
        output::note("no daemon is alive just now: what comes next is what the schedules say");
    }
    Ok(output::list(session.format, &rows)?)
}

/// Whose turn it is, by what its history leads to; by its status alone where only lists told of it.
pub(super) async fn whose_turn(
    session: &Session,
    whose: &Whose,
    finding: &Finding,
) -> Result<Option<Party>, StoreError> {
    let (org, id) = (&finding.org, &finding.key.reference_id);
    let standing = replay(&session.store.history(org, id).await?);
    let party = match &standing.request {
        Some(request) => Some(whose.turn(org, request, &standing.issues).party),
        None => {
            let status = Status::parse(&finding.key.detail);
            whose.by_status.get(&status).copied()
        }
    };
    Ok(party.filter(|party| *party != Party::Unknown))
}

fn stuck(
    session: &Session,
    finding: Finding,
    code: String,
    party: Option<Party>,
    next: String,
) -> Stuck {
    let age = finding.since.map(|since| session.now() - since);
    let rule = step::rule_of(session, &finding);
    let threshold = rule.and_then(|rule| rule.matcher.not_updated_for);
    Stuck {
        id: finding.id,
        org: finding.org,
        reference_id: finding.key.reference_id,
        external_reference: finding.external_reference,
        status: finding.key.detail,
        since: finding.since,
        age_seconds: age.map(|age| age.num_seconds()),
        threshold_seconds: threshold.map(|threshold| threshold.as_secs()),
        job_name: finding.job_name,
        rule: finding.rule,
        issue_code: (code != "-").then_some(code),
        party,
        state: finding.state,
        next,
    }
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
    const FIRST: &'static [&'static str] = &[
        "org",
        "reference_id",
        "external_reference",
        "status",
        "since",
        "age_seconds",
        "threshold_seconds",
        "issue_code",
        "party",
        "next",
    ];
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
