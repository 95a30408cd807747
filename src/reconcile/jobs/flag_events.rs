//! `flag_events`: the event stream of every request that changed.

use super::resolve_issues::not_read;
use crate::domain::id_list;
use crate::domain::ids::ReferenceId;
use crate::domain::{Event, FindingKind, Observation};
use crate::reconcile::events;
use crate::reconcile::plan::{self, Item, Known, Ruling, sighting};
use crate::reconcile::survey::{CHUNK, Feed, Kept, Portion, Rest, Survey, SurveyError, Tally};
use crate::rules::{Subject, first_match};
use crate::store::findings::{FindingKey, Sighting};
use crate::store::looks::Look;
use crate::tesamanager::ListFilter;

impl Survey<'_> {
    /// Every request, whatever its status: an undocumented one is only ever found here.
    pub(in crate::reconcile) async fn list_events(
        &self,
        feed: &mut Feed,
    ) -> Result<(), SurveyError> {
        let sweep = self.sweep(ListFilter::default()).await?;
        let rest = self.leave_standing(&sweep, feed).await?;
        for ids in id_list::chunks(rest.into_iter(), CHUNK) {
            self.check_stop()?;
            let chunk = self.apart(&sweep, &ids).await?;
            let tally = Tally {
                unchanged: chunk.known.len() as u64,
                ..Tally::default()
            };
            // What did not change keeps the findings that it has; but a rule, a pause or a backoff may be another.
            let items = self.judge_again(chunk.known.keys()).await?;
            let kept = chunk.known.into_values().map(|look| Kept {
                lasts: !self.marked.contains_key(&look.reference_id),
                id: look.reference_id,
                looked_at: look.looked_at,
            });
            feed.decided(Portion {
                items,
                kept: kept.collect(),
                tally,
                ..Portion::default()
            })
            .await?;
            feed.read(chunk.to_read).await?;
        }
        Ok(())
    }

    /// Judges the event streams that were just read.
    pub(in crate::reconcile) async fn judge_events(
        &self,
        fresh: Vec<Observation>,
        rests: Vec<Rest>,
        portion: &mut Portion,
    ) -> Result<(), SurveyError> {
        let beside = self
            .beside(fresh.iter().map(|request| (request, None)))
            .await?;
        for (request, rest) in fresh.into_iter().zip(rests) {
            let Rest::Events(events) = rest else {
                continue;
            };
            match events {
                Ok(events) => {
                    portion.looks.push(Look {
                        reference_id: request.reference_id.clone(),
                        looked_at: request.observed_at,
                        issues: vec![],
                        again_at: None,
                    });
                    portion
                        .items
                        .push(self.judge_stream(beside.known(&request), &events));
                }
                Err(error) => {
                    portion.tally.failed += 1;
                    portion.not_looked_at.push(request.reference_id.clone());
                    portion.items.push(not_read(&request, &error));
                }
            }
        }
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
        let keys: Vec<&FindingKey> = sightings.iter().map(|seen| &seen.key).collect();
        let (rule, ruling) = self.rule_on_stream(known, &keys);
        self.item(request, rule, ruling, sightings)
    }

    /// Decides anew on those of `ids` that have an inconsistent event, from what is remembered of them.
    async fn judge_again<'i>(
        &self,
        ids: impl Iterator<Item = &'i ReferenceId>,
    ) -> Result<Vec<Item>, SurveyError> {
        let marked: Vec<ReferenceId> = ids
            .filter(|id| self.marked.contains_key(*id))
            .cloned()
            .collect();
        if marked.is_empty() {
            return Ok(vec![]);
        }
        let requests = self.store.observations(self.context.org, &marked).await?;
        let beside = self
            .beside(requests.iter().map(|request| (request, None)))
            .await?;
        let decide = |request: &Observation| {
            let keys: Vec<&FindingKey> = self
                .marked
                .get(&request.reference_id)
                .into_iter()
                .flatten()
                .collect();
            let (rule, ruling) = self.rule_on_stream(beside.known(request), &keys);
            self.item(request, rule, ruling, vec![])
        };
        Ok(requests.iter().map(decide).collect())
    }

    /// What is to be done about a request whose stream has these findings.
    fn rule_on_stream(&self, known: Known<'_>, keys: &[&FindingKey]) -> (Option<usize>, Ruling) {
        let request = known.request;
        let marked = keys.iter().any(|key| events::is_mark(key));
        let acts = marked && request.status.is_known() && !request.status.is_final();
        let subject = Subject {
            org: self.context.org,
            request,
            issue: None,
        };
        let matched = first_match(self.context.rules, subject, self.context.now).filter(|_| acts);
        let ruling = match matched {
            Some(index) => plan::rule_on(&self.context, known, index),
            None if keys.is_empty() => Ruling::healthy("its event stream is in order"),
            None => Ruling::flag(describe(keys)),
        };
        (matched, ruling)
    }

    fn item(
        &self,
        request: &Observation,
        rule: Option<usize>,
        ruling: Ruling,
        sightings: Vec<Sighting>,
    ) -> Item {
        let rule = rule.map(|index| &self.context.rules[index]);
        Item {
            decision: plan::decision(request, rule, &ruling),
            request: Some(request.clone()),
            sightings,
            lasts: ruling.lasts(),
            intent: ruling.intent,
        }
    }
}

fn describe(keys: &[&FindingKey]) -> String {
    let shown: Vec<String> = keys
        .iter()
        .map(|key| format!("{} {}", key.kind, key.detail))
        .collect();
    shown.join("; ")
}
