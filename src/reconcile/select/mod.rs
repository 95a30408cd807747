//! Select: which requests a job's rules match, by the upstream's lists alone.

pub mod algebra;
pub mod lists;
pub mod members;
pub mod merge;
pub mod oldest;
