//! Contradictions between reads and lists.

use async_trait::async_trait;

use super::runs::hold;
use super::{Backend, last_of_each, text, texts};
use crate::domain::Filter;
use crate::domain::ids::{Org, ReferenceId};
use crate::store::StoreError;
use crate::store::claims::{Claims, Contradiction};
use crate::store::rows::classes::ContradictionRow;
use crate::store::rows::{all, stamp};
use crate::store::runs::RunLease;

pub(in crate::store) const CONTRADICTIONS: &str = "
    SELECT filter, reference_id, what, seen_at FROM contradictions WHERE org = $1 ORDER BY filter, reference_id";

const NOTE: &str = sql!("
    INSERT INTO contradictions (org, filter, reference_id, what, seen_at)
    SELECT $1, found.* FROM "
        rows_of!(found: "$2" filter text, "$3" reference_id text, "$4" what text, "$5" seen_at timestamptz) "
    WHERE true
    ON CONFLICT (org, filter, reference_id) DO UPDATE SET what = excluded.what, seen_at = excluded.seen_at
    WHERE excluded.seen_at >= contradictions.seen_at");

pub(in crate::store) const FORGET: &str = sql!("
    DELETE FROM contradictions WHERE org = $1 AND filter = $2 AND reference_id" one_of!("$3"));

#[async_trait]
impl Claims for Backend {
    async fn contradictions(&self, org: &Org) -> Result<Vec<Contradiction>, StoreError> {
        self.call("contradictions", || async {
            let rows: Vec<ContradictionRow> = sqlx::query_as(CONTRADICTIONS)
                .bind(org.as_str())
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn note_contradictions(
        &self,
        lease: &RunLease,
        org: &Org,
        found: &[Contradiction],
    ) -> Result<(), StoreError> {
        self.call("note_contradictions", || async {
            let mut found: Vec<_> = found.iter().collect();
            found.sort_by_key(|one| one.seen_at);
            let found = last_of_each(found, |one| (one.filter.as_str(), &one.reference_id));
            let mut tx = self.begin().await?;
            hold(&mut tx, "note_contradictions", lease).await?;
            let note = sqlx::query(NOTE).bind(org.as_str());
            bind_rows!(note, found, |one| [
                one.filter.as_str(),
                text(one.reference_id.as_str()),
                text(one.what.as_str()),
                stamp(one.seen_at)
            ])
            .execute(&mut *tx)
            .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn forget_contradictions(
        &self,
        lease: &RunLease,
        org: &Org,
        filter: Filter,
        ids: &[ReferenceId],
    ) -> Result<(), StoreError> {
        self.call("forget_contradictions", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "forget_contradictions", lease).await?;
            sqlx::query(FORGET)
                .bind(org.as_str())
                .bind(filter.as_str())
                .bind(texts(ids.iter().map(ReferenceId::as_str)))
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}
