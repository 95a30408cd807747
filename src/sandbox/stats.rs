//! Counts over the whole sandbox.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Sandbox;
use super::call::Call;
use super::world::AsOf;

/// What went on and how things stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Calls by operation, refused ones too; every operation is there.
    pub calls: BTreeMap<String, u64>,
    /// Calls of the four reads.
    pub reads: u64,
    /// Calls of the twelve writes.
    pub writes: u64,
    /// Writes that changed a request.
    pub effects: u64,
    /// Requests by org and status, as they stand now.
    pub requests: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Requests looked at under one lock.
const CHUNK: u32 = 4_096;

impl Sandbox {
    /// How many calls of one kind came in, refused ones too. Cheap, unlike [`Sandbox::stats`].
    pub fn calls(&self, call: Call) -> u64 {
        self.0.ledger.calls(call)
    }

    /// Counts everything; takes a fraction of a microsecond per request, so it is not for a hot path.
    pub fn stats(&self) -> Stats {
        self.settle_late();
        let mut stats = Stats {
            effects: self.0.ledger.effects(),
            ..Stats::default()
        };
        for call in Call::all() {
            let calls = self.0.ledger.calls(call);
            match call {
                Call::Write(_) => stats.writes += calls,
                Call::Read(_) => stats.reads += calls,
                Call::Token => {}
            }
            stats.calls.insert(call.as_str().to_owned(), calls);
        }
        let now = self.0.clock.now();
        for (org, world) in &self.0.worlds {
            let statuses = stats.requests.entry(org.clone()).or_default();
            let places = world.places();
            for from in (0..places).step_by(CHUNK as usize) {
                let until = from.saturating_add(CHUNK).min(places);
                world.walk(from..until, AsOf::Now(now), |head| {
                    let status = head.status.as_str();
                    match statuses.get_mut(status) {
                        Some(count) => *count += 1,
                        None => _ = statuses.insert(status.to_owned(), 1),
                    }
                });
            }
        }
        stats
    }
}
