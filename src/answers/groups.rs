//! How many findings there are of each kind, status, rule or issue, so that hundreds with one cause are seen as one.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::words::NOT_YET_READ;
use super::{Sources, or_dash};
use crate::config::JobKind;
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{FindingKind, closed_set};
use crate::history::causes::Beginnings;
use crate::reconcile::causes::{Chosen, find};
use crate::store::StoreError;
use crate::store::findings::Finding;

/// How many requests are looked up together.
const CHUNK: usize = 500;

closed_set! {
    /// By what findings are counted.
    GroupBy {
        /// What diverges.
        Kind = "kind",
        /// Where the request stands.
        Status = "status",
        /// By which rule it was found.
        Rule = "rule",
        /// What is wrong with the order.
        IssueCode = "issue_code",
        /// What many of them have in common and others have not: see `causes`.
        Cause = "cause",
    }
}

/// What is wrong with requests: the codes of their unresolved issues as jobs that resolve issues last saw them, each once
/// and in order; or the values of their shared cause.
pub type Codes = HashMap<(Org, ReferenceId), Vec<String>>;

/// Findings that are alike.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// In what.
    pub group: String,
    /// Rows that share the value, of those that the filters let through.
    pub count: u64,
    /// Since when the oldest has been so upstream.
    pub oldest: Option<DateTime<Utc>>,
}

/// Counts findings; `org` is the one that all of them are of, if there is one. A finding is in one group, so the counts add up.
pub async fn groups(
    sources: &Sources,
    by: GroupBy,
    org: Option<&Org>,
    found: &[Finding],
) -> Result<Vec<Group>, StoreError> {
    let codes = match by {
        GroupBy::IssueCode => codes(sources, found).await?,
        GroupBy::Cause => shared_causes(sources, org, found).await?,
        _ => Codes::new(),
    };
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for finding in found {
        let group = group(by, finding, &codes);
        let counted = groups.entry(group.clone()).or_insert(Group {
            group,
            count: 0,
            oldest: None,
        });
        counted.count += 1;
        let dates = counted.oldest.into_iter().chain(finding.since);
        counted.oldest = dates.min();
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    Ok(groups)
}

fn group(by: GroupBy, finding: &Finding, codes: &Codes) -> String {
    match by {
        GroupBy::Kind => finding.key.kind.to_string(),
        GroupBy::Rule => or_dash(finding.rule.as_ref(), ToString::to_string),
        GroupBy::Status if finding.key.kind == FindingKind::StuckRequest => {
            finding.key.detail.clone()
        }
        GroupBy::Status => finding
            .status
            .as_ref()
            .map_or_else(|| NOT_YET_READ.to_owned(), ToString::to_string),
        GroupBy::IssueCode => issue_codes(finding, codes),
        GroupBy::Cause => {
            let request = (finding.org.clone(), finding.key.reference_id.clone());
            or_dash(codes.get(&request), |cause| cause.join(" = "))
        }
    }
}

/// The code of the issue that a finding is about; else those of its request.
pub fn issue_codes(finding: &Finding, codes: &Codes) -> String {
    let key = &finding.key;
    if key.kind == FindingKind::UnresolvedIssue
        && let Some((_, code)) = key.detail.split_once(' ')
    {
        return code.to_owned();
    }
    let known = codes.get(&(finding.org.clone(), key.reference_id.clone()));
    or_dash(known, |codes| codes.join(", "))
}

/// What the requests of these findings have in common, by request; nothing of those that share nothing.
async fn shared_causes(
    sources: &Sources,
    org: Option<&Org>,
    findings: &[Finding],
) -> Result<Codes, StoreError> {
    let orgs = org.map_or(
        sources.config.tesamanager.orgs.as_slice(),
        std::slice::from_ref,
    );
    let found = find(
        &*sources.store,
        orgs,
        chosen(findings),
        &Beginnings::default(),
    )
    .await?;
    let mut shared = Codes::new();
    for cause in found {
        let facts: Vec<String> = cause.facts.iter().map(ToString::to_string).collect();
        for request in cause.requests {
            shared.insert(request, facts.clone());
        }
    }
    Ok(shared)
}

/// What jobs that resolve issues remember of these findings' requests.
pub async fn codes(sources: &Sources, findings: &[Finding]) -> Result<Codes, StoreError> {
    let mut ids: BTreeMap<&Org, Vec<ReferenceId>> = BTreeMap::new();
    for finding in findings {
        let of_org = ids.entry(&finding.org).or_default();
        of_org.push(finding.key.reference_id.clone());
    }
    let jobs = sources.config.jobs.iter();
    let jobs: Vec<_> = jobs
        .filter(|job| job.kind == JobKind::ResolveIssues)
        .collect();
    let mut codes = Codes::new();
    for (org, mut ids) in ids {
        ids.sort();
        ids.dedup();
        for job in &jobs {
            for ids in ids.chunks(CHUNK) {
                for look in sources.store.looks(org, &job.name, ids).await? {
                    let issues = look.issues.iter().filter(|issue| !issue.resolved);
                    let of_request = codes.entry((org.clone(), look.reference_id)).or_default();
                    of_request.extend(issues.map(|issue| issue.issue_code.to_string()));
                }
            }
        }
    }
    codes.retain(|_, codes| {
        codes.sort();
        codes.dedup();
        !codes.is_empty()
    });
    Ok(codes)
}

/// Findings as a selection.
pub fn chosen(found: &[Finding]) -> Vec<Chosen> {
    let is_stuck = |finding: &Finding| finding.key.kind == FindingKind::StuckRequest;
    let chosen = found.iter().map(|finding| Chosen {
        org: finding.org.clone(),
        reference_id: finding.key.reference_id.clone(),
        listed: is_stuck(finding).then(|| finding.key.detail.clone()),
        began: finding.since,
    });
    chosen.collect()
}
