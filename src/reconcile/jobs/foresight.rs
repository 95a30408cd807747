//! What a run of `retry_stuck` would decide now, for `plan`: by the same lists, the same guard and the same caps. Writes nothing
//! anywhere.

use std::collections::HashMap;

use async_trait::async_trait;

use crate::domain::id_list;
use crate::domain::ids::ReferenceId;
use crate::domain::{Decision, Observation, Operation, SkipReason, Verdict};
use crate::reconcile::compose;
use crate::reconcile::findings::Scope;
use crate::reconcile::plan::Item;
use crate::reconcile::reads::Reads;
use crate::reconcile::recorder::{Candidate, oldest_first};
use crate::reconcile::run_stages::HELD;
use crate::reconcile::runner::{Reconciler, RunOrder};
use crate::reconcile::survey::{CHUNK, PlanSink, Survey, SurveyError, Tally};
use crate::reconcile::wanting::Gathers;
use crate::rules::classes::{self, Class};
use crate::rules::{Action, Rule};
use crate::store::StoreError;

/// Passes a plan on, but keeps what would be acted on until it is known how far the caps go.
struct Kept<'s> {
    sink: &'s mut dyn PlanSink,
    candidates: Vec<Candidate>,
    items: HashMap<ReferenceId, Item>,
}

#[async_trait]
impl PlanSink for Kept<'_> {
    async fn accept(&mut self, items: Vec<Item>) -> Result<(), StoreError> {
        let mut others = Vec::with_capacity(items.len());
        for item in items {
            match (&item.request, &item.intent) {
                (Some(request), Some(intent)) => {
                    self.candidates.push(Candidate {
                        request: request.clone(),
                        intent: intent.clone(),
                    });
                    self.items.insert(request.reference_id.clone(), item);
                }
                _ => others.push(item),
            }
        }
        self.sink.accept(others).await
    }
}

impl Gathers for Kept<'_> {
    fn gathered(&self) -> usize {
        self.candidates.len()
    }
}

impl Kept<'_> {
    /// The first `room` of them would be acted on, the oldest first; the others not, for this reason.
    async fn decide(&mut self, room: usize, instead: (SkipReason, &str)) -> Result<(), StoreError> {
        oldest_first(&mut self.candidates);
        let mut items = Vec::with_capacity(self.candidates.len());
        for (place, candidate) in self.candidates.iter().enumerate() {
            let Some(mut item) = self.items.remove(&candidate.request.reference_id) else {
                continue;
            };
            if place >= room {
                let operation = candidate.intent.operation;
                let (reason, why) = instead;
                item.decision.verdict = Verdict::Skip {
                    reason,
                    instead_of: Some(operation),
                };
                item.decision.explanation = format!("would send {operation}, but {why}");
                item.intent = None;
            }
            items.push(item);
        }
        self.sink.accept(items).await
    }
}

/// Why no more is sent by a run.
const CAPPED: &str = "the caps of the run and the hour leave no more to this run";

impl Reconciler {
    /// See the module.
    pub(in crate::reconcile) async fn plan_stuck(
        &self,
        order: &RunOrder,
        survey: &Survey<'_>,
        sink: &mut dyn PlanSink,
    ) -> Result<Tally, SurveyError> {
        let (job, org) = (&order.job, &order.org);
        let classes = classes::compile(&job.rules, org, &self.unsupported_filters);
        survey.trusted(classes::asks(&classes).into_iter()).await?;
        let lists = survey.ask_all(&classes::in_turn(&classes)).await?;
        let answers = lists.sorted();
        let mut reads = Reads::default();
        let members = survey
            .members(
                &classes,
                &job.rules,
                &answers,
                lists.moving(&answers),
                &mut reads,
            )
            .await?;
        let mut tally = Tally {
            selected: members.iter().map(|one| one.ids.len() as u64).sum(),
            ..Tally::default()
        };
        for one in &members {
            let verdict = match one.rule.action {
                Action::Flag => Verdict::Flag,
                Action::Ignore => Verdict::Ignore,
                Action::Send(_) => continue,
            };
            survey
                .tell(one.class, one.rule, &one.ids, &verdict, "", sink)
                .await?;
        }
        let mut kept = Kept {
            sink,
            candidates: Vec::new(),
            items: HashMap::new(),
        };
        let mut wanting = survey.wanting(&members, &mut kept, &mut reads).await?;
        let (room, instead) = match survey.context.writes.forbids() {
            Some(forbidden) => (0, forbidden),
            None if self
                .holds(order, None, survey, &wanting, &kept.candidates)
                .await? =>
            {
                (0, (SkipReason::GuardHeld, HELD))
            }
            None => (self.room(org).await?, (SkipReason::CapReached, CAPPED)),
        };
        survey
            .read_oldest(&mut wanting, room, &mut kept, &mut reads)
            .await?;
        kept.decide(room, instead).await?;
        let (reason, why) = instead;
        for (class, ids) in wanting.by_class() {
            let rule = &job.rules[class.rule];
            let verdict = Verdict::Skip {
                reason,
                instead_of: operation(class, rule),
            };
            survey
                .tell(class, rule, ids, &verdict, why, kept.sink)
                .await?;
        }
        tally.observed = reads.count();
        tally.failed = reads.failures();
        tally.unchanged = tally.selected.saturating_sub(tally.observed);
        Ok(tally)
    }
}

/// What the rule would send, where lists tell.
fn operation(class: &Class, rule: &Rule) -> Option<Operation> {
    let Action::Send(spec) = &rule.action else {
        return None;
    };
    compose::operation(spec.kind, class.within.persistence_type)
}

impl Survey<'_> {
    /// Decisions that follow from a list alone, with the order's number where it is known.
    async fn tell(
        &self,
        class: &Class,
        rule: &Rule,
        ids: &[&str],
        verdict: &Verdict,
        why: &str,
        sink: &mut dyn PlanSink,
    ) -> Result<(), SurveyError> {
        let said = classes::key(class, rule).evidence;
        for chunk in id_list::chunks(ids.iter().copied(), CHUNK) {
            self.check_stop()?;
            let known = self.store.observations(self.context.org, &chunk).await?;
            let mut known: HashMap<ReferenceId, Observation> = known
                .into_iter()
                .map(|seen| (seen.reference_id.clone(), seen))
                .collect();
            let told = chunk.into_iter().map(|id| (known.remove(&id), id));
            let items = told.map(|(seen, id)| Item {
                decision: Decision {
                    external_reference: seen
                        .as_ref()
                        .and_then(|seen| seen.external_reference.clone()),
                    reference_id: id,
                    status: Some(class.status.clone()),
                    rule: Some(rule.name.clone()),
                    verdict: verdict.clone(),
                    explanation: match why {
                        "" => said.clone(),
                        why => format!("{said}; nothing is sent: {why}"),
                    },
                },
                request: seen,
                sightings: vec![],
                scope: Scope::FAILED,
                attention: None,
                intent: None,
                not_before: None,
                lasts: true,
            });
            sink.accept(items.collect()).await?;
        }
        Ok(())
    }
}
