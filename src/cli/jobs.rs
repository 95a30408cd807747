//! `jobs`: what is configured, when it runs next, how it went, and what holds it.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::common::Session;
use super::exit::Failure;
use super::output::{self, Row, instant, or_dash};
use crate::domain::RunOutcome;
use crate::domain::ids::{JobName, Org};
use crate::schedule;
use crate::store::Page;
use crate::store::audit::AuditFilter;
use crate::store::controls::{CircuitRow, subject};
use crate::store::runs::SET_BACK;

/// A job and org as listed.
#[derive(Debug, Serialize)]
pub(super) struct JobRow {
    pub(super) job_name: JobName,
    pub(super) org: Org,
    pub(super) kind: &'static str,
    pub(super) schedule: String,
    pub(super) next: Option<DateTime<Utc>>,
    pub(super) last_started: Option<DateTime<Utc>>,
    pub(super) last_outcome: Option<RunOutcome>,
    pub(super) last_success: Option<DateTime<Utc>>,
    pub(super) paused: Option<String>,
    pub(super) held: Option<String>,
    /// Its slots were accounted for into the future within the last day, and were set back.
    pub(super) set_back: Option<String>,
    pub(super) circuit: Option<String>,
    /// It should have begun long ago; told by `status`, which knows the daemons.
    #[serde(skip)]
    pub(super) silent_since: Option<DateTime<Utc>>,
}

impl JobRow {
    /// All that stands in its way, in words.
    pub(super) fn held_by(&self) -> Option<String> {
        let paused = self.paused.as_ref().map(|why| format!("paused: {why}"));
        let held = self.held.as_ref().map(|why| format!("guard: {why}"));
        let circuit = self.circuit.as_ref().map(|why| format!("circuit: {why}"));
        let set_back = self.set_back.as_ref().map(|why| format!("set back: {why}"));
        let all: Vec<String> = paused
            .into_iter()
            .chain(held)
            .chain(circuit)
            .chain(set_back)
            .collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// Why the upstream is left alone, and for how long.
pub(super) fn circuit(row: &CircuitRow) -> String {
    let cause = or_dash(row.cause, |cause| cause.to_string());
    let next = match row.probe_at {
        Some(at) if !row.due => format!("next probe at {}", instant(at)),
        _ => "the next read is its probe".to_owned(),
    };
    format!("{}, {cause}, {next}", row.state)
}

impl Row for JobRow {
    const COLUMNS: &'static [&'static str] = &[
        "job",
        "org",
        "kind",
        "schedule",
        "next",
        "last run",
        "outcome",
        "last success",
        "held by",
    ];
    const FIRST: &'static [&'static str] = &["job_name", "org", "kind", "schedule", "next"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.job_name.to_string(),
            self.org.to_string(),
            self.kind.to_owned(),
            self.schedule.clone(),
            or_dash(self.next, instant),
            or_dash(self.last_started, instant),
            or_dash(self.last_outcome, |outcome| outcome.to_string()),
            or_dash(self.last_success, instant),
            or_dash(self.held_by(), |why| why),
        ]
    }
}

/// Lists the jobs, a line for each org.
pub async fn run(session: &Session) -> Result<(), Failure> {
    Ok(output::list(session.format, &rows(session).await?)?)
}

/// Which memories were set back within the last day, and why; the latest of each.
async fn set_back(session: &Session) -> Result<HashMap<String, String>, Failure> {
    let filter = AuditFilter {
        action: Some(SET_BACK.to_owned()),
        since: Some(session.now() - TimeDelta::days(1)),
        ..AuditFilter::default()
    };
    let rows = session.store.audit(&filter, Page::first(1000)).await?;
    let told = rows.into_iter().rev().map(|row| {
        let at = instant(row.at);
        (row.subject, format!("{at}, {}", row.reason))
    });
    Ok(told.collect())
}

/// The jobs, a row for each org.
pub(super) async fn rows(session: &Session) -> Result<Vec<JobRow>, Failure> {
    let now = session.now();
    let pauses = session.store.pauses(now).await?;
    let latches = session.store.latches().await?;
    let circuits = session.store.circuits(now).await?;
    let last: HashMap<_, _> = session
        .store
        .last_runs()
        .await?
        .into_iter()
        .map(|runs| ((runs.job_name.clone(), runs.org.clone()), runs))
        .collect();
    let set_back = set_back(session).await?;
    let mut rows = Vec::new();
    for job in &session.config.jobs {
        for org in &session.config.tesamanager.orgs {
            let last = last.get(&(job.name.clone(), org.clone()));
            let pause = pauses
                .iter()
                .find(|pause| pause.job_name.as_ref().is_none_or(|name| *name == job.name));
            let latch = latches
                .iter()
                .find(|latch| latch.job_name == job.name && latch.org == *org);
            rows.push(JobRow {
                job_name: job.name.clone(),
                org: org.clone(),
                kind: job.kind.as_str(),
                schedule: job.schedule.when.to_string(),
                next: schedule::next_due(&job.schedule, &job.name, now),
                last_started: last.map(|runs| runs.last_started),
                last_outcome: last.and_then(|runs| runs.last_outcome),
                last_success: last.and_then(|runs| runs.last_success),
                paused: pause.map(|pause| {
                    let until = or_dash(pause.until, |until| format!("until {}", instant(until)));
                    format!("{} ({}, {until})", pause.reason, pause.who)
                }),
                held: latch.map(|latch| latch.reason.clone()),
                set_back: set_back.get(&subject(&job.name, org)).cloned(),
                circuit: circuits
                    .iter()
                    .find(|row| row.org == *org && row.is_open())
                    .map(circuit),
                silent_since: None,
            });
        }
    }
    Ok(rows)
}
