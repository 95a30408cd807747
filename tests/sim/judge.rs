//! Holds what the upstream saw against what was promised. It believes the upstream's own ledger and what people were told;
//! of ours it only asks whether it agrees.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::domain::ids::Org;
use tesa_reconciler::domain::{AttemptState, Operation};
use tesa_reconciler::sandbox::{Answered, Entry};
use tesa_reconciler::store::attempts::Attempt;
use tesa_reconciler::store::controls::Latch;

use crate::plan::{Act, Happening, Limits, Plan};

/// People are promised that what they say is heeded within this.
const HEEDED_WITHIN: TimeDelta = TimeDelta::seconds(2);

/// What a write takes from its last read on: a permit's second, and a little.
const ON_ITS_WAY: TimeDelta = TimeDelta::seconds(3);

/// What changed so shortly before a run began may not be in its lists.
const TOO_FRESH: TimeDelta = TimeDelta::seconds(30);

/// The share of the open requests above which the guard holds (`hold_above_fraction`).
const HOLD_FRACTION: f64 = 0.1;

/// Hands off, said from then to then.
#[derive(Debug, Clone)]
pub struct Word {
    pub of: HandsOff,
    pub from: DateTime<Utc>,
    pub to: Option<DateTime<Utc>>,
}

/// Of what a person says hands off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandsOff {
    /// Of a job, or of all.
    Paused(Option<&'static str>),
    /// Of an order.
    Acknowledged(String),
    /// Of everything that a process does.
    Observe(String),
}

/// What of the world the judge looks at.
#[derive(Debug)]
pub struct Evidence {
    pub now: DateTime<Utc>,
    pub ledger: Vec<Entry>,
    pub attempts: Vec<Attempt>,
    /// Attempts that a person settled.
    pub settled: Vec<i64>,
    pub latches: Vec<Latch>,
    /// When the runs began, if there are new entries.
    pub runs: BTreeMap<i64, DateTime<Utc>>,
}

#[derive(Debug)]
pub struct Judge {
    limits: Limits,
    /// Whatever is stuck is in the lists, under one and the same rule: so it can be told when the guard must hold.
    hold_is_known: bool,
    orders: usize,
    words: Vec<Word>,
    /// How far wall clocks were set wrong at most.
    wrong_clocks: TimeDelta,
    /// When an order became unsent, or its issue opened, without us: each time it may be repaired once.
    errands: BTreeMap<String, Vec<DateTime<Utc>>>,
    /// When anything else became of it.
    changes: BTreeMap<String, Vec<DateTime<Utc>>>,
    /// Attempts that our ledger has called accepted: it does so until the first look at least.
    accepted: BTreeSet<i64>,
    /// When its rule's age is reached, of the orders that wait for it.
    due: BTreeMap<String, DateTime<Utc>>,
    /// How far reads lag behind at most in this world.
    lag: TimeDelta,
    /// Since when nobody wants the order repaired any more.
    unwanted: BTreeMap<String, DateTime<Utc>>,
    /// When a person last released anything.
    last_release: Option<DateTime<Utc>>,
    /// Latches, as long as they were seen.
    latches: Vec<(Latch, Option<DateTime<Utc>>)>,
    /// Entries already judged.
    judged: usize,
}

impl Judge {
    pub fn new(plan: &Plan) -> Self {
        let reloads = plan.happenings.iter().any(|(_, what)| {
            matches!(
                what,
                Happening::Person(Act::Reload(_)) | Happening::Freeze(_, _, Act::Reload(_), _)
            )
        });
        Self {
            limits: plan.limits,
            hold_is_known: plan.lists_are_true() && !reloads,
            orders: plan.orders.len(),
            accepted: BTreeSet::new(),
            due: BTreeMap::new(),
            lag: delta(plan.lag()),
            words: Vec::new(),
            wrong_clocks: TimeDelta::zero(),
            errands: BTreeMap::new(),
            changes: BTreeMap::new(),
            unwanted: BTreeMap::new(),
            last_release: None,
            latches: Vec::new(),
            judged: 0,
        }
    }

    /// A person says hands off.
    pub fn hands_off(&mut self, of: HandsOff, from: DateTime<Utc>, to: Option<DateTime<Utc>>) {
        self.words.push(Word { of, from, to });
    }

    /// And takes it back.
    pub fn hands_on(&mut self, of: &HandsOff, at: DateTime<Utc>) {
        for word in self.words.iter_mut().filter(|word| word.of == *of) {
            if word.to.is_none_or(|to| to > at) {
                word.to = Some(at);
            }
        }
    }

