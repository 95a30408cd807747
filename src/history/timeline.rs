//! The whole life of an order, one line a happening, oldest first: what was seen, what was decided, tried and said, and how
//! long nothing happened, waiting for whom.
//!
//! A line stands at the upstream's own date of it, if we saw it after that; `seen_later` is how much later. What happened
//! before our first sight is not known, so the first line stands at that sight.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::parties::{Account, Whose};
use crate::domain::{Decided, Happening, Issue, Observation, Org, Party, What};
use crate::store::acknowledgements::Acknowledgement;
use crate::store::attempts::{Attempt, AttemptStep};
use crate::store::audit::AuditRow;
use crate::store::findings::Finding;
use crate::store::requests::RememberedDecision;

/// Shorter silences are not told.
const SILENCE: TimeDelta = TimeDelta::hours(1);

/// All that is known of a request, each from its own table.
#[derive(Debug, Default)]
pub struct Material {
    /// What was seen, oldest first.
    pub happenings: Vec<Happening>,
    /// What was sent, with its steps.
    pub attempts: Vec<(Attempt, Vec<AttemptStep>)>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What people said: hands off.
    pub acknowledgements: Vec<Acknowledgement>,
    /// The last decision of each job.
    pub decisions: Vec<RememberedDecision>,
    /// What people did about its order.
    pub audit: Vec<AuditRow>,
}

/// A line of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When it happened, as exactly as is known.
    pub at: DateTime<Utc>,
    /// How much later we saw it, in seconds; none where it is our own doing, or the upstream gives no date.
    pub seen_later_seconds: Option<i64>,
    /// `seen`, `event`, `issue`, `decision`, `attempt`, `finding`, `acknowledgement`, `audit`, or `idle`: nothing happened.
    pub kind: &'static str,
    /// In words.
    pub what: String,
    /// Whose turn it was from then on; none before our first sight and when it is over.
    pub turn: Option<Party>,
    /// For how long nothing happened, in seconds, in a line of the kind `idle`.
    pub idle_seconds: Option<i64>,
}

/// The timeline of one request.
pub fn timeline(
    org: &Org,
    material: &Material,
    whose: &Whose,
    now: DateTime<Utc>,
) -> (Vec<Line>, Option<Account>) {
    let account = Account::of(org, &material.happenings, whose, now);
    let mut lines = seen(material);
    lines.extend(done(material));
    // What stands at one instant stays in the order in which it was told.
    lines.sort_by_key(|line| line.at);
    for line in &mut lines {
        line.turn = turn_at(account.as_ref(), line.at);
    }
    (with_silences(lines, account.as_ref(), now), account)
}

fn turn_at(account: Option<&Account>, at: DateTime<Utc>) -> Option<Party> {
    let party = account?.turn_at(at)?.party;
    (party != Party::Unknown).then_some(party)
}

fn line(at: DateTime<Utc>, kind: &'static str, what: String) -> Line {
    Line {
        at,
        seen_later_seconds: None,
        kind,
        what,
        turn: None,
        idle_seconds: None,
    }
}

/// What was seen.
fn seen(material: &Material) -> Vec<Line> {
    let happenings = &material.happenings;
    let mut before: Option<&Observation> = None;
    let mut lines = Vec::with_capacity(happenings.len());
    for happening in happenings {
        let stamp = happening.what.stamp();
        let mut at = stamp.filter(|stamp| *stamp <= happening.seen_at);
        let (kind, what) = match &happening.what {
            What::Request(request) => {
                let what = match before {
                    Some(before) => changed(before, request),
                    None => {
                        at = None;
                        first(request)
                    }
                };
                before = Some(request);
                ("seen", what)
            }
            What::Gone => {
                before = None;
                (
                    "seen",
                    "gone: the upstream doesn't know it any more".to_owned(),
                )
            }
            What::LetGo => ("seen", "to be read afresh".to_owned()),
            What::Event(event) => {
                let message = event.message_type.as_ref();
                let message = message.map_or("without a type", |code| code.as_str());
                let place = event.sequence_number;
                let place = place.map_or_else(String::new, |place| format!(" {place}"));
                let marked = if event.inconsistent {
                    ", marked inconsistent"
                } else {
                    ""
                };
                ("event", format!("event{place}: {message}{marked}"))
            }
            What::Issue(issue) => ("issue", told(issue)),
            What::Decision(decided) => ("decision", decision(happening, decided, material)),
            What::IssueGone(issue) => ("issue", format!("{} is no longer told of", name(issue))),
        };
        let later = stamp.map(|stamp| (happening.seen_at - stamp).num_seconds());
        lines.push(Line {
            seen_later_seconds: later.filter(|later| *later >= 0),
            ..line(at.unwrap_or(happening.seen_at), kind, what)
        });
    }
    lines
}

