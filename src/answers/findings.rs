//! Findings as they are listed: with what people said of them, and whether the job that saw them is still configured.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Sources;
use super::time::written;
use crate::domain::ids::{Org, ReferenceId};
use crate::store::StoreError;
use crate::store::acknowledgements::Acknowledgement;
use crate::store::findings::{Finding, FindingKey};

/// How many requests are looked up together.
const CHUNK: usize = 500;

/// A finding as listed.
#[derive(Debug, Serialize)]
pub struct Listed {
    #[serde(flatten)]
    /// As the store keeps it.
    pub finding: Finding,
    /// Some job of this name is configured.
    pub job_configured: bool,
    /// What people said of it.
    pub acknowledgements: Vec<Said>,
}

/// A person's word as listed.
#[derive(Debug, Serialize)]
pub struct Said {
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
    /// When.
    pub given_at: DateTime<Utc>,
    /// The request's date is a later one than it was then.
    pub changed_since: bool,
    /// When it ended; it holds as long as there is none.
    pub ended_at: Option<DateTime<Utc>>,
    /// And why.
    pub ended_why: Option<String>,
}

impl Said {
    /// `last_updated` is the request's, as far as it is known.
    pub fn new(said: Acknowledgement, last_updated: Option<DateTime<Utc>>) -> Self {
        let then = said.given.last_updated;
        Self {
            who: said.who,
            reason: said.reason,
            given_at: said.given_at,
            changed_since: then.is_some_and(|then| last_updated.is_some_and(|now| now > then)),
            ended_at: said.ended_at,
            ended_why: said.ended_why,
        }
    }

    /// Neither taken back nor over.
    pub fn holds(&self) -> bool {
        self.ended_at.is_none()
    }

    /// In a sentence.
    pub fn show(&self) -> String {
        let mut text = format!(
            "{} at {}: {}",
            self.who,
            written(self.given_at),
            self.reason
        );
        if self.changed_since {
            text.push_str(" (changed since)");
        }
        if let (Some(at), Some(why)) = (self.ended_at, &self.ended_why) {
            text.push_str(&format!("; ended at {}: {why}", written(at)));
        }
        text
    }
}

/// With what is said of each; `org` is the one that all of them are of, if there is one.
pub async fn listed(
    sources: &Sources,
    org: Option<&Org>,
    found: Vec<Finding>,
) -> Result<Vec<Listed>, StoreError> {
    let mut said = what_holds(sources, org).await?;
    let jobs = sources.config.jobs.iter();
    let jobs: HashSet<&str> = jobs.map(|job| job.name.as_str()).collect();
    let rows = found.into_iter().map(|finding| Listed {
        job_configured: jobs.contains(finding.job_name.as_str()),
        acknowledgements: said
            .remove(&(finding.org.clone(), finding.key.clone()))
            .unwrap_or_default(),
        finding,
    });
    Ok(rows.collect())
}

/// What people said that holds, by what they said it of.
async fn what_holds(
    sources: &Sources,
    org: Option<&Org>,
) -> Result<HashMap<(Org, FindingKey), Vec<Said>>, StoreError> {
    let said = sources.store.acknowledgements(org).await?;
    let mut requests: BTreeMap<Org, Vec<ReferenceId>> = BTreeMap::new();
    for one in &said {
        let id = one.key.reference_id.clone();
        requests.entry(one.org.clone()).or_default().push(id);
    }
    let mut dates = HashMap::new();
    for (org, ids) in requests {
        for ids in ids.chunks(CHUNK) {
            for request in sources.store.observations(&org, ids).await? {
                let updated = request.last_updated;
                dates.insert((org.clone(), request.reference_id), updated);
            }
        }
    }
    let mut by_finding: HashMap<_, Vec<Said>> = HashMap::new();
    for one in said {
        let (org, key) = (one.org.clone(), one.key.clone());
        let date = dates.get(&(org.clone(), key.reference_id.clone()));
        let said = Said::new(one, date.copied().flatten());
        by_finding.entry((org, key)).or_default().push(said);
    }
    Ok(by_finding)
}
