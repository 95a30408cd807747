//! What must hold of the upstream's ledger at every moment, whatever was tested.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use tesa_reconciler::sandbox::Entry;

/// Orders in the sequence in which they were written to.
pub fn orders(ledger: &[Entry]) -> Vec<&str> {
    ledger
        .iter()
        .map(|entry| entry.external_reference.as_deref().unwrap_or("(none)"))
        .collect()
}

/// Writes that changed something, by order.
pub fn effects(ledger: &[Entry]) -> BTreeMap<&str, usize> {
    let mut effects = BTreeMap::new();
    for entry in ledger.iter().filter(|entry| entry.effect) {
        let order = entry.external_reference.as_deref().unwrap_or("(none)");
        *effects.entry(order).or_default() += 1;
    }
    effects
}

/// No order had more than one effect.
pub fn no_order_twice(ledger: &[Entry]) {
    for (order, count) in effects(ledger) {
        assert_eq!(count, 1, "{order} had {count} effects");
    }
}

/// In no hour, wherever it begins, more than `cap` writes came in.
pub fn never_above_per_hour(ledger: &[Entry], cap: usize) {
    for (index, entry) in ledger.iter().enumerate() {
        let since = entry.time - TimeDelta::hours(1);
        let in_hour = ledger[..=index]
            .iter()
            .rev()
            .take_while(|before| before.time > since)
            .count();
        assert!(
            in_hour <= cap,
            "{in_hour} writes in the hour up to {}",
            entry.time
        );
    }
}

/// Every write carried a correlation id of its own.
pub fn every_write_has_its_own_correlation_id(ledger: &[Entry]) {
    let mut seen = HashSet::new();
    for entry in ledger {
        let id = entry.correlation_id.as_deref();
        assert!(id.is_some_and(|id| seen.insert(id)), "{entry:?}");
    }
}
