//! `retry_stuck`: every request that has aged beyond one of the rules, by the upstream's lists.
//!
//! To flag needs no read: lists tell who is stuck, and the findings follow from them (`listed.rs`). To act needs one: of the
//! classes whose rule sends something, the oldest are read, as many as the caps let go. The guard judges by the classes'
//! sizes before anything is read. What is known of flagged requests beyond what lists tell (order number, exact date) is
//! read afterwards, with what is left of the read rate.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

use crate::domain::SkipReason;
use crate::domain::run::RunOutcome;
use crate::reconcile::acting::chosen;
use crate::reconcile::claims::Turn;
use crate::reconcile::guard::caps::{self, Hour};
use crate::reconcile::reads::Reads;
use crate::reconcile::recorder::{Candidate, Recorder, oldest_first};
use crate::reconcile::run_stages::HELD;
use crate::reconcile::runner::{Reconciler, RunOrder};
use crate::reconcile::select::members::Members;
use crate::reconcile::survey::{Survey, SurveyError, Tally};
use crate::reconcile::wanting::{self, Wanting};
use crate::rules::Action;
use crate::rules::classes::{self, Ask};
use crate::store::classes::StoredClass;
use crate::store::runs::{RunLease, RunSummary};

impl Reconciler {
    /// See the module.
    pub(in crate::reconcile) async fn retry_stuck(
        &self,
        order: &RunOrder,
        lease: &RunLease,
        stop: &CancellationToken,
        summary: &mut RunSummary,
    ) -> Result<RunOutcome, SurveyError> {
        let (job, org, now) = (&order.job, &order.org, self.clock.now());
        let writes = self.write_policy(&job.name, org).await?;
        let survey = self.survey(order, writes, now, Some(lease), stop);
        let classes = classes::compile(&job.rules, org, &self.unsupported_filters);
        let lists = survey.ask_all(&classes::in_turn(&classes)).await?;
        let answers = lists.sorted();
        let remembered = self.store.classes(org, &job.name).await?;
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
        let turn = Turn {
            number: lease.run_id.0.unsigned_abs(),
            jumped: jumped(&members, &remembered),
        };
        let mut recorder = self.recorder(order, lease, now);
        let contradicted = survey.check_claims(&answers, &turn, &mut reads).await?;
        recorder.compare(&HashMap::new(), contradicted).await?;
        let elders = self.elders(&job.name);
        let recording = survey.record_members(lease, &elders, &members, &remembered);
        let acting = self.act_on_classes(order, lease, &survey, &members, &mut recorder, summary);
        // To its end, both: a write under way is never dropped because recording failed.
        let (recorded, acted) = tokio::join!(recording, acting);
        reads.absorb(recorded?);
        reads.absorb(acted?);
        recorder.write_attention().await?;
        survey
            .fill_details(
                lease,
                &members,
                &turn.jumped,
                order.trigger,
                &mut recorder,
                &mut reads,
            )
            .await?;
        let contradicted = survey
            .confirm(std::mem::take(&mut reads.suspicions))
            .await?;
        recorder.compare(&HashMap::new(), contradicted).await?;
        let selected = members.iter().map(|one| one.ids.len() as u64).sum();
        let tally = Tally {
            selected,
            observed: reads.count(),
            unchanged: selected.saturating_sub(reads.count()),
            failed: reads.failures(),
            not_found: reads.unknown(),
        };
        self.note(order, tally, summary);
        survey.trusted(answers.keys().copied()).await?;
        Ok(self.outcome(&recorder, stop, summary))
    }

