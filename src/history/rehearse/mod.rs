//! What rules would have done on recorded history: pure.
//!
//! A history is a row of stances: from one change that was seen to the next, a request stood like this. In each the rules are
//! asked when it begins and when one of their ages is reached, which is all that can change their answer. They are asked
//! through [`Rules`]: by the very functions that decide in a run, which this module may not know.
//!
//! What is compared is what rules *want*: a write, a flag, nothing. Whether the ledger, a person, a pause or the guard let it go
//! is not the rules' doing, and was another world's: a recorded `backing_off` or `paused` stands for a write that was wanted.
//! Where an action differs from what was done, the rest of that history would have gone otherwise, so it is not used.

mod caps;
mod recorded;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

pub use self::caps::{Caps, apply};
use super::replay::Standing;
use crate::domain::ids::{JobName, Org, ReferenceId, RuleName};
use crate::domain::{Happening, Observation, Operation, Version, What, closed_set};
use crate::store::acknowledgements::Acknowledgement;
use crate::store::attempts::Attempt;

closed_set! {
    /// Why a decision can't be made again.
    Unreplayable {
        /// Only lists told of it: the request itself was not read by then.
        NeverRead = "never_read",
        /// It rests on all events of a request, and history keeps the last.
        EventsNotKept = "events_not_kept",
        /// An issue's code is no code, so it is not kept as the upstream said it.
        CodeNotKept = "code_not_kept",
        /// The ledger decided which of several open issues came first.
        SeveralIssues = "several_issues",
        /// No job of this name is configured, or none that has rules.
        JobNotConfigured = "job_not_configured",
        /// A read failed, or the request changed between decision and write: not the rules' doing.
        NotByRules = "not_by_rules",
    }
}

closed_set! {
    /// What became of a write that rules wanted, or didn't.
    Outcome {
        /// It was sent.
        AsDone = "as_done",
        /// Another write was sent by the job.
        AnotherWrite = "another_write",
        /// It was sent, and these rules would not have.
        WouldNot = "would_not",
        /// A person had said hands off.
        HandsOff = "hands_off",
        /// A person took it over.
        PersonDid = "a_person_did",
        /// It went on by itself.
        CuredItself = "cured_itself",
        /// It was over by then, which was seen later.
        WasFinal = "was_final",
        /// It still stands like that.
        StillStands = "still_stands",
        /// Too many wanted a write at once.
        GuardWouldHold = "guard_would_hold",
    }
}

/// What rules want of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Which of them; none where none matches.
    pub rule: Option<RuleName>,
    /// What.
    pub wants: Wants,
}

/// See [`Wish::wants`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wants {
    /// This write.
    Write(Operation),
    /// That people look.
    Flag,
    /// Nothing.
    Leave,
}

impl Wants {
    /// `write`, `flag` or `leave`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write(_) => "write",
            Self::Flag => "flag",
            Self::Leave => "leave",
        }
    }
}

/// The jobs of a configuration, and how they decide.
pub trait Rules {
    /// Those that have rules.
    fn jobs(&self) -> Vec<JobName>;

    /// What a job wants of a request that stands like this. Age counts from `now`.
    ///
    /// # Errors
    /// What is kept does not tell.
    fn wish(
        &self,
        job: &JobName,
        org: &Org,
        standing: &Standing,
        now: DateTime<Utc>,
    ) -> Result<Wish, Unreplayable>;

    /// When the next age of the job's rules is reached.
    fn next_age(
        &self,
        job: &JobName,
        request: &Observation,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>>;
}

/// All that is recorded of a request.
#[derive(Debug, Clone, Copy)]
pub struct Life<'a> {
    /// The tenant that its reference belongs to.
    pub org: &'a Org,
    /// Unique within the org.
    pub reference_id: &'a ReferenceId,
    /// What was seen, oldest first.
    pub happenings: &'a [Happening],
    /// What was sent, oldest first.
    pub attempts: &'a [Attempt],
    /// What people said of it, ended ones too.
    pub acknowledgements: &'a [Acknowledgement],
}

/// From when to when it is rehearsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// What stood before is there to begin with.
    pub since: DateTime<Utc>,
    /// Until then.
    pub until: DateTime<Utc>,
}

/// A write that rules want, or that was sent and they don't.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Act {
    /// The tenant that its request belongs to.
    pub org: Org,
    /// Unique within the org.
    pub reference_id: ReferenceId,
    /// The job whose rules want it, or that sent it.
    pub job_name: JobName,
    /// Which rule.
    pub rule: Option<RuleName>,
    /// The write.
    pub operation: Operation,
    /// When it was first wanted, or was sent.
    pub at: DateTime<Utc>,
    /// What became of it.
    pub outcome: Outcome,
    /// After how long the request changed, where it did.
    pub changed_after_seconds: Option<i64>,
    /// The caps would have put it off.
    pub put_off: bool,
}

