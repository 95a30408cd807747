//! The jobs: what is configured, when each runs next, how it went, and what holds it.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::time::written;
use super::{Sources, or_dash};
use crate::domain::RunOutcome;
use crate::domain::ids::{JobName, Org};
use crate::schedule;
use crate::store::audit::AuditFilter;
use crate::store::controls::{CircuitRow, subject};
use crate::store::runs::SET_BACK;
use crate::store::{Page, StoreError};

/// A job and org as listed.
#[derive(Debug, Serialize)]
pub struct JobRow {
    /// As configured.
    pub job_name: JobName,
    /// For which org.
    pub org: Org,
    /// What it is about.
    pub kind: &'static str,
    /// When it runs.
    pub schedule: String,
    /// Its next instant; none: none is due.
    pub next: Option<DateTime<Utc>>,
    /// When its last run began.
    pub last_started: Option<DateTime<Utc>>,
    /// How that ended; none while it goes on, and before the first.
    pub last_outcome: Option<RunOutcome>,
    /// The end of the last run that did its duty.
    pub last_success: Option<DateTime<Utc>>,
    /// Who paused it, why and until when.
    pub paused: Option<String>,
    /// Why the guard holds it.
    pub held: Option<String>,
    /// Its slots were accounted for into the future within the last day, and were set back.
    pub set_back: Option<String>,
    /// Why the upstream is left alone.
    pub circuit: Option<String>,
    /// It should have begun long ago; told by `status`, which knows the daemons.
    #[serde(skip)]
    pub silent_since: Option<DateTime<Utc>>,
}

impl JobRow {
    /// All that stands in its way, in words.
    pub fn held_by(&self) -> Option<String> {
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
pub fn circuit(row: &CircuitRow) -> String {
    let cause = or_dash(row.cause, |cause| cause.to_string());
    let next = match row.probe_at {
        Some(at) if !row.due => format!("next probe at {}", written(at)),
        _ => "the next read is its probe".to_owned(),
    };
    format!("{}, {cause}, {next}", row.state)
}

/// Which memories were set back within the last day, and why; the latest of each.
async fn set_back(sources: &Sources) -> Result<HashMap<String, String>, StoreError> {
    let filter = AuditFilter {
        action: Some(SET_BACK.to_owned()),
        since: Some(sources.now() - TimeDelta::days(1)),
        ..AuditFilter::default()
    };
    let rows = sources.store.audit(&filter, Page::first(1000)).await?;
    let told = rows.into_iter().rev().map(|row| {
        let at = written(row.at);
        (row.subject, format!("{at}, {}", row.reason))
    });
    Ok(told.collect())
}

/// The jobs, a row for each org.
pub async fn rows(sources: &Sources) -> Result<Vec<JobRow>, StoreError> {
    let now = sources.now();
    let pauses = sources.store.pauses(now).await?;
    let latches = sources.store.latches().await?;
    let circuits = sources.store.circuits(now).await?;
    let last: HashMap<_, _> = sources
        .store
        .last_runs()
        .await?
        .into_iter()
        .map(|runs| ((runs.job_name.clone(), runs.org.clone()), runs))
        .collect();
    let set_back = set_back(sources).await?;
    let mut rows = Vec::new();
    for job in &sources.config.jobs {
        for org in &sources.config.tesamanager.orgs {
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
                    let until = or_dash(pause.until, |until| format!("until {}", written(until)));
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
