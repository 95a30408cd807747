//! What is beside a request, on its way in: see [`super::bulk`].

use std::sync::LazyLock;

use sqlx::SqliteConnection;

use super::bulk::{Bulk, Recurring};
use crate::domain::ids::Org;
use crate::store::fault::Fault;
use crate::store::rows::history::Told;

static TELL: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "history (
            org, reference_id, subject, happening, seen_at, stamp, code, upstream_id, sequence, request_number,
            subrequest_number, resolved, repeated, inconsistent)",
        14,
        "",
    )
});

/// Appends these, in their order.
pub(super) async fn write_beside(
    tx: &mut SqliteConnection,
    org: &Org,
    news: &[Told<'_>],
) -> Result<(), Fault> {
    let [mut subjects, mut names, mut codes] = <[Recurring; 3]>::default();
    TELL.insert(news, tx, |told, values| {
        let columns = told.columns();
        values.add(org.shared());
        values.add(told.reference_id.shared());
        values.add(subjects.shared(&told.subject));
        values.add(names.shared(told.what.name()));
        values.add(told.seen_at);
        values.add(columns.stamp);
        values.add(columns.code.map(|code| codes.shared(code)));
        values.add(columns.upstream_id);
        values.add(columns.sequence);
        values.add(columns.request_number);
        values.add(columns.subrequest_number);
        values.add(columns.resolved);
        values.add(columns.repeated);
        values.add(columns.inconsistent);
    })
    .await?;
    Ok(())
}
