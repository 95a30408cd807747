//! `report night`: what the daemon did while nobody looked, as counts by job and org: what was found, sent, confirmed and
//! failed, what waits for a person, and how much was read.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;

use super::ReportArgs;
use crate::cli::common::Session;
use crate::cli::exit::Failure;
use crate::cli::lists::{gather_findings, gather_newest};
use crate::cli::output::{self, Row};
use crate::domain::ids::{JobName, Org};
use crate::domain::{AttemptState, FindingState};
use crate::store::attempts::{Attempt, AttemptFilter};
use crate::store::findings::FindingFilter;
use crate::store::runs::{RunFilter, RunRow};

/// A night where nobody says how long it was.
const NIGHT: TimeDelta = TimeDelta::hours(12);

/// A count.
#[derive(Debug, Serialize)]
struct Count {
    job_name: JobName,
    org: Org,
    /// What is counted: `runs`, `found`, `resolved`, `sent`, `confirmed`, `failed`, `in_doubt`, `waits_for_a_person`, `capped`,
    /// `requests_read`, `reads_failed`.
    what: &'static str,
    /// Of which sort: an outcome, a kind of finding, a state of an attempt.
    of: &'static str,
    count: u64,
}

#[derive(Default)]
struct Counts(BTreeMap<(JobName, Org, &'static str, &'static str), u64>);

impl Counts {
    fn add(&mut self, job: &JobName, org: &Org, what: &'static str, of: &'static str, count: u64) {
        if count > 0 {
            let key = (job.clone(), org.clone(), what, of);
            *self.0.entry(key).or_default() += count;
        }
    }
}

/// Counts it.
pub(super) async fn run(session: &Session, args: &ReportArgs) -> Result<(), Failure> {
    let now = session.now();
    let (since, until) = args.time.read(now)?;
    let since = Some(since.unwrap_or(now - NIGHT));
    let org = session.known_org(args.org.as_deref()).await?;
    let mut counts = Counts::default();

    let filter = RunFilter {
        org: org.clone(),
        since,
        until,
        ..RunFilter::default()
    };
    let fetch = async |page| session.store.runs(&filter, page).await;
    for run in gather_newest(None, None, |row: &RunRow| row.id.0, fetch).await? {
        let outcome = run.outcome.map_or("going_on", |outcome| outcome.as_str());
        let mut add = |what, of, count| counts.add(&run.job_name, &run.org, what, of, count);
        add("runs", outcome, 1);
        add("requests_read", "", run.summary.observed);
        add("reads_failed", "", run.summary.failed);
        add("capped", "", run.summary.capped);
    }

    let filter = AttemptFilter {
        org: org.clone(),
        since,
        until,
        ..AttemptFilter::default()
    };
    let fetch = async |page| session.store.attempts(&filter, page).await;
    for attempt in gather_newest(None, None, |row: &Attempt| row.id.0, fetch).await? {
        let (job, org, state) = (&attempt.job_name, &attempt.org, attempt.state);
        if state != AttemptState::NotSent {
            counts.add(job, org, "sent", attempt.operation.as_str(), 1);
        }
        let what = match state {
            AttemptState::Confirmed => "confirmed",
            AttemptState::NotSent | AttemptState::Rejected | AttemptState::Ineffective => "failed",
            AttemptState::Intended | AttemptState::Accepted | AttemptState::Unknown => "in_doubt",
            AttemptState::NeedsHuman => "waits_for_a_person",
        };
        counts.add(job, org, what, state.as_str(), 1);
    }

    // What is over is asked for by itself.
    for state in [None, Some(FindingState::Resolved)] {
        let filter = FindingFilter {
            org: org.clone(),
            since,
            until,
            state,
            ..FindingFilter::default()
        };
        for finding in gather_findings(session, None, &filter).await? {
            let (job, org, kind) = (&finding.job_name, &finding.org, finding.key.kind.as_str());
            counts.add(job, org, "found", kind, 1);
            if finding.resolved_at.is_some() {
                counts.add(job, org, "resolved", kind, 1);
            }
            if let Some(attention) = finding.attention {
                let what = "waits_for_a_person";
                counts.add(job, org, what, attention.as_str(), 1);
            }
        }
    }
    let rows = counts.0.into_iter();
    let rows: Vec<Count> = rows
        .map(|((job_name, org, what, of), count)| Count {
            job_name,
            org,
            what,
            of,
            count,
        })
        .collect();
    Ok(output::list(session.format, &rows)?)
}

impl Row for Count {
    const COLUMNS: &'static [&'static str] = &["job", "org", "what", "of", "count"];
    const FIRST: &'static [&'static str] = &["job_name", "org", "what", "of", "count"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.job_name.to_string(),
            self.org.to_string(),
            self.what.to_owned(),
            self.of.to_owned(),
            self.count.to_string(),
        ]
    }
}
