//! `flag_events`: the event stream of every request that changed.

use futures::StreamExt;
use futures::stream;

use super::resolve_issues::not_read;
use super::sweep::Sweep;
use crate::domain::ids::ReferenceId;
use crate::domain::{Event, FindingKind};
use crate::reconcile::events;
use crate::reconcile::plan::{self, Item, Known, Ruling, sighting};
use crate::reconcile::rules::{Subject, first_match};
use crate::reconcile::survey::{CHUNK, PlanSink, Survey, SurveyError, Tally};
use crate::store::findings::Sighting;
use crate::store::looks::Look;
use crate::tesamanager::ListFilter;

impl Survey<'_> {
    /// Looks at every request, whatever its status: an undocumented one is only ever found here.
    pub(in crate::reconcile) async fn event_streams(
        &self,
        sink: &mut dyn PlanSink,
    ) -> Result<Tally, SurveyError> {
        let mut tally = Tally::default();
        let sweep = self.sweep(ListFilter::default()).await?;
        tally.selected = sweep.all.len() as u64;
        for ids in sweep.all.chunks(CHUNK) {
            self.decide_events(&sweep, &ids, &mut tally, sink).await?;
        }
        Ok(tally)
    }

    async fn decide_events(
        &self,
        sweep: &Sweep,
        ids: &[ReferenceId],
        tally: &mut Tally,
        sink: &mut dyn PlanSink,
    ) -> Result<(), SurveyError> {
        if self.stop.is_cancelled() {
            return Err(SurveyError::Stopped);
        }
        let chunk = self.apart(sweep, ids).await?;
        tally.unchanged += chunk.known.len() as u64;
        // What did not change keeps the findings that it has.
        let known: Vec<ReferenceId> = chunk.known.into_keys().collect();
        sink.unchanged(&known);

        let mut fresh = Vec::new();
        let mut items = self.observe(chunk.to_read, &mut fresh, tally).await?;
        let attempts = self.attempts_by_order(&fresh).await?;
        let mut looks = Vec::with_capacity(fresh.len());
        let mut reads = stream::iter(fresh)
            .map(|request| async {
                let id = request.reference_id.clone();
                let events = self.api.get_request_events(self.context.org, &id).await;
                (request, events)
            })
            .buffer_unordered(self.max_in_flight.max(1));
        while let Some((request, events)) = reads.next().await {
            match events {
                Ok(events) => {
                    looks.push(Look {
                        reference_id: request.reference_id.clone(),
                        looked_at: request.observed_at,
                        issues: vec![],
                    });
                    items.push(self.judge_stream(self.known(&request, &attempts), &events));
                }
                Err(error) if error.ends_the_run() => return Err(error.into()),
                Err(error) => {
                    tally.failed += 1;
                    items.push(not_read(&request, &error));
                }
            }
        }
        self.remember_looks(looks, &items).await?;
        sink.accept(items).await?;
        Ok(())
    }

    /// What is wrong with a stream is flagged; a rule may name a follow-up for an event that the upstream itself
    /// calls inconsistent.
    pub(in crate::reconcile) fn judge_stream(&self, known: Known<'_>, events: &[Event]) -> Item {
        let request = known.request;
        let mut sightings = events::check(request, events, &self.job.event_checks);
        if !request.status.is_known() {
            let why = "a status outside the documented list";
            let status = request.status.as_str();
            sightings.push(sighting(request, FindingKind::UnknownStatus, status, why));
        }
        let marks: Vec<&Sighting> = sightings
            .iter()
            .filter(|seen| seen.key.kind == FindingKind::InconsistentEvent)
            .filter(|seen| seen.key.detail != events::MIXED)
            .collect();
        let known = Known {
            acknowledged: marks
                .iter()
                .all(|seen| self.acknowledged.contains(&seen.key)),
            ..known
        };
        let subject = Subject {
            org: self.context.org,
            request,
            issue: None,
        };
        let acts = !marks.is_empty() && request.status.is_known() && !request.status.is_final();
        let matched = first_match(self.context.rules, subject, self.context.now).filter(|_| acts);
        let ruling = match matched {
            Some(index) => plan::rule_on(&self.context, known, index),
            None if sightings.is_empty() => Ruling::healthy("its event stream is in order"),
            None => Ruling::flag(describe(&sightings)),
        };
        Item {
            decision: plan::decision(
                request,
                matched.map(|index| &self.context.rules[index]),
                &ruling,
            ),
            request: Some(request.clone()),
            sightings,
            intent: ruling.intent,
        }
    }
}

fn describe(sightings: &[Sighting]) -> String {
    let shown: Vec<String> = sightings
        .iter()
        .map(|seen| format!("{} {}", seen.key.kind, seen.key.detail))
        .collect();
    shown.join("; ")
}
