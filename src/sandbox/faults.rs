//! Faults on demand: what can go wrong between a client and a gateway, when, and how often.
//!
//! A rule says what happens to which calls. Whether a call is hit follows from the seed and from how many calls the
//! rule has met, so that a sequence of calls always meets the same faults. Where several rules hit one call, all
//! their delays add up, and of those that concern its work and of those that concern its answer the first counts: so a
//! write may have its effect late *and* lose its answer.

mod effect;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::Call;
use super::dice::Dice;
use crate::domain::{Filter, ReadOperation};
use effect::Part;
pub use effect::{Effect, ErrorShape, More};

/// One rule: a fault and the calls it is aimed at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    #[serde(rename = "do")]
    pub what: Effect,
    /// Operations by name, or `gets` (reads of one request), `reads` (those and lists), `writes`, `token`, `all`
    /// (everything but `token`). Empty is `all`.
    #[serde(default)]
    pub operations: Vec<String>,
    /// Only this org.
    #[serde(default)]
    pub org: Option<String>,
    /// Only calls about this request, by its reference id (reads) or external reference (writes, list).
    #[serde(default)]
    pub reference: Option<String>,
    /// The share of calls that are hit, 0 to 1.
    #[serde(default = "always")]
    pub rate: f64,
    /// How many calls are hit before the rule is spent; for ever, if absent.
    #[serde(default)]
    pub count: Option<u64>,
}

/// Names of several operations at once.
const GROUPS: &[&str] = &["all", "gets", "reads", "writes"];

const fn always() -> f64 {
    1.0
}

/// What happens to one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Hit {
    /// The answer waits.
    pub delay: Duration,
    /// The filters that a list takes no notice of.
    pub ignored: Vec<Filter>,
    /// What is wrong with the work.
    pub work: Option<Effect>,
    /// The chance of it, where there is any: another for each call.
    pub roll: u64,
    /// What is wrong with the answer.
    pub answer: Option<Effect>,
}

/// A rule that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFault {
    /// An unknown name.
    #[error(
        "{0:?} is no operation; it can be one of the sixteen names, token, gets, reads, writes or all"
    )]
    Operation(String),
    /// Not a share.
    #[error("rate must be from 0 to 1")]
    Rate,
    /// Not an HTTP error.
    #[error("status must be from 400 to 599")]
    Status,
    /// Not a part of a list.
    #[error("share must be from 0 to 1")]
    Share,
}

impl Fault {
    /// `what` happens to every call.
    pub fn new(what: Effect) -> Self {
        Self {
            what,
            operations: Vec::new(),
            org: None,
            reference: None,
            rate: 1.0,
            count: None,
        }
    }

    /// Only to calls of these operations.
    #[must_use]
    pub fn on(mut self, operations: &[&str]) -> Self {
        self.operations = operations.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Only to calls about this request.
    #[must_use]
    pub fn about(mut self, reference: &str) -> Self {
        self.reference = Some(reference.to_owned());
        self
    }

    /// Only to this share of them.
    #[must_use]
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// Only to the next so many.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    fn check(&self) -> Result<(), BadFault> {
        for name in &self.operations {
            if !GROUPS.contains(&name.as_str()) && name.parse::<Call>().is_err() {
                return Err(BadFault::Operation(name.clone()));
            }
        }
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(BadFault::Rate);
        }
        match self.what {
            Effect::Error { status, .. } if !(400..=599).contains(&status) => Err(BadFault::Status),
            Effect::ShortList { share } | Effect::Page { share, .. } | Effect::Omit { share }
                if !(0.0..=1.0).contains(&share) =>
            {
                Err(BadFault::Share)
            }
            _ => Ok(()),
        }
    }

    fn aims_at(&self, call: Call, org: Option<&str>, reference: Option<&str>) -> bool {
        let group = |name: &str| match call {
            Call::Token => false,
            Call::Read(ReadOperation::ListReferenceIds) => ["all", "reads"].contains(&name),
            Call::Read(_) => ["all", "reads", "gets"].contains(&name),
            Call::Write(_) => ["all", "writes"].contains(&name),
        };
        let operation = match self.operations.as_slice() {
            [] => call != Call::Token,
            names => names
                .iter()
                .any(|name| group(name) || name == call.as_str()),
        };
        operation
            && self.org.as_deref().is_none_or(|wanted| Some(wanted) == org)
            && self
                .reference
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == reference)
    }
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    met: u64,
}

/// The rules in force.
#[derive(Debug)]
pub(super) struct Faults {
    seed: u64,
    /// Spares calls the lock while there are no rules.
    any: AtomicBool,
    rules: Mutex<Vec<Rule>>,
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            any: AtomicBool::new(false),
            rules: Mutex::default(),
        }
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts these rules in the place of all there were.
    ///
    /// # Errors
    /// The first rule that can't be; nothing is changed then.
    pub fn replace(&self, faults: Vec<Fault>) -> Result<(), BadFault> {
        faults.iter().try_for_each(Fault::check)?;
        let mut rules = self.rules();
        self.any.store(!faults.is_empty(), Ordering::Release);
        *rules = faults
            .into_iter()
            .map(|fault| Rule { fault, met: 0 })
            .collect();
        Ok(())
    }

    /// The rules and how many calls each has left.
    pub fn list(&self) -> Vec<Fault> {
        self.rules().iter().map(|rule| rule.fault.clone()).collect()
    }

    /// What happens to this call.
    pub fn draw(&self, call: Call, org: Option<&str>, reference: Option<&str>) -> Hit {
        let mut hit = Hit::default();
        if !self.any.load(Ordering::Acquire) {
            return hit;
        }
        for (place, rule) in (0u64..).zip(self.rules().iter_mut()) {
            let spent = rule.fault.count == Some(0);
            // A second fault of one part could not happen to this call: it waits for the next.
            let taken = match rule.fault.what.part() {
                Part::Delay | Part::Filter => false,
                Part::Work => hit.work.is_some(),
                Part::Answer => hit.answer.is_some(),
            };
            if spent || taken || !rule.fault.aims_at(call, org, reference) {
                continue;
            }
            let mut dice = Dice::of(self.seed, [place, rule.met, 0x6661_756C]);
            rule.met += 1;
            if !dice.chance(rule.fault.rate) {
                continue;
            }
            rule.fault.count = rule.fault.count.map(|left| left - 1);
            match rule.fault.what {
                Effect::Latency { ms, jitter_ms } => {
                    let jitter = dice.between(0, jitter_ms.saturating_add(1));
                    hit.delay += Duration::from_millis(ms.saturating_add(jitter));
                }
                Effect::FilterIgnored { filter } => hit.ignored.push(filter),
                ref what if what.part() == Part::Work => {
                    hit.work = Some(what.clone());
                    hit.roll = dice.bits();
                }
                ref what => hit.answer = Some(what.clone()),
            }
        }
        hit
    }
}

#[cfg(test)]
mod tests;
