//! The reconciler: select, observe, decide, guard, act, record.

pub mod guard;
pub mod rules;
pub mod template;
