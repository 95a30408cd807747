//! Values for this folder's table tests: one ordinary request, one ordinary attempt, one instant.

use chrono::{DateTime, Duration, TimeZone, Utc};
use uuid::Uuid;

use crate::domain::ids::{AcknowledgementId, Org, RunId};
use crate::domain::request::{Observation, PersistenceType, TerritoryOwner};
use crate::domain::{AttemptId, AttemptState, FindingKind, Operation, Status};
use crate::store::acknowledgements::{Acknowledgement, Given};
use crate::store::attempts::Attempt;
use crate::store::findings::FindingKey;

/// A Monday noon.
pub fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 12, 0, 0).unwrap()
}

/// The tenant.
pub fn org() -> Org {
    Org::new("masmovil")
}

/// An unsent activation, not updated for two hours, read a minute ago.
pub fn unsent() -> Observation {
    Observation {
        reference_id: "R-1".into(),
        external_reference: Some("E-1".into()),
        persistence_type: Some(PersistenceType::Activation),
        status: Status::NotSent,
        cancelling: false,
        auto_installation: Some(false),
        territory_owner: Some(TerritoryOwner::Neba),
        request_number: None,
        subrequest_number: None,
        attributes: Default::default(),
        created: Some(now() - Duration::hours(3)),
        last_updated: Some(now() - Duration::hours(2)),
        observed_at: now() - Duration::minutes(1),
    }
}

/// The same in another status.
pub fn in_status(status: Status) -> Observation {
    Observation { status, ..unsent() }
}

/// An attempt to send it again, unknown since now.
pub fn attempt(id: i64) -> Attempt {
    Attempt {
        id: AttemptId(id),
        org: org(),
        reference_id: "R-1".into(),
        external_reference: "E-1".into(),
        operation: Operation::CreateActivation,
        state: AttemptState::Unknown,
        job_name: "retry-stuck".into(),
        rule: "resend-unsent".into(),
        run_id: RunId(1),
        replica: "replica".to_owned(),
        before: unsent().version(),
        issue_sequence: None,
        before_issue: None,
        due_since: Some(now() - Duration::minutes(90)),
        correlation_id: Uuid::nil(),
        intended_at: now() + Duration::seconds(id),
        changed_at: now(),
        http_status: None,
        detail: String::new(),
        verifications: 0,
        verify_at: Some(now()),
        confirmed: None,
    }
}

/// What a person said of the unsent one.
pub fn acknowledgement() -> Acknowledgement {
    let request = unsent();
    Acknowledgement {
        id: AcknowledgementId(1),
        org: org(),
        key: FindingKey {
            reference_id: request.reference_id,
            kind: FindingKind::StuckRequest,
            detail: "NOT_SENT".to_owned(),
        },
        external_reference: request.external_reference,
        given: Given {
            status: Some(request.status),
            cancelling: Some(false),
            last_updated: request.last_updated,
            repeated: Some(false),
        },
        who: "cli:maria".to_owned(),
        reason: "the carrier knows".to_owned(),
        given_at: now(),
        ended_at: None,
        ended_why: None,
    }
}
