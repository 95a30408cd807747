//! `resolve_issues`: every request in an incidence status, with its issues.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream;

use super::sweep::Sweep;
use crate::domain::ids::ReferenceId;
use crate::domain::{Issue, Observation, SkipReason, Status};
use crate::reconcile::issues;
use crate::reconcile::plan::{self, Item};
use crate::reconcile::rules::{Subject, first_match};
use crate::reconcile::survey::{CHUNK, PlanSink, Survey, SurveyError, Tally};
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
    /// Looks at every request that may have an open issue.
    pub(in crate::reconcile) async fn open_issues(
        &self,
        sink: &mut dyn PlanSink,
    ) -> Result<Tally, SurveyError> {
        let mut tally = Tally::default();
        let filter = ListFilter {
            statuses: Some(self.statuses()),
            ..ListFilter::default()
        };
        let sweep = self.sweep(filter).await?;
        tally.selected = sweep.all.len() as u64;
        for ids in sweep.all.chunks(CHUNK) {
            self.decide_issues(&sweep, &ids, &mut tally, sink).await?;
        }
        Ok(tally)
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

    async fn decide_issues(
        &self,
        sweep: &Sweep,
        ids: &[ReferenceId],
        tally: &mut Tally,
        sink: &mut dyn PlanSink,
    ) -> Result<(), SurveyError> {
        if self.stop.is_cancelled() {
            return Err(SurveyError::Stopped);
        }
        let mut chunk = self.apart(sweep, ids).await?;
        let known_ids: Vec<ReferenceId> = chunk.known.keys().cloned().collect();
        let mut with_issues: Vec<(Observation, Vec<Issue>)> = Vec::with_capacity(ids.len());
        for request in self
            .store
            .observations(self.context.org, &known_ids)
            .await?
        {
            if let Some(look) = chunk.known.remove(&request.reference_id) {
                with_issues.push((request, look.issues));
            }
        }
        tally.unchanged += with_issues.len() as u64;
        // A look whose observation is gone is a look to be made again.
        chunk.to_read.extend(chunk.known.into_keys());

        let mut fresh = Vec::new();
        let mut items = self.observe(chunk.to_read, &mut fresh, tally).await?;
        let looks = self.read_issues(fresh, &mut items, tally).await?;
        self.remember_looks(looks.iter().map(|(_, look)| look.clone()).collect(), &items)
            .await?;
        for (request, look) in &looks {
            self.count_unmatched(request, &look.issues);
        }
        with_issues.extend(
            looks
                .into_iter()
                .map(|(request, look)| (request, look.issues)),
        );

        let observations: Vec<Observation> = with_issues
            .iter()
            .map(|(request, _)| request.clone())
            .collect();
        let attempts = self.attempts_by_order(&observations).await?;
        for (request, found) in &with_issues {
            let known = self.known(request, &attempts);
            items.push(issues::decide(
                &self.context,
                known,
                found,
                self.acknowledged,
            ));
        }
        sink.accept(items).await?;
        Ok(())
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
                record::issue_unmatched(&self.job.name, issues::code_class(&issue.issue_code));
            }
        }
    }

    /// Reads the issues of requests; what could not be read becomes an item of its own.
    async fn read_issues(
        &self,
        requests: Vec<Observation>,
        items: &mut Vec<Item>,
        tally: &mut Tally,
    ) -> Result<Vec<(Observation, Look)>, SurveyError> {
        let mut reads = stream::iter(requests)
            .map(|request| async {
                let id = request.reference_id.clone();
                let issues = self.api.get_request_issues(self.context.org, &id).await;
                (request, issues)
            })
            .buffer_unordered(self.max_in_flight.max(1));
        let mut looks = Vec::new();
        while let Some((request, issues)) = reads.next().await {
            match issues {
                Ok(issues) => {
                    let look = Look {
                        reference_id: request.reference_id.clone(),
                        looked_at: request.observed_at,
                        issues,
                    };
                    looks.push((request, look));
                }
                Err(error) if error.ends_the_run() => return Err(error.into()),
                Err(error) => {
                    tally.failed += 1;
                    items.push(not_read(&request, &error));
                }
            }
        }
        Ok(looks)
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
