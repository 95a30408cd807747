//! `retry_stuck`: every request that has aged beyond one of the rules.

use std::collections::HashSet;

use crate::domain::Observation;
use crate::domain::id_list::{self, IdList, IdSet};
use crate::domain::ids::ReferenceId;
use crate::reconcile::lasting::Stand;
use crate::reconcile::plan::{Item, Known};
use crate::reconcile::selection::{Selection, selections};
use crate::reconcile::stuck;
use crate::reconcile::survey::{CHUNK, Feed, Portion, Survey, SurveyError, Tally};

impl Survey<'_> {
    /// The list is taken to its end before anything is read: reading a long one takes longer than a server keeps a
    /// slow answer open.
    pub(in crate::reconcile) async fn list_stuck(
        &self,
        feed: &mut Feed,
    ) -> Result<(), SurveyError> {
        let all = selections(self.context.rules, self.context.org);
        let mut seen = IdSet::default();
        for selection in &all {
            let filter = selection.filter(self.context.now);
            let mut listed = IdList::default();
            self.list(&filter, |batch| listed.push(batch)).await?;
            let mut new = listed.sorted();
            // A single list has each id once as it is.
            if all.len() > 1 {
                new.retain(|id| seen.insert(id));
            }
            feed.selected(new.len())?;
            if let Some(lasting) = self.lasting {
                let (now, margin) = (self.context.now, self.clock_margin());
                let unchanged = |_: &str, stand: Stand| {
                    stand.holds(now)
                        && stand.status().is_some_and(|status| {
                            selection.rules_out_change(stand.observed_at(), status, margin, now)
                        })
                };
                let (standing, rest) = lasting.split(new.into_iter(), unchanged);
                feed.standing(standing).await?;
                new = rest;
            }
            for ids in id_list::chunks(new.into_iter(), CHUNK) {
                self.tell_apart_stuck(&all, selection, &ids, feed).await?;
            }
        }
        Ok(())
    }

    /// Decides on what did not change since it was observed, and passes on the rest.
    async fn tell_apart_stuck(
        &self,
        all: &[Selection],
        listed_by: &Selection,
        ids: &[ReferenceId],
        feed: &mut Feed,
    ) -> Result<(), SurveyError> {
        self.check_stop()?;
        // After the list: its answer has told how far the clocks are apart, if nothing has before.
        let margin = self.clock_margin();
        let mut unchanged = self.store.observations(self.context.org, ids).await?;
        unchanged.retain(|request| {
            let (reobserve, now) = (self.job.reobserve_every, self.context.now);
            listed_by.proves_unchanged(request, reobserve, margin, now)
        });
        let known: HashSet<&ReferenceId> = unchanged
            .iter()
            .map(|request| &request.reference_id)
            .collect();
        let to_read = ids
            .iter()
            .filter(|id| !known.contains(id))
            .cloned()
            .collect();
        let tally = Tally {
            unchanged: unchanged.len() as u64,
            ..Tally::default()
        };
        feed.decided(Portion {
            items: self.decide_stuck(all, &unchanged).await?,
            tally,
            ..Portion::default()
        })
        .await?;
        feed.read(to_read).await
    }

    /// Decides on requests that were just read.
    pub(in crate::reconcile) async fn judge_stuck(
        &self,
        fresh: Vec<Observation>,
        portion: &mut Portion,
    ) -> Result<(), SurveyError> {
        let all = selections(self.context.rules, self.context.org);
        portion.items.extend(self.decide_stuck(&all, &fresh).await?);
        Ok(())
    }

    async fn decide_stuck(
        &self,
        all: &[Selection],
        requests: &[Observation],
    ) -> Result<Vec<Item>, SurveyError> {
        let seen = requests.iter().map(|request| (request, None));
        let beside = self.beside(seen).await?;
        let decide = |request| stuck::decide(&self.context, all, beside.known(request));
        Ok(requests.iter().map(decide).collect())
    }

    /// The decision about one request, as if it had been listed.
    pub(in crate::reconcile) fn decide_one_stuck(&self, known: Known<'_>) -> Item {
        let all = selections(self.context.rules, self.context.org);
        stuck::decide(&self.context, &all, known)
    }
}
