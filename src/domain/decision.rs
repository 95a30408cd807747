//! What was decided about one request, and why: there is one decision for every request that a run looked at.

use super::closed_set;
use super::ids::{ExternalReference, ReferenceId, RuleName};
use super::operation::Operation;
use super::status::Status;

closed_set! {
    /// Why nothing is sent for a request although a rule would act on it, or why no rule was asked.
    SkipReason {
        /// The mode is `observe`: decided, recorded, not sent.
        ObserveMode = "observe_mode",
        /// An earlier attempt failed; its pause isn't over.
        BackingOff = "backing_off",
        /// As many attempts as allowed were made, or the upstream refused for good: a person must look.
        GivenUp = "given_up",
        /// The cap per run or per hour is reached.
        CapReached = "cap_reached",
        /// Too many requests want a write at once: the guard holds the job.
        GuardHeld = "guard_held",
        /// The org's circuit breaker is open.
        CircuitOpen = "circuit_open",
        /// The job is paused.
        Paused = "paused",
        /// The request changed between decision and write.
        ChangedMeanwhile = "changed_meanwhile",
        /// An earlier write's outcome isn't known yet.
        InDoubt = "in_doubt",
        /// A person said hands off, of the request or of its order.
        Acknowledged = "acknowledged",
        /// Listed as stuck, but it was updated since.
        NotStuck = "not_stuck",
        /// It was looked at, and it is in order.
        NothingWrong = "nothing_wrong",
        /// In a final status.
        FinalStatus = "final_status",
        /// In a status that nobody documented.
        UnknownStatus = "unknown_status",
        /// A field that the action needs can't be filled.
        MissingField = "missing_field",
        /// Several requests answer to the same external reference.
        DuplicateReference = "duplicate_reference",
        /// The upstream does not know the request any more.
        NotFound = "not_found",
        /// The upstream could not be asked.
        ReadFailed = "read_failed",
        /// The upstream's answer could not be understood.
        ContractViolation = "contract_violation",
        /// The process is stopping, or the run's time is over.
        Draining = "draining",
        /// The configuration was reloaded: what the run had not got to is left to the next one.
        ConfigurationChanged = "configuration_changed",
        /// The store could not commit the intent: no ledger, no write.
        StoreUnavailable = "store_unavailable",
    }
}

/// A decision's verdict.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Send this write.
    Act {
        /// Which.
        operation: Operation,
    },
    /// Tell people.
    Flag,
    /// The rule says to leave it alone.
    Ignore,
    /// Not now, or not by us.
    Skip {
        /// Why.
        reason: SkipReason,
        /// What would have been sent otherwise.
        #[serde(skip_serializing_if = "Option::is_none")]
        instead_of: Option<Operation>,
    },
}

impl Verdict {
    /// The label of `decisions_total`: `act`, `flag`, `ignore` or the skip reason.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Act { .. } => "act",
            Self::Flag => "flag",
            Self::Ignore => "ignore",
            Self::Skip { reason, .. } => reason.as_str(),
        }
    }

    /// Every label that [`Verdict::label`] can give, for zero-initialising.
    pub fn labels() -> impl Iterator<Item = &'static str> {
        ["act", "flag", "ignore"]
            .into_iter()
            .chain(SkipReason::ALL.iter().map(|reason| reason.as_str()))
    }
}

/// One request, one verdict, one explanation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decision {
    /// The request.
    pub reference_id: ReferenceId,
    /// The order.
    pub external_reference: Option<ExternalReference>,
    /// Where it stood.
    pub status: Option<Status>,
    /// Which rule matched; none when no rule was asked or none matched.
    pub rule: Option<RuleName>,
    /// What to do.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// In words, for a person: what matched, what stands in the way, and when what is next.
    pub explanation: String,
}
