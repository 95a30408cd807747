//! How things stand, in a word and its causes. Pure.
//!
//! The gravest word is the verdict. Who can't see does not know what else is wrong, so blindness comes first; what was
//! stopped waits for somebody too, but keeps every write, so it comes before single orders that wait for a person.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{COUNTED_AT_MOST, Status};
use crate::answers::or_dash;
use crate::answers::time::written;
use crate::domain::finding::Attention;
use crate::domain::ids::JobName;
use crate::domain::{AttemptState, RunOutcome};

/// One word on everything, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Word {
    /// What goes on upstream is not seen, wholly or in part.
    Blind,
    /// It is seen, and writes that are wanted don't go.
    Stopped,
    /// All goes on, but for some that a person must look at.
    WaitsForAPerson,
    /// None of these.
    #[default]
    AllWell,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blind => "blind",
            Self::Stopped => "stopped",
            Self::WaitsForAPerson => "waits for a person",
            Self::AllWell => "all well",
        })
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The verdict: the gravest word, and all causes of this one and of the others.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The word.
    pub word: Word,
    /// The causes.
    pub causes: Vec<Cause>,
}

/// What makes a word true.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The word.
    pub word: Word,
    /// In a sentence.
    pub cause: String,
}

impl Verdict {
    /// Its lines, the gravest first.
    pub fn lines(&self) -> Vec<String> {
        let words = [Word::Blind, Word::Stopped, Word::WaitsForAPerson];
        let mut lines = Vec::new();
        for word in words {
            let of_word = self.causes.iter().filter(|cause| cause.word == word);
            let causes: Vec<&str> = of_word.map(|cause| cause.cause.as_str()).collect();
            if !causes.is_empty() {
                lines.push(format!("{word}: {}", causes.join("; ")));
            }
        }
        if lines.is_empty() {
            lines.push(Word::AllWell.to_string());
        }
        lines
    }
}

/// The verdict on these facts.
pub(super) fn verdict(status: &Status) -> Verdict {
    let mut causes = Vec::new();
    let mut say = |word, cause| causes.push(Cause { word, cause });
    blind(status, &mut |cause| say(Word::Blind, cause));
    stopped(status, &mut |cause| say(Word::Stopped, cause));
    waits(status, &mut |cause| say(Word::WaitsForAPerson, cause));
    let word = causes.iter().map(|cause| cause.word).min();
    Verdict {
        word: word.unwrap_or(Word::AllWell),
        causes,
    }
}

fn blind(status: &Status, say: &mut impl FnMut(String)) {
    if !status.alive {
        say("no daemon is running".to_owned());
    }
    for circuit in &status.circuits {
        let cause = or_dash(circuit.cause, |cause| cause.to_string());
        let since = or_dash(circuit.opened_at, written);
        say(format!(
            "the circuit of {} is {} since {since} ({cause})",
            circuit.org, circuit.state
        ));
    }
    for held in &status.held_back {
        let until = written(held.until);
        say(format!("{} is asked nothing until {until}", held.org));
    }
    for distrusted in &status.distrusted {
        say(format!(
            "the filter {} of {} is not trusted",
            distrusted.filter, distrusted.org
        ));
    }
    for job in &status.jobs {
        let (name, org) = (&job.job_name, &job.org);
        if let Some(outcome @ (RunOutcome::Failed | RunOutcome::Lost)) = job.last_outcome {
            say(format!("the last run of {name} in {org} is {outcome}"));
        }
        if let Some(since) = job.silent_since {
            let since = written(since);
            say(format!("{name} in {org} has not run since {since}"));
        }
    }
}

fn stopped(status: &Status, say: &mut impl FnMut(String)) {
    if let Some(doubt) = &status.doubt {
        say(doubt.clone());
    }
    for (index, hold) in status.holds.iter().enumerate() {
        let which = numbered(index, status.holds.len(), "hold");
        let since = written(hold.since);
        say(format!(
            "{which}{} in {} since {since} ({})",
            hold.job_name, hold.org, hold.reason
        ));
    }
    for (index, pause) in status.pauses.iter().enumerate() {
        let which = numbered(index, status.pauses.len(), "pause");
        let scope = pause.job_name.as_ref().map_or("all jobs", JobName::as_str);
        let until = pause.until.map_or_else(
            || "until resumed".to_owned(),
            |until| format!("until {}", written(until)),
        );
        say(format!(
            "{which}{scope} {until} ({}, {})",
            pause.reason, pause.who
        ));
    }
    for (index, capped) in status.capped.iter().enumerate() {
        let which = numbered(index, status.capped.len(), "cap");
        say(format!(
            "{which}{} writes of {} in {} wait",
            capped.writes, capped.job_name, capped.org
        ));
    }
}

fn waits(status: &Status, say: &mut impl FnMut(String)) {
    if let Some(count) = status.open_attempts.get(&AttemptState::NeedsHuman) {
        say(format!("{count} writes are needs_human"));
    }
    if let Some(count) = status.attention.get(&Attention::GivenUp) {
        let more = if *count >= u64::from(COUNTED_AT_MOST) {
            "+"
        } else {
            ""
        };
        say(format!("{count}{more} findings are given_up"));
    }
    for job in &status.jobs {
        if job.last_outcome == Some(RunOutcome::Partial) {
            say(format!(
                "some requests failed in the last run of {} in {}",
                job.job_name, job.org
            ));
        }
    }
}

/// Before the first, how many there are: a long line still counts them.
fn numbered(index: usize, count: usize, what: &str) -> String {
    match (index, count) {
        (0, 1) => format!("1 {what}: "),
        (0, _) => format!("{count} {what}s: "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
