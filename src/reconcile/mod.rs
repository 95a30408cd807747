//! The reconciler: what a run does, from the upstream's lists to the last word in the store.
//!
//! A run takes no input but the clock. It is told a job and an org, looks at the world afresh, and does what is to be done
//! about what it sees. So a trigger that is lost or doubled does no harm, and one path serves the timer, a signal, a command
//! and the catch-up after downtime. What a run needs to know of earlier ones is in the store, and nowhere else: a run after a
//! restart, or by another replica, costs what any run costs.
//!
//! The steps, and where they stand:
//!
//! - **Claim** (`runner.rs`): the slot, the right to run, a heartbeat, a time-out, an outcome. `run_stages.rs` is what happens in
//!   between, kind by kind (`jobs/`).
//! - **Select** (`select/`): who it is about. `retry_stuck` asks by lists alone. Its rules are compiled to classes, one for each
//!   rule and status ([`crate::rules::classes`]); a class is list calls and the algebra of sets, and the first rule that matches
//!   wins because who is in a class is taken out of those after it. Only what no list tells (the territory owner, a filter that
//!   the upstream does not support) is read. Jobs that follow change (`resolve_issues`, `flag_events`) ask for all and for what
//!   did not change since their last sweep; the difference is read, events or issues first, the request only where they show
//!   something (`jobs/sweep.rs`, `survey.rs`).
//! - **Check** (`claims/`): a list is a claim. A few reads hold it against what requests say of themselves, and *gone* is a claim
//!   too: nothing is over because a list was empty, a read answered 404 or an answer was missing. A filter that reads contradict
//!   fails the run before anything is concluded from it.
//! - **Decide** (`plan.rs`, `stuck.rs`, `issues.rs`, `events.rs`): pure. What a rule wants of a request, and what stands in the
//!   way: a write in doubt, attempts made, a person's word, a pause, the mode.
//! - **Guard** (`guard/`, `wanting.rs`): judges all that want a write before one of them is read, by the classes' sizes; and it is
//!   the only one that can mint the permit without which nothing is sent.
//! - **Act** (`acting.rs`, `executor.rs`): the oldest first, as many as the caps leave. For each, all that the decision rests on
//!   is read again, the intent is committed, and the write leaves once. Its answer is recorded (`answers.rs`); what came of it
//!   is seen by reading (`verifier.rs`, `verification.rs`, `looks.rs`).
//! - **Record** (`listed.rs`, `recorder.rs`, `findings.rs`): a finding for each request that is flagged, from its list alone, by a
//!   merge of what the list names with what the store remembers; what reads showed, compared for those requests only. What lists
//!   don't tell (the order's number, the exact date) is read afterwards, with what is left of the read rate (`jobs/details.rs`).
//!
//! Recording what is flagged and acting go side by side, so that a large backlog delays no repair.
//!
//! What was left out, and why. No decision is kept in memory from run to run: that was tried, and a cache with rules of its own
//! made findings come and go. No run is shared by replicas: the rate belongs to the org, so one process can use all of it. No
//! decision is written down for what was only listed: `plan` and `explain` compute it.

pub mod acknowledged;
mod acting;
pub mod answers;
pub mod breaker;
pub mod causes;
pub mod claims;
pub mod clocks;
pub mod compose;
pub mod events;
pub mod executor;
pub mod findings;
#[cfg(test)]
pub mod fixtures;
pub mod guard;
pub mod issues;
pub mod jobs;
pub mod listed;
pub mod looks;
pub mod plan;
pub mod reads;
pub mod recorder;
pub mod rehearse;
mod reread;
pub mod retry_verdict;
mod run_stages;
pub mod runner;
pub mod select;
pub mod stuck;
pub mod survey;
pub mod verification;
pub mod verifier;
pub mod wanting;
