#![allow(missing_docs)]
use crate::domain::ids::*;
use crate::domain::*;
use std::time::Duration;
pub fn attempt(_: Operation, _: AttemptState) {}
pub fn time_to_repair(_: Duration) {}
pub fn findings_opened(_: FindingKind, _: u64) {}
pub fn decision(_: &JobName, _: &'static str, _: u64) {}
pub fn requests_observed(_: &JobName, _: &Org, _: u64) {}
pub fn requests_unchanged(_: &JobName, _: &Org, _: u64) {}
pub fn run_started(_: &JobName, _: &Org) {}
pub fn run_abandoned(_: &JobName, _: &Org) {}
pub fn run_finished(_: &JobName, _: &Org, _: Trigger, _: RunOutcome, _: Duration) {}
