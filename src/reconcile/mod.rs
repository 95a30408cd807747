//! The reconciler: select, observe, decide, guard, act, record.

pub mod compose;
#[cfg(test)]
pub mod fixtures;
pub mod guard;
pub mod history;
pub mod plan;
pub mod rules;
pub mod selection;
pub mod stuck;
pub mod template;
pub mod verification;