    /// A clock is so wrong from now on.
    pub fn clock_was_set(&mut self, by: TimeDelta) {
        self.wrong_clocks = self.wrong_clocks.max(by.abs());
    }

    /// An order became unsent at `at`, and may be repaired once more when its rule's age is reached.
    pub fn broke(&mut self, order: &str, at: DateTime<Utc>, due: DateTime<Utc>) {
        self.due.insert(order.to_owned(), due);
        self.errand(order, at);
    }

    /// An order may be repaired once more.
    pub fn errand(&mut self, order: &str, at: DateTime<Utc>) {
        self.unwanted.remove(order);
        self.errands.entry(order.to_owned()).or_default().push(at);
        self.changed(order, at);
    }

    /// What became of an order leaves nothing to repair.
    pub fn unwanted(&mut self, order: &str, at: DateTime<Utc>) {
        self.unwanted.entry(order.to_owned()).or_insert(at);
        self.changed(order, at);
    }

    /// Something became of an order: whatever was said of it before may be over.
    pub fn changed(&mut self, order: &str, at: DateTime<Utc>) {
        self.changes.entry(order.to_owned()).or_default().push(at);
        self.hands_on(&HandsOff::Acknowledged(order.to_owned()), at);
    }

    /// What is wrong, if anything.
    pub fn look(&mut self, seen: &Evidence) -> Result<(), String> {
        self.note_latches(seen);
        let accepted = |attempt: &&Attempt| attempt.state == AttemptState::Accepted;
        let accepted = seen.attempts.iter().filter(accepted);
        self.accepted.extend(accepted.map(|attempt| attempt.id.0));
        let by_id: BTreeMap<String, &Attempt> = seen
            .attempts
            .iter()
            .map(|attempt| (attempt.correlation_id.to_string(), attempt))
            .collect();
        for place in self.judged..seen.ledger.len() {
            let entry = &seen.ledger[place];
            let id = entry.correlation_id.as_deref().unwrap_or("none");
            let attempt = by_id
                .get(id)
                .ok_or_else(|| format!("a write without a row: {entry:?}"))?;
            self.row_came_first(entry, attempt)?;
            self.is_wanted(entry)?;
            self.is_patient(&seen.ledger[..place], entry)?;
            self.heeds_people(entry, attempt)?;
            self.heeds_latches(entry, attempt)?;
            self.holds_when_many_are_due(entry, attempt, seen)?;
            self.keeps_to_the_hour(&seen.ledger[..=place])?;
        }
        for entry in seen.ledger[self.judged..]
            .iter()
            .filter(|entry| entry.effect)
        {
            if let Some(order) = &entry.external_reference {
                self.hands_on(&HandsOff::Acknowledged(order.clone()), entry.time);
            }
        }
        self.judged = seen.ledger.len();
        self.one_effect_an_errand(&seen.ledger)?;
        one_write_at_a_time(&seen.attempts)?;
        self.keeps_to_the_run(&seen.ledger, &by_id)?;
        for entry in &seen.ledger {
            let id = entry.correlation_id.as_deref().unwrap_or("none");
            if let Some(attempt) = by_id.get(id)
                && !seen.settled.contains(&attempt.id.0)
            {
                self.says_what_was(entry, attempt)?;
            }
        }
        self.was_sent_if_it_says_so(seen)
    }

    fn note_latches(&mut self, seen: &Evidence) {
        for latch in &seen.latches {
            let is_it = |known: &&(Latch, Option<DateTime<Utc>>)| known.0 == *latch;
            if !self.latches.iter().any(|known| is_it(&known)) {
                self.latches.push((latch.clone(), None));
            }
        }
        for (latch, until) in &mut self.latches {
            if until.is_none() && !seen.latches.contains(latch) {
                *until = Some(seen.now);
            }
        }
    }

    /// When a latch was released, by whoever did it: sooner than the next look.
    pub fn released(&mut self, job: &str, at: DateTime<Utc>) {
        self.last_release = Some(at);
        for (latch, until) in &mut self.latches {
            if latch.job_name.as_str() == job && until.is_none() {
                *until = Some(at);
            }
        }
    }

    fn row_came_first(&self, entry: &Entry, attempt: &Attempt) -> Result<(), String> {
        if attempt.intended_at > entry.time + self.wrong_clocks {
            return Err(format!(
                "the row came after the write: {entry:?} {attempt:?}"
            ));
        }
        Ok(())
    }

