//! History: what is beside a request is told when it changed; all of it is read, and pruned.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::history::write_beside;
use super::runs::hold;
use super::{Backend, Connection, text, texts};
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{Happening, Sight, What};
use crate::store::StoreError;
use crate::store::fault::Fault;
use crate::store::history::{History, PrunedHistory};
use crate::store::rows::history::{HistoryRow, Told, by_request};
use crate::store::rows::{Micros, all, instant, stamp};
use crate::store::runs::RunLease;

// The last row of each thing beside the requests: of what a row is about, events and issues stand together in the index.
pub(in crate::store) const BESIDE: &str = sql!("
    SELECT * FROM history WHERE id IN (
        SELECT max(id) FROM history
        WHERE reference_id" one_of!("$2") " AND org = $1 AND subject BETWEEN 'event' AND 'issue~'
        GROUP BY reference_id, org, subject)
    ORDER BY reference_id");

pub(in crate::store) const OF_REQUEST: &str = "
    SELECT * FROM history WHERE reference_id = $2 AND org = $1 ORDER BY id";

pub(in crate::store) const ORGS: &str =
    "SELECT DISTINCT org FROM history WHERE reference_id = $1 ORDER BY org";

pub(in crate::store) const REQUESTS: &str = "
    SELECT DISTINCT reference_id FROM history WHERE reference_id > $2 AND org = $1 ORDER BY reference_id LIMIT $3";

pub(in crate::store) const OF_EACH: &str = sql!("
    SELECT * FROM history WHERE org = $1 AND reference_id" one_of!("$2") " ORDER BY reference_id");

// The upstream's 404, or a person's word that the order may be tried again. Nothing is told of what wasn't known.
pub(in crate::store) const FORGOTTEN: &str = "
    INSERT INTO history (org, reference_id, subject, happening, seen_at)
    SELECT org, reference_id, 'request', 'gone', $3 FROM observations WHERE org = $1 AND reference_id = $2";
pub(in crate::store) const LET_GO: &str = "
    INSERT INTO history (org, reference_id, subject, happening, seen_at)
    SELECT org, reference_id, 'request', 'let_go', $3 FROM observations WHERE org = $1 AND external_reference = $2";

pub(in crate::store) const STEP: &str =
    "SELECT id, seen_at FROM history WHERE id > $1 ORDER BY id LIMIT $2";

pub(in crate::store) const OUTDATED: &str = "
    DELETE FROM history WHERE id > $1 AND id <= $2 AND seen_at < $3 AND EXISTS (
        SELECT 1 FROM history AS later WHERE later.reference_id = history.reference_id AND later.org = history.org
            AND later.subject = history.subject AND later.id > history.id)";

/// Appends what these say that was not told yet, within the caller's transaction.
pub(in crate::store) async fn tell(
    tx: &mut Connection,
    org: &Org,
    sights: &[Sight],
) -> Result<(), Fault> {
    if sights.is_empty() {
        return Ok(());
    }
    let ids = sights.iter().map(|sight| sight.reference_id.as_str());
    let rows: Vec<HistoryRow> = sqlx::query_as(BESIDE)
        .bind(org.as_str())
        .bind(texts(ids))
        .fetch_all(&mut *tx)
        .await?;
    let mut told: HashMap<String, Vec<What>> = HashMap::new();
    for row in rows {
        let id = row.reference_id.clone();
        let happening = Happening::try_from(row)?;
        told.entry(id).or_default().push(happening.what);
    }
    let mut news: BTreeMap<(String, String), Told<'_>> = BTreeMap::new();
    for sight in sights {
        let id = String::from(text(sight.reference_id.as_str()));
        for what in sight.beside.news(told.get(&id).into_iter().flatten()) {
            let told = Told {
                reference_id: &sight.reference_id,
                seen_at: stamp(sight.at),
                subject: what.subject(),
                what,
            };
            // The last of those that were handed in together.
            news.insert((id.clone(), told.subject.clone()), told);
        }
    }
    let news: Vec<Told<'_>> = news.into_values().collect();
    write_beside(tx, org, &news).await
}

#[async_trait]
impl History for Backend {
    async fn history(&self, org: &Org, id: &ReferenceId) -> Result<Vec<Happening>, StoreError> {
        self.call("history", || async {
            let rows: Vec<HistoryRow> = sqlx::query_as(OF_REQUEST)
                .bind(org.as_str())
                .bind(text(id.as_str()))
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn orgs_of_history(&self, id: &ReferenceId) -> Result<Vec<Org>, StoreError> {
        self.call("history", || async {
            let orgs: Vec<String> = sqlx::query_scalar(ORGS)
                .bind(text(id.as_str()))
                .fetch_all(self.reading())
                .await?;
            Ok(orgs.into_iter().map(Org::from).collect())
        })
        .await
    }

    async fn histories(
        &self,
        org: &Org,
        after: Option<&ReferenceId>,
        limit: u32,
    ) -> Result<Vec<(ReferenceId, Vec<Happening>)>, StoreError> {
        self.call("histories", || async {
            let ids: Vec<String> = sqlx::query_scalar(REQUESTS)
                .bind(org.as_str())
                .bind(text(after.map_or("", ReferenceId::as_str)))
                .bind(i64::from(limit))
                .fetch_all(self.reading())
                .await?;
            let rows: Vec<HistoryRow> = sqlx::query_as(OF_EACH)
                .bind(org.as_str())
                .bind(texts(ids.iter().map(String::as_str)))
                .fetch_all(self.reading())
                .await?;
            by_request(rows)
        })
        .await
    }

    async fn beside(
        &self,
        org: &Org,
        ids: &[ReferenceId],
    ) -> Result<Vec<(ReferenceId, Vec<Happening>)>, StoreError> {
        self.call("beside", || async {
            let rows: Vec<HistoryRow> = sqlx::query_as(BESIDE)
                .bind(org.as_str())
                .bind(texts(ids.iter().map(ReferenceId::as_str)))
                .fetch_all(self.reading())
                .await?;
            by_request(rows)
        })
        .await
    }

    async fn prune_history(
        &self,
        lease: &RunLease,
        older_than: DateTime<Utc>,
        after: i64,
        batch: u32,
    ) -> Result<PrunedHistory, StoreError> {
        self.call("prune_history", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "prune_history", lease).await?;
            let step: Vec<(i64, Micros)> = sqlx::query_as(STEP)
                .bind(after)
                .bind(i64::from(batch))
                .fetch_all(&mut *tx)
                .await?;
            let Some(&(last, seen_at)) = step.last() else {
                return Ok(PrunedHistory::default());
            };
            let removed = sqlx::query(OUTDATED)
                .bind(after)
                .bind(last)
                .bind(stamp(older_than))
                .execute(&mut *tx)
                .await?
                .rows_affected();
            tx.commit().await?;
            // Rows come in by and by, so the rest is younger than a step whose last row is young.
            let is_old = instant("history.seen_at", seen_at)? < older_than;
            let is_full = step.len() == batch as usize;
            Ok(PrunedHistory {
                removed,
                next: (is_old && is_full).then_some(last),
            })
        })
        .await
    }
}
