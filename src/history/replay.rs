//! A history played to its end: the observation that is remembered, and what is beside it.
//!
//! The store keeps both, the history and where it led to; tests hold that they say the same.

use std::collections::BTreeMap;

use crate::domain::{Event, Happening, Issue, Observation, What};

/// How a request stands at the end of its history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The request, as at the first look that showed it like this; none if it is gone, or was never read itself.
    pub request: Option<Observation>,
    /// Its last event.
    pub last_event: Option<Event>,
    /// Its issues, by their names in the history.
    pub issues: BTreeMap<String, Issue>,
}

impl Standing {
    /// One step on.
    pub fn step(&mut self, what: &What) {
        match what {
            What::Request(request) => self.request = Some(request.clone()),
            What::Gone | What::LetGo => self.request = None,
            What::Event(event) => self.last_event = Some(event.clone()),
            What::Issue(issue) => {
                self.issues.insert(what.subject(), issue.clone());
            }
            What::IssueGone(_) => {
                self.issues.remove(&what.subject());
            }
            // What was decided on it changes nothing of it.
            What::Decision(_) => {}
        }
    }
}

/// How it stands at the end of these, which come oldest first.
pub fn replay(happenings: &[Happening]) -> Standing {
    let mut standing = Standing::default();
    for happening in happenings {
        standing.step(&happening.what);
    }
    standing
}
