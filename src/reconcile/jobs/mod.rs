//! The kinds of job: which requests each is about, one file a kind. What they decide is pure and stands beside
//! (`stuck.rs`, `issues.rs`, `events.rs`); how it is carried out is common (`runner.rs`).

mod details;
mod flag_events;
mod foresight;
mod housekeeping;
mod resolve_issues;
mod retry_stuck;
mod sweep;
pub mod turn;
