//! One pass of a run, from what it is about to how it ended.
//!
//! `retry_stuck` goes by lists (`jobs/retry_stuck.rs`), `resolve_issues` and `flag_events` by what changed (below). Both end
//! the same way: the guard's look at all that want a write, acting on what is left, and a summary whose words say why it
//! is not a success.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::guard::RELOADED;
use super::recorder::{Recorder, oldest_first};
use super::runner::{Reconciler, RunOrder};
use super::survey::{SurveyError, Tally};
use crate::config::JobKind;
use crate::domain::{RunOutcome, SkipReason};
use crate::store::findings::FindingChanges;
use crate::store::runs::{RunLease, RunSummary};
use crate::telemetry::record;

impl Reconciler {
    /// Does it all once.
    pub(super) async fn reconcile(
        &self,
        order: &RunOrder,
        lease: &RunLease,
        stop: &CancellationToken,
        summary: &mut RunSummary,
    ) -> Result<RunOutcome, SurveyError> {
        match order.job.kind {
            JobKind::Housekeeping => self.keep_house(lease, stop, summary).await,
            JobKind::RetryStuck => self.retry_stuck(order, lease, stop, summary).await,
            JobKind::ResolveIssues | JobKind::FlagEvents => {
                self.follow_change(order, lease, stop, summary).await
            }
        }
    }

    /// Looks at what changed, and acts.
    async fn follow_change(
        &self,
        order: &RunOrder,
        lease: &RunLease,
        stop: &CancellationToken,
        summary: &mut RunSummary,
    ) -> Result<RunOutcome, SurveyError> {
        let (job, org) = (&order.job, &order.org);
        let now = self.clock.now();
        let writes = self.write_policy(&job.name, org).await?;
        let mut recorder = self.recorder(order, lease, now);
        let survey = self.survey(order, writes, now, Some(lease), stop);
        let looked = survey.look(&mut recorder).await;
        let tally = match looked {
            Ok(tally) => tally,
            // What was read until then was decided on, and counts.
            Err(error) => {
                summary.flagged = recorder.count("flag");
                return Err(error);
            }
        };
        self.note(order, tally, summary);
        let mut candidates = std::mem::take(&mut recorder.candidates);
        summary.to_act = candidates.len() as u64;
        oldest_first(&mut candidates);
        // What is over latches nothing.
        if !self.in_force.has_ended() && self.judge_as_a_whole(job, org, lease, &candidates).await?
        {
            self.leave_all(job, &mut recorder, candidates, SkipReason::GuardHeld, HELD)
                .await?;
        } else {
            let run = self.guarded(&job.name, org, lease);
            self.act(order, &run, candidates, &mut recorder, stop, summary)
                .await?;
        }
        Ok(self.outcome(&recorder, stop, summary))
    }

    /// A run's recorder.
    pub(super) fn recorder<'a>(
        &'a self,
        order: &'a RunOrder,
        lease: &'a RunLease,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Recorder<'a> {
        Recorder {
            store: &*self.store,
            org: &order.org,
            job: &order.job,
            elders: self.elders(&order.job.name),
            lease,
            now,
            candidates: Vec::new(),
            attention: FindingChanges::default(),
            verdicts: BTreeMap::new(),
        }
    }

    /// How the run ended, with its numbers, and in words where it is no success.
    pub(super) fn outcome(
        &self,
        recorder: &Recorder<'_>,
        stop: &CancellationToken,
        summary: &mut RunSummary,
    ) -> RunOutcome {
        let count = |reason: SkipReason| recorder.count(reason.as_str());
        summary.flagged = recorder.count("flag");
        summary.skipped = SkipReason::ALL.iter().map(|reason| count(*reason)).sum();
        summary.capped = count(SkipReason::CapReached);
        // By this run's own judgement, or by a latch that was there before it (or came while it ran).
        let held = count(SkipReason::GuardHeld);
        let reloaded = count(SkipReason::ConfigurationChanged);
        let paused = count(SkipReason::Paused);
        let outcome = if held > 0 {
            RunOutcome::Held
        } else if stop.is_cancelled() || reloaded > 0 {
            RunOutcome::Aborted
        } else if summary.failed > 0 {
            RunOutcome::Partial
        } else {
            RunOutcome::Succeeded
        };
        let words = match outcome {
            RunOutcome::Held => format!("the guard holds {held} writes until it is released"),
            RunOutcome::Aborted if reloaded > 0 => RELOADED.to_owned(),
            RunOutcome::Aborted => "stopped before it was done".to_owned(),
            RunOutcome::Partial => format!(
                "{} requests could not be looked at or written to: see their decisions and findings",
                summary.failed
            ),
            _ if paused > 0 => format!("{paused} writes are withheld: paused"),
            _ => String::new(),
        };
        if summary.trouble.is_empty() {
            summary.trouble = words;
        }
        outcome
    }

    pub(super) fn note(&self, order: &RunOrder, tally: Tally, summary: &mut RunSummary) {
        summary.selected += tally.selected;
        summary.observed += tally.observed;
        summary.unchanged += tally.unchanged;
        summary.failed += tally.failed;
        // A storm of 404s answers nothing, so it is no good news.
        if tally.observed == 0 && tally.not_found > 1 {
            summary.failed += tally.not_found;
            "every listed request that was read answers 404".clone_into(&mut summary.trouble);
        }
        record::requests_observed(&order.job.name, &order.org, tally.observed);
        record::requests_unchanged(&order.job.name, &order.org, tally.unchanged);
    }
}

/// Why nothing is sent for any of them.
pub(super) const HELD: &str =
    "too many requests want a write at once: the guard holds until it is released";