/// What a rehearsal of one request, or of many, comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rehearsed {
    /// Recorded decisions that these rules make too.
    pub reproduced: u64,
    /// Recorded decisions that they make otherwise.
    pub differing: u64,
    /// Decisions that can't be made again, by the reason.
    pub unreplayable: BTreeMap<&'static str, u64>,
    /// Requests of which a rule wanted this, each once.
    pub wanted: BTreeMap<(JobName, Option<RuleName>, &'static str), u64>,
    /// Every write.
    pub acts: Vec<Act>,
    /// Decisions made, for the pace.
    pub decisions: u64,
    /// Rows of history in the time asked about …
    pub rows: u64,
    /// … and those not used, because something else had been done before.
    pub unused: u64,
}

impl Rehearsed {
    /// Both.
    pub fn add(&mut self, other: Self) {
        self.reproduced += other.reproduced;
        self.differing += other.differing;
        self.decisions += other.decisions;
        self.rows += other.rows;
        self.unused += other.unused;
        self.acts.extend(other.acts);
        for (reason, count) in other.unreplayable {
            *self.unreplayable.entry(reason).or_default() += count;
        }
        for (of, count) in other.wanted {
            *self.wanted.entry(of).or_default() += count;
        }
    }

    fn cannot(&mut self, reason: Unreplayable) {
        *self.unreplayable.entry(reason.as_str()).or_default() += 1;
    }
}

/// A request as it stood from one change to the next.
struct Stance<'s> {
    standing: &'s Standing,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// What was seen then; none: it still stands.
    next: Option<&'s Happening>,
}

impl Stance<'_> {
    /// The attempt was made on this: on that version of the request, and on nothing that was seen later. Instants alone don't
    /// tell: what a write changes may be seen at the very instant of the write.
    fn saw(&self, attempt: &Attempt) -> bool {
        let request = self.standing.request.as_ref();
        let is_later = self.next.is_none_or(|next| {
            let is_same = match &next.what {
                What::Request(next) => next.version() == attempt.before,
                What::Gone | What::LetGo => false,
                _ => true,
            };
            next.seen_at > attempt.intended_at || !is_same
        });
        request.is_some_and(|request| request.version() == attempt.before)
            && self.from <= attempt.intended_at
            && is_later
    }
}

