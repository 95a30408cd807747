//! What is told of a seeded request: its events, its issues, its people.
//!
//! Most stories are in order; a small fixed share has the faults that the daemon must find. Everything personal
//! is obviously made up and carries [`PERSONAL_MARKER`], so a test can search logs and pages for leaks.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::domain::Status;
use crate::sandbox::dice::Dice;

use super::head::Head;
use super::item::{EventRow, IssueRow, Item, Personal};

/// Stands in every personal value the sandbox makes up.
pub const PERSONAL_MARKER: &str = "SANDBOX-PERSONAL";

/// Something wrong with an event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oddity {
    None,
    Inconsistent,
    Gap,
    Duplicate,
    OutOfOrder,
    AfterFinal,
}

const ODDITIES: &[(Oddity, f64)] = &[
    (Oddity::None, 0.955),
    (Oddity::Inconsistent, 0.025),
    (Oddity::Gap, 0.006),
    (Oddity::Duplicate, 0.006),
    (Oddity::OutOfOrder, 0.005),
    (Oddity::AfterFinal, 0.003),
];

/// The statuses a request went through to get where it is.
fn path(status: &Status) -> &'static [Status] {
    use Status as S;
    match status {
        S::NotSent => &[S::NotSent],
        S::Rejected => &[S::NotSent, S::Validating, S::Rejected],
        S::Validating => &[S::NotSent, S::Validating],
        S::Processing => &[S::NotSent, S::Validating, S::Processing],
        S::Processed => &[S::NotSent, S::Validating, S::Processing, S::Processed],
        S::IncidenceTesa => &[S::NotSent, S::Validating, S::Processing, S::IncidenceTesa],
        S::IncidenceOperator => &[
            S::NotSent,
            S::Validating,
            S::Processing,
            S::IncidenceOperator,
        ],
        S::Installing => &[
            S::NotSent,
            S::Validating,
            S::Processing,
            S::Processed,
            S::Installing,
        ],
        S::IncidenceInstalling => &[
            S::NotSent,
            S::Validating,
            S::Processing,
            S::Processed,
            S::Installing,
            S::IncidenceInstalling,
        ],
        S::Installed | S::Finished => &[
            S::NotSent,
            S::Validating,
            S::Processing,
            S::Processed,
            S::Installing,
            S::Installed,
            S::Finished,
        ],
        S::Canceled | S::Unknown(_) => &[S::NotSent, S::Validating, S::Canceled],
    }
}

/// The message that takes a request into a status. The vendor publishes no list: these are made up.
pub(in crate::sandbox) fn message_of(status: &Status) -> &'static str {
    use Status as S;
    match status {
        S::NotSent => "REQUEST_RECEIVED",
        S::Validating => "REQUEST_SENT",
        S::Rejected => "REQUEST_REJECTED",
        S::Processing => "REQUEST_ACCEPTED",
        S::Processed => "LINE_ASSIGNED",
        S::IncidenceTesa | S::IncidenceOperator => "INCIDENCE_OPENED",
        S::IncidenceInstalling => "INSTALLATION_INCIDENCE",
        S::Installing => "INSTALLATION_STARTED",
        S::Installed => "INSTALLATION_DONE",
        S::Canceled => "REQUEST_CANCELED",
        S::Finished => "REQUEST_FINISHED",
        S::Unknown(_) => "STATUS_CHANGED",
    }
}

/// The code of the issue that a request gets on coming into an incidence status; none in any other.
pub(in crate::sandbox) fn issue_code(seed: u64, head: &Head) -> Option<&'static str> {
    let codes: &[&str] = match head.status {
        Status::IncidenceOperator => &["CLI-012", "CLI-004", "CLI-012", "DIR-002", "DIR-007"],
        Status::IncidenceTesa => &["CTO-003", "CTO-001", "PER-001", "OBR-005"],
        Status::IncidenceInstalling => &["CLI-012", "CTO-003", "OBR-005"],
        _ => return None,
    };
    let mut dice = Dice::of(
        seed,
        [u64::from(head.index), u64::from(head.step), 0x6973_7375],
    );
    dice.pick(codes).copied()
}

