//! A request's history as rows.

use sqlx::FromRow;

use super::{Micros, attributes, instant, instant_opt, stamp_opt, word_opt};
use crate::domain::{Decided, Event, Happening, Issue, Observation, ReferenceId, Status, What};
use crate::store::fault::Fault;

#[derive(Debug, FromRow)]
pub(in crate::store) struct HistoryRow {
    pub(in crate::store) id: i64,
    pub(in crate::store) reference_id: String,
    happening: String,
    seen_at: Micros,
    stamp: Option<Micros>,
    external_reference: Option<String>,
    persistence_type: Option<String>,
    status: Option<String>,
    cancelling: Option<bool>,
    auto_installation: Option<bool>,
    territory_owner: Option<String>,
    request_number: Option<i64>,
    subrequest_number: Option<i64>,
    attributes: Option<String>,
    created: Option<Micros>,
    upstream_id: Option<i64>,
    sequence: Option<i64>,
    code: Option<String>,
    resolved: Option<bool>,
    repeated: Option<bool>,
    inconsistent: Option<bool>,
    job_name: Option<String>,
    rule: Option<String>,
}

impl TryFrom<HistoryRow> for Happening {
    type Error = Fault;

    fn try_from(row: HistoryRow) -> Result<Self, Fault> {
        Ok(Self {
            id: row.id,
            seen_at: instant("history.seen_at", row.seen_at)?,
            what: match row.happening.as_str() {
                "request" => What::Request(row.request()?),
                "gone" => What::Gone,
                "let_go" => What::LetGo,
                "event" => What::Event(row.event()?),
                "issue" => What::Issue(row.issue()?),
                "issue_gone" => What::IssueGone(row.issue()?),
                "decision" => What::Decision(row.decision()?),
                other => return Err(Fault::Row(format!("history.happening is {other:?}"))),
            },
        })
    }
}

impl HistoryRow {
    fn request(self) -> Result<Observation, Fault> {
        Ok(Observation {
            reference_id: self.reference_id.into(),
            external_reference: self.external_reference.map(Into::into),
            persistence_type: word_opt(
                "history.persistence_type",
                self.persistence_type.as_deref(),
            )?,
            status: Status::parse(&needed("status", self.status)?),
            cancelling: needed("cancelling", self.cancelling)?,
            auto_installation: self.auto_installation,
            territory_owner: word_opt("history.territory_owner", self.territory_owner.as_deref())?,
            request_number: self.request_number,
            subrequest_number: self.subrequest_number,
            attributes: attributes("history.attributes", self.attributes.as_deref())?,
            created: instant_opt("history.created", self.created)?,
            last_updated: instant_opt("history.stamp", self.stamp)?,
            observed_at: instant("history.seen_at", self.seen_at)?,
        })
    }

    fn event(self) -> Result<Event, Fault> {
        Ok(Event {
            id: self.upstream_id,
            reference_id: self.reference_id.into(),
            message_type: self.code.as_deref().map(Into::into),
            request_number: self.request_number,
            subrequest_number: self.subrequest_number,
            event_date: instant_opt("history.stamp", self.stamp)?,
            sequence_number: self.sequence,
            inconsistent: needed("inconsistent", self.inconsistent)?,
        })
    }

    fn decision(self) -> Result<Decided, Fault> {
        Ok(Decided {
            job_name: needed("job_name", self.job_name)?.into(),
            verdict: needed("code", self.code)?,
            rule: self.rule,
        })
    }

    fn issue(self) -> Result<Issue, Fault> {
        Ok(Issue {
            id: self.upstream_id,
            reference_id: self.reference_id.into(),
            issue_sequence: self.sequence,
            issue_code: needed("code", self.code)?.as_str().into(),
            resolved: needed("resolved", self.resolved)?,
            repeated: needed("repeated", self.repeated)?,
            last_updated: instant_opt("history.stamp", self.stamp)?,
        })
    }
}

fn needed<T>(column: &str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::Row(format!("history.{column} is missing")))
}

/// Rows in the order of their requests, gathered by request.
pub(in crate::store) fn by_request(
    rows: Vec<HistoryRow>,
) -> Result<Vec<(ReferenceId, Vec<Happening>)>, Fault> {
    let mut requests: Vec<(ReferenceId, Vec<Happening>)> = Vec::new();
    for row in rows {
        match requests.last_mut() {
            Some((id, happenings)) if id.as_str() == row.reference_id => {
                happenings.push(row.try_into()?);
            }
            _ => requests.push((row.reference_id.as_str().into(), vec![row.try_into()?])),
        }
    }
    // Their ids tell the order in which they were written.
    for (_, happenings) in &mut requests {
        happenings.sort_by_key(|happening| happening.id);
    }
    Ok(requests)
}

/// What a row about what is beside a request holds.
pub(in crate::store) struct Told<'w> {
    pub(in crate::store) reference_id: &'w ReferenceId,
    pub(in crate::store) seen_at: Micros,
    pub(in crate::store) subject: String,
    pub(in crate::store) what: What,
}

/// The columns that events and issues have, in the order in which the back ends bind them.
#[derive(Default)]
pub(in crate::store) struct Columns<'w> {
    pub(in crate::store) code: Option<&'w str>,
    pub(in crate::store) upstream_id: Option<i64>,
    pub(in crate::store) sequence: Option<i64>,
    pub(in crate::store) request_number: Option<i64>,
    pub(in crate::store) subrequest_number: Option<i64>,
    pub(in crate::store) resolved: Option<bool>,
    pub(in crate::store) repeated: Option<bool>,
    pub(in crate::store) inconsistent: Option<bool>,
    pub(in crate::store) stamp: Option<Micros>,
}

impl Told<'_> {
    pub(in crate::store) fn columns(&self) -> Columns<'_> {
        match &self.what {
            What::Event(event) => Columns {
                code: event.message_type.as_ref().map(|code| code.as_str()),
                upstream_id: event.id,
                sequence: event.sequence_number,
                request_number: event.request_number,
                subrequest_number: event.subrequest_number,
                inconsistent: Some(event.inconsistent),
                stamp: stamp_opt(event.event_date),
                ..Columns::default()
            },
            // One that is gone is kept as it was last.
            What::Issue(issue) | What::IssueGone(issue) => Columns {
                code: Some(issue.issue_code.as_str()),
                upstream_id: issue.id,
                sequence: issue.issue_sequence,
                resolved: Some(issue.resolved),
                repeated: Some(issue.repeated),
                stamp: stamp_opt(issue.last_updated),
                ..Columns::default()
            },
            // Told by the database itself, or by a statement of their own.
            What::Request(_) | What::Gone | What::LetGo | What::Decision(_) => Columns::default(),
        }
    }
}
