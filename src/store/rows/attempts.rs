//! Attempts and their steps as rows.

use sqlx::FromRow;

use super::{Micros, instant, instant_opt, number, word};
use crate::domain::{AttemptId, IssueVersion, RunId, Status, Version};
use crate::store::StoreError;
use crate::store::attempts::{Attempt, AttemptCount, AttemptStep};
use crate::store::fault::Fault;
use crate::store::rows::correlation::Correlation;

#[derive(Debug, FromRow)]
pub(in crate::store) struct AttemptRow {
    pub(in crate::store) id: i64,
    org: String,
    reference_id: String,
    external_reference: String,
    operation: String,
    state: String,
    job_name: String,
    rule: String,
    run_id: i64,
    replica: String,
    before_status: String,
    before_cancelling: bool,
    before_last_updated: Option<Micros>,
    issue_sequence: Option<i64>,
    before_issue_resolved: Option<bool>,
    before_issue_last_updated: Option<Micros>,
    due_since: Option<Micros>,
    correlation_id: Correlation,
    intended_at: Micros,
    changed_at: Micros,
    http_status: Option<i64>,
    detail: String,
    verifications: i64,
    verify_at: Option<Micros>,
    confirmed_status: Option<String>,
    confirmed_cancelling: Option<bool>,
    confirmed_last_updated: Option<Micros>,
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = Fault;

    fn try_from(row: AttemptRow) -> Result<Self, Fault> {
        let issue_updated = instant_opt(
            "attempts.before_issue_last_updated",
            row.before_issue_last_updated,
        )?;
        let last_updated = instant_opt(
            "attempts.confirmed_last_updated",
            row.confirmed_last_updated,
        )?;
        Ok(Self {
            id: AttemptId(row.id),
            org: row.org.into(),
            reference_id: row.reference_id.into(),
            external_reference: row.external_reference.into(),
            operation: word("attempts.operation", &row.operation)?,
            state: word("attempts.state", &row.state)?,
            job_name: row.job_name.into(),
            rule: row.rule.into(),
            run_id: RunId(row.run_id),
            replica: row.replica,
            before: Version {
                status: Status::parse(&row.before_status),
                cancelling: row.before_cancelling,
                last_updated: instant_opt("attempts.before_last_updated", row.before_last_updated)?,
            },
            issue_sequence: row.issue_sequence,
            before_issue: row.before_issue_resolved.map(|resolved| IssueVersion {
                resolved,
                last_updated: issue_updated,
            }),
            due_since: instant_opt("attempts.due_since", row.due_since)?,
            correlation_id: row.correlation_id.0,
            intended_at: instant("attempts.intended_at", row.intended_at)?,
            changed_at: instant("attempts.changed_at", row.changed_at)?,
            http_status: row
                .http_status
                .map(|status| number("attempts.http_status", status))
                .transpose()?,
            detail: row.detail,
            verifications: number("attempts.verifications", row.verifications)?,
            verify_at: instant_opt("attempts.verify_at", row.verify_at)?,
            confirmed: row.confirmed_status.map(|status| Version {
                status: Status::parse(&status),
                cancelling: row.confirmed_cancelling.unwrap_or_default(),
                last_updated,
            }),
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct StepRow {
    state: String,
    at: Micros,
    who: String,
    detail: String,
}

impl TryFrom<StepRow> for AttemptStep {
    type Error = Fault;

    fn try_from(row: StepRow) -> Result<Self, Fault> {
        Ok(Self {
            state: word("attempt_steps.state", &row.state)?,
            at: instant("attempt_steps.at", row.at)?,
            who: row.who,
            detail: row.detail,
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct CountRow {
    operation: String,
    state: String,
    count: i64,
    oldest: Micros,
}

impl TryFrom<CountRow> for AttemptCount {
    type Error = Fault;

    fn try_from(row: CountRow) -> Result<Self, Fault> {
        Ok(Self {
            operation: word("attempts.operation", &row.operation)?,
            state: word("attempts.state", &row.state)?,
            count: number("count", row.count)?,
            oldest: instant("attempts.changed_at", row.oldest)?,
        })
    }
}

/// What became of a verification that was to be put off and was not: when the attempt still awaits one, another replica
/// looked meanwhile and put it off, and two looks at one moment are one.
pub(in crate::store) fn put_off_already(refused: Fault) -> Result<(), Fault> {
    match refused {
        Fault::Refused(StoreError::IllegalStep { from, .. }) if from.awaits_verification() => {
            Ok(())
        }
        refused => Err(refused),
    }
}