    /// As far as reads can tell, the order is broken, and has been for as long as its rule says.
    fn is_wanted(&self, entry: &Entry) -> Result<(), String> {
        let order = entry.external_reference.as_deref().unwrap_or("none");
        if let Some(since) = self.unwanted.get(order)
            && entry.time > *since + self.lag + ON_ITS_WAY
        {
            return Err(format!(
                "a write that nobody wants since {since}: {entry:?}"
            ));
        }
        let due = self.due.get(order).copied().unwrap_or(entry.time);
        if entry.operation.is_create_request() && entry.time + self.wrong_clocks + ON_ITS_WAY < due
        {
            return Err(format!("a write that is due at {due} only: {entry:?}"));
        }
        Ok(())
    }

    /// Of one errand there are so many attempts at most, with pauses between them; what was refused is not repeated.
    fn is_patient(&self, before: &[Entry], entry: &Entry) -> Result<(), String> {
        let order = entry.external_reference.as_deref().unwrap_or("none");
        let changed = self.changes.get(order).and_then(|all| all.last());
        let same: Vec<&Entry> = before
            .iter()
            .filter(|other| other.external_reference == entry.external_reference)
            .filter(|other| other.operation == entry.operation && !other.effect)
            .filter(|other| changed.is_none_or(|at| other.time > *at))
            .collect();
        let Some(last) = same.last() else {
            return Ok(());
        };
        // Half of the first, and more than that by chance.
        let pause = TimeDelta::seconds(self.limits.backoff.cast_signed()) / 2;
        if entry.time - last.time < pause - ON_ITS_WAY - self.wrong_clocks {
            return Err(format!("without a pause after {last:?}: {entry:?}"));
        }
        let was_refused =
            |other: &&&Entry| matches!(other.answered, Answered::Status(400 | 404 | 409 | 422));
        if let Some(refused) = same.iter().find(was_refused) {
            return Err(format!(
                "once more although it was refused: {refused:?} {entry:?}"
            ));
        }
        let counts = |other: &&&Entry| !matches!(other.answered, Answered::Status(401 | 429));
        let tried = same.iter().filter(counts).count() as u64;
        if tried >= self.limits.max_attempts {
            return Err(format!("after {tried} attempts: {entry:?}"));
        }
        Ok(())
    }

    fn heeds_people(&self, entry: &Entry, attempt: &Attempt) -> Result<(), String> {
        for word in &self.words {
            let concerns = match &word.of {
                HandsOff::Paused(job) => job.is_none_or(|job| attempt.job_name.as_str() == job),
                HandsOff::Acknowledged(order) => entry.external_reference.as_ref() == Some(order),
                HandsOff::Observe(replica) => attempt.replica == *replica,
            };
            // A pause's end goes by the store's clock.
            let over = word
                .to
                .is_some_and(|to| to - self.wrong_clocks <= entry.time);
            if concerns && !over && entry.time > word.from + HEEDED_WITHIN {
                return Err(format!("a write although {word:?}: {entry:?}"));
            }
        }
        Ok(())
    }

    fn heeds_latches(&self, entry: &Entry, attempt: &Attempt) -> Result<(), String> {
        for (latch, until) in &self.latches {
            let concerns = latch.job_name == attempt.job_name;
            let since = latch.since + HEEDED_WITHIN + self.wrong_clocks;
            let over = until.is_some_and(|until| until <= entry.time);
            if concerns && !over && entry.time > since {
                return Err(format!("a write out of a held guard: {latch:?} {entry:?}"));
            }
        }
        Ok(())
    }

    /// Where more orders than that are due, and nobody has tried any or said anything of it, a run acts on none.
    fn holds_when_many_are_due(
        &self,
        entry: &Entry,
        attempt: &Attempt,
        seen: &Evidence,
    ) -> Result<(), String> {
        let Some(began) = seen.runs.get(&attempt.run_id.0) else {
            return Ok(());
        };
        if !self.hold_is_known || !entry.operation.is_create_request() {
            return Ok(());
        }
        let untried = |order: &str| {
            let of_order = |attempt: &&Attempt| attempt.external_reference.as_str() == order;
            let tried = |attempt: &Attempt| attempt.intended_at < *began + self.wrong_clocks;
            !seen.attempts.iter().filter(of_order).any(tried)
        };
        let of = |order: &str| HandsOff::Acknowledged(order.to_owned());
        let due = self.due.iter().filter(|(order, due)| {
            **due + TOO_FRESH + self.wrong_clocks < *began
                && self
                    .last_release
                    .is_none_or(|at| at + TOO_FRESH + self.wrong_clocks < **due)
                && !self.unwanted.contains_key(*order)
                && !self.words.iter().any(|word| word.of == of(order))
                && untried(order)
        });
        let (due, limit) = (due.count(), self.limits.hold_above);
        if due as u64 > limit && due as f64 > HOLD_FRACTION * 2.0 * self.orders as f64 {
            return Err(format!(
                "{due} are due, more than {limit}, and the run of {began} acts: {entry:?}"
            ));
        }
        Ok(())
    }

