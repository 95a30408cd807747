//! What differs from the seeded plan: requests that were written, added or removed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::head::{Head, seeded_index};
use super::item::Item;
use super::seed::Plan;

/// What differs from the plan.
#[derive(Debug)]
pub(super) struct Changed {
    items: HashMap<u32, Item>,
    removed: HashSet<u32>,
    /// Requests beyond the seeded ones, by external reference, oldest first.
    beside: HashMap<Arc<str>, Vec<u32>>,
    next: u32,
}

impl Changed {
    /// Everything is as planned.
    pub fn nothing(plan: &Plan) -> Self {
        Self {
            items: HashMap::new(),
            removed: HashSet::new(),
            beside: HashMap::new(),
            next: plan.requests,
        }
    }

    /// The index that the next new request gets; all that are there are below it.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Whether this request is kept here rather than made from the plan.
    pub fn holds(&self, index: u32) -> bool {
        self.items.contains_key(&index)
    }

    pub fn head(&self, plan: &Plan, index: u32) -> Option<Head> {
        if let Some(item) = self.items.get(&index) {
            return Some(item.head.clone());
        }
        (index < plan.requests && !self.removed.contains(&index)).then(|| plan.head(index))
    }

    pub fn item(&self, plan: &Plan, index: u32) -> Option<Item> {
        if let Some(item) = self.items.get(&index) {
            return Some(item.clone());
        }
        (index < plan.requests && !self.removed.contains(&index)).then(|| plan.item(index))
    }

    /// Every request with this external reference, oldest first.
    pub fn with_external(&self, plan: &Plan, external: &str) -> Vec<u32> {
        let seeded = seeded_index(external)
            .filter(|index| *index < plan.requests && !self.removed.contains(index));
        let beside = self.beside.get(external).into_iter().flatten().copied();
        seeded.into_iter().chain(beside).collect()
    }

    pub fn keep(&mut self, item: Item) {
        self.items.insert(item.head.index, item);
    }

    pub fn add(&mut self, item: Item) {
        let external = item.head.external_reference();
        self.beside
            .entry(external)
            .or_default()
            .push(item.head.index);
        self.next = self.next.max(item.head.index + 1);
        self.keep(item);
    }

    pub fn remove(&mut self, index: u32) {
        if let Some(item) = self.items.remove(&index)
            && let Some(beside) = self.beside.get_mut(&item.head.external_reference())
        {
            beside.retain(|other| *other != index);
        }
        self.removed.insert(index);
    }
}
