//! Names in a filter: of a job, an org, a rule. One that means nothing is a mistake, and no filter that finds nothing.

use std::collections::BTreeSet;

use super::Sources;
use crate::config::nearest::hint;
use crate::domain::ids::{JobName, Org, RuleName};
use crate::store::StoreError;

/// Why a name can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// Nothing has it; with the nearest that something has.
    #[error("{0}")]
    Unknown(String),
    /// Whether anything has it can't be told.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sources {
    /// A job that a filter names: a configured one, or one that has left something here.
    pub async fn known_job(&self, name: Option<&str>) -> Result<Option<JobName>, NameError> {
        let Some(name) = name else {
            return Ok(None);
        };
        let mut known: BTreeSet<JobName> = self
            .config
            .jobs
            .iter()
            .map(|job| job.name.clone())
            .collect();
        if !known.contains(name) {
            let configured: Vec<JobName> = known.iter().cloned().collect();
            known.extend(
                self.store
                    .last_runs()
                    .await?
                    .into_iter()
                    .map(|run| run.job_name),
            );
            let left = self.store.left_behind(&configured).await?;
            known.extend(left.into_iter().map(|(job, _)| job));
        }
        named("job", name, known, JobName::as_str).map(Some)
    }

    /// An org that a filter names: a configured one, or one that has left something here.
    pub async fn known_org(&self, name: Option<&str>) -> Result<Option<Org>, NameError> {
        let Some(name) = name else {
            return Ok(None);
        };
        let mut known: BTreeSet<Org> = self.config.tesamanager.orgs.iter().cloned().collect();
        if !known.contains(name) {
            known.extend(self.store.last_runs().await?.into_iter().map(|run| run.org));
            known.extend(
                self.store
                    .finding_counts()
                    .await?
                    .into_iter()
                    .map(|one| one.org),
            );
        }
        named("org", name, known, Org::as_str).map(Some)
    }

    /// A rule that a filter names, of any configured job.
    pub fn known_rule(&self, name: Option<&str>) -> Result<Option<RuleName>, NameError> {
        let Some(name) = name else {
            return Ok(None);
        };
        let rules = self.config.jobs.iter().flat_map(|job| &job.rules);
        let known: BTreeSet<&RuleName> = rules.map(|rule| &rule.name).collect();
        let rule = named("rule", name, known, |rule| rule.as_str())?;
        Ok(Some(rule.clone()))
    }
}

/// The one of those known that has this name, or an error with the nearest of their names.
pub fn named<T>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = T>,
    name_of: impl Fn(&T) -> &str,
) -> Result<T, NameError> {
    let mut known: Vec<T> = known.into_iter().collect();
    match known.iter().position(|one| name_of(one) == name) {
        Some(place) => Ok(known.swap_remove(place)),
        None => {
            let names: Vec<&str> = known.iter().map(name_of).collect();
            Err(unknown(what, name, &names))
        }
    }
}

fn unknown(what: &str, name: &str, known: &[&str]) -> NameError {
    let mut message = format!("there is no {what} {name:?}");
    if let Some(hint) = hint(name, known) {
        message.push_str(": ");
        message.push_str(&hint);
    }
    NameError::Unknown(message)
}