/// What these rules would have done with a request.
pub fn rehearse(rules: &dyn Rules, life: &Life<'_>, window: Window) -> Rehearsed {
    let mut done = Rehearsed::default();
    let jobs = rules.jobs();
    let mut standing = Standing::default();
    let mut wanted: BTreeSet<(JobName, Option<RuleName>, &'static str)> = BTreeSet::new();
    let mut acted: BTreeMap<JobName, Version> = BTreeMap::new();
    let mut ended: Option<DateTime<Utc>> = None;
    let is_in = |happening: &&Happening| (window.since..window.until).contains(&happening.seen_at);
    done.rows = life.happenings.iter().filter(is_in).count() as u64;
    for (place, happening) in life.happenings.iter().enumerate() {
        if happening.seen_at >= window.until {
            break;
        }
        let rest = &life.happenings[place..];
        // What was decided before that instant is as it was.
        if ended.is_some_and(|ended| happening.seen_at >= ended) {
            done.unused = rest.iter().filter(is_in).count() as u64;
            break;
        }
        if let What::Decision(decided) = &happening.what {
            if happening.seen_at >= window.since {
                recorded::compare(rules, life, &standing, happening, decided, &mut done);
            }
            continue;
        }
        standing.step(&happening.what);
        if matches!(happening.what, What::LetGo) {
            acted.clear();
        }
        let next = rest
            .iter()
            .skip(1)
            .find(|later| !matches!(later.what, What::Decision(_) | What::Event(_)));
        let stance = Stance {
            standing: &standing,
            from: happening.seen_at.max(window.since),
            to: next.map_or(window.until, |next| next.seen_at.min(window.until)),
            next: next.filter(|next| next.seen_at < window.until),
        };
        // Several rows of one read: the last of them tells how it stood.
        let was_acted_on = || {
            life.attempts
                .iter()
                .any(|attempt| is_of(life, attempt) && stance.saw(attempt))
        };
        if matches!(happening.what, What::Event(_)) || (stance.from >= stance.to && !was_acted_on())
        {
            continue;
        }
        let before = done.acts.len();
        for job in &jobs {
            ask(
                rules,
                life,
                job,
                &stance,
                &mut wanted,
                &mut acted,
                &mut done,
            );
        }
        not_wanted(rules, life, &jobs, &stance, &mut done);
        let differ = done.acts[before..].iter();
        let differ =
            differ.filter(|act| !matches!(act.outcome, Outcome::AsDone | Outcome::HandsOff));
        ended = differ.map(|act| act.at).min();
    }
    for of in wanted {
        done.wanted.insert(of, 1);
    }
    done
}

/// What a job wants in a stance, from its beginning on and at each age.
fn ask(
    rules: &dyn Rules,
    life: &Life<'_>,
    job: &JobName,
    stance: &Stance<'_>,
    wanted: &mut BTreeSet<(JobName, Option<RuleName>, &'static str)>,
    acted: &mut BTreeMap<JobName, Version>,
    done: &mut Rehearsed,
) {
    let mut at = stance.from;
    loop {
        done.decisions += 1;
        let wish = match rules.wish(job, life.org, stance.standing, at) {
            Ok(wish) => wish,
            Err(reason) => {
                done.cannot(reason);
                return;
            }
        };
        wanted.insert((job.clone(), wish.rule.clone(), wish.wants.as_str()));
        // Nothing is wanted of what was not read.
        let Some(request) = &stance.standing.request else {
            return;
        };
        if let Wants::Write(operation) = wish.wants {
            let version = request.version();
            if acted.get(job) == Some(&version) {
                return;
            }
            acted.insert(job.clone(), version);
            let outcome = outcome(life, job, operation, stance, at);
            let changed = stance.next.filter(|_| outcome != Outcome::WasFinal);
            done.acts.push(Act {
                org: life.org.clone(),
                reference_id: life.reference_id.clone(),
                job_name: job.clone(),
                rule: wish.rule,
                operation,
                at,
                outcome,
                changed_after_seconds: changed.map(|next| since(at, next).num_seconds()),
                put_off: false,
            });
            return;
        }
        match rules
            .next_age(job, request, at)
            .filter(|next| *next < stance.to)
        {
            Some(next) => at = next,
            None => return,
        }
    }
}

/// It is about this request: of an order there may be several.
fn is_of(life: &Life<'_>, attempt: &Attempt) -> bool {
    attempt.reference_id == *life.reference_id
}

/// From an instant to when the upstream says that the change happened; to our sight where it doesn't.
fn since(at: DateTime<Utc>, next: &Happening) -> TimeDelta {
    let stamp = next.what.stamp().filter(|stamp| *stamp <= next.seen_at);
    (stamp.unwrap_or(next.seen_at) - at).max(TimeDelta::zero())
}

/// What became of a write that was wanted at an instant.
fn outcome(
    life: &Life<'_>,
    job: &JobName,
    operation: Operation,
    stance: &Stance<'_>,
    at: DateTime<Utc>,
) -> Outcome {
    let request = stance.standing.request.as_ref();
    let mut sent = life.attempts.iter().filter(|attempt| {
        is_of(life, attempt)
            && attempt.job_name == *job
            && request.is_some_and(|request| request.version() == attempt.before)
            && stance.from <= attempt.intended_at
    });
    if let Some(attempt) = sent.next() {
        return match attempt.operation == operation {
            true => Outcome::AsDone,
            false => Outcome::AnotherWrite,
        };
    }
    let said = life.acknowledgements.iter();
    let holds = |one: &Acknowledgement| one.ended_at.is_none_or(|ended| ended > at);
    if said.clone().any(|one| one.given_at <= at && holds(one)) {
        return Outcome::HandsOff;
    }
    if let Some(next) = stance.next
        && let What::Request(request) = &next.what
        && request.status.is_final()
        && request.last_updated.is_some_and(|over| over <= at)
    {
        return Outcome::WasFinal;
    }
    if said
        .clone()
        .any(|one| one.given_at > at && one.given_at <= stance.to)
    {
        return Outcome::PersonDid;
    }
    match stance.next {
        Some(_) => Outcome::CuredItself,
        None => Outcome::StillStands,
    }
}

/// Writes that were sent in a stance, and that these rules don't want then.
fn not_wanted(
    rules: &dyn Rules,
    life: &Life<'_>,
    jobs: &[JobName],
    stance: &Stance<'_>,
    done: &mut Rehearsed,
) {
    for attempt in life.attempts {
        if !is_of(life, attempt) || !stance.saw(attempt) {
            continue;
        }
        let rule = if jobs.contains(&attempt.job_name) {
            done.decisions += 1;
            let at = attempt.intended_at;
            match rules.wish(&attempt.job_name, life.org, stance.standing, at) {
                Ok(Wish {
                    wants: Wants::Write(_),
                    ..
                })
                | Err(_) => continue,
                Ok(wish) => wish.rule,
            }
        } else {
            None
        };
        done.acts.push(Act {
            org: life.org.clone(),
            reference_id: life.reference_id.clone(),
            job_name: attempt.job_name.clone(),
            rule,
            operation: attempt.operation,
            at: attempt.intended_at,
            outcome: Outcome::WouldNot,
            changed_after_seconds: stance
                .next
                .map(|next| since(attempt.intended_at, next).num_seconds()),
            put_off: false,
        });
    }
}
