//! What each write does to a request. Pure: the request, the body and the instant in, the changed request out.
//!
//! The vendor documents the operations' names and bodies, not their effects; these are the plain meaning of the
//! names. Each effect moves `last_updated`, appends one event and sets the request moving again.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::domain::{Operation, Status};

use super::world::Item;

/// Carries out a write that the request's state permits; creates are the world's business.
pub(super) fn apply(
    operation: Operation,
    body: &Map<String, Value>,
    item: &mut Item,
    now: DateTime<Utc>,
) {
    item.head.touch(now);
    let at = item.head.last_updated;
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let message = match operation {
        Operation::CreateActivation | Operation::CreateTermination => {
            item.head.status = Status::Validating;
            "REQUEST_SENT"
        }
        Operation::CancelRequest => {
            item.head.cancelling = true;
            "CANCELLATION_SENT"
        }
        Operation::ResolveIncident => {
            item.resolve_issues(at, |_| true);
            leave_incident(item);
            "INCIDENCE_RESOLVED"
        }
        Operation::CreateAccess => "ACCESS_CREATED",
        Operation::TerminateAccess => "ACCESS_TERMINATED",
        Operation::CreateStatusCto => "CTO_STATUS",
        Operation::ChangeCto => {
            item.resolve_issues(at, |issue| issue.code.starts_with("CTO-"));
            if !item.has_open_issue() {
                leave_incident(item);
            }
            "CTO_CHANGED"
        }
        Operation::CreatePort | Operation::CreatePort2 => "PORT_CREATED",
        Operation::CreateInstallationIncident => {
            item.head.status = Status::IncidenceInstalling;
            item.open_issue(text("incidence"), at);
            "INSTALLATION_INCIDENCE"
        }
        Operation::CreateInstallationEnd if item.head.status == Status::Installed => {
            item.head.status = Status::Finished;
            "REQUEST_FINISHED"
        }
        Operation::CreateInstallationEnd => {
            item.resolve_issues(at, |_| true);
            item.head.status = Status::Installed;
            "INSTALLATION_DONE"
        }
    };
    item.note(message, at);
    // Asking a question repairs nothing: what was stuck stays stuck.
    if operation != Operation::CreateStatusCto {
        item.head.moves_from = Some(at);
    }
}

fn leave_incident(item: &mut Item) {
    item.head.status = match item.head.status {
        Status::IncidenceInstalling => Status::Installing,
        Status::IncidenceTesa | Status::IncidenceOperator => Status::Processing,
        ref other => other.clone(),
    };
}
