//! The guard: the only way to a write.
//!
//! [`Guard::authorise`] commits the attempt to the ledger and only then mints the [`WritePermit`] that the
//! upstream's one write method takes. That the run's configuration is still in force (and with it the
//! mode), pause, latch, acknowledgement, caps, lease, "no other open attempt", and once more all that the ledger says of the order, are
//! checked in the very transaction that commits the attempt, because only there they hold over all jobs and replicas.
//! What can't be committed is not sent.

pub mod caps;
pub mod circuit;
pub mod hold;
mod in_flight;
mod in_force;
mod permit;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::retry_verdict::{Errand, RetryPolicy, retry_verdict};
use crate::clock::SharedClock;
use crate::domain::ids::{JobName, Org, ReplicaId, RuleName};
use crate::domain::run::Mode;
use crate::domain::{Issue, SkipReason, Version, Write};
use crate::store::attempts::{IntentLimits, IntentRefused, NewAttempt};
use crate::store::orders::Recheck;
use crate::store::runs::RunLease;
use crate::store::{Store, StoreError};

pub use in_flight::{InFlight, InFlightMark};
pub use in_force::InForce;
pub use permit::{GOOD_FOR, WritePermit};

use permit::Terms;

/// Why nothing is sent by a configuration that another one has replaced.
pub const RELOADED: &str =
    "the configuration was reloaded after the run began: the next one acts by what it says now";

/// What may be written in a run at all.
#[derive(Debug, Clone)]
pub struct GuardedRun {
    /// The lease under which it is written.
    pub lease: RunLease,
    /// The job.
    pub job_name: JobName,
    /// The tenant.
    pub org: Org,
    /// Observe or enforce.
    pub mode: Mode,
    /// Caps.
    pub limits: IntentLimits,
    /// Attempts and pauses.
    pub retry: RetryPolicy,
}

/// A write that somebody would like to send.
#[derive(Debug)]
pub struct Proposal {
    /// The request that was looked at.
    pub reference_id: crate::domain::ReferenceId,
    /// Its version as read just now.
    pub before: Version,
    /// The rule that wants it.
    pub rule: RuleName,
    /// The issue it is meant to solve, as read just now.
    pub issue: Option<Issue>,
    /// Since when the request has been stuck.
    pub due_since: Option<DateTime<Utc>>,
    /// The write.
    pub write: Write,
}

/// Leave to write: the permit, and the mark that its sender is at work. Dropping the mark without having recorded
/// an outcome makes the attempt `unknown` at the next sweep.
#[derive(Debug)]
pub struct Authorised {
    /// What the upstream's write takes.
    pub permit: WritePermit,
    /// Held until the outcome is recorded.
    pub mark: InFlightMark,
    /// What the ledger's row says.
    pub intended_at: DateTime<Utc>,
}

/// Why a write was not authorised. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A check said no.
    #[error("{reason}: {explanation}")]
    Check {
        /// Which.
        reason: SkipReason,
        /// In words.
        explanation: String,
    },
    /// The ledger row could not be committed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Mints permits.
pub struct Guard {
    store: Arc<dyn Store>,
    clock: SharedClock,
    replica: ReplicaId,
    in_flight: InFlight,
    in_force: InForce,
}

impl Guard {
    /// The guard of this process, for as long as a configuration is `in_force`. `in_flight` is shared with the sweep
    /// that settles forgotten attempts.
    pub fn new(
        store: Arc<dyn Store>,
        clock: SharedClock,
        replica: ReplicaId,
        in_flight: InFlight,
        in_force: InForce,
    ) -> Self {
        Self {
            store,
            clock,
            replica,
            in_flight,
            in_force,
        }
    }

