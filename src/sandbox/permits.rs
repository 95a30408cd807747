//! In which state Tesamanager takes which write, and when it answers 406.
//!
//! The vendor documents only that a 406 exists. The table is this project's assumption, kept in one pure function
//! so that it can be read, argued about and changed in one place.

use crate::domain::{Operation, Status};

/// Whether a request in this state takes the operation; otherwise the answer is 406.
///
/// | operation | taken in |
/// |---|---|
/// | `create_activation`, `create_termination` | always (what a repetition does is configured) |
/// | `cancel_request` | every open status, unless a cancellation is already in flight |
/// | `resolve_incident` | the three `INCIDENCE_*` |
/// | `create_status_cto` | every open status but `NOT_SENT`; the one write a cancelling request takes: it only asks |
/// | `change_cto`, `create_port`, `create_port2` | while a line is worked on: `PROCESSING`, `PROCESSED`, `INCIDENCE_*`, `INSTALLING` |
/// | `create_access` | while a technician may be sent: `PROCESSED`, `INCIDENCE_*`, `INSTALLING` |
/// | `terminate_access` | the same, and `INSTALLED` |
/// | `create_installation_incident` | `INSTALLING`, `INCIDENCE_INSTALLING` |
/// | `create_installation_end` | `INSTALLING`, `INCIDENCE_INSTALLING`, `INSTALLED` |
///
/// A status that is not documented takes nothing.
pub fn permits(operation: Operation, status: &Status, cancelling: bool) -> bool {
    use Operation as O;
    use Status as S;

    if operation.is_create_request() {
        return true;
    }
    if !status.is_known() || status.is_final() {
        return false;
    }
    if cancelling && operation != O::CreateStatusCto {
        return false;
    }
    let incident = matches!(
        status,
        S::IncidenceTesa | S::IncidenceOperator | S::IncidenceInstalling
    );
    let on_site = incident || matches!(status, S::Processed | S::Installing);
    match operation {
        O::CreateActivation | O::CreateTermination | O::CancelRequest => true,
        O::ResolveIncident => incident,
        O::CreateStatusCto => *status != S::NotSent,
        O::ChangeCto | O::CreatePort | O::CreatePort2 => on_site || *status == S::Processing,
        O::CreateAccess => on_site,
        O::TerminateAccess => on_site || *status == S::Installed,
        O::CreateInstallationIncident => {
            matches!(status, S::Installing | S::IncidenceInstalling)
        }
        O::CreateInstallationEnd => {
            matches!(
                status,
                S::Installing | S::IncidenceInstalling | S::Installed
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_in(operation: Operation, cancelling: bool) -> Vec<&'static str> {
        // KNOWN is a constant, so its words live for ever.
        const KNOWN: [Status; 12] = Status::KNOWN;
        static STATUSES: [Status; 12] = KNOWN;
        STATUSES
            .iter()
            .filter(|status| permits(operation, status, cancelling))
            .map(Status::as_str)
            .collect()
    }

    #[test]
    fn a_cancellation_is_taken_once_and_never_in_a_final_status() {
        let open: Vec<_> = taken_in(Operation::CancelRequest, false);
        assert_eq!(open.len(), 9);
        for last in ["REJECTED", "CANCELED", "FINISHED"] {
            assert!(!open.contains(&last));
        }
        assert!(taken_in(Operation::CancelRequest, true).is_empty());
    }

    #[test]
    fn an_incident_is_resolved_only_where_there_is_one() {
        assert_eq!(
            taken_in(Operation::ResolveIncident, false),
            [
                "INCIDENCE_TESA",
                "INCIDENCE_OPERATOR",
                "INCIDENCE_INSTALLING"
            ]
        );
    }

    #[test]
    fn a_cancelling_request_takes_nothing_but_a_question() {
        for operation in Operation::ALL {
            let taken = taken_in(*operation, true).len();
            match operation {
                Operation::CreateActivation | Operation::CreateTermination => assert_eq!(taken, 12),
                Operation::CreateStatusCto => assert_eq!(taken, 8),
                _ => assert_eq!(taken, 0, "{operation}"),
            }
        }
    }

    #[test]
    fn every_operation_is_taken_somewhere_and_none_in_an_undocumented_status() {
        let moon = Status::parse("ON_THE_MOON");
        for operation in Operation::ALL {
            assert!(!taken_in(*operation, false).is_empty(), "{operation}");
            assert_eq!(
                permits(*operation, &moon, false),
                operation.is_create_request()
            );
        }
    }
}
