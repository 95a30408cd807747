//! Pauses, latches, triggers, circuits, replicas and the audit as rows.

use sqlx::FromRow;

use super::{Micros, instant, instant_opt, number, word, word_opt};
use crate::domain::RunId;
use crate::domain::ids::TriggerId;
use crate::store::audit::AuditRow;
use crate::store::controls::{CircuitRow, Latch, Pause, TriggerRow};
use crate::store::fault::Fault;
use crate::store::replicas::ReplicaRow;

/// The name under which the pause of all jobs is stored: no job can have it, and a primary key can't be NULL.
pub(in crate::store) const ALL_JOBS: &str = "";

#[derive(Debug, FromRow)]
pub(in crate::store) struct RawPause {
    job_name: String,
    who: String,
    reason: String,
    since: Micros,
    until: Option<Micros>,
}

impl TryFrom<RawPause> for Pause {
    type Error = Fault;

    fn try_from(row: RawPause) -> Result<Self, Fault> {
        Ok(Self {
            job_name: (row.job_name != ALL_JOBS).then(|| row.job_name.into()),
            who: row.who,
            reason: row.reason,
            since: instant("pauses.since", row.since)?,
            until: instant_opt("pauses.until", row.until)?,
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct RawLatch {
    job_name: String,
    org: String,
    since: Micros,
    reason: String,
}

impl TryFrom<RawLatch> for Latch {
    type Error = Fault;

    fn try_from(row: RawLatch) -> Result<Self, Fault> {
        Ok(Self {
            job_name: row.job_name.into(),
            org: row.org.into(),
            since: instant("latches.since", row.since)?,
            reason: row.reason,
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct RawTrigger {
    id: i64,
    job_name: String,
    org: String,
    who: String,
    reason: String,
    requested_at: Micros,
    run_id: Option<i64>,
}

impl TryFrom<RawTrigger> for TriggerRow {
    type Error = Fault;

    fn try_from(row: RawTrigger) -> Result<Self, Fault> {
        Ok(Self {
            id: TriggerId(row.id),
            job_name: row.job_name.into(),
            org: row.org.into(),
            who: row.who,
            reason: row.reason,
            requested_at: instant("triggers.requested_at", row.requested_at)?,
            run_id: row.run_id.map(RunId),
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct RawCircuit {
    org: String,
    state: String,
    cause: Option<String>,
    failures: i64,
    opened_at: Option<Micros>,
    probe_at: Option<Micros>,
    due: bool,
}

impl TryFrom<RawCircuit> for CircuitRow {
    type Error = Fault;

    fn try_from(row: RawCircuit) -> Result<Self, Fault> {
        Ok(Self {
            org: row.org.into(),
            state: row.state,
            cause: word_opt("circuits.cause", row.cause.as_deref())?,
            failures: number("circuits.failures", row.failures)?,
            opened_at: instant_opt("circuits.opened_at", row.opened_at)?,
            probe_at: instant_opt("circuits.probe_at", row.probe_at)?,
            due: row.due,
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct RawReplica {
    id: String,
    host: String,
    pid: i64,
    version: String,
    zones: String,
    mode: String,
    started_at: Micros,
    last_beat: Micros,
}

impl TryFrom<RawReplica> for ReplicaRow {
    type Error = Fault;

    fn try_from(row: RawReplica) -> Result<Self, Fault> {
        Ok(Self {
            id: row.id.into(),
            host: row.host,
            pid: number("replicas.pid", row.pid)?,
            version: row.version,
            zones: row.zones,
            mode: word("replicas.mode", &row.mode)?,
            started_at: instant("replicas.started_at", row.started_at)?,
            last_beat: instant("replicas.last_beat", row.last_beat)?,
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct RawAudit {
    id: i64,
    at: Micros,
    who: String,
    action: String,
    subject: String,
    reason: String,
}

impl TryFrom<RawAudit> for AuditRow {
    type Error = Fault;

    fn try_from(row: RawAudit) -> Result<Self, Fault> {
        Ok(Self {
            id: row.id,
            at: instant("audit.at", row.at)?,
            who: row.who,
            action: row.action,
            subject: row.subject,
            reason: row.reason,
        })
    }
}
