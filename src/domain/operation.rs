//! The sixteen operations of the upstream by name, and how dangerous each write is.

use super::closed_set;

closed_set! {
    /// The twelve writes.
    Operation {
        /// `POST activations`.
        CreateActivation = "create_activation",
        /// `POST terminations`.
        CreateTermination = "create_termination",
        /// `POST cancellations`.
        CancelRequest = "cancel_request",
        /// `POST incidents/resolutions`.
        ResolveIncident = "resolve_incident",
        /// `POST accesses`.
        CreateAccess = "create_access",
        /// `POST accesses/terminations`.
        TerminateAccess = "terminate_access",
        /// `POST cto/status`.
        CreateStatusCto = "create_status_cto",
        /// `POST cto/changes`.
        ChangeCto = "change_cto",
        /// `POST ports`.
        CreatePort = "create_port",
        /// `POST ports2`.
        CreatePort2 = "create_port2",
        /// `POST installations/incidents`.
        CreateInstallationIncident = "create_installation_incident",
        /// `POST installations/ends`.
        CreateInstallationEnd = "create_installation_end",
    }
}

closed_set! {
    /// The four reads.
    ReadOperation {
        /// `GET requests`.
        ListReferenceIds = "list_reference_ids",
        /// `GET requests/{referenceId}`.
        GetRequest = "get_request",
        /// `GET requests/{referenceId}/events`.
        GetRequestEvents = "get_request_events",
        /// `GET requests/{referenceId}/issues`.
        GetRequestIssues = "get_request_issues",
    }
}

closed_set! {
    /// What a second sending of the same write would do.
    Safety {
        /// Nothing bad: it asks a question.
        Safe = "safe",
        /// The upstream refuses it with 406 when it does not apply (any more).
        Conditional = "conditional",
        /// Possibly a second effect; never sent again without proof that the first had none.
        Unsafe = "unsafe",
    }
}

impl Operation {
    /// How dangerous a repetition is.
    pub const fn safety(self) -> Safety {
        match self {
            Self::CreateStatusCto => Safety::Safe,
            Self::ResolveIncident | Self::CancelRequest => Safety::Conditional,
            Self::CreateActivation
            | Self::CreateTermination
            | Self::CreateAccess
            | Self::TerminateAccess
            | Self::ChangeCto
            | Self::CreatePort
            | Self::CreatePort2
            | Self::CreateInstallationIncident
            | Self::CreateInstallationEnd => Safety::Unsafe,
        }
    }

    /// A create of a whole request.
    pub const fn is_create_request(self) -> bool {
        matches!(self, Self::CreateActivation | Self::CreateTermination)
    }
}