    /// Acts on those of the classes that want a write, as far as guard and caps let them.
    async fn act_on_classes(
        &self,
        order: &RunOrder,
        lease: &RunLease,
        survey: &Survey<'_>,
        members: &[Members<'_>],
        recorder: &mut Recorder<'_>,
        summary: &mut RunSummary,
    ) -> Result<Reads, SurveyError> {
        let mut reads = Reads::default();
        count_what_is_told(members, recorder);
        let mut wanting = survey.wanting(members, recorder, &mut reads).await?;
        let number = wanting.number() + recorder.candidates.len() as u64;
        summary.to_act = number;
        if number == 0 {
            return Ok(reads);
        }
        if let Some((reason, _)) = survey.context.writes.forbids() {
            recorder.count_verdict(reason.as_str(), wanting.number());
            return Ok(reads);
        }
        if !self.in_force.has_ended()
            && self
                .holds(order, Some(lease), survey, &wanting, &recorder.candidates)
                .await?
        {
            HELD.clone_into(&mut summary.trouble);
            let candidates = std::mem::take(&mut recorder.candidates);
            self.leave_all(
                &order.job,
                recorder,
                candidates,
                SkipReason::GuardHeld,
                HELD,
            )
            .await?;
            recorder.count_verdict(SkipReason::GuardHeld.as_str(), wanting.number());
            return Ok(reads);
        }
        let room = self.room(&order.org).await?;
        survey
            .read_oldest(&mut wanting, room, recorder, &mut reads)
            .await?;
        let mut candidates = std::mem::take(&mut recorder.candidates);
        oldest_first(&mut candidates);
        let run = self.guarded(&order.job.name, &order.org, lease);
        let ended = self
            .act(order, &run, candidates, recorder, survey.stop, summary)
            .await?;
        // What was not even read is left for the same reason as the rest: at last because the caps are what bounds a run.
        let reason = ended.unwrap_or(SkipReason::CapReached);
        recorder.count_verdict(reason.as_str(), wanting.number());
        Ok(reads)
    }

    /// The guard's look at the classes' sizes: without what was due when a person last let it go.
    pub(super) async fn holds(
        &self,
        order: &RunOrder,
        lease: Option<&RunLease>,
        survey: &Survey<'_>,
        wanting: &Wanting<'_>,
        candidates: &[Candidate],
    ) -> Result<bool, SurveyError> {
        let (job, org) = (&order.job, &order.org);
        let number = wanting.number() + candidates.len() as u64;
        if self.hold_limits().count_is_harmless(number) {
            return Ok(false);
        }
        let released = self.store.last_release(&job.name, org).await?;
        let new = survey.due_after(wanting, released).await?;
        let known = wanting::due_after(job, candidates, released);
        let who = || {
            let read = candidates.iter().map(|one| chosen(org, one));
            read.chain(wanting.chosen(org)).collect()
        };
        self.judge_number(job, org, lease, new + known, released, who)
            .await
    }

    /// How many writes the caps leave to a run just now.
    pub(in crate::reconcile) async fn room(
        &self,
        org: &crate::domain::ids::Org,
    ) -> Result<usize, SurveyError> {
        let left = self.hour(org).await?.left;
        Ok(left.min(self.safety.max_writes_per_run as usize))
    }

    /// What the hour's cap leaves.
    pub(super) async fn hour(&self, org: &crate::domain::ids::Org) -> Result<Hour, SurveyError> {
        let now = self.clock.now();
        let sent = self.store.attempts_since(org, caps::begin(now)).await?;
        Ok(caps::hour(&sent, self.safety.max_writes_per_hour, now))
    }
}

/// Verdicts that follow from lists alone.
fn count_what_is_told(members: &[Members<'_>], recorder: &mut Recorder<'_>) {
    for one in members {
        let label = match one.rule.action {
            Action::Flag => "flag",
            Action::Ignore => "ignore",
            Action::Send(_) => continue,
        };
        recorder.count_verdict(label, one.ids.len() as u64);
    }
}

/// The lists of classes that name far more than they did, or far fewer; new ones too.
fn jumped(members: &[Members<'_>], remembered: &[StoredClass]) -> Vec<Ask> {
    const FEW: u64 = 20;
    let jumped = members.iter().filter(|one| {
        let now = one.ids.len() as u64;
        let before = remembered.iter().find(|class| class.key == one.key);
        let before = before.map_or(0, |class| class.size);
        now.abs_diff(before) > FEW.max(before / 2)
    });
    jumped.map(|one| one.class.within.clone()).collect()
}
