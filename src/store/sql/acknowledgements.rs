//! What people said: hands off. Each call that changes it sets the state of the findings it was said of in the same
//! transaction.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::runs::hold;
use super::{Backend, Connection, audit, numbers, text, texts};
use crate::domain::ids::{ExternalReference, FindingId, Org, ReferenceId};
use crate::store::acknowledgements::{
    Acknowledgement, AcknowledgementChange, Acknowledgements, frozen,
};
use crate::store::fault::Fault;
use crate::store::rows::acknowledgements::AcknowledgementRow;
use crate::store::rows::{all, stamp, stamp_opt};
use crate::store::runs::RunLease;
use crate::store::{Actor, StoreError};

pub(in crate::store) const LIVE: &str =
    sql!("SELECT id FROM findings WHERE id" one_of!("$1") " AND state <> 'resolved'");

pub(in crate::store) const ACKNOWLEDGED: &str = sql!("
    SELECT f.id FROM findings AS f JOIN acknowledgements AS a
        ON a.org = f.org AND a.reference_id = f.reference_id AND a.kind = f.kind AND a.detail = f.detail
    WHERE f.id" one_of!("$1") " AND a.ended_at IS NULL");

// What is not known of the request itself is taken from the finding, whose detail says where it is stuck.
pub(in crate::store) const SAY: &str = sql!("
    INSERT INTO acknowledgements (
        org, reference_id, kind, detail, external_reference, status, cancelling, last_updated, who, reason, given_at)
    SELECT f.org, f.reference_id, f.kind, f.detail, coalesce(o.external_reference, f.external_reference),
        coalesce(o.status, CASE WHEN f.kind = 'stuck_request' AND f.detail <> 'CANCELLING' THEN f.detail END),
        coalesce(o.cancelling, CASE WHEN f.kind = 'stuck_request' THEN f.detail = 'CANCELLING' END),
        coalesce(o.last_updated, CASE WHEN f.kind = 'stuck_request' THEN f.since END), $2, $3, $4
    FROM findings AS f LEFT JOIN observations AS o ON o.reference_id = f.reference_id AND o.org = f.org
    WHERE f.id" one_of!("$1") " ORDER BY f.id");

const SHOW_SAID: &str = sql!("
    UPDATE findings SET state = 'acknowledged'
    WHERE id" one_of!("$1") " AND state = 'open'");

pub(in crate::store) const TAKE_BACK: &str = sql!("
    UPDATE acknowledgements SET ended_at = $2, ended_why = $3
    WHERE ended_at IS NULL AND (org, reference_id, kind, detail) IN (
        SELECT org, reference_id, kind, detail FROM findings WHERE id" one_of!("$1") ")
    RETURNING *");

pub(in crate::store) const SHOW_TAKEN_BACK: &str = sql!("
    UPDATE findings SET state = 'open'
    WHERE id" one_of!("$1") " AND state = 'acknowledged'");

pub(in crate::store) const ABOUT: &str = sql!("
    SELECT * FROM acknowledgements
    WHERE ended_at IS NULL AND org = $1 AND reference_id" one_of!("$2") "
    UNION
    SELECT * FROM acknowledgements
    WHERE ended_at IS NULL AND org = $1 AND external_reference" one_of!("$3") "
    ORDER BY id");

pub(in crate::store) const HOLDING: &str = "
    SELECT * FROM acknowledgements WHERE ended_at IS NULL AND (CAST($1 AS text) IS NULL OR org = $1) ORDER BY id";

pub(in crate::store) const HOLDING_IDS: &str = "
    SELECT DISTINCT reference_id FROM acknowledgements WHERE ended_at IS NULL AND org = $1 ORDER BY reference_id";

pub(in crate::store) const OF_REQUEST: &str =
    "SELECT * FROM acknowledgements WHERE reference_id = $2 AND org = $1 ORDER BY id";

const KEEP: &str = "
    UPDATE acknowledgements SET external_reference = coalesce(external_reference, $2), status = coalesce(status, $3),
        cancelling = coalesce(cancelling, $4), last_updated = coalesce(last_updated, $5),
        repeated = coalesce(repeated, $6), ended_why = $7, ended_at = CASE WHEN $7 IS NOT NULL THEN $8 END
    WHERE id = $1 AND ended_at IS NULL
    RETURNING org || '/' || reference_id || ' ' || kind";

const SHOW_ENDED: &str = "
    UPDATE findings SET state = 'open'
    WHERE state = 'acknowledged' AND (org, reference_id, kind, detail) IN (
        SELECT org, reference_id, kind, detail FROM acknowledgements WHERE id = $1)
      AND NOT EXISTS (
        SELECT 1 FROM acknowledgements AS a
        WHERE a.ended_at IS NULL AND a.org = findings.org AND a.reference_id = findings.reference_id
            AND a.kind = findings.kind AND a.detail = findings.detail)";

impl Backend {
    /// Refuses all of them if the statement doesn't find each.
    async fn none_missing(
        tx: &mut Connection,
        statement: &'static str,
        operation: &'static str,
        ids: &[FindingId],
        which: &str,
    ) -> Result<(), Fault> {
        let found: Vec<i64> = sqlx::query_scalar(statement)
            .bind(numbers(ids.iter().map(|id| id.0)))
            .fetch_all(tx)
            .await?;
        let missing = ids.iter().filter(|id| !found.contains(&id.0));
        let missing: Vec<String> = missing.map(FindingId::to_string).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let what = format!("finding {} {which}", missing.join(", "));
        Err(Fault::Refused(StoreError::NotFound { operation, what }))
    }
}

#[async_trait]
impl Acknowledgements for Backend {
    async fn acknowledge_findings(
        &self,
        ids: &[FindingId],
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let operation = "acknowledge_findings";
        self.call(operation, || async {
            let listed = numbers(ids.iter().map(|id| id.0));
            let mut tx = self.begin().await?;
            Self::none_missing(&mut tx, LIVE, operation, ids, "that isn't resolved").await?;
            sqlx::query(SAY)
                .bind(&listed)
                .bind(&actor.who)
                .bind(&actor.reason)
                .bind(stamp(now))
                .execute(&mut *tx)
                .await?;
            sqlx::query(SHOW_SAID)
                .bind(listed)
                .execute(&mut *tx)
                .await?;
            if !ids.is_empty() {
                audit::append(&mut tx, "acknowledge", &frozen(ids), actor, now).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn unacknowledge_findings(
        &self,
        ids: &[FindingId],
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Vec<Acknowledgement>, StoreError> {
        let operation = "unacknowledge_findings";
        self.call(operation, || async {
            let listed = numbers(ids.iter().map(|id| id.0));
            let mut tx = self.begin().await?;
            let which = "that is acknowledged";
            Self::none_missing(&mut tx, ACKNOWLEDGED, operation, ids, which).await?;
            let taken: Vec<AcknowledgementRow> = sqlx::query_as(TAKE_BACK)
                .bind(&listed)
                .bind(stamp(now))
                .bind(format!("taken back by {}: {}", actor.who, actor.reason))
                .fetch_all(&mut *tx)
                .await?;
            sqlx::query(SHOW_TAKEN_BACK)
                .bind(listed)
                .execute(&mut *tx)
                .await?;
            if !ids.is_empty() {
                audit::append(&mut tx, "unacknowledge", &frozen(ids), actor, now).await?;
            }
            tx.commit().await?;
            all(taken)
        })
        .await
    }

    async fn acknowledgements_about(
        &self,
        org: &Org,
        requests: &[ReferenceId],
        orders: &[ExternalReference],
    ) -> Result<Vec<Acknowledgement>, StoreError> {
        self.call("acknowledgements_about", || async {
            let rows: Vec<AcknowledgementRow> = sqlx::query_as(ABOUT)
                .bind(org.as_str())
                .bind(texts(requests.iter().map(ReferenceId::as_str)))
                .bind(texts(orders.iter().map(ExternalReference::as_str)))
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn acknowledgements(
        &self,
        org: Option<&Org>,
    ) -> Result<Vec<Acknowledgement>, StoreError> {
        self.call("acknowledgements", || async {
            let rows: Vec<AcknowledgementRow> = sqlx::query_as(HOLDING)
                .bind(org.map(Org::as_str))
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn acknowledged_ids(&self, org: &Org) -> Result<Vec<ReferenceId>, StoreError> {
        self.call("acknowledged_ids", || async {
            let ids: Vec<String> = sqlx::query_scalar(HOLDING_IDS)
                .bind(org.as_str())
                .fetch_all(self.reading())
                .await?;
            Ok(ids.into_iter().map(ReferenceId::from).collect())
        })
        .await
    }

    async fn acknowledgements_of(
        &self,
        org: &Org,
        request: &ReferenceId,
    ) -> Result<Vec<Acknowledgement>, StoreError> {
        self.call("acknowledgements_of", || async {
            let rows: Vec<AcknowledgementRow> = sqlx::query_as(OF_REQUEST)
                .bind(org.as_str())
                .bind(text(request.as_str()))
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn keep_acknowledgements(
        &self,
        lease: &RunLease,
        changes: &[AcknowledgementChange],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("keep_acknowledgements", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "keep_acknowledgements", lease).await?;
            for change in changes {
                let AcknowledgementChange {
                    id,
                    external_reference,
                    given,
                    ended_why,
                } = change;
                let kept: Option<String> = sqlx::query_scalar(KEEP)
                    .bind(id.0)
                    .bind(
                        external_reference
                            .as_ref()
                            .map(|order| text(order.as_str())),
                    )
                    .bind(given.status.as_ref().map(|status| text(status.as_str())))
                    .bind(given.cancelling)
                    .bind(stamp_opt(given.last_updated))
                    .bind(given.repeated)
                    .bind(ended_why.as_deref())
                    .bind(stamp(now))
                    .fetch_optional(&mut *tx)
                    .await?;
                if let (Some(subject), Some(why)) = (kept, ended_why) {
                    sqlx::query(SHOW_ENDED).bind(id.0).execute(&mut *tx).await?;
                    let actor = Actor::daemon(why);
                    audit::append(&mut tx, "acknowledgement_ended", &subject, &actor, now).await?;
                }
            }
            Ok(tx.commit().await?)
        })
        .await
    }
}
