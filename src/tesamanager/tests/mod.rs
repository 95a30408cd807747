//! x
pub mod support;
