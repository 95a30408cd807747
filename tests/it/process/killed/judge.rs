//! What must hold at every moment, by the upstream's ledger: pure, and itself put to the test below.
//!
//! The upstream knows what no client can: whether a write had an effect, and when. So each second write for an order is
//! held against what the first truly did.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::domain::{Operation, Safety};
use tesa_reconciler::sandbox::{Answered, Entry};

use super::orders::HandsOff;
use super::weather::{TIMEOUT, VERIFY_AFTER};

/// A row of our own ledger.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Row {
    pub id: i64,
    pub org: String,
    pub external_reference: String,
    pub operation: String,
    pub state: String,
    pub correlation_id: String,
    pub run_id: i64,
    pub intended_at: DateTime<Utc>,
}

/// All that there is to judge by. The entries were taken before the rows: whatever is sent has its row by then.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub entries: Vec<Entry>,
    pub rows: Vec<Row>,
    pub hands_off: Vec<HandsOff>,
    pub per_run: usize,
    pub per_hour: usize,
}

/// A broken promise, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub what: &'static str,
    pub order: String,
}

type Key<'a> = (&'a str, &'a str);

fn order(entry: &Entry) -> Key<'_> {
    let order = entry.external_reference.as_deref();
    (&entry.org, order.unwrap_or_default())
}

impl Evidence {
    pub fn judge(&self) -> Vec<Broken> {
        let mut broken = Vec::new();
        self.every_write_has_its_row(&mut broken);
        self.one_unproven_write_at_a_time(&mut broken);
        self.no_second_effect(&mut broken);
        self.hands_off(&mut broken);
        self.our_ledger_tells_the_truth(&mut broken);
        self.caps(&mut broken);
        broken
    }

    fn row(&self, entry: &Entry) -> Option<&Row> {
        let id = entry.correlation_id.as_deref()?;
        self.rows.iter().find(|row| row.correlation_id == id)
    }

    fn every_write_has_its_row(&self, broken: &mut Vec<Broken>) {
        let mut seen = HashMap::new();
        for entry in &self.entries {
            let fits = self.row(entry).is_some_and(|row| {
                order(entry) == (&row.org, &row.external_reference)
                    && entry.operation.as_str() == row.operation
                    && row.intended_at <= entry.time
            });
            if !fits {
                broken.push(breach("a write without a row of its own before it", entry));
            }
            if seen
                .insert(entry.correlation_id.as_deref(), entry)
                .is_some()
            {
                broken.push(breach("one row, two writes", entry));
            }
        }
    }

    /// Holds each write against all before it for the order.
    fn one_unproven_write_at_a_time(&self, broken: &mut Vec<Broken>) {
        let mut before: HashMap<Key<'_>, Vec<&Entry>> = HashMap::new();
        for second in &self.entries {
            let earlier = before.entry(order(second)).or_default();
            for first in earlier.iter() {
                if let Some(what) = self.too_early(first, second) {
                    broken.push(breach(what, second));
                }
            }
            earlier.push(second);
        }
    }

