//! When jobs run: the schedule as a value, the pure decision about it, the alarm clock and the loop around them.

pub mod decide;
pub mod slots;
pub mod spec;

pub use spec::{CatchUp, Overlap, Spec, When};
