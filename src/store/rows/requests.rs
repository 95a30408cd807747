//! Observations and decisions as rows.

use std::collections::HashMap;

use sqlx::FromRow;

use super::{Micros, attributes, instant, instant_opt, word_opt};
use crate::domain::{Observation, Org, ReferenceId, RunId, Status};
use crate::store::fault::Fault;
use crate::store::requests::RememberedDecision;

#[derive(Debug, FromRow)]
pub(in crate::store) struct ObservationRow {
    reference_id: String,
    external_reference: Option<String>,
    persistence_type: Option<String>,
    status: String,
    cancelling: bool,
    auto_installation: Option<bool>,
    territory_owner: Option<String>,
    request_number: Option<i64>,
    subrequest_number: Option<i64>,
    attributes: Option<String>,
    created: Option<Micros>,
    last_updated: Option<Micros>,
    observed_at: Micros,
}

impl TryFrom<ObservationRow> for Observation {
    type Error = Fault;

    fn try_from(row: ObservationRow) -> Result<Self, Fault> {
        Ok(Self {
            reference_id: row.reference_id.into(),
            external_reference: row.external_reference.map(Into::into),
            persistence_type: word_opt(
                "observations.persistence_type",
                row.persistence_type.as_deref(),
            )?,
            status: Status::parse(&row.status),
            cancelling: row.cancelling,
            auto_installation: row.auto_installation,
            territory_owner: word_opt(
                "observations.territory_owner",
                row.territory_owner.as_deref(),
            )?,
            request_number: row.request_number,
            subrequest_number: row.subrequest_number,
            attributes: attributes("observations.attributes", row.attributes.as_deref())?,
            created: instant_opt("observations.created", row.created)?,
            last_updated: instant_opt("observations.last_updated", row.last_updated)?,
            observed_at: instant("observations.observed_at", row.observed_at)?,
        })
    }
}

/// An observation with its tenant.
#[derive(Debug, FromRow)]
pub(in crate::store) struct FoundRow {
    org: String,
    #[sqlx(flatten)]
    seen: ObservationRow,
}

impl TryFrom<FoundRow> for (Org, Observation) {
    type Error = Fault;

    fn try_from(row: FoundRow) -> Result<Self, Fault> {
        Ok((row.org.into(), row.seen.try_into()?))
    }
}

/// Of what was just seen, what is contradicted by what is known.
pub(in crate::store) fn contradicted(
    seen: &[&Observation],
    known: Vec<Observation>,
) -> Vec<ReferenceId> {
    let known: HashMap<ReferenceId, Observation> = known
        .into_iter()
        .map(|known| (known.reference_id.clone(), known))
        .collect();
    let is_older = |seen: &&&Observation| {
        known.get(&seen.reference_id).is_some_and(|known| {
            let (now, then) = (seen.last_updated, known.last_updated);
            let is_earlier = now.zip(then).is_some_and(|(now, then)| now < then);
            is_earlier && seen.observed_at >= known.observed_at
        })
    };
    let older = seen.iter().filter(is_older);
    older.map(|seen| seen.reference_id.clone()).collect()
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct DecisionRow {
    job_name: String,
    run_id: i64,
    since: Micros,
    reference_id: String,
    verdict: String,
    rule: Option<String>,
    explanation: String,
}

impl TryFrom<DecisionRow> for RememberedDecision {
    type Error = Fault;

    fn try_from(row: DecisionRow) -> Result<Self, Fault> {
        Ok(Self {
            job_name: row.job_name.into(),
            run_id: RunId(row.run_id),
            since: instant("decisions.since", row.since)?,
            reference_id: row.reference_id.into(),
            verdict: row.verdict,
            rule: row.rule,
            explanation: row.explanation,
        })
    }
}
