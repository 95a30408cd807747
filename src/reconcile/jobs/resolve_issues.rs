//! `resolve_issues`: every request in an incidence status, with its issues.

use std::collections::{BTreeSet, HashMap};

use crate::domain::ids::ReferenceId;
use crate::domain::{Filter, Issue, Observation, SkipReason, Status};
use crate::reconcile::claims::gone::By;
use crate::reconcile::issues;
use crate::reconcile::plan::{self, Item};
use crate::reconcile::survey::{Feed, Portion, Rest, Survey, SurveyError};
use crate::rules::classes::Ask;
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
        let statuses = self.statuses();
        let filter = ListFilter {
            // Where lists don't tell statuses, every request's issues are read.
            statuses: Some(statuses.clone()).filter(|_| self.lists_tell_statuses()),
            ..ListFilter::default()
        };
        let mut sweep = self.sweep(filter, &[]).await?;
        feed.selected(sweep.selected())?;
        feed.unchanged(sweep.unchanged()).await?;
        feed.checked(std::mem::take(&mut sweep.checked)).await?;
        let mut after = None;
        let mut lost = Vec::new();
        loop {
            let due = self.due(&sweep, after.as_ref()).await?;
            let Some(last) = due.last() else { break };
            after = Some(last.reference_id.clone());
            let due: Vec<Look> = due.into_iter().filter(|look| sweep.stands(look)).collect();
            let (portion, without) = self.decide_again(due).await?;
            lost.extend(without);
            feed.decided(portion).await?;
        }
        // A look whose observation is gone is a look to be made again.
        let mut to_read = sweep.to_read.clone();
        to_read.extend(lost);
        feed.read(
            self.to_read(to_read, |_| !self.lists_tell_statuses())
                .await?,
        )
        .await?;
        let asks: Vec<Ask> = statuses.into_iter().map(in_status).collect();
        let mut reads = self
            .settle_departed(&sweep, &By::Asks(asks.iter().collect()))
            .await?;
        let contradicted = self.confirm(std::mem::take(&mut reads.suspicions)).await?;
        feed.read_beside(&reads).await?;
        feed.contradicted(contradicted).await
    }

    fn lists_tell_statuses(&self) -> bool {
        !self.unsupported.contains(&Filter::Statuses)
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

    /// Decides anew on what was looked at before; answers also those of which no observation is left.
    async fn decide_again(
        &self,
        due: Vec<Look>,
    ) -> Result<(Portion, Vec<ReferenceId>), SurveyError> {
        let ids: Vec<ReferenceId> = due.iter().map(|look| look.reference_id.clone()).collect();
        let known = self.store.observations(self.context.org, &ids).await?;
        let mut known: HashMap<ReferenceId, Observation> = known
            .into_iter()
            .map(|seen| (seen.reference_id.clone(), seen))
            .collect();
        let (mut looks, mut lost) = (Vec::with_capacity(due.len()), Vec::new());
        let (mut again, mut in_order) = (Vec::with_capacity(due.len()), Vec::new());
        for look in due {
            if look.issues.iter().all(|issue| issue.resolved) {
                again.push((look.reference_id.clone(), None));
                in_order.push(look.reference_id);
                continue;
            }
            // What was hashed matches no rule any more, so it is read.
            let matchable = look.issues.iter().all(|issue| issue.issue_code.is_plain());
            match known.remove(&look.reference_id).filter(|_| matchable) {
                Some(request) => looks.push((request, look)),
                None => lost.push(look.reference_id),
            }
        }
        let items = self.decide_issues(&looks).await?;
        again.extend(
            items
                .iter()
                .map(|item| (item.decision.reference_id.clone(), self.again(item))),
        );
        let portion = Portion {
            again,
            healthy: self.told_anew(in_order),
            items,
            ..Portion::default()
        };
        Ok((portion, lost))
    }

    /// Decides on requests that were just read with their issues.
    pub(in crate::reconcile) async fn judge_issues(
        &self,
        fresh: Vec<Observation>,
        rests: Vec<Rest>,
        portion: &mut Portion,
    ) -> Result<(), SurveyError> {
        let (mut looks, statuses) = (Vec::new(), self.statuses());
        for (request, rest) in fresh.into_iter().zip(rests) {
            let Rest::Issues(issues) = rest else {
                continue;
            };
            match issues {
                Ok(_) if !self.lists_tell_statuses() && !statuses.contains(&request.status) => {
                    portion.looks.push(Look {
                        reference_id: request.reference_id.clone(),
                        looked_at: request.observed_at,
                        issues: vec![],
                        again_at: None,
                    });
                    portion.healthy.push(request.reference_id);
                }
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
        let items = self.decide_issues(&looks).await?;
        for (item, (_, look)) in items.iter().zip(&mut looks) {
            look.again_at = self.again(item);
        }
        portion.items.extend(items);
        portion
            .looks
            .extend(looks.into_iter().map(|(_, look)| look));
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

fn in_status(status: Status) -> Ask {
    Ask {
        status: Some(status),
        ..Ask::default()
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
