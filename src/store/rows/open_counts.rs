//! Open requests in numbers, as rows.

use sqlx::FromRow;

use super::{Micros, attributes, instant, number, word_opt};
use crate::domain::Status;
use crate::store::fault::Fault;
use crate::store::requests::{Alike, OpenCount};

#[derive(Debug, FromRow)]
pub(in crate::store) struct AlikeRow {
    persistence_type: Option<String>,
    status: String,
    cancelling: bool,
    auto_installation: Option<bool>,
    territory_owner: Option<String>,
    requests: i64,
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct ChangedRow {
    persistence_type: Option<String>,
    hour: Micros,
    requests: i64,
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct AttributesRow {
    persistence_type: Option<String>,
    attributes: String,
    requests: i64,
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct CodeRow {
    persistence_type: Option<String>,
    happening: String,
    code: String,
    requests: i64,
}

fn open_count(kind: Option<&str>, alike: Alike, requests: i64) -> Result<OpenCount, Fault> {
    Ok(OpenCount {
        persistence_type: word_opt("observations.persistence_type", kind)?,
        alike,
        requests: number("requests", requests)?,
    })
}

impl TryFrom<AlikeRow> for OpenCount {
    type Error = Fault;

    fn try_from(row: AlikeRow) -> Result<Self, Fault> {
        let owner = row.territory_owner.as_deref();
        let alike = Alike::Request {
            status: Status::parse(&row.status),
            cancelling: row.cancelling,
            auto_installation: row.auto_installation,
            territory_owner: word_opt("observations.territory_owner", owner)?,
        };
        open_count(row.persistence_type.as_deref(), alike, row.requests)
    }
}

impl TryFrom<ChangedRow> for OpenCount {
    type Error = Fault;

    fn try_from(row: ChangedRow) -> Result<Self, Fault> {
        let alike = Alike::Changed(instant("observations.last_updated", row.hour)?);
        open_count(row.persistence_type.as_deref(), alike, row.requests)
    }
}

impl TryFrom<AttributesRow> for OpenCount {
    type Error = Fault;

    fn try_from(row: AttributesRow) -> Result<Self, Fault> {
        let kept = attributes("observations.attributes", Some(&row.attributes))?;
        let kind = row.persistence_type.as_deref();
        open_count(kind, Alike::Attributes(kept), row.requests)
    }
}

impl TryFrom<CodeRow> for OpenCount {
    type Error = Fault;

    fn try_from(row: CodeRow) -> Result<Self, Fault> {
        let alike = match row.happening.as_str() {
            "event" => Alike::LastEvent(row.code),
            _ => Alike::IssueCode(row.code),
        };
        open_count(row.persistence_type.as_deref(), alike, row.requests)
    }
}
