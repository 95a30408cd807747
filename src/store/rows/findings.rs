//! Findings as rows.

use sqlx::FromRow;

use super::{Micros, instant, instant_opt, number, word, word_opt};
use crate::domain::ids::ClassId;
use crate::domain::{FindingId, Status};
use crate::store::fault::Fault;
use crate::store::findings::{Finding, FindingCount, FindingKey, LiveFinding};

#[derive(Debug, FromRow)]
pub(in crate::store) struct LiveRow {
    id: i64,
    reference_id: String,
    kind: String,
    detail: String,
    state: String,
    attention: Option<String>,
    evidence: String,
    last_seen: Micros,
    class_id: Option<i64>,
    missing_since: Option<Micros>,
}

impl TryFrom<LiveRow> for LiveFinding {
    type Error = Fault;

    fn try_from(row: LiveRow) -> Result<Self, Fault> {
        Ok(Self {
            id: FindingId(row.id),
            key: FindingKey {
                reference_id: row.reference_id.into(),
                kind: word("findings.kind", &row.kind)?,
                detail: row.detail,
            },
            state: word("findings.state", &row.state)?,
            attention: word_opt("findings.attention", row.attention.as_deref())?,
            evidence: row.evidence,
            last_seen: instant("findings.last_seen", row.last_seen)?,
            class: row.class_id.map(ClassId),
            missing_since: instant_opt("findings.missing_since", row.missing_since)?,
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct FindingRow {
    #[sqlx(flatten)]
    live: LiveRow,
    org: String,
    external_reference: Option<String>,
    job_name: String,
    since: Option<Micros>,
    first_seen: Micros,
    times_seen: i64,
    times_reopened: i64,
    resolved_at: Option<Micros>,
    read_at: Option<Micros>,
    rule: Option<String>,
    status: Option<String>,
}

impl TryFrom<FindingRow> for Finding {
    type Error = Fault;

    fn try_from(row: FindingRow) -> Result<Self, Fault> {
        let live = LiveFinding::try_from(row.live)?;
        Ok(Self {
            id: live.id,
            org: row.org.into(),
            key: live.key,
            external_reference: row.external_reference.map(Into::into),
            job_name: row.job_name.into(),
            state: live.state,
            attention: live.attention,
            evidence: live.evidence,
            since: instant_opt("findings.since", row.since)?,
            first_seen: instant("findings.first_seen", row.first_seen)?,
            last_seen: live.last_seen,
            times_seen: number("findings.times_seen", row.times_seen)?,
            times_reopened: number("findings.times_reopened", row.times_reopened)?,
            resolved_at: instant_opt("findings.resolved_at", row.resolved_at)?,
            read_at: instant_opt("findings.read_at", row.read_at)?,
            rule: row.rule.map(Into::into),
            status: row.status.map(|status| Status::parse(&status)),
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct CountRow {
    org: String,
    kind: String,
    status: String,
    count: i64,
    oldest: Option<Micros>,
}

impl TryFrom<CountRow> for FindingCount {
    type Error = Fault;

    fn try_from(row: CountRow) -> Result<Self, Fault> {
        Ok(Self {
            org: row.org.into(),
            kind: word("findings.kind", &row.kind)?,
            status: row.status,
            count: number("count", row.count)?,
            oldest: instant_opt("findings.since", row.oldest)?,
        })
    }
}
