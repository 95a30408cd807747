//! Observations and decisions on their way in: see [`super::bulk`].

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use super::bulk::{Bulk, Recurring};
use crate::domain::ids::{JobName, Org, RunId};
use crate::domain::{Decision, Observation};
use crate::store::fault::Fault;
use crate::store::rows::{stamp, stamp_opt};

static REMEMBER_OBSERVATIONS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "observations (
            reference_id, org, external_reference, persistence_type, status, cancelling, auto_installation,
            territory_owner, request_number, subrequest_number, attributes, created, last_updated, observed_at)",
        14,
        "ON CONFLICT (reference_id, org) DO UPDATE SET
            external_reference = excluded.external_reference, persistence_type = excluded.persistence_type,
            status = excluded.status, cancelling = excluded.cancelling,
            auto_installation = excluded.auto_installation, territory_owner = excluded.territory_owner,
            request_number = excluded.request_number, subrequest_number = excluded.subrequest_number,
            attributes = excluded.attributes,
            created = excluded.created, last_updated = excluded.last_updated, observed_at = excluded.observed_at
        WHERE CASE WHEN excluded.last_updated <> observations.last_updated
            THEN excluded.last_updated > observations.last_updated
            ELSE excluded.observed_at >= observations.observed_at END",
    )
});

static REMEMBER_DECISIONS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "decisions (org, reference_id, job_name, run_id, since, verdict, rule, explanation)",
        8,
        "ON CONFLICT (org, reference_id, job_name) DO UPDATE SET
            run_id = excluded.run_id, since = excluded.since, verdict = excluded.verdict, rule = excluded.rule,
            explanation = excluded.explanation
        WHERE (excluded.verdict, excluded.rule, excluded.explanation)
            IS NOT (decisions.verdict, decisions.rule, decisions.explanation)",
    )
});

/// Writes what was seen, one of each request; answers how many rows were.
pub(super) async fn write_observations(
    tx: &mut SqliteConnection,
    org: &Org,
    seen: &[&Observation],
) -> Result<u64, Fault> {
    let [mut kinds, mut words, mut owners] = <[Recurring; 3]>::default();
    REMEMBER_OBSERVATIONS
        .insert(seen, tx, |seen, values| {
            let kind = seen.persistence_type.map(|kind| kind.as_str());
            let owner = seen.territory_owner.map(|owner| owner.as_str());
            values.add(seen.reference_id.shared());
            values.add(org.shared());
            values.add(seen.external_reference.as_ref().map(|order| order.shared()));
            values.add(kind.map(|kind| kinds.shared(kind)));
            values.add(words.shared(seen.status.as_str()));
            values.add(seen.cancelling);
            values.add(seen.auto_installation);
            values.add(owner.map(|owner| owners.shared(owner)));
            values.add(seen.request_number);
            values.add(seen.subrequest_number);
            values.add(seen.attributes.to_text());
            values.add(stamp_opt(seen.created));
            values.add(stamp_opt(seen.last_updated));
            values.add(stamp(seen.observed_at));
        })
        .await
}

/// Writes what was decided, one of each request; answers how many rows were.
pub(super) async fn write_decisions(
    tx: &mut SqliteConnection,
    run: RunId,
    org: &Org,
    job: &JobName,
    at: DateTime<Utc>,
    decided: &[&Decision],
) -> Result<u64, Fault> {
    let [mut verdicts, mut explanations] = <[Recurring; 2]>::default();
    REMEMBER_DECISIONS
        .insert(decided, tx, |one, values| {
            values.add(org.shared());
            values.add(one.reference_id.shared());
            values.add(job.shared());
            values.add(run.0);
            values.add(stamp(at));
            values.add(verdicts.shared(one.verdict.label()));
            values.add(one.rule.as_ref().map(|rule| rule.shared()));
            values.add(explanations.shared(&one.explanation));
        })
        .await
}
