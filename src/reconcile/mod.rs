//! The reconciler: select, observe, decide, guard, act, record.

pub mod acknowledged;
pub mod answers;
pub mod breaker;
pub mod compose;
pub mod events;
pub mod executor;
pub mod findings;
#[cfg(test)]
pub mod fixtures;
pub mod guard;
pub mod history;
pub mod issues;
pub mod jobs;
pub mod lasting;
pub mod looks;
mod notes;
mod pass;
pub mod plan;
pub mod recall;
pub mod recorder;
mod reread;
pub mod runner;
pub mod selection;
pub mod stuck;
pub mod survey;
pub mod verification;
pub mod verifier;