    fn too_early(&self, first: &Entry, second: &Entry) -> Option<&'static str> {
        let repeated =
            first.operation == second.operation && first.operation.safety() == Safety::Unsafe;
        match first.effect_at {
            Some(_) if repeated => Some("an unsafe write again after its effect"),
            Some(at) if at > second.time => Some("a write before the one before had its effect"),
            Some(_) => None,
            None if first.effect_due.is_some() => {
                Some("a write before the one before had its effect")
            }
            // A refusal proves that there is none.
            None if matches!(first.answered, Answered::Status(400..=499)) => None,
            None => (second.time < self.proven_from(first))
                .then_some("a write before the last look at the one before"),
        }
    }

    /// When the last look at a write without an effect may be had: all pauses after it was last under way.
    fn proven_from(&self, entry: &Entry) -> DateTime<Utc> {
        let ended = match (entry.answered, self.row(entry)) {
            (Answered::Hung, Some(row)) => row.intended_at + delta(TIMEOUT),
            _ => entry.time,
        };
        ended
            + VERIFY_AFTER
                .iter()
                .map(|pause| delta(*pause))
                .sum::<TimeDelta>()
    }

    fn no_second_effect(&self, broken: &mut Vec<Broken>) {
        let mut creates = HashMap::new();
        let mut effects = HashMap::new();
        for entry in self.entries.iter().filter(|entry| entry.effect) {
            if entry.operation.is_create_request() && creates.insert(order(entry), entry).is_some()
            {
                broken.push(breach("two real requests of one order", entry));
            }
            if entry.operation.safety() == Safety::Unsafe
                && effects
                    .insert((order(entry), entry.operation), entry)
                    .is_some()
            {
                broken.push(breach("two effects of an unsafe operation", entry));
            }
        }
    }

    /// A person's word holds until the status changes, which here only a write can do that came before.
    fn hands_off(&self, broken: &mut Vec<Broken>) {
        for word in &self.hands_off {
            let mut changed_at: Vec<DateTime<Utc>> = Vec::new();
            let about_it = |entry: &&Entry| order(entry) == (&word.org, &word.order);
            for entry in self.entries.iter().filter(about_it) {
                let changed = changed_at.iter().any(|at| *at <= entry.time);
                if self.intended_after(entry, word.since) && !changed {
                    broken.push(breach("a write after a person said hands off", entry));
                }
                // Access for a technician changes no status.
                if entry.operation != Operation::CreateAccess {
                    changed_at.extend(entry.effect_at);
                }
            }
        }
    }

    fn intended_after(&self, entry: &Entry, since: DateTime<Utc>) -> bool {
        self.row(entry).is_none_or(|row| row.intended_at > since)
    }

    fn our_ledger_tells_the_truth(&self, broken: &mut Vec<Broken>) {
        for entry in &self.entries {
            let Some(row) = self.row(entry) else {
                continue;
            };
            let may_have = entry.effect || entry.effect_due.is_some();
            match row.state.as_str() {
                "not_sent" => broken.push(breach("not_sent, and it came", entry)),
                "ineffective" | "rejected" if may_have => {
                    broken.push(breach("said to have no effect, and has one", entry));
                }
                _ => {}
            }
        }
    }

    fn caps(&self, broken: &mut Vec<Broken>) {
        let mut runs: HashMap<i64, usize> = HashMap::new();
        for entry in &self.entries {
            let since = entry.time - TimeDelta::hours(1);
            let in_hour = self.entries.iter().filter(|other| {
                other.org == entry.org && other.time > since && other.sequence <= entry.sequence
            });
            if in_hour.count() > self.per_hour {
                broken.push(breach("more writes than the cap of an hour", entry));
            }
            if let Some(row) = self.row(entry) {
                let of_run = runs.entry(row.run_id).or_default();
                *of_run += 1;
                if *of_run > self.per_run {
                    broken.push(breach("more writes than the cap of a run", entry));
                }
            }
        }
    }
}

fn breach(what: &'static str, entry: &Entry) -> Broken {
    Broken {
        what,
        order: order(entry).1.to_owned(),
    }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap()
}

