//! Parts of runs as rows.

use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::{number, word};
use crate::domain::RunId;
use crate::domain::ids::ReplicaId;
use crate::store::fault::Fault;
use crate::store::runs::RunLease;
use crate::store::work::{Claim, Claimed, Collected};

#[derive(Debug, FromRow)]
pub(in crate::store) struct ClaimedRow {
    pub(in crate::store) run_id: i64,
    pub(in crate::store) part: i64,
    token: i64,
    tries: i64,
    taken_by: String,
    kind: String,
    digest: String,
    payload: Json<Value>,
    job_name: String,
    org: String,
}

impl TryFrom<ClaimedRow> for Claimed {
    type Error = Fault;

    fn try_from(row: ClaimedRow) -> Result<Self, Fault> {
        Ok(Self {
            claim: Claim {
                lease: RunLease {
                    run_id: RunId(row.run_id),
                    token: row.token,
                },
                part: row.part,
                tries: number("work.tries", row.tries)?,
                replica: ReplicaId::new(row.taken_by),
            },
            job_name: row.job_name.into(),
            org: row.org.into(),
            kind: word("work.kind", &row.kind)?,
            digest: row.digest,
            payload: row.payload.0,
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct CollectedRow {
    part: i64,
    result: Option<Json<Value>>,
    trouble: String,
}

impl From<CollectedRow> for Collected {
    fn from(row: CollectedRow) -> Self {
        let unanswered = || match row.trouble.as_str() {
            "" => "whoever took it was not heard of again".to_owned(),
            trouble => trouble.to_owned(),
        };
        Self {
            part: row.part,
            result: row.result.map(|result| result.0).ok_or_else(unanswered),
        }
    }
}
