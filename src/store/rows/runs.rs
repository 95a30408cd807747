//! Runs and what is remembered of a job as rows.

use sqlx::FromRow;

use super::{Micros, instant, instant_opt, number, word, word_opt};
use crate::domain::RunId;
use crate::store::fault::Fault;
use crate::store::runs::{LastRuns, RunRow, RunSummary};

#[derive(Debug, FromRow)]
pub(in crate::store) struct RawRun {
    id: i64,
    job_name: String,
    org: String,
    trigger: String,
    slot: Option<Micros>,
    replica: String,
    mode: String,
    actor: String,
    started_at: Micros,
    finished_at: Option<Micros>,
    outcome: Option<String>,
    selected: i64,
    observed: i64,
    unchanged: i64,
    to_act: i64,
    sent: i64,
    flagged: i64,
    skipped: i64,
    capped: i64,
    failed: i64,
    trouble: String,
}

impl TryFrom<RawRun> for RunRow {
    type Error = Fault;

    fn try_from(row: RawRun) -> Result<Self, Fault> {
        Ok(Self {
            id: RunId(row.id),
            job_name: row.job_name.into(),
            org: row.org.into(),
            trigger: word("runs.trigger", &row.trigger)?,
            slot: instant_opt("runs.slot", row.slot)?,
            replica: row.replica,
            mode: word("runs.mode", &row.mode)?,
            actor: row.actor,
            started_at: instant("runs.started_at", row.started_at)?,
            finished_at: instant_opt("runs.finished_at", row.finished_at)?,
            outcome: word_opt("runs.outcome", row.outcome.as_deref())?,
            summary: RunSummary {
                selected: number("runs.selected", row.selected)?,
                observed: number("runs.observed", row.observed)?,
                unchanged: number("runs.unchanged", row.unchanged)?,
                to_act: number("runs.to_act", row.to_act)?,
                sent: number("runs.sent", row.sent)?,
                flagged: number("runs.flagged", row.flagged)?,
                skipped: number("runs.skipped", row.skipped)?,
                capped: number("runs.capped", row.capped)?,
                failed: number("runs.failed", row.failed)?,
                trouble: row.trouble,
            },
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct RawLastRuns {
    job_name: String,
    org: String,
    last_started: Micros,
    last_outcome: Option<String>,
    last_success: Option<Micros>,
}

impl TryFrom<RawLastRuns> for LastRuns {
    type Error = Fault;

    fn try_from(row: RawLastRuns) -> Result<Self, Fault> {
        Ok(Self {
            job_name: row.job_name.into(),
            org: row.org.into(),
            last_started: instant("job_memory.last_started", row.last_started)?,
            last_outcome: word_opt("job_memory.last_outcome", row.last_outcome.as_deref())?,
            last_success: instant_opt("job_memory.last_success", row.last_success)?,
        })
    }
}
