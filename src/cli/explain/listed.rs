//! By which lists a request is known: what the classes of its findings say. Of one that was never read that is all there is.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::cli::output::instant;
use crate::domain::ids::{JobName, Org, ReferenceId, RuleName};
use crate::store::findings::{Finding, Live};
use crate::store::{Store, StoreError};

/// A class that has it.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    /// Whose lists.
    job_name: JobName,
    rule: RuleName,
    /// As which it was asked for: a status, or that it is being cancelled.
    status: String,
    /// For how long without a change.
    evidence: String,
    /// When a complete list last told who is in the class.
    listed_at: DateTime<Utc>,
    /// That list, and those since, did not name it any more.
    missing_since: Option<DateTime<Utc>>,
}

impl Listed {
    pub(super) fn show(&self) -> String {
        let still = match self.missing_since {
            Some(since) => format!(", not named any more since {}", instant(since)),
            None => String::new(),
        };
        format!(
            "as {} by {} at {}: {}{still}",
            self.status,
            self.job_name,
            instant(self.listed_at),
            self.evidence
        )
    }
}

/// The classes of these findings of one request.
pub(super) async fn listed(
    store: &dyn Store,
    org: &Org,
    id: &ReferenceId,
    findings: &[Finding],
) -> Result<Vec<Listed>, StoreError> {
    let mut jobs: Vec<&JobName> = findings.iter().map(|finding| &finding.job_name).collect();
    jobs.sort();
    jobs.dedup();
    let mut listed = Vec::new();
    for job in jobs {
        let about = Live::About(std::slice::from_ref(id));
        let live = store.live_findings(org, job, about).await?;
        if live.iter().all(|finding| finding.class.is_none()) {
            continue;
        }
        let classes = store.classes(org, job).await?;
        for finding in live {
            let class = classes.iter().find(|class| Some(class.id) == finding.class);
            listed.extend(class.map(|class| Listed {
                job_name: job.clone(),
                rule: class.key.rule.clone(),
                status: class.key.detail.clone(),
                evidence: class.key.evidence.clone(),
                listed_at: class.listed_at,
                missing_since: finding.missing_since,
            }));
        }
    }
    Ok(listed)
}
