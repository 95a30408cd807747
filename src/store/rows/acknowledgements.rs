//! Acknowledgements as rows.

use sqlx::FromRow;

use super::{Micros, instant, instant_opt, word};
use crate::domain::Status;
use crate::domain::ids::AcknowledgementId;
use crate::store::acknowledgements::{Acknowledgement, Given};
use crate::store::fault::Fault;
use crate::store::findings::FindingKey;

#[derive(Debug, FromRow)]
pub(in crate::store) struct AcknowledgementRow {
    id: i64,
    org: String,
    reference_id: String,
    external_reference: Option<String>,
    kind: String,
    detail: String,
    status: Option<String>,
    cancelling: Option<bool>,
    last_updated: Option<Micros>,
    repeated: Option<bool>,
    who: String,
    reason: String,
    given_at: Micros,
    ended_at: Option<Micros>,
    ended_why: Option<String>,
}

impl TryFrom<AcknowledgementRow> for Acknowledgement {
    type Error = Fault;

    fn try_from(row: AcknowledgementRow) -> Result<Self, Fault> {
        Ok(Self {
            id: AcknowledgementId(row.id),
            org: row.org.into(),
            key: FindingKey {
                reference_id: row.reference_id.into(),
                kind: word("acknowledgements.kind", &row.kind)?,
                detail: row.detail,
            },
            external_reference: row.external_reference.map(Into::into),
            given: Given {
                status: row.status.map(|status| Status::parse(&status)),
                cancelling: row.cancelling,
                last_updated: instant_opt("acknowledgements.last_updated", row.last_updated)?,
                repeated: row.repeated,
            },
            who: row.who,
            reason: row.reason,
            given_at: instant("acknowledgements.given_at", row.given_at)?,
            ended_at: instant_opt("acknowledgements.ended_at", row.ended_at)?,
            ended_why: row.ended_why,
        })
    }
}