mod tests {
    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms)
    }

    /// A create for the order `A` whose answer was lost.
    fn sent(sequence: u64, ms: i64, effect_ms: Option<i64>) -> Entry {
        Entry {
            sequence,
            time: at(ms),
            org: "o".to_owned(),
            operation: Operation::CreateActivation,
            external_reference: Some("A".to_owned()),
            correlation_id: Some(sequence.to_string()),
            answered: Answered::Lost,
            effect: effect_ms.is_some(),
            effect_at: effect_ms.map(at),
            effect_due: None,
            reference_id: None,
        }
    }

    fn evidence(entries: Vec<Entry>) -> Evidence {
        let row = |entry: &Entry| Row {
            id: 1,
            org: "o".to_owned(),
            external_reference: "A".to_owned(),
            operation: entry.operation.to_string(),
            state: "unknown".to_owned(),
            correlation_id: entry.correlation_id.clone().unwrap(),
            run_id: 1,
            intended_at: entry.time,
        };
        Evidence {
            rows: entries.iter().map(row).collect(),
            entries,
            hands_off: Vec::new(),
            per_run: 10,
            per_hour: 10,
        }
    }

    fn said(evidence: &Evidence) -> Vec<&'static str> {
        evidence.judge().iter().map(|broken| broken.what).collect()
    }

    #[test]
    fn the_judge_lets_pass_what_is_right() {
        let in_time = [sent(1, 0, None), sent(2, 4_000, Some(4_000))];
        assert_eq!(said(&evidence(in_time.into())), [""; 0]);
        let mut refused = [sent(1, 0, None), sent(2, 100, Some(1_600))];
        refused[0].answered = Answered::Status(400);
        assert_eq!(said(&evidence(refused.into())), [""; 0]);
        let mut another = [sent(1, 0, Some(0)), sent(2, 1_000, Some(1_000))];
        another[1].operation = Operation::CancelRequest;
        assert_eq!(said(&evidence(another.into())), [""; 0]);
    }

    #[test]
    fn the_judge_sees_a_second_write_that_comes_too_early() {
        let cases = [
            (
                sent(1, 0, None),
                "a write before the last look at the one before",
            ),
            (
                sent(1, 0, Some(5_000)),
                "an unsafe write again after its effect",
            ),
            (
                sent(1, 0, Some(0)),
                "an unsafe write again after its effect",
            ),
        ];
        for (first, what) in cases {
            assert_eq!(said(&evidence(vec![first, sent(2, 3_999, None)])), [what]);
        }
        let mut hung = sent(1, 0, None);
        hung.answered = Answered::Hung;
        let told = said(&evidence(vec![hung, sent(2, 4_999, None)]));
        assert_eq!(told, ["a write before the last look at the one before"]);
        let mut cancel = sent(2, 500, None);
        cancel.operation = Operation::CancelRequest;
        let told = said(&evidence(vec![sent(1, 0, Some(600)), cancel]));
        assert_eq!(told, ["a write before the one before had its effect"]);
    }

    #[test]
    fn the_judge_sees_two_effects_and_a_missing_row() {
        let twice = vec![sent(1, 0, Some(0)), sent(2, 9_000, Some(9_000))];
        let told = said(&evidence(twice));
        assert_eq!(
            told,
            [
                "an unsafe write again after its effect",
                "two real requests of one order",
                "two effects of an unsafe operation",
            ]
        );
        let mut unknown = evidence(vec![sent(1, 0, None)]);
        unknown.rows.clear();
        assert_eq!(
            said(&unknown),
            ["a write without a row of its own before it"]
        );
        let mut denied = evidence(vec![sent(1, 0, Some(0))]);
        denied.rows[0].state = "ineffective".to_owned();
        assert_eq!(said(&denied), ["said to have no effect, and has one"]);
    }

    #[test]
    fn the_judge_sees_a_write_after_hands_off_and_beyond_a_cap() {
        let mut told_off = evidence(vec![sent(1, 100, Some(100))]);
        let word = |ms| HandsOff {
            org: "o".to_owned(),
            order: "A".to_owned(),
            since: at(ms),
        };
        told_off.hands_off = vec![word(99)];
        assert_eq!(said(&told_off), ["a write after a person said hands off"]);
        told_off.hands_off = vec![word(100)];
        assert_eq!(said(&told_off), [""; 0], "it was on its way");
        told_off.per_hour = 0;
        told_off.per_run = 0;
        assert_eq!(said(&told_off).len(), 2);
    }
}
