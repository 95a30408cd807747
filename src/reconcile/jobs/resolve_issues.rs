//! `resolve_issues`: every request in an incidence status, with its issues.

use std::collections::BTreeSet;

use super::sweep::Sweep;
use crate::domain::id_list;
use crate::domain::ids::ReferenceId;
use crate::domain::{Issue, Observation, SkipReason, Status};
use crate::reconcile::issues;
use crate::reconcile::plan::{self, Item};
use crate::reconcile::survey::{CHUNK, Feed, Portion, Rest, Survey, SurveyError, Tally};
use crate::rules::{Subject, first_match};
use crate::store::looks::Look;
use crate::telemetry::record;
use crate::tesamanager::{ListFilter, ReadError};

/// The statuses that this kind of job is about where its rules name none.
const INCIDENCES: [Status; 3] = [
    Status::IncidenceTesa,
    Status::IncidenceOperator,
    Status::IncidenceInstalling,
];

impl Survey<'_> {
    /// Every request that may have an open issue.
    pub(in crate::reconcile) async fn list_issues(
        &self,
        feed: &mut Feed,
    ) -> Result<(), SurveyError> {
        let filter = ListFilter {
            statuses: Some(self.statuses()),
            ..ListFilter::default()
        };
        let sweep = self.sweep(filter).await?;
        let rest = self.leave_standing(&sweep, feed).await?;
        for ids in id_list::chunks(rest.into_iter(), CHUNK) {
            self.tell_apart_issues(&sweep, &ids, feed).await?;
        }
        Ok(())
    }

    /// The statuses that any rule names, and the incidence statuses: an issue without a rule is flagged too.
    fn statuses(&self) -> Vec<Status> {
        let named = self
            .context
            .rules
            .iter()
            .filter_map(|rule| rule.matcher.statuses.as_ref());
        let all: BTreeSet<Status> = named.flatten().cloned().chain(INCIDENCES).collect();
        all.into_iter()
            .filter(|status| !status.is_final())
            .collect()
    }

    /// Decides on what did not change since it was looked at, and passes on the rest.
    async fn tell_apart_issues(
        &self,
        sweep: &Sweep,
        ids: &[ReferenceId],
        feed: &mut Feed,
    ) -> Result<(), SurveyError> {
        self.check_stop()?;
        let mut chunk = self.apart(sweep, ids).await?;
        let known: Vec<ReferenceId> = chunk.known.keys().cloned().collect();
        let mut unchanged = Vec::with_capacity(known.len());
        for request in self.store.observations(self.context.org, &known).await? {
            if let Some(look) = chunk.known.remove(&request.reference_id) {
                unchanged.push((request, look));
            }
        }
        // A look whose observation is gone is a look to be made again.
        chunk.to_read.extend(chunk.known.into_keys());
        let tally = Tally {
            unchanged: unchanged.len() as u64,
            ..Tally::default()
        };
        feed.decided(Portion {
            items: self.decide_issues(&unchanged).await?,
            tally,
            ..Portion::default()
        })
        .await?;
        feed.read(chunk.to_read).await
    }

    /// Decides on requests that were just read with their issues.
    pub(in crate::reconcile) async fn judge_issues(
        &self,
        fresh: Vec<Observation>,
        rests: Vec<Rest>,
        portion: &mut Portion,
    ) -> Result<(), SurveyError> {
        let mut looks = Vec::new();
        for (request, rest) in fresh.into_iter().zip(rests) {
            let Rest::Issues(issues) = rest else {
                continue;
            };
            match issues {
                Ok(issues) => {
                    self.count_unmatched(&request, &issues);
                    let look = Look {
                        reference_id: request.reference_id.clone(),
                        looked_at: request.observed_at,
                        issues,
                        again_at: None,
                    };
                    looks.push((request, look));
                }
                Err(error) => {
                    portion.tally.failed += 1;
                    portion.not_looked_at.push(request.reference_id.clone());
                    portion.items.push(not_read(&request, &error));
                }
            }
        }
        portion.items.extend(self.decide_issues(&looks).await?);
        portion.looks = looks.into_iter().map(|(_, look)| look).collect();
        Ok(())
    }

    async fn decide_issues(&self, looks: &[(Observation, Look)]) -> Result<Vec<Item>, SurveyError> {
        let seen = looks
            .iter()
            .map(|(request, look)| (request, Some(&*look.issues)));
        let beside = self.beside(seen).await?;
        let decide = |(request, look): &(Observation, Look)| {
            issues::decide(&self.context, beside.known(request), &look.issues)
        };
        Ok(looks.iter().map(decide).collect())
    }

    /// Codes are an open list: which classes of them have no rule is counted once a look, for whoever writes rules.
    fn count_unmatched(&self, request: &Observation, issues: &[Issue]) {
        for issue in issues.iter().filter(|issue| !issue.resolved) {
            let subject = Subject {
                org: self.context.org,
                request,
                issue: Some(issue),
            };
            if first_match(self.context.rules, subject, self.context.now).is_none() {
                record::issue_unmatched(
                    &self.job.name,
                    issues::code_class(issue.issue_code.as_str()),
                );
            }
        }
    }
}

/// A request whose issues or events could not be read.
pub(super) fn not_read(request: &Observation, error: &ReadError) -> Item {
    let (reason, sightings) = match error {
        ReadError::Contract { operation, .. } => {
            let kind = crate::domain::FindingKind::ContractViolation;
            let seen = plan::sighting(request, kind, *operation, error.to_string());
            (SkipReason::ContractViolation, vec![seen])
        }
        _ => (SkipReason::ReadFailed, vec![]),
    };
    Item {
        request: Some(request.clone()),
        ..plan::unreadable(&request.reference_id, reason, error.to_string(), sightings)
    }
}
