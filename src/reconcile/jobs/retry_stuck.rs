//! `retry_stuck`: every request that has aged beyond one of the rules.

use std::collections::HashSet;

use futures::StreamExt;

use crate::domain::ids::ReferenceId;
use crate::domain::{FindingKind, IdSet, Observation};
use crate::reconcile::plan::{Item, Known, sighting};
use crate::reconcile::selection::{Selection, selections};
use crate::reconcile::stuck;
use crate::reconcile::survey::{CHUNK, PlanSink, Survey, SurveyError, Tally};

impl Survey<'_> {
    /// `retry_stuck`: every request that has aged beyond one of the rules.
    pub(in crate::reconcile) async fn stuck_requests(
        &self,
        sink: &mut dyn PlanSink,
    ) -> Result<Tally, SurveyError> {
        let all = selections(self.context.rules, self.context.org);
        let mut tally = Tally::default();
        let mut known = IdSet::default();
        for selection in &all {
            let filter = selection.filter(self.context.now);
            let mut ids = self
                .api
                .list_reference_ids(self.context.org, &filter)
                .await?;
            let mut pending = Vec::with_capacity(CHUNK);
            while let Some(batch) = ids.next().await {
                for id in batch?.iter() {
                    if known.insert(id) {
                        tally.selected += 1;
                        pending.push(ReferenceId::new(id));
                    }
                    if pending.len() == CHUNK {
                        let chunk = std::mem::take(&mut pending);
                        self.decide_stuck(&all, selection, chunk, &mut tally, sink)
                            .await?;
                    }
                }
            }
            self.decide_stuck(&all, selection, pending, &mut tally, sink)
                .await?;
        }
        Ok(tally)
    }

    async fn decide_stuck(
        &self,
        all: &[Selection],
        listed_by: &Selection,
        ids: Vec<ReferenceId>,
        tally: &mut Tally,
        sink: &mut dyn PlanSink,
    ) -> Result<(), SurveyError> {
        if ids.is_empty() {
            return Ok(());
        }
        if self.stop.is_cancelled() {
            return Err(SurveyError::Stopped);
        }
        let remembered = self.store.observations(self.context.org, &ids).await?;
        let mut requests: Vec<Observation> = remembered
            .into_iter()
            .filter(|request| {
                listed_by.proves_unchanged(request, self.job.reobserve_every, self.context.now)
            })
            .collect();
        let still_true: HashSet<ReferenceId> = requests
            .iter()
            .map(|request| request.reference_id.clone())
            .collect();
        tally.unchanged += still_true.len() as u64;
        let to_read = ids
            .into_iter()
            .filter(|id| !still_true.contains(id))
            .collect();
        let mut items = self.observe(to_read, &mut requests, tally).await?;

        let attempts = self.attempts_by_order(&requests).await?;
        for request in &requests {
            let known = Known {
                acknowledged: self.is_acknowledged(request),
                ..self.known(request, &attempts)
            };
            items.push(stuck::decide(&self.context, all, known));
        }
        sink.accept(items).await?;
        Ok(())
    }

    /// The decision about one request, as if it had been listed.
    pub(in crate::reconcile) fn decide_one_stuck(&self, known: Known<'_>) -> Item {
        let acknowledged = self.is_acknowledged(known.request);
        let all = selections(self.context.rules, self.context.org);
        stuck::decide(
            &self.context,
            &all,
            Known {
                acknowledged,
                ..known
            },
        )
    }

    fn is_acknowledged(&self, request: &Observation) -> bool {
        if self.acknowledged.is_empty() {
            return false;
        }
        let detail = stuck::detail(request);
        let key = sighting(request, FindingKind::StuckRequest, detail, "").key;
        self.acknowledged.contains(&key)
    }
}
