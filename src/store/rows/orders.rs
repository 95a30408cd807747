//! What is marked about orders, as rows.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::{Micros, instant, word_opt};
use crate::domain::ids::ExternalReference;
use crate::domain::{AttemptId, Status};
use crate::store::fault::Fault;
use crate::store::orders::{KnownRequest, Marks, Retry};

#[derive(Debug, FromRow)]
pub(in crate::store) struct RetryRow {
    external_reference: String,
    at: Micros,
    last_attempt: i64,
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct KnownRow {
    external_reference: String,
    reference_id: String,
    let_go: bool,
    status: Option<String>,
    persistence_type: Option<String>,
}

/// The rows by order: retries from the oldest, and requests of orders that have more than one.
pub(in crate::store) fn marks(
    retries: Vec<RetryRow>,
    known: Vec<KnownRow>,
) -> Result<Vec<(ExternalReference, Marks)>, Fault> {
    let mut orders: BTreeMap<ExternalReference, Marks> = BTreeMap::new();
    for row in known {
        let request = KnownRequest {
            reference_id: row.reference_id.into(),
            status: row.status.as_deref().map(Status::parse),
            persistence_type: word_opt(
                "observations.persistence_type",
                row.persistence_type.as_deref(),
            )?,
            let_go: row.let_go,
        };
        let order = orders.entry(row.external_reference.into()).or_default();
        order.requests.push(request);
    }
    orders.retain(|_, marks| marks.requests.len() > 1);
    for row in retries {
        let order = orders.entry(row.external_reference.into()).or_default();
        order.retry = Some(Retry {
            at: instant("retries.at", row.at)?,
            last_attempt: AttemptId(row.last_attempt),
        });
    }
    Ok(orders.into_iter().collect())
}