/// The whole story of a request as seeded.
pub(in crate::sandbox) fn tell(seed: u64, head: Head) -> Item {
    let mut item = Item {
        events: Vec::new(),
        issues: Vec::new(),
        omits: Vec::new(),
        personal: None,
        head,
    };
    tell_issues(seed, &mut item);
    tell_events(seed, &mut item);
    item
}

fn tell_issues(seed: u64, item: &mut Item) {
    let head = &item.head;
    let mut dice = Dice::of(seed, [u64::from(head.index), 0x6F70_656E]);
    let open = issue_code(seed, head);
    let (created, updated) = (head.created, head.last_updated);
    let mut add = |code: &'static str, resolved: bool, at: DateTime<Utc>| {
        let code = Cow::Borrowed(code);
        item.issues.push(IssueRow {
            repeated: item.issues.iter().any(|issue| issue.code == code),
            sequence: item.issues.len() as i64 + 1,
            resolved,
            code,
            at,
        });
    };
    let halfway = created + (updated - created) / 2;
    match open {
        Some(code) => {
            if dice.chance(0.2) {
                add(code, true, halfway);
            } else if dice.chance(0.2) {
                add("PER-001", true, halfway);
            }
            add(code, false, updated);
        }
        None if dice.chance(0.06) => add("DIR-002", true, halfway),
        None => {}
    }
}

fn tell_events(seed: u64, item: &mut Item) {
    let head = &item.head;
    let mut dice = Dice::of(seed, [u64::from(head.index), 0x6576_656E]);
    let whole = path(&head.status);
    // An INSTALLED request's story is a FINISHED one's without its end.
    let until = whole.iter().position(|status| *status == head.status);
    let path = &whole[..until.map_or(whole.len(), |place| place + 1)];
    let step = (head.last_updated - head.created) / path.len().max(1) as i32;
    for (place, status) in path.iter().enumerate() {
        let last = place + 1 == path.len();
        let at = if last {
            head.last_updated
        } else {
            head.created + step * place as i32
        };
        item.events.push(EventRow {
            message: message_of(status).into(),
            at,
            sequence: place as i64 + 1,
            inconsistent: false,
        });
    }
    let oddity = dice.weighted(ODDITIES).unwrap_or(Oddity::None);
    make_odd(item, oddity);
}

fn make_odd(item: &mut Item, oddity: Oddity) {
    let is_final = item.head.status.is_final();
    let updated = item.head.last_updated;
    let Some(last) = item.events.last_mut() else {
        return;
    };
    match oddity {
        Oddity::None => {}
        Oddity::Inconsistent => last.inconsistent = true,
        Oddity::Gap => last.sequence += 2,
        Oddity::Duplicate => {
            let again = last.clone();
            item.events.push(again);
        }
        Oddity::OutOfOrder => last.at = item.head.created - chrono::Duration::hours(1),
        Oddity::AfterFinal if is_final => {
            item.note("STATUS_CHANGED", updated + chrono::Duration::minutes(7));
        }
        Oddity::AfterFinal => {}
    }
}

/// Made-up people and places: no one's, and marked.
pub(in crate::sandbox) fn personal(head: &Head) -> Personal {
    let number = head.index;
    Personal {
        technical_coordinators: json!({
            "name": format!("{PERSONAL_MARKER} coordinator {number}"),
            "phone": format!("{PERSONAL_MARKER} +34 000 000 000"),
        }),
        customer: json!({
            "name": format!("{PERSONAL_MARKER} customer {number}"),
            "document": format!("{PERSONAL_MARKER} 00000000T"),
            "email": format!("{PERSONAL_MARKER}-{number}@customer.invalid"),
        }),
        service_point: json!({
            "address": format!("{PERSONAL_MARKER} street {number}"),
            "gescal": format!("{PERSONAL_MARKER}-{number:017}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_ends_where_the_request_is() {
        for status in Status::KNOWN {
            assert!(path(&status).contains(&status), "{status}");
            assert_eq!(path(&status)[0], Status::NotSent);
        }
    }
}
