//! What is beside a request, on its way in: one array a column, one statement.

use sqlx::PgConnection;

use super::values::{column, texts, texts_opt};
use crate::domain::ids::Org;
use crate::store::fault::Fault;
use crate::store::rows::history::{Columns, Told};

const TELL: &str = "
    INSERT INTO history (
        org, reference_id, subject, happening, seen_at, stamp, code, upstream_id, sequence, request_number,
        subrequest_number, resolved, repeated, inconsistent)
    SELECT $1, * FROM unnest(
        $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::bigint[],
        $9::bigint[], $10::bigint[], $11::bigint[], $12::boolean[], $13::boolean[], $14::boolean[])";

/// Appends these, in their order.
pub(super) async fn write_beside(
    tx: &mut PgConnection,
    org: &Org,
    news: &[Told<'_>],
) -> Result<(), Fault> {
    if news.is_empty() {
        return Ok(());
    }
    let columns: Vec<Columns<'_>> = news.iter().map(Told::columns).collect();
    sqlx::query(TELL)
        .bind(org.as_str())
        .bind(texts(news.iter().map(|told| told.reference_id.as_str())))
        .bind(texts(news.iter().map(|told| told.subject.as_str())))
        .bind(column(news, |told| told.what.name()))
        .bind(column(news, |told| told.seen_at))
        .bind(column(&columns, |of| of.stamp))
        .bind(texts_opt(columns.iter().map(|of| of.code)))
        .bind(column(&columns, |of| of.upstream_id))
        .bind(column(&columns, |of| of.sequence))
        .bind(column(&columns, |of| of.request_number))
        .bind(column(&columns, |of| of.subrequest_number))
        .bind(column(&columns, |of| of.resolved))
        .bind(column(&columns, |of| of.repeated))
        .bind(column(&columns, |of| of.inconsistent))
        .execute(tx)
        .await?;
    Ok(())
}
