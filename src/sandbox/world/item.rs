//! A request with everything that hangs on it.
//!
//! Seeded requests are made into items only when one is read or written; only written ones are kept.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::Status;

use super::head::Head;
use super::movement::Movement;
use super::story;

/// A request, its events, its issues and its people.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Item {
    pub head: Head,
    pub events: Vec<EventRow>,
    pub issues: Vec<IssueRow>,
    /// Fields that answers about it lack.
    pub omits: Vec<String>,
    /// What a create brought; `None`: made up from the index.
    pub personal: Option<Personal>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox) struct EventRow {
    pub message: Cow<'static, str>,
    pub at: DateTime<Utc>,
    pub sequence: i64,
    pub inconsistent: bool,
}

/// One issue.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox) struct IssueRow {
    pub code: Cow<'static, str>,
    pub sequence: i64,
    pub resolved: bool,
    pub repeated: bool,
    pub at: DateTime<Utc>,
}

/// The three parts of a request that name people and places.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Personal {
    pub technical_coordinators: Value,
    pub customer: Value,
    pub service_point: Value,
}

impl Item {
    /// Appends an event with the next sequence number.
    pub fn note(&mut self, message: impl Into<Cow<'static, str>>, at: DateTime<Utc>) {
        let last = self.events.iter().map(|event| event.sequence).max();
        self.events.push(EventRow {
            message: message.into(),
            at,
            sequence: last.unwrap_or(0) + 1,
            inconsistent: false,
        });
    }

    /// Opens an issue; it is a repeated one if the same code was there before.
    pub fn open_issue(&mut self, code: impl Into<Cow<'static, str>>, at: DateTime<Utc>) {
        let code = code.into();
        let last = self.issues.iter().map(|issue| issue.sequence).max();
        self.issues.push(IssueRow {
            repeated: self.issues.iter().any(|issue| issue.code == code),
            sequence: last.unwrap_or(0) + 1,
            resolved: false,
            code,
            at,
        });
    }

    /// Resolves the open issues that `which` names.
    pub fn resolve_issues(&mut self, at: DateTime<Utc>, which: impl Fn(&IssueRow) -> bool) {
        for issue in &mut self.issues {
            if !issue.resolved && which(issue) {
                issue.resolved = true;
                issue.at = at;
            }
        }
    }

    /// Whether an issue is open.
    pub fn has_open_issue(&self) -> bool {
        self.issues.iter().any(|issue| !issue.resolved)
    }

    /// Moves it on to `now`, with the events and issues that its moves bring.
    pub fn catch_up(&mut self, movement: &Movement, now: DateTime<Utc>) {
        let mut head = self.head.clone();
        movement.catch_up(&mut head, now, |moved| {
            let at = moved.last_updated;
            self.note(story::message_of(&moved.status), at);
            if let Some(code) = story::issue_code(movement.seed, moved) {
                self.open_issue(code, at);
            } else if moved.status != Status::Canceled {
                self.resolve_issues(at, |_| true);
            }
        });
        self.head = head;
    }
}
