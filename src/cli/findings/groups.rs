//! `--group-by`: how many findings there are of each, so that hundreds with one cause are seen as one.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::CHUNK;
use crate::cli::causes;
use crate::cli::common::Session;
use crate::cli::exit::Failure;
use crate::cli::lists::gather_findings;
use crate::cli::output::{self, NOT_YET_READ, Row, instant, or_dash};
use crate::cli::time::told;
use crate::config::JobKind;
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{FindingKind, closed_set};
use crate::history::causes::Beginnings;
use crate::reconcile::causes::find;
use crate::store::findings::{Finding, FindingFilter};

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

#[derive(Debug, Serialize)]
struct Group {
    group: String,
    count: u64,
    /// Since when the oldest has been so upstream.
    oldest: Option<DateTime<Utc>>,
}

impl Row for Group {
    const COLUMNS: &'static [&'static str] = &["count", "group", "oldest since"];
    const FIRST: &'static [&'static str] = &["group", "count", "oldest"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.count.to_string(),
            told(&self.group).into_owned(),
            or_dash(self.oldest, instant),
        ]
    }
}

/// Counts all that the filter wants. A finding is in one group, so the counts add up.
pub async fn show(session: &Session, by: GroupBy, filter: &FindingFilter) -> Result<(), Failure> {
    let found = gather_findings(session, None, filter).await?;
    let codes = match by {
        GroupBy::IssueCode => codes(session, &found).await?,
        GroupBy::Cause => shared_causes(session, filter.org.as_ref(), &found).await?,
        _ => Codes::new(),
    };
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for finding in &found {
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
    Ok(output::list(session.format, &groups)?)
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
    session: &Session,
    org: Option<&Org>,
    findings: &[Finding],
) -> Result<Codes, Failure> {
    let orgs = org.map_or(
        session.config.tesamanager.orgs.as_slice(),
        std::slice::from_ref,
    );
    let selection = causes::chosen(findings);
    let found = find(&*session.store, orgs, selection, &Beginnings::default()).await?;
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
pub async fn codes(session: &Session, findings: &[Finding]) -> Result<Codes, Failure> {
    let mut ids: BTreeMap<&Org, Vec<ReferenceId>> = BTreeMap::new();
    for finding in findings {
        let of_org = ids.entry(&finding.org).or_default();
        of_org.push(finding.key.reference_id.clone());
    }
    let jobs = session.config.jobs.iter();
    let jobs: Vec<_> = jobs
        .filter(|job| job.kind == JobKind::ResolveIssues)
        .collect();
    let mut codes = Codes::new();
    for (org, mut ids) in ids {
        ids.sort();
        ids.dedup();
        for (job, ids) in jobs
            .iter()
            .flat_map(|job| ids.chunks(CHUNK).map(move |ids| (job, ids)))
        {
            for look in session.store.looks(org, &job.name, ids).await? {
                let issues = look.issues.iter().filter(|issue| !issue.resolved);
                let of_request = codes.entry((org.clone(), look.reference_id)).or_default();
                of_request.extend(issues.map(|issue| issue.issue_code.to_string()));
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
