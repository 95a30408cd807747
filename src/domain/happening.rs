//! What happened to a request, as it was seen: one value for each row of its history.
//!
//! Rows about the request itself and about decisions are written by the database with the observation or the decision. What
//! is beside it (its last event, its issues) is compared here with what was last told of it, so that only news is written.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{Event, Issue, JobName, Observation, ReferenceId};

/// A row of a request's history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Happening {
    /// Ascends within a request in the order in which it was written.
    pub id: i64,
    /// When we first saw it, by our clock.
    pub seen_at: DateTime<Utc>,
    /// The change that this row tells.
    pub what: What,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The request stands like this.
    Request(Observation),
    /// The upstream doesn't know it any more.
    Gone,
    /// A person said that its order may be tried again: it is to be read afresh.
    LetGo,
    /// Its last event.
    Event(Event),
    /// One of its issues is new, or changed.
    Issue(Issue),
    /// An issue that isn't told of any more, as it was last.
    IssueGone(Issue),
    /// A job decides otherwise than before.
    Decision(Decided),
}

/// What a job decided, without its words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Decided {
    /// Which job.
    pub job_name: JobName,
    /// `act`, `flag`, `ignore` or why it leaves it alone.
    pub verdict: String,
    /// By which rule.
    pub rule: Option<String>,
}

impl What {
    /// The upstream's own date of it.
    pub fn stamp(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Request(request) => request.last_updated,
            Self::Event(event) => event.event_date,
            Self::Issue(issue) => issue.last_updated,
            Self::Gone | Self::LetGo | Self::IssueGone(_) | Self::Decision(_) => None,
        }
    }

    /// What of the request it is about: of each the last row tells how it stands.
    pub fn subject(&self) -> String {
        match self {
            Self::Request(_) | Self::Gone | Self::LetGo => "request".to_owned(),
            Self::Event(_) => "event".to_owned(),
            Self::Issue(issue) | Self::IssueGone(issue) => subject_of(issue),
            Self::Decision(decided) => format!("decision {}", decided.job_name),
        }
    }

    /// The word by which the store knows it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Gone => "gone",
            Self::LetGo => "let_go",
            Self::Event(_) => "event",
            Self::Issue(_) => "issue",
            Self::IssueGone(_) => "issue_gone",
            Self::Decision(_) => "decision",
        }
    }
}

/// By its number within the request, or by the next best that it has.
fn subject_of(issue: &Issue) -> String {
    match (issue.issue_sequence, issue.id) {
        (Some(sequence), _) => format!("issue {sequence}"),
        (None, Some(id)) => format!("issue #{id}"),
        (None, None) => format!("issue {}", issue.issue_code.as_str()),
    }
}

/// What was read beside a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// The request.
    pub reference_id: ReferenceId,
    /// When it was read.
    pub at: DateTime<Utc>,
    /// What the read brought.
    pub beside: Beside,
}

/// See [`Sight::beside`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// All its issues.
    Issues(Vec<Issue>),
    /// The last of its events; none if it has none.
    LastEvent(Option<Event>),
}

impl Beside {
    /// The last of these events, by their dates and then by their places in the stream.
    pub fn last_of(events: &[Event]) -> Self {
        let last = events
            .iter()
            .max_by_key(|event| (event.event_date, event.sequence_number));
        Self::LastEvent(last.cloned())
    }

    /// Whatever the upstream says: it was read as this request's.
    pub fn belongs_to(&mut self, id: &ReferenceId) {
        match self {
            Self::Issues(issues) => {
                for issue in issues {
                    issue.reference_id = id.clone();
                }
            }
            Self::LastEvent(event) => {
                if let Some(event) = event {
                    event.reference_id = id.clone();
                }
            }
        }
    }

    /// Of what was last told of each subject, that which this says otherwise.
    pub fn news<'k>(&self, told: impl IntoIterator<Item = &'k What>) -> Vec<What> {
        match self {
            Self::LastEvent(last) => {
                let is_told = |event: &Event| {
                    let mut told = told.into_iter();
                    told.any(|told| matches!(told, What::Event(known) if known == event))
                };
                let news = last.as_ref().filter(|event| !is_told(event));
                news.cloned().map(What::Event).into_iter().collect()
            }
            Self::Issues(issues) => {
                let mut now: BTreeMap<String, &Issue> = BTreeMap::new();
                now.extend(issues.iter().map(|issue| (subject_of(issue), issue)));
                let (mut known, mut news) = (BTreeSet::new(), Vec::new());
                for told in told {
                    let What::Issue(issue) = told else { continue };
                    let subject = subject_of(issue);
                    match now.get(&subject) {
                        Some(&seen) if seen == issue => {
                            known.insert(subject);
                        }
                        Some(_) => {}
                        None => news.push(What::IssueGone(issue.clone())),
                    }
                }
                now.retain(|subject, _| !known.contains(subject));
                news.extend(now.into_values().cloned().map(What::Issue));
                news
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(sequence: i64, resolved: bool) -> Issue {
        Issue {
            id: None,
            reference_id: "R-1".into(),
            issue_sequence: Some(sequence),
            issue_code: "CLI-012".into(),
            resolved,
            repeated: false,
            last_updated: None,
        }
    }

    fn event(sequence: i64) -> Event {
        Event {
            id: None,
            reference_id: "R-1".into(),
            message_type: Some("ACK".into()),
            request_number: None,
            subrequest_number: None,
            event_date: None,
            sequence_number: Some(sequence),
            inconsistent: false,
        }
    }

    #[test]
    fn issues_are_told_when_they_open_change_and_go_and_not_again() {
        let opened = Beside::Issues(vec![issue(1, false), issue(2, false)]).news([]);
        assert_eq!(
            opened,
            [What::Issue(issue(1, false)), What::Issue(issue(2, false))]
        );
        let later = Beside::Issues(vec![issue(1, true)]);
        let news = later.news(&opened);
        assert_eq!(
            news,
            [
                What::IssueGone(issue(2, false)),
                What::Issue(issue(1, true))
            ]
        );
        assert_eq!(later.news(&news), []);
    }

    #[test]
    fn an_issue_that_comes_back_is_told_again() {
        let gone = What::IssueGone(issue(1, false));
        let back = Beside::Issues(vec![issue(1, false)]).news([&gone]);
        assert_eq!(back, [What::Issue(issue(1, false))]);
    }

    #[test]
    fn only_the_last_event_is_told_and_only_once() {
        let beside = Beside::last_of(&[event(3), event(7), event(5)]);
        let told = beside.news([]);
        assert_eq!(told, [What::Event(event(7))]);
        assert_eq!(beside.news(&told), []);
        assert_eq!(Beside::last_of(&[]).news(&told), []);
    }
}
