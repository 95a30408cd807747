//! A finding: a divergence that lasts until it is no longer seen.

use super::closed_set;

closed_set! {
    /// What diverges.
    FindingKind {
        /// Not updated for longer than its rule allows.
        StuckRequest = "stuck_request",
        /// An issue that no rule could resolve.
        UnresolvedIssue = "unresolved_issue",
        /// The upstream marks an event as inconsistent.
        InconsistentEvent = "inconsistent_event",
        /// A sequence number is missing.
        EventSequenceGap = "event_sequence_gap",
        /// A sequence number stands twice.
        EventSequenceDuplicate = "event_sequence_duplicate",
        /// A later number with an earlier date.
        EventOutOfOrder = "event_out_of_order",
        /// Something happened to a finished request.
        EventAfterFinalStatus = "event_after_final_status",
        /// Several requests answer to one external reference.
        DuplicateReference = "duplicate_reference",
        /// A status that nobody documented.
        UnknownStatus = "unknown_status",
        /// An answer that could not be understood.
        ContractViolation = "contract_violation",
    }
}

closed_set! {
    /// A finding's life.
    FindingState {
        /// Seen, and nobody said anything.
        Open = "open",
        /// A person said hands off of it, and that holds.
        Acknowledged = "acknowledged",
        /// No longer seen.
        Resolved = "resolved",
    }
}

closed_set! {
    /// Why a finding waits for a person.
    Attention {
        /// All attempts were used up, or the upstream refused for good.
        GivenUp = "given_up",
        /// An attempt's outcome can't be settled by reading.
        NeedsHuman = "needs_human",
    }
}
