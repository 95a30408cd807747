//! Whose time it was: an order's life cut into stretches, each with the party whose turn it was.
//!
//! A stretch begins when the upstream says that the change happened, if that lies between the change before and our sight; else
//! at our sight. How far the two are apart is the stretch's error, and goes with every figure. Before our first sight nothing is
//! known, and nobody is given that time. The stretches touch, so the parties' times add up to the order's gross time exactly.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use wildmatch::WildMatch;

use super::replay::Standing;
use super::working::WorkingTime;
use crate::domain::{Happening, Issue, Observation, Org, Party, Status, What};
use crate::rules::{Rule, Subject};

/// Who must act, by what is seen of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Whose {
    /// By status; one that is not named here is nobody's that is known.
    pub by_status: BTreeMap<Status, Party>,
    /// By the code of an unsolved issue, which overrides the status: the first that matches.
    pub issue_codes: Vec<(WildMatch, Party)>,
    /// Rules that name a party override both, whatever the age that they wait for.
    pub rules: Vec<Rule>,
}

impl Default for Whose {
    /// Proposals: whose turn it is is a matter of each operator's contract.
    fn default() -> Self {
        Self {
            by_status: PROPOSED.into(),
            issue_codes: vec![],
            rules: vec![],
        }
    }
}

/// See [`Whose::default`]. What is final is nobody's.
pub const PROPOSED: [(Status, Party); 9] = [
    (Status::NotSent, Party::Us),
    (Status::Validating, Party::Tesa),
    (Status::Processing, Party::Tesa),
    (Status::Processed, Party::Tesa),
    (Status::IncidenceTesa, Party::Tesa),
    (Status::IncidenceOperator, Party::Operator),
    (Status::Installing, Party::Installer),
    (Status::IncidenceInstalling, Party::Installer),
    (Status::Installed, Party::Tesa),
];

/// Whose turn it is, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Whose.
    pub party: Party,
    /// The status, the issue, the rule that say so.
    pub why: String,
}

impl Whose {
    /// Whose turn it is with a request that stands like this.
    pub fn turn(&self, org: &Org, request: &Observation, issues: &BTreeMap<String, Issue>) -> Turn {
        let status = &request.status;
        let turn = |party, why: String| Turn { party, why };
        if status.is_final() {
            return turn(Party::Nobody, status.to_string());
        }
        let open: Vec<&Issue> = issues.values().filter(|issue| !issue.resolved).collect();
        let subjects = open.iter().map(|issue| Some(*issue)).chain([None]);
        for rule in &self.rules {
            let Some(party) = rule.party else { continue };
            for issue in subjects.clone() {
                let subject = Subject {
                    org,
                    request,
                    issue,
                };
                // Of any age: whose turn it is does not wait for the rule to act.
                let matcher = crate::rules::Matcher {
                    not_updated_for: None,
                    ..rule.matcher.clone()
                };
                if matcher.matches(subject, request.observed_at) {
                    let issue = issue
                        .map_or_else(String::new, |issue| format!(", issue {}", issue.issue_code));
                    return turn(party, format!("{status}{issue}, rule {}", rule.name));
                }
            }
        }
        for (glob, party) in &self.issue_codes {
            let named = open
                .iter()
                .find(|issue| glob.matches(issue.issue_code.as_str()));
            if let Some(issue) = named {
                return turn(*party, format!("{status}, issue {}", issue.issue_code));
            }
        }
        let party = self.by_status.get(status).copied();
        turn(party.unwrap_or(Party::Unknown), status.to_string())
    }
}

/// A stretch of an order's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// When it began.
    pub from: DateTime<Utc>,
    /// When the next one did, or the order's end or now.
    pub to: DateTime<Utc>,
    /// Whose turn it was.
    #[serde(flatten)]
    pub turn: Turn,
    /// How much later than `from` we saw it begin, in seconds.
    #[serde(serialize_with = "seconds")]
    pub error: TimeDelta,
}

fn seconds<S: serde::Serializer>(time: &TimeDelta, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(time.num_seconds())
}

/// An order's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// When it was made, as far as is known.
    pub opened: DateTime<Utc>,
    /// When it was over; none: it is not.
    pub closed: Option<DateTime<Utc>>,
    /// How much later than that we saw it, in seconds.
    #[serde(serialize_with = "seconds")]
    pub closed_error: TimeDelta,
    /// From `opened` to its end, or to now; they touch.
    pub stretches: Vec<Stretch>,
}

/// How long it was a party's turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figure {
    /// By the calendar.
    pub calendar: TimeDelta,
    /// Of that, what fell on working days.
    pub working: TimeDelta,
    /// How far it may be off: what we saw late where the turn came and where it went.
    pub error: TimeDelta,
    /// How often it came.
    pub times: u32,
}

