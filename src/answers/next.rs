//! What happens to a request next: one sentence, and what will really happen. Pure.
//!
//! It follows from what each job would decide now, and from what stands between a decision and a write: an open attempt, a
//! store in doubt, pauses, the guard, the circuit, the caps. Of several jobs the one speaks that acts first; then whatever
//! keeps a wanted write from going; a mere look comes last.

use chrono::{DateTime, Utc};

use super::time::written;
use crate::domain::ids::{JobName, Org};
use crate::domain::{AttemptState, Operation, SkipReason, Verdict};
use crate::reconcile::jobs::turn::{Foreseen, Turn};
use crate::schedule::{self, Spec};
use crate::store::attempts::Attempt;
use crate::store::controls::{CircuitRow, Latch, Pause};

/// All that it follows from.
#[derive(Debug)]
pub struct Outlook<'a> {
    /// The tenant in which the request is looked at.
    pub org: &'a Org,
    /// The instant of the question.
    pub now: DateTime<Utc>,
    /// A write to the order, or to the request, whose outcome isn't settled.
    pub open: Option<&'a Attempt>,
    /// Why nothing is enforced from this store; none in observe.
    pub doubt: Option<String>,
    /// The org's circuit, where it is open.
    pub circuit: Option<&'a CircuitRow>,
    /// Every job that is about requests.
    pub jobs: Vec<Prospect<'a>>,
    /// A daemon has beaten lately.
    pub alive: bool,
    /// The mode is observe: no write leaves.
    pub observes: bool,
    /// Until when the upstream asked to be asked nothing.
    pub held_back: Option<DateTime<Utc>>,
}

/// One job's.
#[derive(Debug)]
pub struct Prospect<'a> {
    /// The job that looks at the request next.
    pub job: &'a JobName,
    /// When it runs.
    pub schedule: &'a Spec,
    /// What it would do, or why that can't be told; none where the request itself is not known.
    pub foreseen: Option<Result<Foreseen, String>>,
    /// The pauses in force, its own and of all.
    pub pauses: Vec<&'a Pause>,
    /// The guard's latch.
    pub latch: Option<&'a Latch>,
}

/// How much a sentence matters: the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// It goes by itself, at an instant that is known.
    Goes,
    /// It goes by itself, some time.
    Waits,
    /// A write is wanted, and does not go.
    Stands,
    /// Nobody wants to write.
    Look,
}

/// A job's sentence, with its instant.
type Step = (Weight, Option<DateTime<Utc>>, String);

/// What happens next.
pub fn next(outlook: &Outlook<'_>) -> String {
    let mut said = sentence(outlook);
    if let Some(until) = outlook.held_back {
        said.push_str(&format!(
            "; the upstream asked for patience (Retry-After), and nothing is read before {}",
            written(until)
        ));
    }
    if !outlook.alive {
        said.push_str(" (no daemon is alive just now: that is what the schedule says)");
    }
    said
}

fn sentence(outlook: &Outlook<'_>) -> String {
    if let Some(attempt) = outlook.open {
        return settles(outlook, attempt);
    }
    if let Some(doubt) = &outlook.doubt {
        return format!("nothing: {doubt}");
    }
    let steps = outlook.jobs.iter().map(|prospect| step(outlook, prospect));
    // An instant that is not known comes after all that are.
    let first = steps.min_by_key(|(weight, at, _)| (*weight, at.is_none(), *at));
    first.map_or_else(|| "no job is about requests".to_owned(), |(.., said)| said)
}

/// How an open attempt is settled. Nothing else is sent before that.
pub fn settles(outlook: &Outlook<'_>, attempt: &Attempt) -> String {
    let id = attempt.id;
    if attempt.state == AttemptState::NeedsHuman {
        return format!(
            "nothing by itself: a person must settle attempt {id} (`tesa-reconciler attempts settle {id} …`)"
        );
    }
    let from = attempt.verify_at.max(probe(outlook));
    let from = from.map_or_else(String::new, |at| format!(" from {}", written(at)));
    format!("attempt {id} is verified by reading{from}")
}

/// When an open circuit lets a read through.
fn probe(outlook: &Outlook<'_>) -> Option<DateTime<Utc>> {
    let circuit = outlook.circuit.filter(|circuit| !circuit.due)?;
    circuit.probe_at
}

fn step(outlook: &Outlook<'_>, prospect: &Prospect<'_>) -> Step {
    let job = prospect.job;
    let foreseen = match &prospect.foreseen {
        None => return look(outlook, prospect, "the request is not known"),
        Some(Err(why)) => {
            return (
                Weight::Stands,
                None,
                format!("what {job} does can't be told: {why}"),
            );
        }
        Some(Ok(foreseen)) => foreseen,
    };
    let why = foreseen.decision.explanation.as_str();
    let stands = |said: String| (Weight::Stands, None, said);
    match &foreseen.decision.verdict {
        Verdict::Act { operation } => {
            let turn = foreseen.turn.unwrap_or(Turn::SentUnlessStopped);
            turn_comes(outlook, prospect, *operation, turn)
        }
        Verdict::Flag => {
            let why = format!("it is flagged, and nothing is sent: {why}");
            look(outlook, prospect, &why)
        }
        Verdict::Ignore => look(outlook, prospect, why),
        Verdict::Skip { reason, .. } => match reason {
            SkipReason::GivenUp | SkipReason::DuplicateReference => {
                stands(format!("nothing by itself: {why}"))
            }
            SkipReason::InDoubt => stands(format!("nothing before that is settled: {why}")),
            SkipReason::Acknowledged => stands(format!(
                "nothing until its status or cancellation changes, or the word is taken back (`tesa-reconciler findings unack ID… \
                 --reason …`): {why}"
            )),
            SkipReason::BackingOff => {
                let from = foreseen.not_before.unwrap_or(outlook.now);
                goes(outlook, prospect, from, &format!("nothing before: {why}"))
            }
            SkipReason::Paused => goes(outlook, prospect, outlook.now, why),
            SkipReason::GuardHeld => stands(held(outlook, prospect)),
            SkipReason::CircuitOpen => {
                let from = probe(outlook).unwrap_or(outlook.now);
                let cause = outlook.circuit.and_then(|circuit| circuit.cause);
                let cause = cause.map_or_else(String::new, |cause| format!(" ({cause})"));
                let text = format!("{why}{cause} until {}", written(from));
                goes(outlook, prospect, from, &text)
            }
            SkipReason::ObserveMode => {
                let (_, at, said) = look(outlook, prospect, why);
                (Weight::Stands, at, said)
            }
            _ => look(outlook, prospect, why),
        },
    }
}