/// What a job decided; of its last decision the words are known, too.
fn decision(happening: &Happening, decided: &Decided, material: &Material) -> String {
    let rule = decided.rule.as_ref();
    let rule = rule.map_or_else(String::new, |rule| format!(" by rule {rule}"));
    let of_job =
        |what: &What| matches!(what, What::Decision(of) if of.job_name == decided.job_name);
    let mut later = material.happenings.iter();
    let is_last = !later.any(|later| later.id > happening.id && of_job(&later.what));
    let words = material.decisions.iter().find(|last| {
        is_last && last.job_name == decided.job_name && last.verdict == decided.verdict
    });
    let words = words.map_or_else(String::new, |last| format!(": {}", last.explanation));
    let (job, verdict) = (&decided.job_name, &decided.verdict);
    format!("{job} decides {verdict}{rule}{words}")
}

fn first(request: &Observation) -> String {
    let mut what = format!("first seen: {}{}", request.status, flags(request));
    let mut say = |text: String| what.push_str(&text);
    if let Some(kind) = request.persistence_type {
        say(format!(", {kind}"));
    }
    if let Some(order) = &request.external_reference {
        say(format!(", order {order}"));
    }
    what
}

fn flags(request: &Observation) -> &'static str {
    if request.cancelling {
        " (cancelling)"
    } else {
        ""
    }
}

/// What differs, the most telling first.
fn changed(before: &Observation, now: &Observation) -> String {
    let mut said = Vec::new();
    if (&before.status, before.cancelling) != (&now.status, now.cancelling) {
        let (was, is) = (&before.status, &now.status);
        said.push(format!("{was}{} → {is}{}", flags(before), flags(now)));
    }
    said.extend(
        [
            value("request number", before, now, |it| it.request_number),
            value("subrequest number", before, now, |it| it.subrequest_number),
            value("order", before, now, |it| it.external_reference.clone()),
            value("auto-installation", before, now, |it| it.auto_installation),
            value("territory owner", before, now, |it| it.territory_owner),
            value("kind", before, now, |it| it.persistence_type),
            value("attributes", before, now, attributes),
        ]
        .into_iter()
        .flatten(),
    );
    if said.is_empty() {
        return format!("{}: a new date, nothing else", now.status);
    }
    said.join(", ")
}

fn attributes(request: &Observation) -> Option<String> {
    let facts = request.attributes.iter();
    let facts: Vec<String> = facts
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    (!facts.is_empty()).then(|| facts.join(", "))
}

/// What a value is now, if it differs.
fn value<T: PartialEq + ToString>(
    what: &str,
    before: &Observation,
    now: &Observation,
    of: impl Fn(&Observation) -> Option<T>,
) -> Option<String> {
    let is = of(now);
    (of(before) != is).then(|| {
        let is = is.map_or_else(|| "none".to_owned(), |is| is.to_string());
        format!("{what} {is}")
    })
}

fn name(issue: &Issue) -> String {
    let place = issue.issue_sequence;
    let place = place.map_or_else(String::new, |place| format!("{place} "));
    format!("issue {place}{}", issue.issue_code)
}

fn told(issue: &Issue) -> String {
    let state = if issue.resolved { "resolved" } else { "open" };
    let again = if issue.repeated { ", it came back" } else { "" };
    format!("{}: {state}{again}", name(issue))
}

/// What was done, decided and said.
fn done(material: &Material) -> Vec<Line> {
    let mut lines = Vec::new();
    for (attempt, steps) in &material.attempts {
        for step in steps {
            let (id, operation, state) = (attempt.id, attempt.operation, step.state);
            let by = format!("{} by rule {}", attempt.job_name, attempt.rule);
            let detail = match step.detail.as_str() {
                "" => String::new(),
                detail => format!(": {detail}"),
            };
            let what = format!(
                "attempt {id}, {operation} ({by}): {state}{detail} ({})",
                step.who
            );
            lines.push(line(step.at, "attempt", what));
        }
    }
    for finding in &material.findings {
        let (id, kind) = (finding.id, finding.key.kind);
        let again = match finding.times_reopened {
            0 => String::new(),
            times => format!(", came back {times} times"),
        };
        let what = format!("finding {id}, {kind}: {}{again}", finding.evidence);
        lines.push(line(finding.first_seen, "finding", what));
        if let Some(resolved) = finding.resolved_at {
            let what = format!("finding {id}, {kind}: resolved");
            lines.push(line(resolved, "finding", what));
        }
    }
    for said in &material.acknowledgements {
        let what = format!("hands off, says {}: {}", said.who, said.reason);
        lines.push(line(said.given_at, "acknowledgement", what));
        if let (Some(at), Some(why)) = (said.ended_at, &said.ended_why) {
            let what = format!("{}'s hands off is over: {why}", said.who);
            lines.push(line(at, "acknowledgement", what));
        }
    }
    for row in &material.audit {
        let what = format!("{} by {}: {}", row.action, row.who, row.reason);
        lines.push(line(row.at, "audit", what));
    }
    lines
}

/// Between two lines that lie far apart, and after the last one of an order that isn't over, stands for how long nothing
/// happened.
fn with_silences(lines: Vec<Line>, account: Option<&Account>, now: DateTime<Utc>) -> Vec<Line> {
    let mut told: Vec<Line> = Vec::with_capacity(lines.len() * 2);
    for next in lines {
        if let Some(last) = told.last() {
            let silence = silence(last.at, next.at, account);
            told.extend(silence);
        }
        told.push(next);
    }
    let is_over = account.is_none_or(|account| account.closed.is_some());
    if let Some(last) = told.last().filter(|_| !is_over) {
        let silence = silence(last.at, now, account);
        told.extend(silence);
    }
    told
}

