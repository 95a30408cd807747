//! How a configuration decides on a request out of its history: by the functions that decide in a run.
//!
//! They are asked in a world without ledger, people, pauses and guard: what is left is what the rules say.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::plan::{Context, Item, Known, WritePolicy};
use super::retry_verdict::RetryPolicy;
use super::{issues, stuck};
use crate::config::{Job, JobKind};
use crate::domain::ids::{JobName, Org};
use crate::domain::run::Mode;
use crate::domain::{Issue, Observation, Verdict};
use crate::history::rehearse::{Rules, Unreplayable, Wants, Wish};
use crate::history::replay::Standing;
use crate::rules::next_age;
use crate::store::orders::OrderFacts;

/// Nothing stands in a write's way.
const FREE: WritePolicy = WritePolicy {
    mode: Mode::Enforce,
    paused: false,
    held: false,
    circuit_open: false,
};

/// The jobs of a configuration that have rules.
pub struct Configured<'c> {
    jobs: BTreeMap<JobName, &'c Job>,
    retry: RetryPolicy,
    nothing_written: OrderFacts,
}

impl<'c> Configured<'c> {
    /// Of these jobs.
    pub fn new(jobs: &'c [Job], retry: RetryPolicy) -> Self {
        let ruled = jobs.iter().filter(|job| job.kind != JobKind::Housekeeping);
        Self {
            jobs: ruled.map(|job| (job.name.clone(), job)).collect(),
            retry,
            nothing_written: OrderFacts::default(),
        }
    }
}

impl Rules for Configured<'_> {
    fn jobs(&self) -> Vec<JobName> {
        // Those that follow events can't be asked, see `wish`.
        let asked = self
            .jobs
            .values()
            .filter(|job| job.kind != JobKind::FlagEvents);
        asked.map(|job| job.name.clone()).collect()
    }

    fn wish(
        &self,
        job: &JobName,
        org: &Org,
        standing: &Standing,
        now: DateTime<Utc>,
    ) -> Result<Wish, Unreplayable> {
        let job = self.jobs.get(job).ok_or(Unreplayable::JobNotConfigured)?;
        let request = standing.request.as_ref().ok_or(Unreplayable::NeverRead)?;
        let context = Context {
            org,
            rules: &job.rules,
            retry: self.retry,
            writes: FREE,
            now,
        };
        let known = Known {
            request,
            issue: None,
            order: &self.nothing_written,
            acknowledged: None,
        };
        let item = match job.kind {
            JobKind::RetryStuck => stuck::decide(&context, known),
            JobKind::ResolveIssues => {
                let told: Vec<Issue> = standing.issues.values().cloned().collect();
                let mut open = told.iter().filter(|issue| !issue.resolved);
                if open.any(|issue| !issue.issue_code.is_plain()) {
                    return Err(Unreplayable::CodeNotKept);
                }
                issues::decide(&context, known, &told)
            }
            JobKind::FlagEvents => return Err(Unreplayable::EventsNotKept),
            JobKind::Housekeeping => return Err(Unreplayable::JobNotConfigured),
        };
        Ok(wish(item))
    }

    fn next_age(
        &self,
        job: &JobName,
        request: &Observation,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        next_age(&self.jobs.get(job)?.rules, request, now)
    }
}

fn wish(item: Item) -> Wish {
    Wish {
        wants: match item.decision.verdict {
            Verdict::Act { operation } => Wants::Write(operation),
            Verdict::Flag => Wants::Flag,
            Verdict::Skip {
                instead_of: Some(operation),
                ..
            } => Wants::Write(operation),
            Verdict::Ignore | Verdict::Skip { .. } => Wants::Leave,
        },
        rule: item.decision.rule,
    }
}