/// A write that nothing forbids just now.
fn turn_comes(
    outlook: &Outlook<'_>,
    prospect: &Prospect<'_>,
    operation: Operation,
    turn: Turn,
) -> Step {
    let (job, org) = (prospect.job, outlook.org);
    let Some(at) = due(prospect, outlook.now) else {
        return never(prospect, &format!("would send {operation}"));
    };
    let run = format!("{job} at {}", written(at));
    match turn {
        Turn::Sent => (
            Weight::Goes,
            Some(at),
            format!("{run}: {operation} is sent"),
        ),
        Turn::SentUnlessStopped => (
            Weight::Goes,
            Some(at),
            format!("{run}: {operation} is sent, as far as guard and caps let that run"),
        ),
        Turn::Unlisted => (
            Weight::Look,
            Some(at),
            format!(
                "{run}: nothing, as long as the upstream's lists do not name it; {operation} is sent once they do"
            ),
        ),
        Turn::Held => (
            Weight::Stands,
            Some(at),
            format!(
                "{run}: nothing is sent, the guard will hold the run because too many want a write at once; then it waits for \
                 {}",
                release(job, org)
            ),
        ),
        Turn::Waits { older, room } => (
            Weight::Waits,
            Some(at),
            format!(
                "{operation} is sent by {job} when its turn comes: {older} older ones want a write too, and the caps \
                 (max_writes_per_run, max_writes_per_hour) leave {room} to the run at {}",
                written(at)
            ),
        ),
        Turn::NoRoom { from: Some(from) } => goes(
            outlook,
            prospect,
            from,
            &format!(
                "the cap (max_writes_per_hour) has no room before {}",
                written(from)
            ),
        ),
        Turn::NoRoom { from: None } => (
            Weight::Stands,
            None,
            format!(
                "nothing: {job} would send {operation}, but max_writes_per_run or max_writes_per_hour is 0"
            ),
        ),
    }
}

/// The guard's latch, and the way out.
fn held(outlook: &Outlook<'_>, prospect: &Prospect<'_>) -> String {
    let way_out = release(prospect.job, outlook.org);
    match prospect.latch {
        Some(latch) => format!(
            "nothing until {way_out}: the guard has held since {} ({})",
            written(latch.since),
            latch.reason
        ),
        None => format!("nothing until {way_out}: the guard holds"),
    }
}

/// The command that lets a held job go on.
pub fn release(job: &JobName, org: &Org) -> String {
    format!("`tesa-reconciler release {job} --org {org} --reason …`")
}

/// What is wanted goes by itself with the first run from then on.
fn goes(outlook: &Outlook<'_>, prospect: &Prospect<'_>, from: DateTime<Utc>, why: &str) -> Step {
    let Some(at) = due(prospect, from.max(outlook.now)) else {
        return never(prospect, why);
    };
    let mut said = format!("{why}; then {} at {}", prospect.job, written(at));
    for pause in &prospect.pauses {
        let until = pause
            .until
            .map_or_else(String::new, |until| format!(" until {}", written(until)));
        said.push_str(&format!(
            "; paused{until} by {}: {}",
            pause.who, pause.reason
        ));
    }
    (Weight::Goes, Some(at), said)
}

/// Nothing is wanted but to look again.
fn look(outlook: &Outlook<'_>, prospect: &Prospect<'_>, why: &str) -> Step {
    let Some(at) = due(prospect, outlook.now) else {
        return never(prospect, why);
    };
    let said = format!(
        "{} looks at it again at {} ({why})",
        prospect.job,
        written(at)
    );
    (Weight::Look, Some(at), said)
}

/// No run comes: because it is paused until a person says otherwise, or because no instant is in its schedule.
fn never(prospect: &Prospect<'_>, why: &str) -> Step {
    let job = prospect.job;
    let endless = prospect.pauses.iter().find(|pause| pause.until.is_none());
    let said = match endless {
        Some(pause) => {
            let scope = match &pause.job_name {
                Some(name) => name.as_str(),
                None => "--all",
            };
            format!(
                "nothing until `tesa-reconciler resume {scope} --reason …`: {job} is paused by {} ({}); {why}",
                pause.who, pause.reason
            )
        }
        None => format!(
            "nothing before somebody says `tesa-reconciler trigger {job}`: no run is due ({why})"
        ),
    };
    (Weight::Stands, None, said)
}

/// The first run after `from` that no pause skips.
fn due(prospect: &Prospect<'_>, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut from = from;
    for pause in &prospect.pauses {
        from = from.max(pause.until?);
    }
    schedule::next_due(prospect.schedule, prospect.job, from)
}

#[cfg(test)]
mod tests;