fn silence(from: DateTime<Utc>, to: DateTime<Utc>, account: Option<&Account>) -> Option<Line> {
    let length = to - from;
    if length < SILENCE {
        return None;
    }
    let turn = turn_at(account, from);
    let waiting = turn.map_or_else(String::new, |party| {
        format!(", waiting for {}", party.named())
    });
    Some(Line {
        turn,
        idle_seconds: Some(length.num_seconds()),
        ..line(from, "idle", format!("… {} nothing{waiting}", span(length)))
    })
}

/// A length of time in its two largest units.
pub fn span(length: TimeDelta) -> String {
    in_units(length, [" d", " h", " min", " s"])
}

/// The same, by these names of days, hours, minutes and seconds. A clock that was set back is no reason for a negative one.
pub fn in_units(length: TimeDelta, [day, hour, minute, second]: [&str; 4]) -> String {
    let mut left = length.num_seconds().max(0);
    let units = [(86_400, day), (3_600, hour), (60, minute), (1, second)];
    let counts = units.map(|(size, name)| {
        let count = left / size;
        left %= size;
        (count, name)
    });
    let largest = counts.iter().skip_while(|(count, _)| *count == 0).take(2);
    let said: Vec<String> = largest
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count}{name}"))
        .collect();
    match said.is_empty() {
        true => format!("0{second}"),
        false => said.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AttemptState, Status};
    use crate::reconcile::fixtures;

    fn at(hour: i64) -> DateTime<Utc> {
        fixtures::now() + TimeDelta::hours(hour)
    }

    fn request(status: Status, seen: i64, stamp: i64) -> Happening {
        Happening {
            id: seen,
            seen_at: at(seen),
            what: What::Request(Observation {
                status,
                last_updated: Some(at(stamp)),
                observed_at: at(seen),
                ..fixtures::unsent()
            }),
        }
    }

    fn told(material: &Material, now: i64) -> Vec<(i64, &'static str, String, Option<Party>)> {
        let (lines, _) = timeline(&Org::new("o"), material, &Whose::default(), at(now));
        let hour = |line: &Line| (line.at - at(0)).num_hours();
        lines
            .iter()
            .map(|line| (hour(line), line.kind, line.what.clone(), line.turn))
            .collect()
    }

    #[test]
    fn a_life_is_told_in_its_order_with_its_silences_and_whose_turn_it_was() {
        let step = |state, hour| AttemptStep {
            state,
            at: at(hour),
            who: "daemon".to_owned(),
            detail: "as seen".to_owned(),
        };
        let steps = vec![
            step(AttemptState::Intended, 1),
            step(AttemptState::Confirmed, 1),
        ];
        let material = Material {
            happenings: vec![
                request(Status::NotSent, 0, -5),
                request(Status::Processing, 4, 2),
                request(Status::Finished, 100, 99),
            ],
            attempts: vec![(fixtures::attempt(7), steps)],
            ..Material::default()
        };
        let told = told(&material, 200);
        let kinds: Vec<_> = told.iter().map(|line| (line.0, line.1, line.3)).collect();
        let expected = [
            (0, "seen", Some(Party::Us)),
            (0, "idle", Some(Party::Us)),
            (1, "attempt", Some(Party::Us)),
            (1, "attempt", Some(Party::Us)),
            (1, "idle", Some(Party::Us)),
            (2, "seen", Some(Party::Tesa)),
            (2, "idle", Some(Party::Tesa)),
            (99, "seen", None),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(told[5].2, "NOT_SENT → PROCESSING");
        assert_eq!(told[6].2, "… 4 d 1 h nothing, waiting for Telefónica");
    }

    #[test]
    fn an_open_order_s_last_silence_goes_on_until_now() {
        let material = Material {
            happenings: vec![request(Status::Installing, 0, -1)],
            ..Material::default()
        };
        let told = told(&material, 30);
        assert_eq!(told[1].2, "… 1 d 6 h nothing, waiting for the installer");
    }

    #[test]
    fn a_change_says_what_differs() {
        let before = fixtures::unsent();
        let date = Observation {
            last_updated: Some(at(1)),
            ..before.clone()
        };
        assert_eq!(
            changed(&before, &date),
            "NOT_SENT: a new date, nothing else"
        );
        let more = Observation {
            cancelling: true,
            request_number: Some(8),
            external_reference: None,
            ..before.clone()
        };
        let expected = "NOT_SENT → NOT_SENT (cancelling), request number 8, order none";
        assert_eq!(changed(&before, &more), expected);
    }

    #[test]
    fn spans_are_told_in_two_units() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_600, "1 h"),
            (3_661, "1 h 1 min"),
            (90_000, "1 d 1 h"),
            (86_400 + 59, "1 d"),
        ] {
            assert_eq!(span(TimeDelta::seconds(seconds)), said);
        }
    }
}