impl Account {
    /// Of a request's history, oldest first; none if the request itself was never read.
    pub fn of(
        org: &Org,
        happenings: &[Happening],
        whose: &Whose,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let mut standing = Standing::default();
        let mut stretches: Vec<Stretch> = Vec::new();
        for happening in happenings {
            // These say nothing of the order.
            if matches!(happening.what, What::LetGo | What::Decision(_)) {
                continue;
            }
            standing.step(&happening.what);
            let turn = match (&standing.request, &happening.what) {
                (Some(request), _) => whose.turn(org, request, &standing.issues),
                (None, What::Gone) => Turn {
                    party: Party::Nobody,
                    why: "gone upstream".to_owned(),
                },
                (None, _) => continue,
            };
            let seen_at = happening.seen_at;
            let stamp = happening.what.stamp().filter(|stamp| *stamp <= seen_at);
            let Some(last) = stretches.last() else {
                let request = standing.request.as_ref()?;
                let created = request.created.filter(|created| *created <= seen_at);
                let opened = created.or(stamp).unwrap_or(seen_at);
                // What was over when it was first seen was so since its own date.
                let known = match turn.party {
                    Party::Nobody => stamp.unwrap_or(seen_at).max(opened),
                    _ => seen_at,
                };
                let unknown = Turn {
                    party: Party::Unknown,
                    why: "before our first sight".to_owned(),
                };
                stretches.push(stretch(opened, unknown, TimeDelta::zero()));
                stretches.push(stretch(known, turn, seen_at - known));
                continue;
            };
            if last.turn != turn {
                let from = stamp.unwrap_or(seen_at).max(last.from);
                let error = (seen_at - from).max(TimeDelta::zero());
                stretches.push(stretch(from, turn, error));
            }
        }
        let opened = stretches.first()?.from;
        let (mut closed, mut closed_error) = (None, TimeDelta::zero());
        // The last of them is there: it was pushed with the first.
        if stretches
            .last()
            .is_some_and(|last| last.turn.party == Party::Nobody)
            && let Some(end) = stretches.pop()
        {
            (closed, closed_error) = (Some(end.from), end.error);
        }
        let mut end = closed.unwrap_or(now);
        for stretch in stretches.iter_mut().rev() {
            // A clock that is behind makes no time go backwards.
            end = end.max(stretch.from);
            stretch.to = end;
            end = stretch.from;
        }
        Some(Self {
            opened,
            closed,
            closed_error,
            stretches,
        })
    }

    /// Its end, or the instant of the question.
    pub fn until(&self) -> DateTime<Utc> {
        self.stretches.last().map_or(self.opened, |last| last.to)
    }

    /// From its beginning to its end, or to now.
    pub fn gross(&self) -> TimeDelta {
        self.until() - self.opened
    }

    /// Whose turn it was at an instant.
    pub fn turn_at(&self, at: DateTime<Utc>) -> Option<&Turn> {
        if self.closed.is_some_and(|closed| at >= closed) {
            return None;
        }
        let mut stretches = self.stretches.iter().rev();
        stretches
            .find(|stretch| stretch.from <= at)
            .map(|stretch| &stretch.turn)
    }

    /// Each party's time. They add up to [`Account::gross`].
    pub fn figures(&self, work: &WorkingTime) -> BTreeMap<Party, Figure> {
        let mut figures: BTreeMap<Party, Figure> = BTreeMap::new();
        let mut before: Option<Party> = None;
        for stretch in &self.stretches {
            let party = stretch.turn.party;
            let comes = before != Some(party);
            if comes && let Some(before) = before {
                figures.entry(before).or_default().error += stretch.error;
            }
            let figure = figures.entry(party).or_default();
            figure.calendar += stretch.to - stretch.from;
            figure.working += work.between(stretch.from, stretch.to);
            if comes {
                figure.error += stretch.error;
                figure.times += 1;
            }
            before = Some(party);
        }
        if let Some(last) = before {
            figures.entry(last).or_default().error += self.closed_error;
        }
        figures
    }

    /// Where the clock of these parties stood still.
    pub fn stops<'a>(&'a self, parties: &'a [Party]) -> impl Iterator<Item = &'a Stretch> {
        let stands = |stretch: &&Stretch| !parties.contains(&stretch.turn.party);
        self.stretches.iter().filter(stands)
    }
}

fn stretch(from: DateTime<Utc>, turn: Turn, error: TimeDelta) -> Stretch {
    Stretch {
        from,
        to: from,
        turn,
        error,
    }
}

#[cfg(test)]
mod tests;
