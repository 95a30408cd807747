//! `flag_events`: the event stream of every request that changed.

use std::collections::{HashMap, HashSet};

use super::resolve_issues::not_read;
use crate::domain::ids::ReferenceId;
use crate::domain::{Event, Filter, FindingKind, IdList, Observation, Status};
use crate::reconcile::claims::gone::By;
use crate::reconcile::events;
use crate::reconcile::findings::Scope;
use crate::reconcile::plan::{self, Item, Known, Ruling, sighting};
use crate::reconcile::select::algebra;
use crate::reconcile::survey::{Again, Feed, Portion, Rest, Survey, SurveyError};
use crate::rules::{Subject, first_match};
use crate::store::findings::{FindingKey, Live, Sighting};
use crate::store::looks::Look;
use crate::tesamanager::ListFilter;

/// Statuses after which nothing more happens.
const FINAL: [Status; 3] = [Status::Rejected, Status::Canceled, Status::Finished];

impl Survey<'_> {
    /// Every request, whatever its status: an undocumented one is only ever found here.
    pub(in crate::reconcile) async fn list_events(
        &self,
        feed: &mut Feed,
    ) -> Result<(), SurveyError> {
        let in_statuses = |statuses: Vec<Status>| ListFilter {
            statuses: Some(statuses),
            ..ListFilter::default()
        };
        let (mut finals, mut open) = (IdList::default(), IdList::default());
        // Where lists don't tell statuses, every request is read as a whole.
        if !self.unsupported.contains(&Filter::Statuses) {
            let (ended, going_on) = (
                in_statuses(FINAL.to_vec()),
                in_statuses(Status::open().collect()),
            );
            self.list(&ended, |batch| finals.push(batch)).await?;
            self.list(&going_on, |batch| open.push(batch)).await?;
        }
        let (finals, open) = (finals.sorted(), open.sorted());
        let mut sweep = self.sweep(ListFilter::default(), &finals).await?;
        feed.selected(sweep.selected())?;
        feed.unchanged(sweep.unchanged()).await?;
        feed.checked(std::mem::take(&mut sweep.checked)).await?;
        let mut after = None;
        loop {
            let due = self.due(&sweep, after.as_ref()).await?;
            let Some(last) = due.last() else { break };
            after = Some(last.reference_id.clone());
            let due: Vec<Look> = due.into_iter().filter(|look| sweep.stands(look)).collect();
            let (items, again) = self.judge_again(&due).await?;
            let decided: HashSet<&ReferenceId> = items
                .iter()
                .map(|item| &item.decision.reference_id)
                .collect();
            let ids = due.iter().map(|look| &look.reference_id);
            let in_order = ids.filter(|id| !decided.contains(id)).cloned().collect();
            feed.decided(Portion {
                healthy: self.told_anew(in_order),
                items,
                again,
                ..Portion::default()
            })
            .await?;
        }
        // Of one in a documented status that has not ended, its events tell all; of the others only the request does.
        let whole = |id: &ReferenceId| !algebra::contains(&open, id.as_str());
        feed.read(self.to_read(sweep.to_read.clone(), whole).await?)
            .await?;
        let reads = self.settle_departed(&sweep, &By::Everything).await?;
        feed.read_beside(&reads).await
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
                    let item = self.judge_stream(beside.known(&request), &events);
                    portion.looks.push(Look {
                        reference_id: request.reference_id.clone(),
                        looked_at: request.observed_at,
                        issues: vec![],
                        again_at: self.again(&item),
                    });
                    portion.items.push(item);
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

    /// Decides anew on what was looked at before, from what is remembered of it.
    async fn judge_again(&self, due: &[Look]) -> Result<(Vec<Item>, Again), SurveyError> {
        let ids: Vec<ReferenceId> = due.iter().map(|look| look.reference_id.clone()).collect();
        let (org, job) = (self.context.org, &self.job.name);
        let requests = self.store.observations(org, &ids).await?;
        let mut marks: HashMap<ReferenceId, Vec<FindingKey>> = HashMap::new();
        for live in self
            .store
            .live_findings(org, job, Live::About(&ids))
            .await?
        {
            marks
                .entry(live.key.reference_id.clone())
                .or_default()
                .push(live.key);
        }
        let beside = self
            .beside(requests.iter().map(|request| (request, None)))
            .await?;
        let (mut items, mut again) = (Vec::new(), Vec::new());
        // Nothing was wrong with one of which only its events were read.
        let unread = ids
            .iter()
            .filter(|id| !requests.iter().any(|seen| seen.reference_id == **id));
        again.extend(unread.map(|id| (id.clone(), None)));
        for request in &requests {
            let keys: Vec<&FindingKey> = marks
                .get(&request.reference_id)
                .into_iter()
                .flatten()
                .collect();
            let (rule, ruling) = self.rule_on_stream(beside.known(request), &keys);
            // Its findings stand as they are: nothing was read.
            let item = Item {
                scope: Scope::FAILED,
                attention: keys
                    .iter()
                    .find(|key| events::is_mark(key))
                    .map(|key| ((*key).clone(), ruling.attention)),
                ..self.item(request, rule, ruling, vec![])
            };
            again.push((request.reference_id.clone(), self.again(&item)));
            items.push(item);
        }
        Ok((items, again))
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
            scope: Scope::at(&request.status),
            attention: None,
            lasts: ruling.lasts(),
            not_before: ruling.not_before,
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
