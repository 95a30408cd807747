//! The sandbox's own account of what it was asked and what it did: what a test holds the daemon's ledger against.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::Operation;

use super::call::Call;

/// One write that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// From 1, without gaps.
    pub sequence: u64,
    /// When it was carried out or refused, by the sandbox's clock.
    pub time: DateTime<Utc>,
    /// The tenant in the path, known or not.
    pub org: String,
    /// Which write.
    pub operation: Operation,
    /// The order named in the body, where one could be read.
    pub external_reference: Option<String>,
    /// The `Request-Correlation-Id` header.
    pub correlation_id: Option<String>,
    /// What the client was told.
    pub answered: Answered,
    /// Whether a request changed.
    pub effect: bool,
    /// When it changed: with the write, or later where a fault said so.
    pub effect_at: Option<DateTime<Utc>>,
    /// When the effect is to come, while it has not.
    pub effect_due: Option<DateTime<Utc>>,
    /// The request meant, where there was one.
    pub reference_id: Option<String>,
}

/// What a client was told of its write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// A whole answer with this status.
    Status(u16),
    /// Nothing: the connection was closed.
    Lost,
    /// Nothing: the connection was kept open.
    Hung,
    /// Half an answer.
    Cut,
    /// A success with a body that can't be read.
    Undecodable,
    /// A success whose body comes a byte at a time, or never ends.
    Slow,
}

/// Calls by operation, and writes one by one.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    calls: [AtomicU64; 17],
    entries: Mutex<Vec<Entry>>,
    /// Empty unless they are to be kept.
    reads: Mutex<Vec<(String, DateTime<Utc>)>>,
}

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call.
    pub fn count(&self, call: Call) {
        if let Some(count) = self.calls.get(call.place()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Keeps the instant of a read.
    pub fn keep_read(&self, org: &str, time: DateTime<Utc>) {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.push((org.to_owned(), time));
    }

    /// The instants of an org's reads, in order, as far as they were kept.
    pub fn reads_of(&self, org: &str) -> Vec<DateTime<Utc>> {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let of_org = reads.iter().filter(|(of, _)| of == org);
        of_org.map(|(_, time)| *time).collect()
    }

    /// How many calls of one kind came in, refused ones too.
    pub fn calls(&self, call: Call) -> u64 {
        self.calls
            .get(call.place())
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Appends a write and gives it its sequence.
    pub fn enter(&self, mut entry: Entry) -> u64 {
        let mut entries = self.entries();
        let sequence = entries.len() as u64 + 1;
        entry.sequence = sequence;
        entries.push(entry);
        sequence
    }

    /// What became of an effect that was to come later: when it came, and to which request; `None` if it could not any
    /// more.
    pub fn came_later(&self, sequence: u64, effect: Option<(DateTime<Utc>, String)>) {
        let mut entries = self.entries();
        let mut entries = entries.iter_mut().rev();
        let Some(entry) = entries.find(|entry| entry.sequence == sequence) else {
            return;
        };
        entry.effect_due = None;
        if let Some((at, reference_id)) = effect {
            entry.effect = true;
            entry.effect_at = Some(at);
            entry.reference_id = Some(reference_id);
        }
    }

    /// Every write, in order.
    pub fn all(&self) -> Vec<Entry> {
        self.entries().clone()
    }

    /// How many writes had an effect.
    pub fn effects(&self) -> u64 {
        self.entries().iter().filter(|entry| entry.effect).count() as u64
    }
}
