//! The reconciler: select, observe, decide, guard, act, record.

pub mod acknowledged;
mod acting;
pub mod answers;
pub mod breaker;
pub mod claims;
pub mod clocks;
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
pub mod listed;
pub mod looks;
mod pass;
pub mod plan;
pub mod reads;
pub mod recorder;
mod reread;
pub mod runner;
pub mod select;
pub mod stuck;
pub mod survey;
pub mod verification;
pub mod verifier;
pub mod wanting;
