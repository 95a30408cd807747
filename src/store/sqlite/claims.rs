//! Contradictions between reads and lists.

use async_trait::async_trait;

use super::SqliteStore;
use super::runs::hold;
use crate::domain::Filter;
use crate::domain::ids::{Org, ReferenceId};
use crate::store::StoreError;
use crate::store::claims::{Claims, Contradiction};
use crate::store::rows::classes::ContradictionRow;
use crate::store::rows::{all, json, micros};
use crate::store::runs::RunLease;

pub(super) const CONTRADICTIONS: &str = "
    SELECT filter, reference_id, what, seen_at FROM contradictions WHERE org = ?1 ORDER BY filter, reference_id";

const NOTE: &str = "
    INSERT INTO contradictions (org, filter, reference_id, what, seen_at)
    SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2) WHERE true
    ON CONFLICT (org, filter, reference_id) DO UPDATE SET what = excluded.what, seen_at = excluded.seen_at
    WHERE excluded.seen_at >= contradictions.seen_at";

pub(super) const FORGET: &str = "
    DELETE FROM contradictions
    WHERE org = ?1 AND filter = ?2 AND reference_id IN (SELECT value FROM json_each(?3))";

#[async_trait]
impl Claims for SqliteStore {
    async fn contradictions(&self, org: &Org) -> Result<Vec<Contradiction>, StoreError> {
        self.timed
            .call("contradictions", async {
                let rows: Vec<ContradictionRow> = sqlx::query_as(CONTRADICTIONS)
                    .bind(org.as_str())
                    .fetch_all(&self.readers)
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
        self.timed
            .call("note_contradictions", async {
                let rows: Vec<_> = found
                    .iter()
                    .map(|one| {
                        let (id, what) = (one.reference_id.as_str(), one.what.as_str());
                        (one.filter.as_str(), id, what, micros(one.seen_at))
                    })
                    .collect();
                let rows = json(&rows)?;
                let mut tx = self.begin().await?;
                hold(&mut tx, "note_contradictions", lease).await?;
                sqlx::query(NOTE)
                    .bind(org.as_str())
                    .bind(rows)
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
        self.timed
            .call("forget_contradictions", async {
                let ids = json(ids)?;
                let mut tx = self.begin().await?;
                hold(&mut tx, "forget_contradictions", lease).await?;
                sqlx::query(FORGET)
                    .bind(org.as_str())
                    .bind(filter.as_str())
                    .bind(ids)
                    .execute(&mut *tx)
                    .await?;
                Ok(tx.commit().await?)
            })
            .await
    }
}
