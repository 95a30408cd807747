//! What differs from the seeded plan: requests that were written, added or removed, and how they stood before.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::as_of::AsOf;
use super::head::{Head, seeded_index};
use super::item::Item;
use super::seed::Plan;

/// So many earlier states of a request are remembered.
const REMEMBERED: usize = 8;

/// A request, and how it stood before its last changes.
#[derive(Debug)]
struct Kept {
    item: Item,
    since: DateTime<Utc>,
    /// Oldest first, each with the instant from which it stood so.
    earlier: VecDeque<(DateTime<Utc>, Item)>,
}

impl Kept {
    /// `None` before the first change that is remembered.
    fn item(&self, as_of: AsOf) -> Option<&Item> {
        match as_of {
            AsOf::Past(at) if at < self.since => {
                let mut earlier = self.earlier.iter().rev();
                earlier
                    .find(|(since, _)| *since <= at)
                    .map(|(_, item)| item)
            }
            _ => Some(&self.item),
        }
    }

    fn first(&self) -> &Item {
        self.earlier.front().map_or(&self.item, |(_, item)| item)
    }
}

/// What differs from the plan.
#[derive(Debug)]
pub(super) struct Changed {
    items: HashMap<u32, Kept>,
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

    /// Whether there is such a request.
    pub fn there(&self, plan: &Plan, index: u32) -> bool {
        self.holds(index) || index < plan.requests && !self.removed.contains(&index)
    }

    pub fn head(&self, plan: &Plan, index: u32, as_of: AsOf) -> Option<Head> {
        let planned = || plan.head(index);
        self.known(plan, index, as_of, |item| item.head.clone(), planned)
    }

    pub fn item(&self, plan: &Plan, index: u32, as_of: AsOf) -> Option<Item> {
        self.known(plan, index, as_of, Item::clone, || plan.item(index))
    }

    /// What is kept here of it; what is planned, where nothing is or where the past lies before it.
    fn known<T>(
        &self,
        plan: &Plan,
        index: u32,
        as_of: AsOf,
        of: impl Fn(&Item) -> T,
        planned: impl Fn() -> T,
    ) -> Option<T> {
        let kept = self.items.get(&index);
        if let Some(item) = kept.and_then(|kept| kept.item(as_of)) {
            return Some(of(item));
        }
        if index < plan.requests {
            return (!self.removed.contains(&index)).then(planned);
        }
        // It was not there yet.
        kept.map(|kept| of(kept.first()))
    }

    /// Every request with this external reference, oldest first.
    pub fn with_external(&self, plan: &Plan, external: &str) -> Vec<u32> {
        let seeded = seeded_index(external)
            .filter(|index| *index < plan.requests && !self.removed.contains(index));
        let beside = self.beside.get(external).into_iter().flatten().copied();
        seeded.into_iter().chain(beside).collect()
    }

    /// From `now` on it stands so.
    pub fn keep(&mut self, item: Item, now: DateTime<Utc>) {
        let index = item.head.index;
        let Some(kept) = self.items.get_mut(&index) else {
            let earlier = VecDeque::new();
            let since = now;
            self.items.insert(
                index,
                Kept {
                    item,
                    since,
                    earlier,
                },
            );
            return;
        };
        if kept.earlier.len() == REMEMBERED {
            kept.earlier.pop_front();
        }
        let before = std::mem::replace(&mut kept.item, item);
        kept.earlier.push_back((kept.since, before));
        kept.since = now;
    }

    pub fn add(&mut self, item: Item, now: DateTime<Utc>) {
        let external = item.head.external_reference();
        self.beside
            .entry(external)
            .or_default()
            .push(item.head.index);
        self.next = self.next.max(item.head.index + 1);
        self.keep(item, now);
    }

    pub fn remove(&mut self, index: u32) {
        if let Some(kept) = self.items.remove(&index)
            && let Some(beside) = self.beside.get_mut(&kept.item.head.external_reference())
        {
            beside.retain(|other| *other != index);
        }
        self.removed.insert(index);
    }
}