    /// Of the store's hour; what is on its way from there to here may take a permit's second and the upstream's time.
    fn keeps_to_the_hour(&self, ledger: &[Entry]) -> Result<(), String> {
        let Some(last) = ledger.last() else {
            return Ok(());
        };
        let since =
            last.time - TimeDelta::hours(1) + TimeDelta::seconds(10) + self.wrong_clocks * 2;
        let writes = ledger.iter().filter(|entry| entry.time > since).count() as u64;
        if writes > self.limits.per_hour {
            return Err(format!("{writes} writes in the hour before {last:?}"));
        }
        Ok(())
    }

    fn keeps_to_the_run(
        &self,
        ledger: &[Entry],
        by_id: &BTreeMap<String, &Attempt>,
    ) -> Result<(), String> {
        let mut runs: BTreeMap<i64, u64> = BTreeMap::new();
        for entry in ledger {
            let id = entry.correlation_id.as_deref().unwrap_or("none");
            if let Some(attempt) = by_id.get(id) {
                *runs.entry(attempt.run_id.0).or_default() += 1;
            }
        }
        match runs
            .iter()
            .find(|(_, writes)| **writes > self.limits.per_run)
        {
            Some((run, writes)) => Err(format!("{writes} writes in run {run}")),
            None => Ok(()),
        }
    }

    /// The order was repaired by us at most as often as it was broken by others.
    fn one_effect_an_errand(&self, ledger: &[Entry]) -> Result<(), String> {
        let mut effects: BTreeMap<(&str, Operation), usize> = BTreeMap::new();
        for entry in ledger.iter().filter(|entry| entry.effect) {
            let order = entry.external_reference.as_deref().unwrap_or("none");
            *effects.entry((order, entry.operation)).or_default() += 1;
        }
        for ((order, operation), count) in effects {
            let errands = self.errands.get(order).map_or(0, Vec::len);
            if count > errands {
                return Err(format!(
                    "{order}: {count} effects of {operation} for {errands} errands"
                ));
            }
        }
        Ok(())
    }

    /// What our ledger says of a write is so.
    fn says_what_was(&self, entry: &Entry, attempt: &Attempt) -> Result<(), String> {
        let wrong = match attempt.state {
            AttemptState::NotSent => true,
            AttemptState::Rejected => entry.effect,
            // What was accepted and shows no effect is for a person.
            AttemptState::Ineffective => entry.effect || self.accepted.contains(&attempt.id.0),
            AttemptState::Confirmed => {
                // What others did to the order may look the same.
                let order = entry.external_reference.as_deref().unwrap_or("none");
                let meanwhile = self.changes.get(order).is_some_and(|changes| {
                    changes
                        .iter()
                        .any(|at| *at >= entry.time - TimeDelta::minutes(1))
                });
                !entry.effect && !meanwhile
            }
            _ => false,
        };
        match wrong {
            true => Err(format!("our ledger is wrong: {attempt:?} {entry:?}")),
            false => Ok(()),
        }
    }

    /// What our ledger says was accepted or refused had come in.
    fn was_sent_if_it_says_so(&self, seen: &Evidence) -> Result<(), String> {
        for attempt in &seen.attempts {
            let claims = matches!(
                attempt.state,
                AttemptState::Accepted | AttemptState::Rejected
            );
            let id = attempt.correlation_id.to_string();
            let came_in = |entry: &Entry| entry.correlation_id.as_deref() == Some(&id);
            if claims && !seen.ledger.iter().any(came_in) {
                return Err(format!("it never came in: {attempt:?}"));
            }
        }
        Ok(())
    }
}

/// Of one order, and of one request, at most one attempt is open; the next is made only after the one before it closed.
fn one_write_at_a_time(attempts: &[Attempt]) -> Result<(), String> {
    let mut last: BTreeMap<(&Org, &str), &Attempt> = BTreeMap::new();
    for attempt in attempts {
        let of_order = (&attempt.org, attempt.external_reference.as_str());
        if let Some(before) = last.insert(of_order, attempt)
            && before.state.is_open()
        {
            return Err(format!("a second write beside {before:?}: {attempt:?}"));
        }
    }
    Ok(())
}

/// So long as a duration of the calendar.
pub fn delta(by: Duration) -> TimeDelta {
    TimeDelta::from_std(by).unwrap()
}
