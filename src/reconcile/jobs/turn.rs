//! Whether a write that was decided on goes with the next run, for `explain`: by the lists, guard and caps of a run. Writes
//! nothing anywhere.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::config::JobKind;
use crate::domain::{Decision, Observation};
use crate::reconcile::guard::caps::Hour;
use crate::reconcile::plan::Item;
use crate::reconcile::reads::Reads;
use crate::reconcile::recorder::{Candidate, by_age, oldest_first};
use crate::reconcile::runner::{Reconciler, RunOrder};
use crate::reconcile::select::algebra;
use crate::reconcile::survey::{PlanSink, Survey, SurveyError};
use crate::reconcile::wanting::Gathers;
use crate::rules::classes::{self, Ask};
use crate::store::StoreError;

/// What a job would do about one request now.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreseen {
    /// The decision about it.
    pub decision: Decision,
    /// Until when a pause after an attempt puts it off.
    pub not_before: Option<DateTime<Utc>>,
    /// Of a decision to act: what becomes of it.
    pub turn: Option<Turn>,
}

/// What becomes of a decision to act in the job's next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is sent.
    Sent,
    /// It is sent, unless guard or caps stop what the run finds before it: that is seen by reading.
    SentUnlessStopped,
    /// The upstream's lists don't name the request: no run comes upon it.
    Unlisted,
    /// The guard will hold the run.
    Held,
    /// So many older ones come first, and the caps leave so many writes to the run.
    Waits {
        /// Who come before it.
        older: usize,
        /// What the run may send.
        room: usize,
    },
    /// The hour's cap leaves none before this instant; none where a cap is 0.
    NoRoom {
        /// From when on.
        from: Option<DateTime<Utc>>,
    },
}

/// Keeps what would be acted on, and nothing else.
#[derive(Default)]
struct Candidates(Vec<Candidate>);

#[async_trait]
impl PlanSink for Candidates {
    async fn accept(&mut self, items: Vec<Item>) -> Result<(), StoreError> {
        let acted_on = items
            .into_iter()
            .filter_map(|item| item.request.zip(item.intent));
        self.0
            .extend(acted_on.map(|(request, intent)| Candidate { request, intent }));
        Ok(())
    }
}

impl Gathers for Candidates {
    fn gathered(&self) -> usize {
        self.0.len()
    }
}

impl Reconciler {
    /// What a job would do about one request now; none for a job that is not about requests.
    pub async fn foresee(
        &self,
        order: &RunOrder,
        request: &Observation,
    ) -> Result<Option<Foreseen>, SurveyError> {
        let (now, stop) = (self.clock.now(), CancellationToken::new());
        let writes = self.write_policy(&order.job.name, &order.org).await?;
        let survey = self.survey(order, writes, now, None, &stop);
        let Some(item) = survey.consider(request).await? else {
            return Ok(None);
        };
        let turn = match item.intent {
            Some(_) => Some(self.turn(order, &survey, request).await?),
            None => None,
        };
        Ok(Some(Foreseen {
            decision: item.decision,
            not_before: item.not_before,
            turn,
        }))
    }

    /// What becomes of a decision to act on this request.
    async fn turn(
        &self,
        order: &RunOrder,
        survey: &Survey<'_>,
        request: &Observation,
    ) -> Result<Turn, SurveyError> {
        let Hour { left, room_from } = self.hour(&order.org).await?;
        let room = left.min(self.safety.max_writes_per_run as usize);
        if room == 0 {
            return Ok(Turn::NoRoom { from: room_from });
        }
        if order.job.kind != JobKind::RetryStuck {
            return Ok(Turn::SentUnlessStopped);
        }
        let classes = classes::compile(&order.job.rules, &order.org, &self.unsupported_filters);
        survey.trusted(classes::asks(&classes).into_iter()).await?;
        let lists = survey.ask_all(&classes::in_turn(&classes)).await?;
        let (answers, mut reads) = (lists.sorted(), Reads::default());
        let rules = &order.job.rules;
        let members = survey
            .members(
                &classes,
                rules,
                &answers,
                lists.moving(&answers),
                &mut reads,
            )
            .await?;
        let id = request.reference_id.as_str();
        if !members.iter().any(|one| algebra::contains(&one.ids, id)) {
            return Ok(Turn::Unlisted);
        }
        let mut known = Candidates::default();
        let wanting = survey.wanting(&members, &mut known, &mut reads).await?;
        if self.holds(order, None, survey, &wanting, &known.0).await? {
            return Ok(Turn::Held);
        }
        oldest_first(&mut known.0);
        let mut older = known
            .0
            .iter()
            .take_while(|one| by_age(&one.request, request).is_lt())
            .count();
        // Those that nobody has read: whose list says that they did not change since this one did.
        let unchanged_for = request
            .last_updated
            .and_then(|at| (survey.context.now - at).to_std().ok());
        for (class, ids) in wanting.by_class() {
            let Some(unchanged_for) = unchanged_for else {
                continue;
            };
            let before = Ask {
                age: Some(unchanged_for.max(class.within.age.unwrap_or_default())),
                ..class.within.clone()
            };
            let before = survey.ask(&before, self.max_list_ids).await?;
            let before = algebra::both(ids, &before.sorted());
            older += before.iter().filter(|other| **other != id).count();
        }
        Ok(match older < room {
            true => Turn::Sent,
            false => Turn::Waits { older, room },
        })
    }
}