    /// Commits the attempt and mints the permit, or says why not.
    ///
    /// Not cancel safe in one direction only: dropped midway, the row may be committed without a write having been
    /// sent. The sweep then makes it `unknown`, and reading settles it. The other way round, a write without a
    /// row, can't happen.
    pub async fn authorise(
        &self,
        run: &GuardedRun,
        proposal: Proposal,
    ) -> Result<Authorised, Refused> {
        if self.in_force.has_ended() {
            return Err(Refused::Check {
                reason: SkipReason::ConfigurationChanged,
                explanation: RELOADED.to_owned(),
            });
        }
        if run.mode != Mode::Enforce {
            return Err(Refused::Check {
                reason: SkipReason::ObserveMode,
                explanation: "the mode is observe, so nothing is sent".to_owned(),
            });
        }
        let correlation_id = self.clock.uuid();
        let recheck = self.recheck(run, &proposal);
        let attempt = NewAttempt {
            org: run.org.clone(),
            reference_id: proposal.reference_id,
            external_reference: proposal.write.external_reference().clone(),
            operation: proposal.write.operation(),
            job_name: run.job_name.clone(),
            rule: proposal.rule,
            before: proposal.before,
            issue_sequence: proposal
                .issue
                .as_ref()
                .and_then(|issue| issue.issue_sequence),
            before_issue: proposal.issue.as_ref().map(Issue::version),
            due_since: proposal.due_since,
            correlation_id,
            replica: self.replica.clone(),
            recheck,
        };
        // Marked before the row exists, so that the sweep never sees a row that is neither settled nor in flight.
        let mark = self.in_flight.mark(correlation_id);
        let asked = self.clock.uptime();
        let intended_at = self.clock.now();
        let committed = self
            .store
            .intend(&run.lease, &attempt, run.limits, intended_at)
            .await?;
        match committed {
            Ok(id) => Ok(Authorised {
                permit: WritePermit::mint(
                    run.org.clone(),
                    id,
                    correlation_id,
                    proposal.write,
                    Terms::new(asked, self.in_force.clone()),
                ),
                mark,
                intended_at,
            }),
            Err(refused) => Err(explain(refused)),
        }
    }
}

impl Guard {
    /// What was decided is asked again of the ledger as it is when the intent is committed: another job may have
    /// written to the order since.
    fn recheck(&self, run: &GuardedRun, proposal: &Proposal) -> Recheck {
        let (policy, now) = (run.retry, self.clock.now());
        let (operation, version) = (proposal.write.operation(), proposal.before.clone());
        let (reference_id, issue) = (proposal.reference_id.clone(), proposal.issue.clone());
        let in_force = self.in_force.clone();
        Recheck::new(move |facts| {
            // The mode that a reload said meanwhile, too.
            if in_force.has_ended() {
                let reason = SkipReason::ConfigurationChanged;
                return Err(IntentRefused::Rechecked(reason, RELOADED.to_owned()));
            }
            let errand = Errand {
                operation,
                reference_id: &reference_id,
                version: &version,
                issue: issue.as_ref(),
            };
            match retry_verdict(facts, &errand, policy, now).refusal() {
                None => Ok(()),
                Some((reason, why)) => Err(IntentRefused::Rechecked(reason, why)),
            }
        })
    }
}

fn explain(refused: IntentRefused) -> Refused {
    let (reason, explanation) = match refused {
        IntentRefused::Paused => (SkipReason::Paused, "writes are paused".to_owned()),
        IntentRefused::Held => (
            SkipReason::GuardHeld,
            "the guard holds this job until it is released".to_owned(),
        ),
        IntentRefused::Acknowledged => (
            SkipReason::Acknowledged,
            "a person said hands off, of it or of its order".to_owned(),
        ),
        IntentRefused::RunCap => (
            SkipReason::CapReached,
            "the run's cap is reached".to_owned(),
        ),
        IntentRefused::HourCap => (
            SkipReason::CapReached,
            "the hour's cap is reached".to_owned(),
        ),
        IntentRefused::OpenAttempt(id) => (
            SkipReason::InDoubt,
            format!("attempt {id} for this order is not settled yet"),
        ),
        IntentRefused::Rechecked(reason, why) => (reason, why),
    };
    Refused::Check {
        reason,
        explanation,
    }
}
