//! Stuck requests as they are listed: for how long, by which rule, with which issue, whose turn it is, and what comes next.
//! What the last runs found; nothing is asked of the upstream.

mod step;

use chrono::{DateTime, Utc};
use serde::Serialize;

use self::step::World;
use super::Sources;
use super::groups::{codes, issue_codes};
use crate::domain::ids::{ExternalReference, FindingId, JobName, Org, ReferenceId, RuleName};
use crate::domain::{FindingState, Party, Status};
use crate::history::parties::Whose;
use crate::history::replay::replay;
use crate::store::StoreError;
use crate::store::findings::Finding;

/// A stuck request as listed.
#[derive(Debug, Serialize)]
pub struct Stuck {
    /// The finding.
    pub id: FindingId,
    /// The tenant that its reference belongs to.
    pub org: Org,
    /// Unique within the org.
    pub reference_id: ReferenceId,
    /// The order.
    pub external_reference: Option<ExternalReference>,
    /// Where it is stuck; `CANCELLING` if its cancellation is.
    pub status: String,
    /// The upstream's last change; none: not yet read.
    pub since: Option<DateTime<Utc>>,
    /// How long ago that is.
    pub age_seconds: Option<i64>,
    /// From which age on its rule calls it stuck.
    pub threshold_seconds: Option<u64>,
    /// The job that found it.
    pub job_name: JobName,
    /// The rule by which it did.
    pub rule: Option<RuleName>,
    /// Of its unresolved issues, as far as a job that resolves issues saw them.
    pub issue_code: Option<String>,
    /// Whose turn it is, where that is known.
    pub party: Option<Party>,
    /// Open, or acknowledged.
    pub state: FindingState,
    /// What comes next, in words.
    pub next: String,
}

/// The rows of these findings, and whether a daemon is alive: if not, what comes next is what the schedules say.
pub async fn stuck(
    sources: &Sources,
    found: Vec<Finding>,
) -> Result<(Vec<Stuck>, bool), StoreError> {
    let codes = codes(sources, &found).await?;
    let world = World::look(sources, &found).await?;
    let whose = sources.config.parties.whose(&sources.config.jobs);
    let mut rows = Vec::with_capacity(found.len());
    for finding in found {
        let code = issue_codes(&finding, &codes);
        let decided = sources
            .store
            .decisions_about(&finding.org, &finding.key.reference_id)
            .await?;
        let next = world.next(sources, &finding, &decided);
        let party = whose_turn(sources, &whose, &finding).await?;
        rows.push(row(sources, finding, code, party, next));
    }
    Ok((rows, world.alive))
}

/// Whose turn it is, by what its history leads to; by its status alone where only lists told of it.
pub async fn whose_turn(
    sources: &Sources,
    whose: &Whose,
    finding: &Finding,
) -> Result<Option<Party>, StoreError> {
    let (org, id) = (&finding.org, &finding.key.reference_id);
    let standing = replay(&sources.store.history(org, id).await?);
    let party = match &standing.request {
        Some(request) => Some(whose.turn(org, request, &standing.issues).party),
        None => {
            let status = Status::parse(&finding.key.detail);
            whose.by_status.get(&status).copied()
        }
    };
    Ok(party.filter(|party| *party != Party::Unknown))
}

fn row(
    sources: &Sources,
    finding: Finding,
    code: String,
    party: Option<Party>,
    next: String,
) -> Stuck {
    let age = finding.since.map(|since| sources.now() - since);
    let rule = step::rule_of(sources, &finding);
    let threshold = rule.and_then(|rule| rule.matcher.not_updated_for);
    Stuck {
        id: finding.id,
        org: finding.org,
        reference_id: finding.key.reference_id,
        external_reference: finding.external_reference,
        status: finding.key.detail,
        since: finding.since,
        age_seconds: age.map(|age| age.num_seconds()),
        threshold_seconds: threshold.map(|threshold| threshold.as_secs()),
        job_name: finding.job_name,
        rule: finding.rule,
        issue_code: (code != "-").then_some(code),
        party,
        state: finding.state,
        next,
    }
}
